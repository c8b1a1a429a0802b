/**
 * Every mutant of a file of lib/ in one text: each expression that can be mutated becomes a call of the switchboard, which
 * gives its value, or the mutant's when that one is on. So a run chooses its mutant without another compilation, and a case
 * tells which it met. Pure: text in, text and list out. Lines stay where they are.
 *
 * What is mutated: conditions (each operand of `&&` and `||` forced to be true, and to be false), the borders of comparisons,
 * `+` and `-` of numbers, `true` and `false`, numbers (one more), strings (empty), the left side of `??` (left out), and
 * statements that call or assign (taken out). Types, imports, error texts and what is evaluated while a module loads are not.
 */

import { createHash } from "node:crypto";
import ts from "typescript";

export interface Mutant {
  /** Of one run: its place among all mutants of the tree. */
  readonly id: number;
  /** Of all runs, for as long as the line's text stays: a hash of file, line, place in the line and change. */
  readonly key: string;
  readonly file: string;
  readonly line: number;
  readonly kind: Kind;
  /** `before → after`, on one line. */
  readonly change: string;
}

/** From those that say most about a rule to those that say least. */
export type Kind = "condition" | "border" | "boolean" | "sum" | "statement" | "default" | "number" | "string";

const COMPARISONS = new Map<ts.SyntaxKind, readonly [string, string, string]>([
  [ts.SyntaxKind.LessThanToken, ["__lt", "<", "<="]],
  [ts.SyntaxKind.LessThanEqualsToken, ["__le", "<=", "<"]],
  [ts.SyntaxKind.GreaterThanToken, ["__gt", ">", ">="]],
  [ts.SyntaxKind.GreaterThanEqualsToken, ["__ge", ">=", ">"]],
]);
const SUMS = new Map<ts.SyntaxKind, readonly [string, string, string]>([
  [ts.SyntaxKind.PlusToken, ["__plus", "+", "-"]],
  [ts.SyntaxKind.MinusToken, ["__minus", "-", "+"]],
]);
const EQUALITIES: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);
const TESTS: ReadonlySet<ts.SyntaxKind> = new Set([
  ...EQUALITIES,
  ts.SyntaxKind.InstanceOfKeyword,
  ts.SyntaxKind.InKeyword,
]);
const NAMES = "__if, __lt, __le, __gt, __ge, __plus, __minus, __left, __not, __number, __string, __skip";

const isLogical = (node: ts.Node): node is ts.BinaryExpression =>
  ts.isBinaryExpression(node) &&
  (node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken ||
    node.operatorToken.kind === ts.SyntaxKind.BarBarToken);
const isNegation = (node: ts.Node): node is ts.PrefixUnaryExpression =>
  ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken;

/** Whether an expression is there to be true or false: the condition of what stands around it, or a test in itself. */
function isCondition(node: ts.Expression): boolean {
  const { parent } = node;
  if (ts.isIfStatement(parent) || ts.isWhileStatement(parent) || ts.isDoStatement(parent)) {
    return parent.expression === node;
  }
  if (ts.isForStatement(parent) || ts.isConditionalExpression(parent)) return parent.condition === node;
  if (isNegation(node)) return true;
  if (!ts.isBinaryExpression(node)) return false;
  return TESTS.has(node.operatorToken.kind) || COMPARISONS.has(node.operatorToken.kind);
}

/** Where a string is no value, or its change would say nothing new. */
function isNoValue(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isPropertyAssignment(parent) || ts.isClassElement(parent)) return parent.name === node;
  if (ts.isCallExpression(parent)) return parent.expression.kind === ts.SyntaxKind.ImportKeyword;
  if (ts.isBinaryExpression(parent)) return EQUALITIES.has(parent.operatorToken.kind);
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  return ts.isCaseClause(parent) || ts.isTaggedTemplateExpression(parent) || ts.isExpressionStatement(parent);
}

/** `new DialError("…")`: words for people, which specs of behaviour rightly leave alone. */
function isErrorText(node: ts.Node): boolean {
  for (let at = node.parent; ts.isExpression(at); at = at.parent) {
    if (ts.isNewExpression(at)) return /Error$/.test(at.expression.getText());
  }
  return false;
}

const isTaken = (node: ts.ExpressionStatement): boolean => {
  let { expression } = node;
  if (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) expression = expression.expression;
  if (ts.isCallExpression(expression)) return expression.expression.kind !== ts.SyntaxKind.SuperKeyword;
  if (ts.isPostfixUnaryExpression(expression) || ts.isPrefixUnaryExpression(expression)) return true;
  if (!ts.isBinaryExpression(expression)) return false;
  const { kind } = expression.operatorToken;
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
};

/**
 * @param file its path from the root, as it is told
 * @param source its text
 * @param switchboard what it imports it by
 * @param first the id of its first mutant
 */
export function instrument(
  file: string,
  source: string,
  switchboard: string,
  first: number,
): { readonly text: string; readonly mutants: readonly Mutant[] } {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const lines = source.split("\n");
  const mutants: Mutant[] = [];
  const seen = new Map<string, number>();

  /** Notes a mutant; its id. */
  function mutant(node: ts.Node, kind: Kind, change: string): number {
    const { line, character } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
    const text = lines[line] ?? "";
    const place = `${file}\n${text.trim()}\n${character - text.search(/\S/)}\n${kind}\n${change}`;
    const times = seen.get(place) ?? 0;
    seen.set(place, times + 1);
    const id = first + mutants.length;
    mutants.push({
      id,
      key: createHash("sha256").update(`${place}\n${times}`).digest("hex").slice(0, 10),
      file,
      line: line + 1,
      kind,
      change: change.replaceAll(/\s+/g, " "),
    });
    return id;
  }

  /** The node's text with that of its children changed. */
  function inside(node: ts.Node): string {
    let out = "";
    let at = node.getStart(tree);
    ts.forEachChild(node, (child) => {
      if (child.getStart(tree) < at) return;
      out += source.slice(at, child.getStart(tree)) + visit(child);
      at = child.end;
    });
    return out + source.slice(at, node.end);
  }

  function condition(node: ts.Expression): string {
    if (ts.isParenthesizedExpression(node)) return `(${condition(node.expression)})`;
    if (isNegation(node)) return `!${condition(node.operand)}`;
    if (isLogical(node)) return `${condition(node.left)} ${node.operatorToken.getText(tree)} ${condition(node.right)}`;
    const text = node.getText(tree);
    const id = mutant(node, "condition", `${text} → true`);
    mutant(node, "condition", `${text} → false`);
    return `__if(${id}, ${plain(node)})`;
  }

  function binary(node: ts.BinaryExpression): string | null {
    const { left, right, operatorToken } = node;
    const comparison = COMPARISONS.get(operatorToken.kind);
    const found = comparison ?? SUMS.get(operatorToken.kind);
    if (found !== undefined) {
      const [name, from, to] = found;
      const [a, b] = [left.getText(tree), right.getText(tree)];
      const kind = comparison === undefined ? "sum" : "border";
      const id = mutant(node, kind, `${a} ${from} ${b} → ${a} ${to} ${b}`);
      return `${name}(${id}, ${visit(left)}, ${visit(right)})`;
    }
    if (operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
      const id = mutant(node, "default", `${node.getText(tree)} → ${right.getText(tree)}`);
      return `__left(${id}, ${visit(left)}) ?? ${visit(right)}`;
    }
    return null;
  }

  function literal(node: ts.Node): string | null {
    const text = node.getText(tree);
    switch (node.kind) {
      case ts.SyntaxKind.TrueKeyword:
        return `__not(${mutant(node, "boolean", "true → false")}, true)`;
      case ts.SyntaxKind.FalseKeyword:
        return `__not(${mutant(node, "boolean", "false → true")}, false)`;
      case ts.SyntaxKind.NumericLiteral:
        return isNoValue(node) ? null : `__number(${mutant(node, "number", `${text} → ${text} + 1`)}, ${text})`;
      case ts.SyntaxKind.StringLiteral:
      case ts.SyntaxKind.NoSubstitutionTemplateLiteral:
      case ts.SyntaxKind.TemplateExpression: {
        if (isNoValue(node) || isErrorText(node)) return null;
        const id = mutant(node, "string", `${text} → ${text.length === 2 ? '"?"' : '""'}`);
        return `__string(${id}, ${inside(node)})`;
      }
      default:
        return null;
    }
  }

  /** What the node becomes where it is not a condition, or has been wrapped as one. */
  function plain(node: ts.Node): string {
    if (ts.isBinaryExpression(node)) return binary(node) ?? inside(node);
    return literal(node) ?? inside(node);
  }

  function visit(node: ts.Node): string {
    if (
      ts.isTypeNode(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isImportDeclaration(node) ||
      ts.isExportDeclaration(node)
    ) {
      return node.getText(tree);
    }
    if (ts.isExpressionStatement(node) && isTaken(node)) {
      const id = mutant(node, "statement", `${node.getText(tree)} → ;`);
      return `{ if (!__skip(${id})) ${inside(node)} }`;
    }
    if (ts.isExpression(node) && isCondition(node)) return condition(node);
    return plain(node);
  }

  return { text: `import { ${NAMES} } from ${JSON.stringify(switchboard)}; ${inside(tree)}`, mutants };
}
