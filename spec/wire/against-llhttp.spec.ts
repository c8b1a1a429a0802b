/**
 * Our parser against llhttp by itself: what llhttp does that the rules in lib/wire/README.md rest on (another binary must
 * fail here first), and that where both read a response they read the same.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CORPUS } from "./corpus.ts";
import { rawLlhttp } from "./raw-llhttp.ts";
import { record } from "./record.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

describe("llhttp 9.3.0 accepts what must be refused", () => {
  test.each([
    ["bare CR after the status line", `${OK.slice(0, -1)}\rContent-Length: 0\r\n\r\n`],
    ["HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["RTSP/1.0", "RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["status 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"],
    ["NUL in the reason phrase", "HTTP/1.1 200 \0\r\nContent-Length: 0\r\n\r\n"],
    ["bare CR before the status line", `\r${OK}Content-Length: 0\r\n\r\n`],
    ["an empty Transfer-Encoding beside Content-Length", `${OK}Transfer-Encoding:\r\nContent-Length: 0\r\n\r\n`],
    ["gzip, chunked", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["chunked twice", `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["an extension without a name", `${CHUNKED}0;=\r\n\r\n`],
    ["an extension without a value after its =", `${CHUNKED}0;a=\r\n\r\n`],
  ])("%s", (_, bytes) => {
    expect(rawLlhttp(bytes)).toMatchObject({ complete: true, error: null });
    expect(record(bytes).error).toMatch(/^RemoteProtocolError/);
  });

  test("transfer codings other than chunked, as a body that ends with the connection", () => {
    for (const coding of [
      "gzip",
      "identity",
      "xchunked",
      "chunked;x=y",
      "chunked, gzip",
      "chunked\t",
      "chunked,",
      "",
    ]) {
      expect(rawLlhttp(`${OK}Transfer-Encoding: ${coding}\r\n\r\n`)).toMatchObject({ error: null, needsEof: true });
    }
  });

  test("Content-Length and chunk sizes above 2^53; chunk extensions and zeros without end", () => {
    expect(rawLlhttp(`${OK}Content-Length: 18446744073709551615\r\n\r\n`).error).toBeNull();
    expect(rawLlhttp(`${CHUNKED}ffffffffffffffff\r\n`).error).toBeNull();
    expect(rawLlhttp(`${CHUNKED}1;${"e".repeat(100_000)}`).error).toBeNull();
    expect(rawLlhttp(`${CHUNKED}${"0".repeat(100_000)}`).error).toBeNull();
  });
});

describe("llhttp 9.3.0 refuses what is legal", () => {
  test.each([
    ["Content-Length with a TAB after it", `${OK}Content-Length: 0\t\r\n\r\n`],
    ["the same Content-Length twice", `${OK}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`],
    ["a list of the same Content-Length", `${OK}Content-Length: 0, 0\r\n\r\n`],
    ["obs-fold", `${OK}A: b\r\n c\r\nContent-Length: 0\r\n\r\n`],
    ["obs-fold after nothing", `${OK}A:\r\n c\r\nContent-Length: 0\r\n\r\n`],
    ["a blank before the semicolon of a chunk extension", `${CHUNKED}0 ;a\r\n\r\n`],
    ["a blank after it", `${CHUNKED}0; a\r\n\r\n`],
    ["Content-Length among the trailers", `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`],
  ])("%s", (_, bytes) => {
    expect(rawLlhttp(bytes)).toMatchObject({ complete: false, error: expect.any(String) });
    expect(record(bytes)).toMatchObject({ error: null, rest: "" });
  });
});

describe("where both read a response they read the same", () => {
  /** What ours understood, in llhttp's terms; null where ours did not read it to its end. */
  function ours(bytes: string) {
    const { events, rest } = record(bytes, [], { fin: false });
    if (!events.some(([type]) => type === "end")) return null;
    return {
      body: events.map((event) => (event[0] === "data" ? event[1] : "")).join(""),
      consumed: bytes.length - rest.length,
    };
  }

  const simple = CORPUS.filter(
    ({ method, events, bytes }) =>
      method === undefined && events[0]?.[0] === "head" && events.at(-1)?.[0] === "end" && rawLlhttp(bytes).complete,
  );
  test.each(simple)("$rule", ({ bytes, events }) => {
    const raw = rawLlhttp(bytes);
    const head = events.find((event) => event[0] === "head")!;
    expect({ body: raw.body, consumed: raw.consumed }).toEqual(ours(bytes));
    expect(raw.fields.map(([name, value]) => [name, value.replace(/[\t ]+$/, "")])).toEqual([
      ...head[1].fields,
      ...events.flatMap((event) => (event[0] === "trailers" ? event[1] : [])),
    ]);
  });

  test("chunked framing of any kind: the same body, the same end, or one of the known differences", () => {
    const piece = fc.constantFrom(
      ...'5\r\nhello\r\n|5|0|0\r\n|00|\r\n|\r\n\r\n|\r|\n|;|a|=|"|\\| |\t|hello|A: b\r\n|A:|Content-Length: 5\r\n|F|g|;a=b|;a="b"|\0|\x7f|\xff|/'.split(
        "|",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const bytes = CHUNKED + pieces.join("");
        const raw = rawLlhttp(bytes);
        const read = ours(bytes);
        if (raw.complete && read !== null) {
          expect({ body: raw.body, consumed: raw.consumed }).toEqual(read);
        } else if (raw.complete) {
          // It takes an extension that has no name, or no value.
          expect(record(bytes, [], { fin: false }).error).toMatch(/extension/);
        } else if (read !== null) {
          // It refuses blanks in chunk lines, a Content-Length among the trailers, and folded trailers.
          expect(bytes.slice(CHUNKED.length, CHUNKED.length + read.consumed)).toMatch(
            /[\t ];|;[\t ]|[\t ]=|=[\t ]|"[\t ]|Content-Length|\r\n[\t ]/,
          );
        }
      }),
      { numRuns: 3000 },
    );
  });
});
