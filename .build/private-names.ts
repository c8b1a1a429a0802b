/**
 * Spells private names as short as each class by itself allows: the minifier counts them through the whole file, which
 * has some five hundred. Pure.
 */

import ts from "typescript";
import { type Edit, edited } from "./edits.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** One class: its names, and where they stand. */
interface Scope {
  readonly outer: Scope | null;
  readonly uses: Map<string, number[]>;
}

function spelled(n: number): string {
  const last = LETTERS.charAt(n % LETTERS.length);
  return n < LETTERS.length ? last : spelled(Math.floor(n / LETTERS.length) - 1) + last;
}

/** @param code of a module */
export function withShortPrivateNames(code: string): string {
  const source = ts.createSourceFile("chunk.js", code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const scopes: Scope[] = [];
  const visit = (node: ts.Node, scope: Scope | null): void => {
    let inner = scope;
    if (ts.isClassLike(node)) {
      const names = node.members.flatMap(({ name }) =>
        name !== undefined && ts.isPrivateIdentifier(name) ? [name] : [],
      );
      inner = { outer: scope, uses: new Map(names.map(({ text }) => [text, []])) };
      scopes.push(inner);
    }
    if (ts.isPrivateIdentifier(node)) {
      let owner = scope;
      while (owner !== null && !owner.uses.has(node.text)) owner = owner.outer;
      if (owner === null) throw new Error(`Cannot shorten ${node.text}: no class around it has it`);
      owner.uses.get(node.text)?.push(node.getStart(source));
    }
    ts.forEachChild(node, (child) => visit(child, inner));
  };
  visit(source, null);

  const edits: Edit[] = [];
  const names = new Map<Scope, number>();
  for (const scope of scopes) {
    // A class inside another sees the names of both, so it counts on from there; outer ones stand before it here.
    let count = scope.outer === null ? 0 : (names.get(scope.outer) ?? 0);
    const byUse = [...scope.uses].sort(([, a], [, b]) => b.length - a.length);
    for (const [name, places] of byUse) {
      const text = `#${spelled(count++)}`;
      for (const start of places) edits.push({ start, end: start + name.length, text });
    }
    names.set(scope, count);
  }
  return edited(code, edits);
}
