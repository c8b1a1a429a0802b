/**
 * A copy of the tree in a temporary folder, with every mutant of lib/ in it, all off. Whoever makes it disposes of it.
 */

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { instrument, type Mutant } from "./instrument.ts";

/**
 * Not mutated: the peers and networks that specs are made of, for a broken peer tells nothing of the client; the command
 * line; and what is generated.
 */
const LEFT_ALONE = /^lib\/(testing|cli|wire\/llhttp\/generated)\//;

export interface Tree extends Disposable {
  readonly root: string;
  readonly mutants: readonly Mutant[];
}

/** @param from the root of the tree that is copied */
export function mutantTree(from: string): Tree {
  const root = mkdtempSync(join(tmpdir(), "scenario-mutants-"));
  const dispose = () => rmSync(root, { recursive: true, force: true });
  try {
    for (const name of ["lib", "spec", "fuzz", "package.json", "tsconfig.json", "README.md"]) {
      cpSync(join(from, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(from, "node_modules"), join(root, "node_modules"));
    const board = join(root, "spec/go-scenarios/mutants/switchboard.ts");
    const mutants: Mutant[] = [];
    for (const file of listed(root)) {
      const path = join(root, file);
      const made = instrument(file, readFileSync(path, "utf8"), relative(dirname(path), board), mutants.length);
      mutants.push(...made.mutants);
      writeFileSync(path, made.text);
    }
    return { root, mutants, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function listed(root: string): string[] {
  return readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" })
    .map((name) => join("lib", name))
    .filter((name) => name.endsWith(".ts") && !LEFT_ALONE.test(name))
    .sort();
}
