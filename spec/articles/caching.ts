/**
 * (d) A RoundTripper that answers from what it has stored, and else asks the one that it was given.
 *
 * What it keeps is bytes, as they could stand on a wire or in a file; `readResponse` makes a Response of them again.
 */

import {
  Client,
  type Request,
  type Response,
  type RoundTripCall,
  type RoundTripper,
  readResponse,
} from "../../lib/index.ts";
import { CountedTransport } from "./load.ts";
import type { OriginProcess } from "./origin-process.ts";
import type { Report } from "./report.ts";

class CachingRoundTripper implements RoundTripper {
  readonly #inner: RoundTripper;
  readonly #stored = new Map<string, Uint8Array>();
  hits = 0;

  constructor(inner: RoundTripper) {
    this.#inner = inner;
  }

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    if (request.method !== "GET") return await this.#inner.roundTrip(request, call);
    const stored = this.#stored.get(request.url);
    if (stored !== undefined) {
      this.hits++;
      return await readResponse(stored, request);
    }
    const response = await this.#inner.roundTrip(request, call);
    const body = await response.bytes();
    const fields = response.headers.raw.filter(
      ([name]) => !/^(transfer-encoding|content-length|connection)$/i.test(name),
    );
    const lines = [...fields, ["Content-Length", String(body.length)]].map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${response.status} ${response.statusText}\r\n${lines.join("")}\r\n`;
    const bytes = Buffer.concat([Buffer.from(head, "latin1"), body]);
    if (response.ok) this.#stored.set(request.url, bytes);
    return await readResponse(bytes, request);
  }
}

export async function caching(report: Report, server: OriginProcess, quick: boolean): Promise<void> {
  const times = quick ? 20 : 100;
  report.title(`(d) a caching RoundTripper, two URLs asked ${times} times each`);
  const origin = await server.listen();
  const counted = new CountedTransport();
  const cache = new CachingRoundTripper(counted.transport);
  const client = new Client({ transport: cache });
  const answers = new Map<string, Set<string>>();
  for (let i = 0; i < times; i++) {
    for (const path of ["/", "/bytes/5000"]) {
      const response = await client.get(`${origin.url}${path}`);
      const told = `${response.status} ${response.headers.get("cache-control")} ${await response.text()}`;
      answers.set(path, (answers.get(path) ?? new Set()).add(told));
    }
  }
  const { answered } = await origin.counts();
  report.say(
    `${2 * times} asked, ${cache.hits} answered from the store, ${answered} by the server over ${counted.dialed} connection`,
  );
  report.check("the server answers each URL once", answered === 2, answered);
  report.check("the store answers all others", cache.hits === 2 * times - 2, cache.hits);
  const alike = [...answers.values()].every((set) => set.size === 1);
  report.check(
    "a stored answer is the same as the first: status, fields, body",
    alike,
    alike ? "the same" : "different",
  );
  await counted.transport.close();
}
