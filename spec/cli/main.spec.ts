/** The command as a process: its streams, its signals, its end. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ok, rawServer, type SeenRequest } from "./support.ts";

const MAIN = fileURLToPath(new URL("../../lib/cli/main.ts", import.meta.url));

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

function start(...argv: string[]): Child {
  return spawn(process.execPath, ["--import", "tsx", MAIN, ...argv], { stdio: ["pipe", "pipe", "pipe"] });
}

async function ended(
  child: Child,
): Promise<{ code: number | null; signal: string | null; stdout: Buffer; stderr: string }> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  const [code, signal] = await once(child, "close");
  return { code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() };
}

const sayOk = ({ socket }: SeenRequest) => socket.write(ok("body\n"));

test("persistconn URL prints the body and ends by itself, though the connection stays open", async () => {
  await using server = await rawServer(sayOk);
  expect(await ended(start(server.url))).toEqual({ code: 0, signal: null, stdout: Buffer.from("body\n"), stderr: "" });
});

test("persistconn @- sends what comes through a pipe", async () => {
  await using server = await rawServer(sayOk);
  const child = start("--data-binary", "@-", server.url);
  child.stdin.end("through a pipe");
  expect((await ended(child)).code).toBe(0);
  expect(server.requests[0]).toMatch(/\r\n\r\nthrough a pipe$/);
});

test("persistconn URL | head ends quietly, and stops the download", async () => {
  const closed: Promise<void>[] = [];
  await using server = await rawServer(({ socket }) => {
    // Not events.once(), which rejects at the reset that is to be expected here.
    closed.push(new Promise((resolve) => socket.on("close", () => resolve())));
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const block = Buffer.alloc(64 * 1024);
    const fill = () => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on("drain", fill);
    fill();
  });
  const child = start(server.url);
  child.stdout.once("data", () => child.stdout.destroy());
  const [code] = await once(child, "exit");
  let stderr = "";
  for await (const chunk of child.stderr) stderr += chunk;
  expect([code, stderr]).toEqual([0, ""]);
  await closed[0];
});

test("persistconn ends with 130 at SIGINT", async () => {
  let child: Child | null = null;
  await using server = await rawServer(() => child?.kill("SIGINT"));
  child = start(server.url);
  expect(await ended(child)).toEqual({
    code: 130,
    signal: null,
    stdout: Buffer.alloc(0),
    stderr: "persistconn: interrupted\n",
  });
});

test("persistconn -n prints its summary when it is interrupted", async () => {
  let child: Child | null = null;
  let answered = 0;
  await using server = await rawServer((request) => {
    if (++answered === 20) child?.kill("SIGINT");
    else sayOk(request);
  });
  child = start("-n", "1000", server.url);
  const { code, stdout } = await ended(child);
  expect(stdout.toString()).toMatch(/^answers {6}19 with 200$/m);
  expect(stdout.toString()).toMatch(/^interrupted {2}981 not sent or not finished$/m);
  expect(code).toBe(130);
});

test("persistconn --help and --version touch no network and exit with 0", async () => {
  const [help, version] = await Promise.all([ended(start("--help")), ended(start("--version"))]);
  expect(help.stdout.toString()).toMatch(/^Usage: persistconn /);
  expect(version.stdout.toString()).toMatch(/^persistconn \d+\.\d+\.\d+\n$/);
  expect([help.code, version.code]).toEqual([0, 0]);
});
