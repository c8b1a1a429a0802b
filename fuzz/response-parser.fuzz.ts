/**
 * Any bytes give events or a typed error, and the same ones however they are cut; what is kept in memory is bounded by
 * the limits; what is told of a body never exceeds what came in.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HttpError, InvariantError } from "../lib/errors.ts";
import { arbitraries } from "../lib/testing/arbitraries/arbitraries.ts";
import { cutsIn } from "../lib/testing/arbitraries/splits.ts";
import { ResponseParser } from "../lib/wire/response-parser.ts";
import { CORPUS, REFUSALS } from "../spec/wire/corpus.ts";
import { everyByte, LIMITS, type Outcome, Recorder, record } from "../spec/wire/record.ts";
import { runs } from "./runs.ts";

const FILE = "response-parser";
const arb = arbitraries(fc);
const method = fc.constantFrom("GET", "HEAD", "CONNECT", "POST");

/** Pieces that responses are made of, good and bad, so that random lines go deep instead of failing at once. */
const piece = fc.constantFrom(
  ..."HTTP/1.1 200 OK\r\n|HTTP/1.0 200 OK\r\n|HTTP/1.1 204 No Content\r\n|HTTP/1.1 304 Not Modified\r\n|HTTP/1.1 101 Go\r\n".split(
    "|",
  ),
  ..."HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 103 Hints\r\nConnection: close\r\n\r\n|HTTP/2.0 200\r\n".split("|"),
  ..."Content-Length: 5\r\n|Content-Length: 5\t\r\n|content-length: 5, 5\r\n|Content-Length: 0\r\n|Content-Length: 7\r\n".split(
    "|",
  ),
  ..."Transfer-Encoding: chunked\r\n|transfer-encoding: Chunked\t\r\n|Transfer-Encoding: gzip\r\n|Transfer-Encoding:\r\n".split(
    "|",
  ),
  ..."Connection: close\r\n|Connection: keep-alive\r\n|Keep-Alive: timeout=5, max=3\r\n|A: b\r\n|A:\r\n| folded\r\n|\tfolded\r\n".split(
    "|",
  ),
  ...'5\r\nhello\r\n|0\r\n|0\r\n\r\n|5;a=b\r\nhello\r\n|5 ; a = "b\\""\r\nhello\r\n|\r\n|\r|\n| |\t|:|;|\0|hello|5|\xff'.split(
    "|",
  ),
);

const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 60 });

/** A case of the corpus with some bytes changed, dropped, doubled or put in. */
const mutant = fc
  .tuple(
    fc.constantFrom(...CORPUS.map((c) => c.bytes), ...REFUSALS.map((c) => c.bytes)).filter((b) => b.length < 1000),
    fc.array(fc.tuple(fc.nat(), fc.constantFrom("change", "drop", "double", "insert"), fc.oneof(piece, bytes)), {
      maxLength: 3,
    }),
  )
  .map(([text, changes]) => {
    let out = text;
    for (const [where, what, by] of changes) {
      const at = where % (out.length + 1);
      const before = out.slice(0, at);
      if (what === "change") out = before + by + out.slice(at + by.length);
      else if (what === "drop") out = before + out.slice(at + 1);
      else if (what === "double") out = before + out.slice(Math.max(0, at - 8));
      else out = before + by + out.slice(at);
    }
    return out;
  });

const stream = fc.oneof(
  { weight: 2, arbitrary: arb.malformed(arb.responseMessages().map((message) => message.bytes)) },
  { weight: 3, arbitrary: mutant },
  { weight: 3, arbitrary: fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join("")) },
  { weight: 1, arbitrary: bytes },
);

/** Cuts as fractions, so that they shrink along with the text. */
const cutsOf = (text: string, fractions: readonly number[]) =>
  [...new Set(fractions.map((f) => Math.floor(f * text.length)))].filter((at) => at > 0).sort((a, b) => a - b);

describe("ResponseParser", () => {
  test("any bytes give events or a typed error, and the same however they are cut", () => {
    fc.assert(
      fc.property(
        stream,
        method,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
        (text, m, cuts) => {
          const whole = record(text, [], { method: m });
          expect(whole.error ?? "RemoteProtocolError").toMatch(
            /^(RemoteProtocolError|HeaderLimitError|IncompleteBodyError|ConnectionClosedError)/,
          );
          expect(record(text, cutsOf(text, cuts), { method: m })).toEqual(whole);
          expect(record(text, everyByte(text), { method: m })).toEqual(whole);
        },
      ),
      runs(FILE),
    );
  });

  test("the same under small limits: the same bytes meet the same limit at the same place", () => {
    const limits = fc.record({
      headBytesMax: fc.integer({ min: 0, max: 200 }),
      headerCountMax: fc.integer({ min: 0, max: 5 }),
      informationMax: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(stream, method, limits, fc.nat(), (text, m, l, cut) => {
        const options = { method: m, limits: l };
        const whole = record(text, [], options);
        expect(record(text, text.length > 1 ? [1 + (cut % (text.length - 1))] : [], options)).toEqual(whole);
        expect(record(text, everyByte(text), options)).toEqual(whole);
      }),
      runs(FILE),
    );
  });

  test("body bytes told are never more than bytes that came, and end comes at most once and last", () => {
    fc.assert(
      fc.property(stream, method, (text, m) => {
        const { events }: Outcome = record(text, [], { method: m });
        const body = events.reduce((n, event) => n + (event[0] === "data" ? event[1].length : 0), 0);
        expect(body).toBeLessThanOrEqual(text.length);
        const end = events.findIndex(([type]) => type === "end");
        if (end >= 0) expect(end).toBe(events.length - 1);
        expect(events.filter(([type]) => type === "head").length).toBeLessThanOrEqual(1);
      }),
      runs(FILE),
    );
  });

  test("memory is bounded: an endless head, chunk line, trailer section or line of 1xx ends in HeaderLimitError", () => {
    const endless = fc.constantFrom<readonly [string, string]>(
      ["", "\r\n"],
      ["HTTP/1.1 200 ", "OK"],
      ["HTTP/1.1 200 OK\r\n", "A: b\r\n"],
      ["HTTP/1.1 200 OK\r\nA: ", "vvvvvvvv"],
      ["HTTP/1.1 200 OK\r\nA:", "        "],
      ["HTTP/1.1 200 OK\r\n", "nnnnnnnn"],
      ["HTTP/1.1 200 OK\r\nA: b", "\r\n folded"],
      ["", "HTTP/1.1 103 Hints\r\n\r\n"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", " "],
      [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\n.\r\n",
      ],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a", "=bbbbbbb;a"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", "vvvvvvvv"],
    );
    fc.assert(
      fc.property(endless, fc.integer({ min: 1, max: 5000 }), ([first, again], step) => {
        const parser = new ResponseParser({ headBytesMax: 4096, headerCountMax: 50, informationMax: 8 });
        const sink = new Recorder();
        const bytes = Buffer.from(first + again.repeat(Math.ceil(60_000 / again.length)), "latin1");
        parser.begin("GET");
        const read = () => {
          for (let at = 0; at < bytes.length; at += step) {
            parser.execute(bytes, at, Math.min(bytes.length, at + step), sink);
          }
        };
        expect(read).toThrow(expect.objectContaining({ code: "ERR_HTTP_HEADER_LIMIT" }));
        parser.free();
      }),
      runs(FILE, 0.1),
    );
  });

  test("a well-formed response is the same however it is cut, and ends with its last byte", () => {
    fc.assert(
      fc.property(arb.responseMessages(), arb.splits(), (message, splits) => {
        const options = { method: message.method };
        const whole = record(message.bytes, [], options);
        expect(whole.error).toBeNull();
        expect(record(message.bytes, cutsIn(message.bytes, splits), options)).toEqual(whole);
        // Whatever follows a message with an end is left alone.
        if (message.framing === "close") return;
        const { events, rest } = record(`${message.bytes}HTTP/1.1 200 OK`, [], options);
        expect({ events, rest }).toEqual({ events: whole.events, rest: "HTTP/1.1 200 OK" });
      }),
      runs(FILE),
    );
  });

  test("time is bounded: a hundred times the bytes of a bad kind take about a hundred times as long, not ten thousand", () => {
    const kinds: readonly (readonly [string, string])[] = [
      ["HTTP/1.1 200 OK\r\nA: ", " "],
      ["HTTP/1.1 200 OK\r\nA: b", " \t"],
      ["HTTP/1.1 200 OK\r\nA: b", "\r\n "],
      ["HTTP/1.1 200 OK\r\nA: b\r\n ", "\t \t"],
      ["HTTP/1.1 200 OK\r\n", "a:\r\n"],
      ["HTTP/1.1 200 OK\r\nContent-Length: 5", ",5"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: ", ","],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", " x"],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b", "\r\n "],
    ];
    // Of the processor, not of the clock on the wall: others may be at work here.
    const micros = (first: string, again: string, times: number) => {
      const text = `${first}${again.repeat(times)}\r\n\r\n`;
      const from = process.cpuUsage();
      for (const cuts of [[], everyByte(text)]) record(text, cuts);
      const { user, system } = process.cpuUsage(from);
      return user + system;
    };
    for (const [first, again] of kinds) {
      micros(first, again, 1000); // compiles it
      const little = Math.max(1000, micros(first, again, 1000));
      expect(micros(first, again, 100_000), JSON.stringify([first, again])).toBeLessThan(3000 * little);
    }
  });

  test("no error is of our own making", () => {
    fc.assert(
      fc.property(stream, method, (text, m) => {
        const parser = new ResponseParser(LIMITS);
        const view = Buffer.from(text, "latin1");
        parser.begin(m);
        try {
          parser.execute(view, 0, view.length, new Recorder());
        } catch (error) {
          expect(error).toBeInstanceOf(HttpError);
          expect(error).not.toBeInstanceOf(InvariantError);
        } finally {
          parser.free();
        }
      }),
      runs(FILE),
    );
  });
});

describe("chunked bodies", () => {
  test("a body in any chunks, with any extensions, comes out as it went in", () => {
    const blanks = fc.constantFrom("", " ", "\t", " \t ");
    const token = fc.constantFrom("a", "x-y", "f00");
    const value = fc.oneof(token, fc.constantFrom('""', '"a;b"', '"\\"\\\\"', '" \t\xff"'));
    const extension = fc
      .tuple(blanks, blanks, token, fc.option(fc.tuple(blanks, blanks, value)))
      .map(([a, b, name, v]) => `${a};${b}${name}${v === null ? "" : `${v[0]}=${v[1]}${v[2]}`}`);
    const extensions = fc.array(extension, { maxLength: 3 }).map((e) => e.join(""));
    const chunk = fc.tuple(
      bytes.filter((b) => b.length > 0),
      fc.nat({ max: 4 }),
      fc.boolean(),
      extensions,
    );
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 6 }), extensions, fc.nat(), (chunks, last, cut) => {
        let coded = "";
        for (const [text, zeros, upper, ext] of chunks) {
          const size = "0".repeat(zeros) + text.length.toString(16);
          coded += `${upper ? size.toUpperCase() : size}${ext}\r\n${text}\r\n`;
        }
        const all = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${coded}0${last}\r\n\r\nREST`;
        const outcome = record(all, [1 + (cut % (all.length - 1))]);
        expect(outcome.error).toBeNull();
        expect(outcome.rest).toBe("REST");
        const body = outcome.events.map((event) => (event[0] === "data" ? event[1] : "")).join("");
        expect(body).toBe(chunks.map(([text]) => text).join(""));
      }),
      runs(FILE),
    );
  });
});
