/** What `NODE_DEBUG=persistconn` prints. Node reads the variable when it starts, so each case is a process of its own. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

/** One exchange with secrets all over it, and a server's words that would move a cursor. */
const PROGRAM = `
  import { createServer } from "node:net";
  import { Client, Transport } from "./lib/index.ts";
  const answer = Buffer.from("HTTP/1.1 200 \\u009bOK\\r\\nContent-Length: 2\\r\\nSet-Cookie: a=baked\\r\\n\\r\\nok", "latin1");
  const server = createServer((socket) => socket.once("data", () => socket.write(answer)).on("error", () => {}));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const transport = new Transport();
  const url = "http://user:pass@127.0.0.1:" + server.address().port + "/p?sig=signed";
  await (await new Client({ transport }).get(url, { headers: { Cookie: "a=cookie" } })).bytes();
  await transport.destroy();
  server.close();
`;

function printed(section: string | undefined): string {
  const args = ["--import", "tsx", "--input-type=module", "--eval", PROGRAM];
  const env = { PATH: process.env["PATH"], ...(section === undefined ? {} : { NODE_DEBUG: section }) };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  expect([status, stdout]).toEqual([0, ""]);
  return stderr;
}

describe("NODE_DEBUG", () => {
  test("persistconn prints each event as a sentence, from the call to the connection's end, and no secret", () => {
    const text = printed("persistconn");
    const lines = text.trimEnd().split("\n");
    for (const line of lines) {
      expect(line).toMatch(/^PERSISTCONN \d+: \d+\.\d{3} ms (call \d+(, connection \d+)?|connection \d+) \S/);
    }
    const story = lines.map((line) => line.replace(/^.* ms (call|connection) \d+(, connection \d+)? /, ""));
    expect(story[0]).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/p\?sig=\[hidden\] begins$/);
    expect(story).toContain("is answered with 200 \\x9bOK");
    expect(story.at(-1)).toBe("is closed: the transport was closed");
    for (const secret of ["user", "pass", "signed", "cookie", "baked"]) expect(text).not.toContain(secret);
  });

  test.each(["another", undefined])("%s prints nothing", (section) => {
    expect(printed(section)).toBe("");
  });
});
