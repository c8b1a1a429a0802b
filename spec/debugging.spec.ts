/** What `NODE_DEBUG=persistconn` prints. Node reads the variable when it starts, so what it makes of it stands in here. */

import { afterAll, describe, expect, test, vi } from "vitest";
import { checkLeaks } from "./support/leak-check.ts";
import { scriptedPeer } from "./support/scripted-peer.ts";

checkLeaks();

const node = vi.hoisted(() => ({ enabled: true, section: "", lines: [] as string[] }));

vi.mock("node:util", async (original) => {
  const util = await original<typeof import("node:util")>();
  const debuglog = (section: string) => {
    node.section = section;
    const log = (text: string, ...args: unknown[]) => node.lines.push(util.format(text, ...args));
    return Object.defineProperty(log, "enabled", { get: () => node.enabled });
  };
  return { ...util, debuglog };
});

afterAll(() => vi.doUnmock("node:util"));

describe("NODE_DEBUG=persistconn", () => {
  /** One exchange with secrets all over it, and a server's words that would move a cursor. */
  async function exchange(): Promise<string[]> {
    node.lines.length = 0;
    await using peer = await scriptedPeer();
    const url = `http://user:pass@${peer.authority}/p?sig=signed`;
    const call = peer.client.get(url, { headers: { Cookie: "a=cookie" } });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 \u009bOK\r\nContent-Length: 2\r\nSet-Cookie: a=baked\r\n\r\nok");
    await (await call).bytes();
    await peer.transport.destroy();
    return [...node.lines];
  }

  test("prints each event of any transport as a sentence, from the call to the connection's end", async () => {
    node.enabled = true;
    const lines = await exchange();
    expect(node.section).toBe("persistconn");
    for (const line of lines) expect(line).toMatch(/^\d+\.\d{3} ms (call \d+(, connection \d+)?|connection \d+) \S/);
    const story = lines.map((line) => line.replace(/^.* ms (call|connection) \d+(, connection \d+)? /, ""));
    expect(story[0]).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/p\?sig=\[hidden\] begins$/);
    expect(story).toContain("is answered with 200 \\x9bOK");
    expect(story.at(-1)).toBe("is closed: the transport was closed");
  });

  test("shows no secret", async () => {
    node.enabled = true;
    const text = (await exchange()).join("\n");
    for (const secret of ["user", "pass", "signed", "cookie", "baked"]) expect(text).not.toContain(secret);
  });

  test("is silent, and costs no event, where it was not asked for", async () => {
    node.enabled = false;
    expect(await exchange()).toEqual([]);
  });
});
