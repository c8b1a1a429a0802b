/**
 * The options of the library as its own sources tell them: the names and defaults that the program runs on, and the TSDoc
 * of the interfaces that callers see. `lib/OPTIONS.md` is made of this, and `spec/option-docs.spec.ts` holds both against
 * each other.
 */

import { readFileSync } from "node:fs";
import ts from "typescript";
import { CALL_NAMES, CLIENT_NAMES } from "../../lib/client.ts";
import { CLIENT_CONN_NAMES } from "../../lib/client-conn.ts";
import { H2_DEFAULTS } from "../../lib/h2/options.ts";
import { REQUEST_OPTIONS } from "../../lib/message/request.ts";
import { CALL_KINDS, DEFAULTS, KINDS } from "../../lib/options.ts";
import { ROUND_TRIP_NAMES } from "../../lib/own-call.ts";
import { REDIRECT_DEFAULTS } from "../../lib/redirect-options.ts";

/** An options object: what it is called, the interfaces that document it, and what the program knows of it. */
export interface OptionTable {
  readonly title: string;
  readonly interfaces: readonly (readonly [file: string, name: string])[];
  readonly names: readonly string[];
  /** What each must be; absent where its own class checks it. */
  readonly kinds: Readonly<Record<string, string>>;
  /** What it is where it is not given; null where there is nothing to compare. */
  readonly defaults: Readonly<Record<string, unknown>> | null;
}

const TIME_LIMITS = ["time-limits.ts", "CallTimeLimits"] as const;
const REDIRECTS = ["redirect-options.ts", "RedirectOptions"] as const;

export const TABLES: readonly OptionTable[] = [
  {
    title: "new Transport(options)",
    interfaces: [["options.ts", "TransportOptions"], TIME_LIMITS],
    names: Object.keys(KINDS),
    kinds: KINDS,
    defaults: { ...DEFAULTS },
  },
  {
    title: "new Client(options)",
    interfaces: [["client.ts", "ClientOptions"], REDIRECTS],
    names: CLIENT_NAMES,
    kinds: CALL_KINDS,
    // The limit of redirects depends on whether somebody decides about each.
    defaults: { timeout: 0, ...REDIRECT_DEFAULTS, maxRedirects: 10 },
  },
  {
    title: "the options of a call: client.do(request, options), client.get(url, options) and their kin",
    interfaces: [["client.ts", "CallOptions"], TIME_LIMITS, REDIRECTS],
    names: CALL_NAMES,
    kinds: CALL_KINDS,
    defaults: null,
  },
  {
    title: "transport.roundTrip(request, options)",
    interfaces: [["round-tripper.ts", "RoundTripCall"], TIME_LIMITS],
    names: ROUND_TRIP_NAMES,
    kinds: CALL_KINDS,
    defaults: null,
  },
  {
    title: "new Request(url, options), and beside the options of a call in client.get(url, options) and their kin",
    interfaces: [["message/request.ts", "RequestInit"]],
    names: REQUEST_OPTIONS,
    kinds: {},
    defaults: { method: "GET", expectContinue: false },
  },
  {
    title: "transport.newClientConn(url, options)",
    interfaces: [["client-conn.ts", "ClientConnOptions"]],
    names: CLIENT_CONN_NAMES,
    kinds: CALL_KINDS,
    defaults: null,
  },
  {
    title: "h2(options) of persistconn/h2",
    interfaces: [["h2/options.ts", "H2Options"]],
    names: Object.keys(H2_DEFAULTS),
    kinds: { readIdleTimeout: "duration", pingTimeout: "duration" },
    defaults: { ...H2_DEFAULTS },
  },
];

export interface OptionDoc {
  /** The TSDoc in one line; "" where there is none. */
  readonly text: string;
  /** As declared, without undefined. */
  readonly type: string;
}

/** The members of an interface, by name. */
export function docsOf(file: string, name: string): Map<string, OptionDoc> {
  const path = new URL(`../../lib/${file}`, import.meta.url);
  const source = ts.createSourceFile(file, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const found = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (found === undefined) throw new Error(`lib/${file} has no interface ${name}`);
  return new Map(
    found.members.filter(ts.isPropertySignature).map((member) => {
      const [doc] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc);
      const text = ts.getTextOfJSDocComment(doc?.comment) ?? "";
      const type = member.type?.getText(source) ?? "";
      return [
        member.name.getText(source),
        { text: text.replace(/\s+/g, " ").trim(), type: type.replace(/ \| undefined$/, "") },
      ];
    }),
  );
}

/** The documentation of each option of a table, by name. */
export function docsOfTable({ interfaces }: OptionTable): Map<string, OptionDoc> {
  return new Map(interfaces.flatMap(([file, name]) => [...docsOf(file, name)]));
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, KiB: 1024, MiB: 1024 ** 2 };

/**
 * What a text says to be the default: `Default 60 s`, `Default: none`, `"follow" (default)`. Undefined where it says
 * nothing of it, null where it says none.
 */
export function defaultIn(text: string): unknown {
  const given = /Default:? (?:is )?([^.;,]*(?:,\d{3})?)|("[^"]*") \(default\)/.exec(text);
  const words = given?.[1] ?? given?.[2];
  if (words === undefined) return undefined;
  const value = defaultOf(words);
  return value === undefined ? null : value;
}

/** `60 s`, `256 KiB`, `1,000`, `true`, `"x"`; undefined for words. */
export function defaultOf(words: string): unknown {
  const number = /^([\d,]+)(?: (ms|s|min|KiB|MiB))?(?=$|[^\w])/.exec(words);
  if (number !== null) return Number(number[1]?.replaceAll(",", "")) * (UNITS[number[2] ?? ""] ?? 1);
  const word = /^(true|false|"[^"]*"|`[^`]*`)/.exec(words)?.[1];
  if (word === undefined) return undefined;
  return word === "true" ? true : word === "false" ? false : word.slice(1, -1);
}

/** lib/OPTIONS.md, whole. */
export function optionsPage(): string {
  const sections = TABLES.map((table) => {
    const docs = docsOfTable(table);
    const rows = table.names.map((name) => {
      const { text = "", type = "" } = docs.get(name) ?? {};
      const kind = table.kinds[name] ?? "";
      return `| \`${name}\` | ${cell(KIND_WORDS[kind] ?? (kind || `\`${type}\``))} | ${cell(text)} |`;
    });
    return [`## ${table.title}`, "", "| option | what it is | what for |", "| --- | --- | --- |", ...rows, ""].join(
      "\n",
    );
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

const HEAD = `# Options

Made of the sources by \`npx vitest run --config spec/vitest.config.ts spec/option-docs.spec.ts -u\`, and held against them by
that spec. Durations are milliseconds, sizes bytes, and 0 means none. What the errors are is in \`errors.ts\`. A name that does
not exist, or a value of the wrong kind, is a TypeError that says what was meant or wanted; nothing is dialed then. Of \`tls\`,
the names are those of \`tls.connect\` and \`tls.createSecureContext\` of Node.
`;

const KIND_WORDS: Readonly<Record<string, string>> = {
  duration: "duration, ms",
  count: "whole number",
  replay: '"nothing-written" or "replayable"',
  redirect: '"follow", "manual" or "error"',
  policy: "function or null",
  signal: "AbortSignal",
  deadline: "{ at, limit }, ms",
  proxy: "text, URL, function or null",
  fields: "headers, or a function",
  trace: "function, or { groups, on }",
};

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
