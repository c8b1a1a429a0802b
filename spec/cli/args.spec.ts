/** The command line as data: what curl's fingers type, and what comes of it. */

import { describe, expect, test } from "vitest";
import { type Options, parseArgs } from "../../lib/cli/args.ts";
import { helpText } from "../../lib/cli/help.ts";
import { headersOf, methodOf } from "../../lib/cli/input.ts";

function options(...argv: string[]): Options {
  const parsed = parseArgs(argv);
  if (parsed.kind !== "run") throw new Error(`not a run: ${JSON.stringify(parsed)}`);
  return parsed.options;
}

const URL1 = "http://a/";

describe("parseArgs()", () => {
  const same: [string, string[], Partial<Options>][] = [
    ["a URL alone", [URL1], { urls: [URL1], method: null, count: null, concurrency: 1, timeoutMs: 0, output: null }],
    ["several URLs", [URL1, "b"], { urls: [URL1, "b"] }],
    ["a value in the next word", ["-X", "PUT", URL1], { method: "PUT", urls: [URL1] }],
    ["a value in the same word", ["-XPUT", URL1], { method: "PUT" }],
    ["a value behind an equals sign", ["--request=PUT", URL1], { method: "PUT" }],
    ["a value with equals signs", ["--data=a=b=c", URL1], { data: [text("a=b=c")] }],
    ["a value that begins with a dash", ["-d", "-5", URL1], { data: [text("-5")] }],
    ["an empty value", ["-d", "", URL1], { data: [text("")] }],
    ["flags run together", ["-svik", URL1], { silent: true, verbose: true, include: true, insecure: true }],
    ["flags run together before one with a value", ["-svo", "f", URL1], { verbose: true, output: "f" }],
    ["flags run together with the value", ["-svof", URL1], { verbose: true, output: "f" }],
    ["flags after the URL", [URL1, "-I"], { head: true, urls: [URL1] }],
    ["-- before a URL that looks like a flag", ["--", "-x"], { urls: ["-x"] }],
    ["the last -X wins", ["-XPUT", "-XPATCH", URL1], { method: "PATCH" }],
    ["a method as it is written", ["-X", "pAtCh", URL1], { method: "pAtCh" }],
    ["load", ["-n", "100", "-c", "10", URL1], { count: 100, concurrency: 10 }],
    ["paths", ["--cacert", "ca", "--unix-socket", "s", URL1], { cacert: "ca", unixSocket: "s" }],
    ["a proxy", ["-x", "http://p:1", URL1], { proxy: "http://p:1" }],
    ["a proxy by its long name", ["--proxy=p:1", URL1], { proxy: "p:1" }],
    ["no proxy at all", ["-x", "", "--unix-socket", "s", URL1], { proxy: "" }],
    ["nothing said of a proxy", [URL1], { proxy: null }],
    ["seconds", ["--timeout", "2", URL1], { timeoutMs: 2000 }],
    ["parts of a second", ["-m0.25", URL1], { timeoutMs: 250 }],
    ["seconds said", ["-m", ".5s", URL1], { timeoutMs: 500 }],
    ["milliseconds", ["--timeout=750ms", URL1], { timeoutMs: 750 }],
    ["curl's name of it", ["--max-time", "3", URL1], { timeoutMs: 3000 }],
    ["a limit too short for a clock is still one", ["-m", "0.0001", URL1], { timeoutMs: 1 }],
    ["no redirects unless asked for", [URL1], { location: false, redirectsMax: null }],
    ["redirects", ["-L", URL1], { location: true, redirectsMax: null }],
    ["a limit of redirects", ["--location", "--max-redirs=3", URL1], { location: true, redirectsMax: 3 }],
    ["a limit of no redirects", ["-L", "--max-redirs", "0", URL1], { redirectsMax: 0 }],
    ["no limit", ["-m", "0", URL1], { timeoutMs: 0 }],
  ];
  test.each(same)("reads %s", (_, argv, expected) => {
    expect(options(...argv)).toMatchObject(expected);
  });

  const fields: [string, object][] = [
    ["Name: value", { kind: "set", name: "Name", value: "value" }],
    ["Name:value", { kind: "set", name: "Name", value: "value" }],
    ["Name:  a:b ", { kind: "set", name: "Name", value: "a:b" }],
    ["Name:", { kind: "drop", name: "Name" }],
    ["Name;", { kind: "set", name: "Name", value: "" }],
  ];
  test.each(fields)("reads the field %j", (field, expected) => {
    expect(options("-H", field, URL1).headers).toEqual([expected]);
  });

  const parts: [string[], object[]][] = [
    [
      ["-d", "a=1", "-d", "b=2"],
      [text("a=1"), text("b=2")],
    ],
    [["-d", "@f"], [{ source: "file", value: "f", strip: true, glue: "&" }]],
    [["-d", "@-"], [{ source: "stdin", value: "-", strip: true, glue: "&" }]],
    [["--data-binary", "@f"], [{ source: "file", value: "f", strip: false, glue: "&" }]],
    [["--json", "{}"], [{ source: "text", value: "{}", strip: false, glue: "" }]],
    [["--json", "@-"], [{ source: "stdin", value: "-", strip: false, glue: "" }]],
  ];
  test.each(parts)("reads the data of %j", (argv, expected) => {
    expect(options(...argv, URL1).data).toEqual(expected);
  });

  test("takes the word inspect for a live view: of a load without an end, or of a command", () => {
    expect(options("inspect", "-c", "8", URL1)).toMatchObject({ inspect: true, count: 1_000_000, concurrency: 8 });
    expect(options("inspect", "-n", "5", "--port", "4711", URL1)).toMatchObject({ count: 5, port: 4711, urls: [URL1] });
    expect(options("inspect", "--port=80", "--", "node", "-v", "x.js", "--", "y")).toMatchObject({
      port: 80,
      command: ["node", "-v", "x.js", "--", "y"],
    });
    expect(options(URL1, "inspect")).toMatchObject({ inspect: false, urls: [URL1, "inspect"] });
  });

  const wrong: [string[], string][] = [
    [[], "no URL given"],
    [["--nope", URL1], "unknown option --nope"],
    [["-Z", URL1], "unknown option -Z"],
    [["-vZ", URL1], "unknown option -Z"],
    [[URL1, "-X"], "option -X needs a value"],
    [[URL1, "--data"], "option --data needs a value"],
    [["--silent=yes", URL1], "option --silent takes no value"],
    [["-H", "nothing", URL1], "-H wants 'Name: value', 'Name:' or 'Name;'"],
    [["-H", ": x", URL1], "-H wants a name before the colon"],
    [["-d", "@", URL1], "a file name is missing after @"],
    [["-d", "@-", "-d", "@-", URL1], "stdin can be read only once"],
    [["-I", "-d", "x", URL1], "-I sends no body: leave out -d, --data-binary and --json"],
    [["-n", "0", URL1], "-n wants a whole number above 0"],
    [["-n", "1.5", URL1], "-n wants a whole number above 0"],
    [["-n", "5", "-c", "x", URL1], "-c wants a whole number above 0"],
    [["-c", "5", URL1], "-c needs -n"],
    [["--port", "80", URL1], "--port goes with inspect"],
    [["inspect", "--port", "65536", URL1], "--port wants a port, 1 to 65535"],
    [["inspect"], "inspect wants a URL, or -- and a command"],
    [["inspect", "--"], "inspect wants a URL, or -- and a command"],
    [["inspect", URL1, "--", "node"], "inspect takes a URL, or -- and a command: not both"],
    [["inspect", URL1, URL1], "-n takes one URL"],
    [["-n", "5", URL1, URL1], "-n takes one URL"],
    [["-n", "5", "-o", "f", URL1], "-n prints a summary: -i and -o have no place beside it"],
    [["-m", "soon", URL1], "--timeout wants seconds (2, 0.5, 2s) or milliseconds (500ms)"],
    [["-m", "-1", URL1], "--timeout wants seconds (2, 0.5, 2s) or milliseconds (500ms)"],
  ];
  test.each(wrong)("refuses %j", (argv, message) => {
    expect(parseArgs(argv)).toEqual({ kind: "usage", message });
  });

  test("gives help and version before anything else is judged, and the first asked wins", () => {
    expect(parseArgs(["--help"])).toEqual({ kind: "help" });
    expect(parseArgs(["-h", "-V"])).toEqual({ kind: "help" });
    expect(parseArgs(["-c", "4", "-V"])).toEqual({ kind: "version" });
  });
});

test("helpText() has a row for every flag and every exit code", () => {
  const help = helpText();
  for (const flag of [
    "-X, --request METHOD",
    "-H, --header",
    "--data-binary",
    "--json",
    "-n, --requests COUNT",
    "-k,",
  ]) {
    expect(help).toContain(flag);
  }
  expect(help).toMatch(/^ {2}28 {3}a time limit was reached$/m);
  expect(help).toMatch(/--timeout SECONDS .*seconds .*milliseconds/);
});

describe("methodOf()", () => {
  const cases: [string[], string][] = [
    [[], "GET"],
    [["-I"], "HEAD"],
    [["-d", "x"], "POST"],
    [["--json", "{}"], "POST"],
    [["-d", "x", "-X", "PUT"], "PUT"],
    [["-I", "-X", "GET"], "GET"],
  ];
  test.each(cases)("of %j is %s", (argv, method) => {
    expect(methodOf(options(...argv, URL1))).toBe(method);
  });
});

describe("headersOf()", () => {
  const cases: [string, string[], string[][], string[]][] = [
    ["data is a form", ["-d", "x"], [["Content-Type", "application/x-www-form-urlencoded"]], []],
    [
      "JSON is sent and accepted",
      ["--json", "{}"],
      [
        ["Content-Type", "application/json"],
        ["Accept", "application/json"],
      ],
      [],
    ],
    [
      "a field of the caller's replaces a default",
      ["-d", "x", "-H", "content-type: a/b"],
      [["content-type", "a/b"]],
      [],
    ],
    ["a default can be dropped", ["-d", "x", "-H", "Content-Type:"], [], ["content-type"]],
    ["one that the client would add, too", ["-H", "Accept:"], [], ["accept"]],
    ["set after dropped is set", ["-H", "Accept:", "-H", "Accept: a/b"], [["Accept", "a/b"]], []],
    [
      "order and repeats are kept",
      ["-H", "B: 1", "-H", "A: 2", "-H", "B: 3"],
      [
        ["B", "1"],
        ["A", "2"],
        ["B", "3"],
      ],
      [],
    ],
  ];
  test.each(cases)("%s", (_, argv, pairs, dropped) => {
    const result = headersOf(options(...argv, URL1));
    expect(result.pairs).toEqual(pairs);
    expect([...result.dropped]).toEqual(dropped);
  });
});

function text(value: string) {
  return { source: "text" as const, value, strip: false, glue: "&" as const };
}
