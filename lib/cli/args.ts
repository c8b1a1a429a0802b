/**
 * The command line as data: one table of flags, from which both the parser and `--help` are made.
 *
 * Pure: reads no file, opens no socket, writes nothing. Flags mean what they mean in curl wherever curl has them, since
 * that is what fingers know: a flag takes its value from the same word (`-XPUT`, `--json={}`) or from the next one,
 * whatever that begins with; `-sv` is `-s -v`.
 */

/** A field given with `-H`: set to a value (`Name: value`, `Name;`), or a default taken away (`Name:`). */
export type HeaderEdit =
  | { readonly kind: "set"; readonly name: string; readonly value: string }
  | { readonly kind: "drop"; readonly name: string };

/** One `-d`, `--data-binary` or `--json`. */
export interface DataPart {
  readonly source: "text" | "file" | "stdin";
  /** The text itself, or the file's path. */
  readonly value: string;
  /** `-d @file` leaves out CR, LF and NUL, as curl does. */
  readonly strip: boolean;
  /** What stands between the part before and this one. */
  readonly glue: "&" | "";
}

export interface Options {
  /** The word `inspect` came first: with a live view. */
  readonly inspect: boolean;
  /** With it: of the live view's page; 0 lets the system choose. */
  readonly port: number;
  /** With it, after `--`: a program to run in place of a load. */
  readonly command: readonly string[];
  readonly urls: readonly string[];
  /** As given with `-X`; null lets the other flags choose. */
  readonly method: string | null;
  readonly head: boolean;
  readonly headers: readonly HeaderEdit[];
  readonly data: readonly DataPart[];
  readonly json: boolean;
  readonly include: boolean;
  /** Path, `-` for stdout; null is stdout too, but says that nobody asked for it. */
  readonly output: string | null;
  readonly verbose: boolean;
  readonly silent: boolean;
  readonly timeline: boolean;
  readonly waterfall: boolean;
  /** Paths of files that are written at the end; null for none. */
  readonly html: string | null;
  readonly har: string | null;
  readonly perfetto: string | null;
  readonly fail: boolean;
  /** Ask for a compressed answer, and print it decoded. */
  readonly compressed: boolean;
  /** Redirects are followed. */
  readonly location: boolean;
  /** How many at most; null leaves it to the client. */
  readonly redirectsMax: number | null;
  readonly insecure: boolean;
  readonly cacert: string | null;
  readonly unixSocket: string | null;
  /** As given with `-x`, `""` for none at all; null leaves it to the environment. */
  readonly proxy: string | null;
  /** From the call to the last byte, in milliseconds; 0 is no limit. */
  readonly timeoutMs: number;
  /** Requests of a load; null is a single exchange whose answer is printed. */
  readonly count: number | null;
  readonly concurrency: number;
}

export type Parsed =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "usage"; readonly message: string };

/** Of a load that goes on until it is interrupted: what each answer took is kept. */
const COUNT_MAX = 1_000_000;

type Draft = { -readonly [K in keyof Options]: Options[K] extends readonly (infer T)[] ? T[] : Options[K] } & {
  wants: "help" | "version" | null;
};

class UsageError extends Error {}

interface Flag {
  readonly short?: string;
  readonly long: string;
  /** Another name that curl has for it. */
  readonly alias?: string;
  /** The value's name in the help; a flag without one takes none. */
  readonly value?: string;
  readonly help: string;
  apply(draft: Draft, value: string): void;
}

const FLAGS: readonly Flag[] = [
  {
    short: "X",
    long: "request",
    value: "METHOD",
    help: "send METHOD, as it is written",
    apply: (d, v) => {
      d.method = v;
    },
  },
  {
    short: "H",
    long: "header",
    value: "FIELD",
    help: "'Name: value' adds or replaces, 'Name:' drops a default, 'Name;' sends it empty",
    apply: (d, v) => {
      d.headers.push(headerEdit(v));
    },
  },
  {
    short: "d",
    long: "data",
    value: "DATA",
    help: "POST DATA as a form, several joined by &; @FILE reads a file, @- stdin",
    apply: (d, v) => {
      d.data.push(dataPart(v, { strip: true, glue: "&" }));
    },
  },
  {
    long: "data-binary",
    value: "DATA",
    help: "as -d, but bytes of a file go out untouched",
    apply: (d, v) => {
      d.data.push(dataPart(v, { strip: false, glue: "&" }));
    },
  },
  {
    long: "json",
    value: "DATA",
    help: "POST DATA as JSON, and accept JSON; @FILE and @- too",
    apply: (d, v) => {
      d.json = true;
      d.data.push(dataPart(v, { strip: false, glue: "" }));
    },
  },
  {
    short: "I",
    long: "head",
    help: "send HEAD and print the head of the answer",
    apply: (d) => {
      d.head = true;
    },
  },
  {
    short: "i",
    long: "include",
    help: "print the head before the body",
    apply: (d) => {
      d.include = true;
    },
  },
  {
    short: "o",
    long: "output",
    value: "FILE",
    help: "write to FILE, - is stdout",
    apply: (d, v) => {
      d.output = v;
    },
  },
  {
    short: "f",
    long: "fail",
    help: "no body and exit code 22 when the status is 400 or above",
    apply: (d) => {
      d.fail = true;
    },
  },
  {
    short: "L",
    long: "location",
    help: "follow redirects",
    apply: (d) => {
      d.location = true;
    },
  },
  {
    long: "max-redirs",
    value: "COUNT",
    help: "with -L: at most COUNT of them (10)",
    apply: (d, v) => {
      d.redirectsMax = v === "0" ? 0 : whole("--max-redirs", v);
    },
  },
  {
    short: "m",
    long: "timeout",
    alias: "max-time",
    value: "SECONDS",
    help: "limit of a whole exchange: seconds (2, 0.5, 2s) or milliseconds (500ms); 0 is none",
    apply: (d, v) => {
      d.timeoutMs = milliseconds(v);
    },
  },
  {
    long: "compressed",
    help: "ask for a compressed answer and decode it: the default, unless -H gives an Accept-Encoding",
    apply: (d) => {
      d.compressed = true;
    },
  },
  {
    long: "no-compressed",
    help: "ask for none, and print what comes as it comes",
    apply: (d) => {
      d.compressed = false;
    },
  },
  {
    short: "k",
    long: "insecure",
    help: "accept any certificate",
    apply: (d) => {
      d.insecure = true;
    },
  },
  {
    long: "cacert",
    value: "FILE",
    help: "trust the certificates in FILE (PEM) alone",
    apply: (d, v) => {
      d.cacert = v;
    },
  },
  {
    long: "unix-socket",
    value: "PATH",
    help: "connect to the unix socket at PATH, whatever the host",
    apply: (d, v) => {
      d.unixSocket = v;
    },
  },
  {
    short: "x",
    long: "proxy",
    value: "URL",
    help: "go through the proxy at URL (http, https, socks5); without it HTTP_PROXY and its kin hold; '' is none",
    apply: (d, v) => {
      d.proxy = v;
    },
  },
  {
    short: "n",
    long: "requests",
    value: "COUNT",
    help: "load: send COUNT requests and print a summary",
    apply: (d, v) => {
      d.count = whole("-n", v);
    },
  },
  {
    short: "c",
    long: "concurrency",
    value: "WORKERS",
    help: "load: with so many workers over one transport (1)",
    apply: (d, v) => {
      d.concurrency = whole("-c", v);
    },
  },
  {
    long: "timeline",
    help: "draw the timeline also where stderr is no terminal",
    apply: (d) => {
      d.timeline = true;
    },
  },
  {
    long: "waterfall",
    help: "draw all requests over all connections at the end, and say why what was closed or sent again",
    apply: (d) => {
      d.waterfall = true;
    },
  },
  {
    long: "html",
    value: "FILE",
    help: "write the same as one page for a browser: zoom, and hover for what happened",
    apply: (d, v) => {
      d.html = v;
    },
  },
  {
    long: "har",
    value: "FILE",
    help: "write an HTTP Archive (HAR 1.2), without bodies and secrets",
    apply: (d, v) => {
      d.har = v;
    },
  },
  {
    long: "perfetto",
    value: "FILE",
    help: "write a trace for Perfetto and chrome://tracing, a lane for each loop of each connection",
    apply: (d, v) => {
      d.perfetto = v;
    },
  },
  {
    long: "port",
    value: "PORT",
    help: "inspect: where the page is served, on 127.0.0.1 (any that is free)",
    apply: (d, v) => {
      d.port = whole("--port", v);
      if (d.port > 65_535) throw new UsageError("--port wants a port, 1 to 65535");
    },
  },
  {
    short: "v",
    long: "verbose",
    help: "show heads and events on stderr",
    apply: (d) => {
      d.verbose = true;
    },
  },
  {
    short: "s",
    long: "silent",
    help: "no timeline, no progress",
    apply: (d) => {
      d.silent = true;
    },
  },
  {
    short: "h",
    long: "help",
    help: "this text",
    apply: (d) => {
      d.wants ??= "help";
    },
  },
  {
    short: "V",
    long: "version",
    help: "the version",
    apply: (d) => {
      d.wants ??= "version";
    },
  },
];

const BY_NAME = new Map<string, Flag>();
for (const flag of FLAGS) {
  BY_NAME.set(`--${flag.long}`, flag);
  if (flag.alias !== undefined) BY_NAME.set(`--${flag.alias}`, flag);
  if (flag.short !== undefined) BY_NAME.set(`-${flag.short}`, flag);
}

/** Reads the words after the program's name. Never throws: what is wrong is a result, too. */
export function parseArgs(argv: readonly string[]): Parsed {
  const inspect = argv[0] === "inspect";
  const draft: Draft = {
    inspect,
    port: 0,
    command: [],
    urls: [],
    method: null,
    head: false,
    headers: [],
    data: [],
    json: false,
    include: false,
    output: null,
    verbose: false,
    silent: false,
    timeline: false,
    waterfall: false,
    html: null,
    har: null,
    perfetto: null,
    fail: false,
    compressed: true,
    location: false,
    redirectsMax: null,
    insecure: false,
    cacert: null,
    unixSocket: null,
    proxy: null,
    timeoutMs: 0,
    count: null,
    concurrency: 1,
    wants: null,
  };
  try {
    fill(draft, inspect ? argv.slice(1) : argv);
    if (draft.wants !== null) return { kind: draft.wants };
    if (inspect) draft.count ??= COUNT_MAX;
    refuseContradictions(draft);
  } catch (error) {
    if (error instanceof UsageError) return { kind: "usage", message: error.message };
    throw error;
  }
  const { wants: _, ...options } = draft;
  return { kind: "run", options };
}

function fill(draft: Draft, argv: readonly string[]): void {
  let flagsEnded = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (flagsEnded || word === "-" || !word.startsWith("-")) {
      draft.urls.push(word);
      continue;
    }
    if (word === "--") {
      flagsEnded = true;
      if (draft.inspect) {
        draft.command = argv.slice(i + 1);
        return;
      }
      continue;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      const flag = flagNamed(name);
      if (flag.value === undefined) {
        if (equals >= 0) throw new UsageError(`option ${name} takes no value`);
        flag.apply(draft, "");
      } else if (equals >= 0) {
        flag.apply(draft, word.slice(equals + 1));
      } else {
        flag.apply(draft, nextWord(argv, ++i, name));
      }
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const name = `-${word[at]}`;
      const flag = flagNamed(name);
      if (flag.value === undefined) {
        flag.apply(draft, "");
        continue;
      }
      // The rest of the word is the value; only where there is none, the next word.
      flag.apply(draft, at + 1 < word.length ? word.slice(at + 1) : nextWord(argv, ++i, name));
      break;
    }
  }
}

function flagNamed(name: string): Flag {
  const flag = BY_NAME.get(name);
  if (flag === undefined) throw new UsageError(`unknown option ${name}`);
  return flag;
}

function nextWord(argv: readonly string[], at: number, name: string): string {
  const word = argv[at];
  if (word === undefined) throw new UsageError(`option ${name} needs a value`);
  return word;
}

function refuseContradictions(draft: Draft): void {
  if (draft.command.length > 0) {
    if (draft.urls.length > 0) throw new UsageError("inspect takes a URL, or -- and a command: not both");
    return;
  }
  if (draft.urls.length === 0)
    throw new UsageError(draft.inspect ? "inspect wants a URL, or -- and a command" : "no URL given");
  if (draft.port !== 0 && !draft.inspect) throw new UsageError("--port goes with inspect");
  if (draft.unixSocket !== null && (draft.proxy ?? "") !== "")
    throw new UsageError("--unix-socket and -x name two ways: only one can be taken");
  if (draft.head && draft.data.length > 0)
    throw new UsageError("-I sends no body: leave out -d, --data-binary and --json");
  if (draft.data.filter((part) => part.source === "stdin").length > 1)
    throw new UsageError("stdin can be read only once");
  if (draft.concurrency > 1 && draft.count === null) throw new UsageError("-c needs -n");
  if (draft.count === null) return;
  if (draft.urls.length > 1) throw new UsageError("-n takes one URL");
  if (draft.include || draft.output !== null)
    throw new UsageError("-n prints a summary: -i and -o have no place beside it");
}

/** `Name: value`, `Name:` or `Name;`. */
function headerEdit(text: string): HeaderEdit {
  const colon = text.indexOf(":");
  if (colon < 0) {
    if (text.endsWith(";") && text.length > 1) return { kind: "set", name: text.slice(0, -1), value: "" };
    throw new UsageError("-H wants 'Name: value', 'Name:' or 'Name;'");
  }
  const name = text.slice(0, colon).trimEnd();
  if (name === "") throw new UsageError("-H wants a name before the colon");
  const value = text.slice(colon + 1).trim();
  return value === "" ? { kind: "drop", name } : { kind: "set", name, value };
}

function dataPart(text: string, rest: { readonly strip: boolean; readonly glue: "&" | "" }): DataPart {
  if (!text.startsWith("@")) return { source: "text", value: text, ...rest, strip: false };
  if (text === "@") throw new UsageError("a file name is missing after @");
  if (text === "@-") return { source: "stdin", value: "-", ...rest };
  return { source: "file", value: text.slice(1), ...rest };
}

/** Seconds unless `ms` is said. */
function milliseconds(text: string): number {
  const found = /^(\d+(?:\.\d*)?|\.\d+)(ms|s)?$/.exec(text);
  if (found === null) throw new UsageError("--timeout wants seconds (2, 0.5, 2s) or milliseconds (500ms)");
  const ms = Number(found[1]) * (found[2] === "ms" ? 1 : 1000);
  // A limit that was asked for must not become "none" by rounding.
  return ms === 0 ? 0 : Math.max(1, Math.round(ms));
}

function whole(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${name} wants a whole number above 0`);
  return Number(text);
}

/** The rows of `--help`, one per flag. */
export function flagRows(): readonly (readonly [flag: string, help: string])[] {
  return FLAGS.map((flag) => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    const value = flag.value === undefined ? "" : ` ${flag.value}`;
    return [`${short}--${flag.long}${value}`, flag.help];
  });
}
