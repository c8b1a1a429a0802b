/** `persistconn inspect`: a load with the live view beside it, and the live view of a program. */

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { run } from "../../lib/cli/run.ts";
import { systemClock } from "../../lib/clock.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { cli, ok, rawServer } from "./support.ts";

const folder = tempFolder("inspect");
const LIB = fileURLToPath(new URL("../../lib/", import.meta.url));

/** What a reader of that URL gets, to the end of the connection; or of its stream, as far as `enough`. */
async function read(url: string, enough: (text: string) => boolean = () => false): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  socket.on("error", () => {});
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
  let got = "";
  for await (const chunk of socket) {
    got += chunk;
    if (enough(got)) break;
  }
  return got;
}

/** Waits for a line of a stream, and gives what of it matches. */
async function lineOf(stream: Readable, pattern: RegExp): Promise<string> {
  let got = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    got += chunk;
    const found = pattern.exec(got);
    if (found !== null) return found[1] ?? "";
  }
  throw new Error(`${pattern} never came: ${got}`);
}

test("persistconn inspect URL serves the page beside the load, and until it is interrupted", async () => {
  await using server = await rawServer(({ socket }) => socket.write(ok("body")));
  const interrupt = new AbortController();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const { signal } = interrupt;
  const io = { stdin: Readable.from([]), stdout, stderr, env: {}, clock: systemClock, signal };
  const ended = run(["inspect", "-n", "30", "-c", "2", server.url], io);
  const url = await lineOf(stderr, /inspect it at (\S+)/);
  const summary = lineOf(stdout, /(answers {6}30 with 200)/);
  expect(await read(url)).toContain("<title>persistconn inspector</title>");
  await summary;
  const told = await read(`${url}events`, (got) => got.includes('"calls":30'));
  expect(told).toContain('"state":"200 OK"');
  interrupt.abort();
  expect(await ended).toBe(0);
  await expect(read(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("persistconn inspect -- COMMAND serves the page of a program that knows nothing of it, and ends with it", async () => {
  await using server = await rawServer(({ socket }) => socket.write(ok("body")));
  const program = `${folder}/program.mts`;
  const index = pathToFileURL(`${LIB}index.ts`).href;
  // It goes on when it hears that it was looked at, so that nothing depends on who is quicker.
  writeFileSync(
    program,
    `import { get } from "${index}";
     console.log(await (await get(process.argv[2])).text());
     for await (const _ of process.stdin) break;
     process.exitCode = 7;`,
  );
  const child = spawn(
    process.execPath,
    ["--import", "tsx", `${LIB}cli/main.ts`, "inspect", "--", process.execPath, program, server.url],
    { env: { ...process.env, NODE_OPTIONS: "--import tsx" }, stdio: ["pipe", "pipe", "pipe"] },
  );
  const code = new Promise((resolve) => child.on("close", resolve));
  const stdout = text(child.stdout);
  const url = await lineOf(child.stderr, /inspect it at (\S+)/);
  const told = await read(`${url}events`, (got) => got.includes('"calls":1,'));
  expect(told).toContain(`|http|127.0.0.1:${server.port}`);
  child.stderr.resume();
  child.stdin.end("go on\n");
  expect(await code).toBe(7);
  expect(await stdout).toBe("body\n");
});

test("persistconn inspect -- says what cannot be started", async () => {
  const { code, stderr } = await cli(["inspect", "--", `${folder}/nothing`]);
  expect(code).toBe(2);
  expect(stderr).toContain("ENOENT");
});
