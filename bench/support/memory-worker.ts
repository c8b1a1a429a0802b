/**
 * The process of one build of ours without the kernel: 64 callers on a conduit that answers each request from memory, in
 * the next turn of the loop. What two builds differ in shows here without the spread that system calls bring along.
 *
 * Argument: the URL of the build's index.js.
 */
import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";
import { REQUEST_HEADERS } from "../scenarios.ts";
import { serveLines } from "./line-server.ts";
import { makeReply } from "./reply.ts";

const WORKERS = 64;
const PATH = "/2048";

// The built file is not in the type program; its source is.
const { Client, Transport } = (await import(process.argv[2]!)) as typeof import("../../lib/index.ts");
const reply = makeReply(PATH)!; // a path of the responder's
const view = new Uint8Array(64 * 1024);
view.set(reply.bytes);

let asked: AnsweringConduit[] = [];

class AnsweringConduit implements Conduit {
  readonly facts = {
    localAddress: "127.0.0.1",
    localPort: 1,
    remoteAddress: "127.0.0.1",
    remotePort: 2,
    tls: null,
  };
  readonly refusalProvesNothingWritten = true;
  readonly pendingBytes = 0;
  sink: ConduitSink | null = null;

  attach(sink: ConduitSink): void {
    this.sink = sink;
  }
  write(): "ok" {
    if (asked.length === 0) setImmediate(answerAll);
    asked.push(this);
    return "ok";
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  ref(): void {}
  unref(): void {}
}

function answerAll(): void {
  const conduits = asked;
  asked = [];
  for (const { sink } of conduits) sink?.data(view, reply.bytes.length);
}

const client = new Client({ transport: new Transport({ dial: () => new AnsweringConduit() }) });

serveLines(async ({ count }: { count: number }) => {
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const answer = await client.get(`http://memory${PATH}`, { headers: REQUEST_HEADERS });
      if ((await answer.bytes()).byteLength !== 2048) throw new Error("an answer of another length");
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: WORKERS }, worker));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / count };
});
