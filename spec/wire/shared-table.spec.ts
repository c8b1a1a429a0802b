/** The table of spans that all parsers share: a head that comes in two reads keeps what is its own, whoever reads between. */

import { describe, expect, test } from "vitest";
import { SpanStore } from "../../lib/wire/llhttp/binding.ts";
import { ResponseParser } from "../../lib/wire/response-parser.ts";
import { LIMITS, Recorder, record } from "./record.ts";

const HEAD = "HTTP/1.1 200 OK\r\nA: 1\r\nLonger-Name: a longer value\r\nC: 3\r\nContent-Length: 2\r\n\r\nhi";
const OTHER = "HTTP/1.1 404 Not Found\r\nX-Other: of another length\r\nY: z\r\nContent-Length: 0\r\n\r\n";

/** Somewhere in a larger buffer, as a read may be. */
function feed(parser: ResponseParser, sink: Recorder, text: string): void {
  const before = 37;
  const view = Buffer.concat([Buffer.alloc(before, "#"), Buffer.from(text, "latin1"), Buffer.alloc(5, "#")]);
  parser.execute(view, before, before + text.length, sink);
}

describe("ResponseParser", () => {
  test("reads a head in two reads, wherever it is cut, though another parser reads one between them", () => {
    const whole = record(HEAD, [], { fin: false }).events;
    const otherWhole = record(OTHER, [], { fin: false }).events;
    for (let at = 1; at < HEAD.length; at++) {
      const parsers = [new ResponseParser(LIMITS), new ResponseParser(LIMITS)] as const;
      const sinks = [new Recorder(), new Recorder()] as const;
      parsers[0].begin("GET");
      parsers[1].begin("GET");
      feed(parsers[0], sinks[0], HEAD.slice(0, at));
      feed(parsers[1], sinks[1], OTHER);
      feed(parsers[0], sinks[0], HEAD.slice(at));
      for (const parser of parsers) parser.free();
      expect(sinks[0].events, `cut at ${at}`).toEqual(whole);
      expect(sinks[1].events).toEqual(otherWhole);
    }
  });

  test("reads two heads byte by byte in turns", () => {
    const parsers = [HEAD, OTHER].map((text) => ({ text, parser: new ResponseParser(LIMITS), sink: new Recorder() }));
    for (const { parser } of parsers) parser.begin("GET");
    for (let at = 0; at < Math.max(HEAD.length, OTHER.length); at++) {
      for (const { text, parser, sink } of parsers) if (at < text.length) feed(parser, sink, text.charAt(at));
    }
    for (const { text, parser, sink } of parsers) {
      expect(sink.events).toEqual(record(text, [], { fin: false }).events);
      parser.free();
    }
  });

  test("reads more fields than the table had room for, in one read and in many", () => {
    const lines = Array.from({ length: 2_500 }, (_, i) => `F${i}: ${i}\r\n`).join("");
    const text = `HTTP/1.1 200 OK\r\n${lines}Content-Length: 0\r\n\r\n`;
    const limits = { ...LIMITS, headerCountMax: 5_000 };
    for (const cuts of [[], [10_000, 20_000, 20_001]]) {
      const [head] = record(text, cuts, { limits, fin: false }).events;
      if (head?.[0] !== "head") throw new Error("No head came");
      const { fields } = head[1];
      expect(fields).toHaveLength(2_501);
      expect([fields[0], fields[2_499]]).toEqual([
        ["F0", "0"],
        ["F2499", "2499"],
      ]);
    }
  });
});

describe("SpanStore", () => {
  test("restart() forgets its fields, clone() keeps a copy of them, put() takes over what is new", () => {
    const store = new SpanStore();
    store.restart(7);
    store.fields = 2;
    store.put(Int32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]), 0);
    const copy = store.clone();
    expect([copy.fields, copy.fieldsMax, [...copy.array.subarray(0, 8)]]).toEqual([2, 7, [1, 2, 3, 4, 5, 6, 7, 8]]);
    store.fields = 3;
    store.put(Int32Array.from([0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 12, 13]), 8);
    expect([...store.array.subarray(0, 12)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]);
    expect([...copy.array.subarray(0, 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    store.restart(9);
    expect([store.fields, store.fieldsMax]).toEqual([0, 9]);
  });
});
