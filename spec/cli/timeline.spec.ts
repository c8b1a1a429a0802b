/** One exchange as a picture. */

import { describe, expect, test } from "vitest";
import { ASCII_GLYPHS, formatBytes, formatMs, glyphsFor, printable, UNICODE_GLYPHS } from "../../lib/cli/format.ts";
import { connectionLine, formatAddress, phasesOf, renderTimeline, type ShownExchange } from "../../lib/cli/timeline.ts";
import type { Timings } from "../../lib/index.ts";

const NONE: Timings = {
  startedAt: 0,
  queued: null,
  dns: null,
  connect: null,
  tls: null,
  assigned: null,
  requestSent: null,
  firstByte: null,
  headers: null,
  end: null,
};
const FRESH: Timings = {
  ...NONE,
  queued: 1,
  dns: 3,
  connect: 6,
  tls: 10,
  assigned: 10,
  requestSent: 11,
  firstByte: 15,
  headers: 16,
  end: 20,
};
const REUSED: Timings = { ...NONE, queued: 0.1, assigned: 0.5, requestSent: 0.6, firstByte: 1.5, headers: 1.6, end: 2 };

const CONNECTION = {
  id: 3,
  reused: false,
  localAddress: "127.0.0.1",
  localPort: 5000,
  remoteAddress: "127.0.0.1",
  remotePort: 80,
  tls: null,
  proxy: null,
};
const EXCHANGE: ShownExchange = {
  method: "GET",
  url: "http://user:secret@peer/x",
  status: 200,
  statusText: "OK",
  bytes: 5,
  timings: FRESH,
  connection: CONNECTION,
};

describe("phasesOf()", () => {
  const cases: [string, Timings, boolean, [string, number, number][]][] = [
    [
      "a dial of its own has every phase",
      FRESH,
      false,
      [
        ["queue", 0, 1],
        ["dns", 1, 3],
        ["connect", 3, 6],
        ["tls", 6, 10],
        ["write", 10, 11],
        ["wait", 11, 16],
        ["body", 16, 20],
      ],
    ],
    [
      "a reused connection has none of the dial",
      REUSED,
      true,
      [
        ["queue", 0, 0.5],
        ["write", 0.5, 0.6],
        ["wait", 0.6, 1.6],
        ["body", 1.6, 2],
      ],
    ],
    [
      "an address needs no DNS, and http no TLS",
      { ...FRESH, dns: null, tls: null, assigned: 6 },
      false,
      [
        ["queue", 0, 1],
        ["connect", 1, 6],
        ["write", 6, 11],
        ["wait", 11, 16],
        ["body", 16, 20],
      ],
    ],
    [
      "the stamps of a dial that lost its race are left out",
      { ...FRESH, assigned: 4, requestSent: 5 },
      false,
      [
        ["queue", 0, 4],
        ["write", 4, 5],
        ["wait", 5, 16],
        ["body", 16, 20],
      ],
    ],
    [
      "an early answer waits from the write on (RFC 9112 §9.5)",
      { ...REUSED, requestSent: 9, headers: 2, end: 3 },
      true,
      [
        ["queue", 0, 0.5],
        ["write", 0.5, 9],
        ["wait", 0.5, 2],
        ["body", 2, 3],
      ],
    ],
    ["what has not happened yet is no phase", { ...NONE, queued: 0, assigned: 1 }, true, [["queue", 0, 1]]],
    ["nothing at all", NONE, false, []],
  ];
  test.each(cases)("%s", (_, timings, reused, expected) => {
    expect(phasesOf(timings, reused).map(({ name, from, to }) => [name, from, to])).toEqual(expected);
  });
});

describe("renderTimeline()", () => {
  test("draws each phase where it lies, and shows no credentials", () => {
    expect(renderTimeline(EXCHANGE, 41, ASCII_GLYPHS)).toBe(
      [
        "GET http://peer/x -> 200 OK, 5 bytes in 20.0 ms",
        "  connection 3, new: 127.0.0.1:5000 -> 127.0.0.1:80",
        "  queue    #                     1.00 ms",
        "  dns       ##                   2.00 ms",
        "  connect     ###                3.00 ms",
        "  tls            ####            4.00 ms",
        "  write              #           1.00 ms",
        "  wait                #####      5.00 ms",
        "  body                     ####  4.00 ms",
        "",
      ].join("\n"),
    );
  });

  test("never fills the last column, however wide or narrow the terminal", () => {
    for (const columns of [40, 80, 200]) {
      const bars = renderTimeline(EXCHANGE, columns).trimEnd().split("\n").slice(2);
      for (const line of bars) expect(line.length).toBeLessThan(columns);
    }
  });

  test("gives a phase that took no time one column within the picture", () => {
    const timings = { ...REUSED, headers: 2, end: 2 };
    const lines = renderTimeline(
      { ...EXCHANGE, timings, connection: { ...CONNECTION, reused: true } },
      41,
      ASCII_GLYPHS,
    )
      .trimEnd()
      .split("\n");
    expect(lines.at(-1)).toBe("  body                        #  0.00 ms");
  });

  test("draws an answer that took no time at all", () => {
    const timings = { ...NONE, queued: 0, assigned: 0, requestSent: 0, firstByte: 0, headers: 0, end: 0 };
    expect(renderTimeline({ ...EXCHANGE, timings, connection: null, bytes: 1 }, 41, ASCII_GLYPHS)).toBe(
      [
        "GET http://peer/x -> 200 OK, 1 byte in 0.00 ms",
        "  no connection: not answered by a server",
        "  queue    #                     0.00 ms",
        "  write    #                     0.00 ms",
        "  wait     #                     0.00 ms",
        "  body     #                     0.00 ms",
        "",
      ].join("\n"),
    );
  });

  test("lets no control byte of the peer's reach the terminal", () => {
    expect(renderTimeline({ ...EXCHANGE, statusText: "O\u001b[2JK" }, 80)).toContain("200 O\\x1b[2JK");
  });
});

test("connectionLine() tells the proxy", () => {
  expect(connectionLine({ ...CONNECTION, proxy: "http://proxy:3128" })).toBe(
    "connection 3, new: 127.0.0.1:5000 → 127.0.0.1:80, through http://proxy:3128",
  );
});

test("connectionLine() tells TLS facts and reuse", () => {
  const tls = { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", alpn: "http/1.1", resumed: true };
  expect(connectionLine({ ...CONNECTION, reused: true, tls })).toBe(
    "connection 3, reused: 127.0.0.1:5000 → 127.0.0.1:80, TLSv1.3 TLS_AES_256_GCM_SHA384, ALPN http/1.1, session resumed",
  );
});

test.each([
  ["127.0.0.1", 80, "127.0.0.1:80"],
  ["::1", 80, "[::1]:80"],
  ["/run/x.sock", 0, "/run/x.sock"],
  ["/run/x.sock", null, "/run/x.sock"],
  [null, null, "?"],
])("formatAddress(%j, %j) is %s", (address, port, text) => {
  expect(formatAddress(address, port)).toBe(text);
});

test.each([
  [0, "0.00 ms"],
  [9.994, "9.99 ms"],
  [9.996, "10.0 ms"],
  [99.96, "100 ms"],
  [999.4, "999 ms"],
  [999.6, "1.00 s"],
  [12_345, "12.3 s"],
])("formatMs(%d) is %s", (ms, text) => {
  expect(formatMs(ms)).toBe(text);
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1024 * 1024 - 1, "1.0 MiB"],
  [5.5 * 1024 ** 3, "5.5 GiB"],
])("formatBytes(%d) is %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("glyphsFor() goes by the locale's variables in POSIX's order", () => {
  expect(glyphsFor({ LANG: "de_DE.UTF-8" })).toBe(UNICODE_GLYPHS);
  expect(glyphsFor({ LC_ALL: "C", LANG: "de_DE.UTF-8" })).toBe(ASCII_GLYPHS);
  expect(glyphsFor({ LC_ALL: "", LC_CTYPE: "C.utf8" })).toBe(UNICODE_GLYPHS);
  expect(glyphsFor({})).toBe(ASCII_GLYPHS);
});

test("printable() shows control characters as what they are", () => {
  expect(printable("a\u0000\u001b\u0085ü")).toBe("a\\x00\\x1b\\x85ü");
});
