/** HeadWriter: the templates that it keeps never show in what it writes. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { HeadWriter } from "../../lib/wire/head-writer.ts";
import { type OutgoingHead, type WriterOptions, writeHead } from "../../lib/wire/request-writer.ts";

const outcome = (write: () => unknown): unknown => {
  try {
    return write();
  } catch (error) {
    return String(error);
  }
};

test("HeadWriter.write() writes what writeHead() writes, whatever it wrote before", () => {
  // Few values of each kind, so that heads are often the same but for one part.
  const head: fc.Arbitrary<OutgoingHead> = fc.record({
    method: fc.constantFrom("GET", "PUT", "HEAD", "OPTIONS", "CONNECT", "B\r\n"),
    scheme: fc.constant("http" as const),
    authority: fc.constantFrom("a", "b", "a:1", "a\r\nX: y"),
    target: fc.constantFrom("/", "/a", "/b?c", "*", "a:1", "/ ", "/\r\nX: y", "/#f", ""),
    fields: fc.array(
      fc.tuple(fc.constantFrom("A", "Host", "Connection", "Range"), fc.constantFrom("b", "close", "c\n")),
      {
        maxLength: 2,
      },
    ),
    bodyLength: fc.constantFrom(undefined, null, 0, 5, 21),
    contentType: fc.constantFrom(null, "text/plain", "text/html", "a\n"),
    trailerNames: fc.constantFrom(null, ["sum"]),
    expectContinue: fc.boolean(),
  });
  const options: fc.Arbitrary<WriterOptions> = fc.record({
    userAgent: fc.constantFrom("", "me"),
    acceptEncoding: fc.constantFrom(null, "gzip"),
    absoluteForm: fc.boolean(),
    close: fc.boolean(),
    extra: fc.constantFrom([], [["Proxy-Authorization", "x"] as const]),
  });
  fc.assert(
    fc.property(options, fc.array(head, { minLength: 2, maxLength: 12 }), (o, heads) => {
      const writer = new HeadWriter(o);
      // Each comes twice, so that a template that was made is also used.
      for (const h of [...heads, ...heads])
        expect(outcome(() => writer.write(h))).toEqual(outcome(() => writeHead(h, o)));
    }),
    { numRuns: 1000 },
  );
});
