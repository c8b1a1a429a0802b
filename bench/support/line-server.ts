/**
 * The far end of the line protocol, inside a contestant's or the responder's process: answers each order, one after the
 * other, and exits when its input ends. An order that throws is answered with the error, and the process stays.
 */
import { createInterface } from "node:readline";

export function serveLines<O>(answer: (order: O) => Promise<object> | object): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    let reply: object;
    try {
      // The bench is the only writer of these lines.
      reply = { ok: true, ...(await answer(JSON.parse(line) as O)) };
    } catch (error) {
      reply = { ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    say(reply);
  });
  lines.on("close", () => process.exit(0));
}

export function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
