/**
 * One response head, from bytes to what a caller asks for: ours (llhttp for the grammar, fields cut from one string when
 * they are asked for, every rule of framing), Node's own parser (llhttp in C++, all fields as strings), and a split by
 * hand that checks nothing.
 */
import type { ResponseSink } from "../../lib/wire/parser-events.ts";
import type { ResponseParser as OursOf } from "../../lib/wire/response-parser.ts";
import { makeReply } from "../support/reply.ts";
import { compare, keep, ours } from "./compare.ts";

const { ResponseParser } = await ours<{ ResponseParser: typeof OursOf }>("wire/response-parser.js");
const LIMITS = { headBytesMax: 256 * 1024, headerCountMax: 1_000, informationMax: 32 };

/** Node's parser is not public; here it only stands for what C++ does. Newer versions may refuse. */
function nodeParser(): ((bytes: Buffer) => number) | null {
  interface Internal {
    readonly HTTPParser: {
      new (): Record<number, unknown> & {
        initialize(type: number, resource: object): void;
        execute(b: Buffer): unknown;
      };
      readonly RESPONSE: number;
      readonly kOnHeadersComplete: number;
      readonly kOnBody: number;
      readonly kOnMessageComplete: number;
    };
  }
  try {
    const { HTTPParser } = (process as unknown as { binding(name: string): Internal }).binding("http_parser");
    const parser = new HTTPParser();
    let status = 0;
    parser.initialize(HTTPParser.RESPONSE, {});
    parser[HTTPParser.kOnHeadersComplete] = (
      _1: number,
      _2: number,
      fields: string[],
      _3: number,
      _4: string,
      s: number,
    ) => {
      keep(fields);
      status = s;
    };
    parser[HTTPParser.kOnBody] = () => {};
    parser[HTTPParser.kOnMessageComplete] = () => {};
    return (bytes) => {
      status = 0;
      parser.execute(bytes);
      return status;
    };
  } catch {
    return null;
  }
}

function splitByHand(bytes: Buffer): number {
  const end = bytes.indexOf("\r\n\r\n");
  const [line = "", ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
  const pairs = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(":");
    pairs.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  keep(pairs);
  return Number(line.split(" ")[1]);
}

for (const [what, path] of [
  ["a head of 8 fields", "/0"],
  ["a head of 35 fields", "/0-f35"],
  ["64 KiB in 8 chunks", "/65536-chunked"],
] as const) {
  const { bytes } = makeReply(path)!; // each of these is a path of the responder
  const parser = new ResponseParser(LIMITS);
  let status = 0;
  const sink: ResponseSink = {
    information() {},
    head(head) {
      status = head.status;
      keep(head.fields.value(2));
    },
    data(view) {
      keep(view);
    },
    trailers() {},
    end() {},
  };
  const run = () => {
    parser.begin("GET");
    let at = 0;
    while (at < bytes.length) at = parser.execute(bytes, at, bytes.length, sink);
    return status;
  };
  const node = nodeParser();
  const candidates: Record<string, () => number> = { persistconn: run };
  if (node !== null) candidates["node's HTTPParser"] = () => node(bytes);
  if (!path.endsWith("chunked")) candidates["split by hand, unchecked"] = () => splitByHand(bytes);
  for (const [name, candidate] of Object.entries(candidates)) {
    if (candidate() !== 200 || candidate() !== 200) throw new Error(`parser: ${name} reads another status`);
  }
  await compare(`parser: ${what}`, candidates);
}
