/**
 * What specs take from "vitest", without its workers: the collector and the matchers are vitest's own. Stands in its place
 * where `register.mjs` says so, in the processes in which mutants run.
 */

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  addCustomEqualityTesters,
  chai,
  customMatchers,
  type ExpectStatic,
  GLOBAL_EXPECT,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import { fn, restoreAllMocks, spyOn } from "@vitest/spy";

export { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "@vitest/runner";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

const known = globalThis as unknown as Record<symbol, object>; // where @vitest/expect keeps its own things
const call = (value: unknown, message?: string) => chai.expect(value, message);
// Built by Object.assign, as vitest builds its own.
export const expect = Object.assign(call, chai.expect, known[ASYMMETRIC_MATCHERS_OBJECT], {
  addEqualityTesters: addCustomEqualityTesters,
}) as unknown as ExpectStatic & { extend(matchers: object): void };
expect.getState = () => getState(expect);
expect.setState = (state) => setState(state, expect);
expect.extend = (matchers) =>
  (chai.expect as unknown as { extend(on: object, matchers: object): void }).extend(expect, matchers);
setState(
  {
    assertionCalls: 0,
    isExpectingAssertions: false,
    isExpectingAssertionsError: null,
    expectedAssertionsNumber: null,
    expectedAssertionsNumberErrorGen: null,
    testPath: "",
    currentTestName: "",
  },
  expect,
);
known[GLOBAL_EXPECT] = expect;
expect.extend(customMatchers);

export const vi = { fn, restoreAllMocks, spyOn };
