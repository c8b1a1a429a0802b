/** The option `lenient`, over loopback: which answers pass, what the error says, and what becomes of the connection. */

import { describe, expect, test } from "vitest";
import { type LenientOptions, readResponse } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";

checkLeaks();

const LF_ONLY = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_CRLF = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n";

async function answeredBy(text: string, lenient?: LenientOptions) {
  await using peer = await scriptedPeer(lenient === undefined ? {} : { lenient });
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(text);
  try {
    const body = await (await call).text();
    return { body, closed: peer.transport.stats().closed, idle: peer.transport.stats().idle };
  } catch (error) {
    return { error };
  }
}

describe("an answer that is wrong", () => {
  test.each([
    ["in its head", LF_ONLY, "optionalCrBeforeLf"],
    ["in its body", NO_CRLF, "optionalCrlfAfterChunk"],
  ] as const)("%s: fails by default, and the error names the flag", async (_, text, flag) => {
    expect(await answeredBy(text)).toMatchObject({ error: { name: "RemoteProtocolError", lenient: flag } });
  });

  test.each([
    ["in its head", LF_ONLY, "optionalCrBeforeLf"],
    ["in its body", NO_CRLF, "optionalCrlfAfterChunk"],
  ] as const)("%s: passes with it, and its connection is closed", async (_, text, flag) => {
    expect(await answeredBy(text, { [flag]: true })).toEqual({ body: "ok", closed: { "lenient-parse": 1 }, idle: 0 });
  });

  test("a 1xx that is wrong closes the connection after the answer that is right", async () => {
    const { body, closed } = await answeredBy(`HTTP/1.1 103 Early Hints\n\n${OK}`, { optionalCrBeforeLf: true });
    expect({ body, closed }).toEqual({ body: "ok", closed: { "lenient-parse": 1 } });
  });
});

test("an answer that is right keeps its connection, whatever is let pass", async () => {
  expect(await answeredBy(OK, { optionalCrBeforeLf: true, headers: true })).toMatchObject({ body: "ok", idle: 1 });
});

describe("readResponse()", () => {
  test("names the flag, and takes it", async () => {
    await expect(readResponse(LF_ONLY)).rejects.toMatchObject({ lenient: "optionalCrBeforeLf" });
    const response = await readResponse(LF_ONLY, undefined, { lenient: { optionalCrBeforeLf: true } });
    expect(await response.text()).toBe("ok");
  });

  test("refuses options that there are not", async () => {
    await expect(readResponse(OK, undefined, { lenien: {} } as never)).rejects.toThrow("did you mean lenient?");
    await expect(readResponse(OK, undefined, { lenient: { header: true } } as never)).rejects.toThrow(
      'Unknown option "lenient.header": did you mean lenient.headers?',
    );
    await expect(readResponse(OK, undefined, { lenient: { headers: 1 } } as never)).rejects.toThrow(
      "Option lenient.headers must be a boolean: it is number",
    );
    await expect(readResponse(OK, undefined, null as never)).rejects.toThrow("Option options must be an object");
  });
});
