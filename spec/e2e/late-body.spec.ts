/**
 * Bodies whose bytes come after the reader asked for them, in pieces.
 */

import { describe, expect, test } from "vitest";
import { checkLeaks } from "../support/leak-check.ts";
import { Stage } from "./phases.ts";

checkLeaks();

describe.each([
  ["Content-Length: 8", ["da", "ta", "data"]],
  ["Transfer-Encoding: chunked", ["2\r\nda\r\n", "2\r\nta\r\n", "4\r\ndata\r\n0\r\n\r\n"]],
])("Response.text() of a body with %s that comes later", (framing, pieces) => {
  test.each([0, 1, 2])("is what came, where %i pieces came before it was asked", async (early) => {
    await using stage = await Stage.open();
    const call = stage.peer.client.get(stage.peer.url());
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
    const response = await stage.driven(call);
    for (const piece of pieces.slice(0, early)) {
      conn.reply(piece);
      await stage.polls();
    }
    const text = response.text();
    for (const piece of pieces.slice(early)) {
      await stage.polls();
      conn.reply(piece);
    }
    expect(await stage.driven(text)).toBe("datadata");
  });
});
