/**
 * The platform's HTTP classes come with undici, which loads at the first mention of any of them. Embedders who may not
 * use it must be able to make every kind of request and read every kind of response without.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const lib = new URL("../../lib/", import.meta.url);

/** Runs a module in a process of its own and gives the names of Node's own modules that it loaded. */
async function loadedBy(body: string): Promise<string[]> {
  const program = `
    import { Readable } from "node:stream";
    import { Headers } from "${lib}message/headers.ts";
    import { Request } from "${lib}message/request.ts";
    import { Response } from "${lib}message/response.ts";
    import { readResponse } from "${lib}read-response.ts";
    import { writeRequest } from "${lib}write-request.ts";
    ${body}
    process.stdout.write(JSON.stringify(process.moduleLoadList));
  `;
  const args = ["--import", "tsx", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: new URL("../..", import.meta.url) });
  return JSON.parse(stdout);
}

const undici = (names: string[]) => names.filter((name) => name.includes("undici"));

test("no request body but FormData, and no reading of a response but formData(), loads undici", async () => {
  const loaded = await loadedBy(`
    const url = "http://user:pass@host/";
    const write = async (init) => { for await (const _ of writeRequest(new Request(url, { method: "POST", ...init }))); };
    const stream = () => new ReadableStream({ start(c) { c.enqueue(new Uint8Array(1)); c.close(); } });
    for (const body of ["a", "ü", new Uint8Array(1), new ArrayBuffer(1), new DataView(new ArrayBuffer(1)),
      new URLSearchParams("a=1"), new Blob(["a"]), new File(["a"], "a"), Readable.from(["a"]), stream(),
      (async function* () { yield "a"; })(), new Set(["a"]), ["a"], () => "a", async () => stream()]) await write({ body });
    await write({ json: {} });
    await write({ form: { a: 1 } });
    await write({ body: "a", trailers: { names: ["x"], values: { x: "1" } }, signal: AbortSignal.timeout(1000), headers: new Headers({ a: "1" }) });
    for (const wrong of [1, {}, Symbol.iterator]) { try { new Request(url, { body: wrong }); } catch {} }
    const answer = () => readResponse("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nContent-Type: a/b\\r\\n\\r\\n{}");
    for (const way of ["text", "json", "bytes", "arrayBuffer", "blob"]) await (await answer())[way]();
    for await (const _ of await answer());
    for await (const _ of (await answer()).body);
    for await (const _ of (await answer()).readable());
    for await (const _ of (await answer()).textStream());
    const made = new Response("a");
    await made.clone().text();
    await made.close();
    Response.json({}); Response.error(); Response.redirect(url);
  `);
  expect(loaded.length).toBeGreaterThan(10);
  expect(undici(loaded)).toEqual([]);
});

test("formData() loads it: the check above can fail", async () => {
  expect(undici(await loadedBy(`await new Response(new URLSearchParams("a=1")).formData();`))).not.toEqual([]);
});
