/**
 * Says of what a file makes when it is loaded that nobody misses it who does not name it: the core is one file, and a
 * bundler leaves out of it only what it knows to have no effect. It does not know that of a call, of a spread, or of a
 * class with a computed name in it (`[inspectCustom]`): one such class would hold all that its methods name.
 *
 * True of every constant and class of ours: a file that does something when it is loaded does it in a statement, and
 * statements stay as they are. So do classes that hand functions out by a static block, since who calls those may name
 * the class nowhere.
 */

import ts from "typescript";
import { type Edit, edited } from "./edits.ts";

const PURE = "/* @__PURE__ */ ";

/** Whether bundlers see by themselves that to make this has no effect. */
function isPlain(node: ts.Expression): boolean {
  if (ts.isIdentifier(node) || ts.isLiteralExpression(node)) return true;
  if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) return true;
  if (ts.isPrefixUnaryExpression(node)) return ts.isNumericLiteral(node.operand);
  if (ts.isArrayLiteralExpression(node)) return node.elements.every(isPlain);
  if (ts.isObjectLiteralExpression(node)) {
    return node.properties.every((part) => {
      if (part.name === undefined || ts.isComputedPropertyName(part.name)) return false;
      return !ts.isPropertyAssignment(part) || isPlain(part.initializer);
    });
  }
  return [ts.SyntaxKind.NullKeyword, ts.SyntaxKind.TrueKeyword, ts.SyntaxKind.FalseKeyword].includes(node.kind);
}

/** Whether the mark, put in front of it, says all: it is of one call, and not of what that call is given. */
function isPlainCall(node: ts.Expression): boolean {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return false;
  let callee = node.expression;
  while (ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  return ts.isIdentifier(callee) && (node.arguments ?? []).every(isPlain);
}

/** Whether a member of a class is more than a method or a field of each instance: it is computed when the class is. */
function isComputed(member: ts.ClassElement): boolean {
  if (member.name !== undefined && ts.isComputedPropertyName(member.name)) return true;
  return ts.isPropertyDeclaration(member) && (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0;
}

/** @param code of a module */
export function marked(code: string): string {
  const source = ts.createSourceFile("chunk.js", code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const edits: Edit[] = [];
  const around = (node: ts.Node, before: string, behind: string) => {
    const [start, end] = [node.getStart(source), node.getEnd()];
    edits.push({ start, end: start, text: before }, { start: end, end, text: behind });
  };
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (initializer === undefined || !ts.isIdentifier(name) || isPlain(initializer)) continue;
        if (code.slice(initializer.getFullStart(), initializer.getStart(source)).includes("__PURE__")) continue;
        if (isPlainCall(initializer)) around(initializer, PURE, "");
        else around(initializer, `${PURE}(() => (`, "))()");
      }
    } else if (ts.isClassDeclaration(statement) && statement.name !== undefined) {
      const { name, members } = statement;
      if (!members.some(isComputed) || members.some(ts.isClassStaticBlockDeclaration)) continue;
      around(statement, `const ${name.text} = ${PURE}(() => { `, ` return ${name.text}; })();`);
    }
  }
  return edited(code, edits);
}
