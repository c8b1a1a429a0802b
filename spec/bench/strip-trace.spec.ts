import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { stripTrace } from "../../bench/support/strip-trace.ts";

const stripped = (source: string) => stripTrace(source).code.trim().replace(/\s+/g, " ");

describe("stripTrace()", () => {
  test.each([
    ["if (this.trace.mask & TRACE_CALL) this.trace.emit({});\nx();", "; x();"],
    ["if (first && exchange.trace.mask & TRACE_CONN) { emit(); }\nx();", "; x();"],
    ["if (trace !== undefined && trace.mask & TRACE_POOL) emit();", ";"],
    ["if (exchange === null && this.tracer.mask & TRACE_CONN) emit();", ";"],
    ["if (tracer.mask === 0) return;", "return;"],
    ["if (trace.mask !== 0) call.trace = f;", ";"],
    ["if (a.mask & TRACE_BODY) x(); else y();", "y();"],
    ["const dialing = trace.mask & TRACE_DIAL;", "const dialing = false;"],
    ["x = a.mask === 0 && b.mask === 0 ? NONE : both();", "x = NONE;"],
    ["function f() { if (!(this.trace.mask & TRACE_POOL)) return; emit(); }", "function f() { return; emit(); }"],
  ])("%j becomes %j", (source, expected) => expect(stripped(source)).toBe(expected));

  test("what has an effect stays: the question behind it is answered, it is not", () => {
    expect(stripped("if (done() && trace.mask & TRACE_CALL) emit();")).toBe("if (done() && false) emit();");
    expect(stripped("if ((a = b) && trace.mask & TRACE_CALL) emit();")).toBe("if ((a = b) && false) emit();");
  });

  test("other masks stay", () => {
    for (const source of ["if (tracer.mask & bit) emit();", "x = this.mask & 3;", "if (mask & TRACE_CALL) y();"]) {
      expect(stripTrace(source)).toMatchObject({ questions: 0 });
    }
  });

  test("withChannels() gives the transport's own tracer", () => {
    const source = "export function withChannels(own) { return { get mask() { return own.mask | subscribed(); } }; }";
    expect(stripped(source)).toBe("export function withChannels(own) { return own; }");
  });

  test("of our own code nothing is left that asks whether somebody listens", () => {
    const lib = join(import.meta.dirname, "../../lib");
    let questions = 0;
    for (const file of readdirSync(lib, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const source = readFileSync(join(lib, file), "utf8");
      if (!source.includes(".mask")) continue; // most have none, and each takes a while
      const { outputText } = ts.transpileModule(source, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true },
      });
      const result = stripTrace(outputText);
      questions += result.questions;
      expect(result.code, file).not.toMatch(/\.mask & TRACE_/);
    }
    expect(questions).toBeGreaterThan(40);
  }, 60_000);
});
