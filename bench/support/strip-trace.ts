/**
 * Our built code without its trace calls, to measure what they cost where nobody listens. Pure: JavaScript in, JavaScript
 * out.
 *
 * What every station asks before it makes an event (`trace.mask & TRACE_…`, `trace.mask === 0`) becomes what it would
 * answer if nobody ever listened, and what hangs on that is folded away: the question, the event and the call. Diagnostics
 * channels are cut off too. The stamps stay: they are `response.timings`, which is not a hook.
 */
import ts from "typescript";

export interface Stripped {
  readonly code: string;
  /** Questions that were answered for good. */
  readonly questions: number;
}

export function stripTrace(source: string, fileName = "module.js"): Stripped {
  let questions = 0;
  const { factory } = ts;

  const answerOf = (node: ts.Expression): boolean | null =>
    node.kind === ts.SyntaxKind.TrueKeyword ? true : node.kind === ts.SyntaxKind.FalseKeyword ? false : null;
  const literal = (value: boolean) => (value ? factory.createTrue() : factory.createFalse());

  const question = (node: ts.BinaryExpression): ts.Expression | null => {
    const { left, operatorToken, right } = node;
    if (!ts.isPropertyAccessExpression(left) || left.name.text !== "mask") return null;
    const isZero = ts.isNumericLiteral(right) && right.text === "0";
    switch (operatorToken.kind) {
      case ts.SyntaxKind.AmpersandToken:
        return ts.isIdentifier(right) && right.text.startsWith("TRACE_") ? literal(false) : null;
      case ts.SyntaxKind.EqualsEqualsEqualsToken:
        return isZero ? literal(true) : null;
      case ts.SyntaxKind.ExclamationEqualsEqualsToken:
        return isZero ? literal(false) : null;
      default:
        return null;
    }
  };

  const fold = (node: ts.Node): ts.Node | undefined => {
    if (ts.isBinaryExpression(node)) {
      const answer = question(node);
      if (answer !== null) {
        questions++;
        return answer;
      }
      const [left, right] = [answerOf(node.left), answerOf(node.right)];
      if (node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken) {
        if (left === false || (right === false && hasNoEffect(node.left))) return literal(false);
        if (left === true) return node.right;
      }
      if (node.operatorToken.kind === ts.SyntaxKind.BarBarToken) {
        if (left === true || (right === true && hasNoEffect(node.left))) return literal(true);
        if (left === false) return node.right;
      }
    }
    if (ts.isParenthesizedExpression(node)) return answerOf(node.expression) === null ? node : node.expression;
    if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
      const answer = answerOf(node.operand);
      return answer === null ? node : literal(!answer);
    }
    if (ts.isConditionalExpression(node)) {
      const answer = answerOf(node.condition);
      return answer === null ? node : answer ? node.whenTrue : node.whenFalse;
    }
    if (ts.isIfStatement(node)) {
      const answer = answerOf(node.expression);
      if (answer === null) return node;
      return (answer ? node.thenStatement : node.elseStatement) ?? factory.createEmptyStatement();
    }
    // A transport's tracer alone, without the channels that anybody may subscribe to.
    if (ts.isFunctionDeclaration(node) && node.name?.text === "withChannels") {
      const [own] = node.parameters;
      if (own === undefined || !ts.isIdentifier(own.name)) throw new Error("Cannot strip: withChannels() has changed");
      questions++;
      const body = factory.createBlock([factory.createReturnStatement(own.name)]);
      const { modifiers, asteriskToken, name, typeParameters, parameters, type } = node;
      return factory.updateFunctionDeclaration(
        node,
        modifiers,
        asteriskToken,
        name,
        typeParameters,
        parameters,
        type,
        body,
      );
    }
    return node;
  };

  const file = ts.createSourceFile(fileName, source, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const { transformed } = ts.transform(file, [
    (context) => (root) => {
      const visit = (node: ts.Node): ts.Node | undefined => fold(ts.visitEachChild(node, visit, context));
      return ts.visitEachChild(root, visit, context);
    },
  ]);
  return { code: ts.createPrinter().printFile(transformed[0]!), questions };
}

/** Reading variables and fields, and comparing them. */
function hasNoEffect(node: ts.Expression): boolean {
  if (ts.isIdentifier(node) || node.kind === ts.SyntaxKind.ThisKeyword) return true;
  if (ts.isLiteralExpression(node) || node.kind === ts.SyntaxKind.NullKeyword) return true;
  if (ts.isPropertyAccessExpression(node)) return hasNoEffect(node.expression);
  if (ts.isParenthesizedExpression(node)) return hasNoEffect(node.expression);
  if (ts.isPrefixUnaryExpression(node)) {
    return node.operator === ts.SyntaxKind.ExclamationToken && hasNoEffect(node.operand);
  }
  if (!ts.isBinaryExpression(node)) return false;
  const operator = node.operatorToken.kind;
  const assigns = operator >= ts.SyntaxKind.FirstAssignment && operator <= ts.SyntaxKind.LastAssignment;
  return !assigns && hasNoEffect(node.left) && hasNoEffect(node.right);
}
