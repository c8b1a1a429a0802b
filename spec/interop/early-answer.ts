/**
 * Answers that come while the upload is still under way (RFC 9112 §9.5; RFC 9110 §15.5.14): they arrive every time,
 * whatever the server does to the connection afterwards, and no byte of an upload ever reaches another request.
 */

import type { Client } from "../../lib/index.ts";
import { startProgram } from "../support/child.ts";
import { CheckFailed, count, expect, type Report, textOf } from "../support/report.ts";
import { type Chance, seeded } from "../support/seeded.ts";
import { countedClient } from "./counted-client.ts";
import { answerBody, patternAt } from "./early-bytes.ts";
import type { EarlyAnswererReady, EarlyAnswererReport, EarlyAnswererSettings } from "./servers/early-answerer.ts";
import type { Site } from "./site.ts";

const UPLOAD_BYTES = 4 * 2 ** 20;
const CHUNK_BYTES = 50_000;
/** When the server answers, in bytes of the body that it has read. */
const AFTER = [0, 1, 100_000, 2 ** 20] as const;

const ENDINGS = {
  "closes gracefully": "drain",
  "closes at once": "drop",
  resets: "reset",
  "reads on slowly": "slow",
} as const;

/** The body, and the fields that frame it where the client cannot know. */
const UPLOADS = {
  "of known length": () => ({ body: streamed(), headers: { "content-length": String(UPLOAD_BYTES) } }),
  "of unknown length": () => ({ body: streamed(), headers: {} }),
  "in memory": () => ({ body: patternAt(0, UPLOAD_BYTES), headers: {} }),
};

async function* streamed(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < UPLOAD_BYTES; at += CHUNK_BYTES) {
    yield patternAt(at, Math.min(CHUNK_BYTES, UPLOAD_BYTES - at));
  }
}

export async function checkEarlyAnswers(report: Report, site: Site, times: number, seed: number): Promise<void> {
  for (const transport of ["TCP", "TLS"] as const) {
    const tls = transport === "TLS" ? { cert: site.cert, key: site.key } : null;
    const settings: EarlyAnswererSettings = { tls };
    await using server = await startProgram<EarlyAnswererReady, EarlyAnswererReport>(
      new URL("./servers/early-answerer.ts", import.meta.url),
      settings,
    );
    const origin = `${tls === null ? "http" : "https"}://127.0.0.1:${server.ready.port}`;
    for (const [does, ending] of Object.entries(ENDINGS)) {
      await report.check(`early-answer: server ${does}, over ${transport}`, async () => {
        // An upload that was wholly written leaves its connection open here, and a GET may cross the server's FIN on it:
        // the GET may be sent again, so that what fails below is a lost answer. An upload may not.
        await using counted = countedClient({ tls: { ca: site.ca }, replay: "replayable" });
        const chance = seeded(seed);
        const lost: string[] = [];
        let reused = 0;
        let n = 0;
        for (const [how, upload] of Object.entries(UPLOADS)) {
          for (let i = 0; i < times; i++) {
            try {
              if (await uploadThenGet(counted.client, origin, ++n, ending, upload, chance)) reused++;
            } catch (error) {
              lost.push(`upload ${how}: ${textOf(error)}`);
            }
          }
        }
        return judge(await server.report(), n, reused, lost);
      });
    }
  }
}

/** One upload that is answered early, and a request after it. Returns whether that went over the same connection. */
async function uploadThenGet(
  client: Client,
  origin: string,
  n: number,
  ending: string,
  upload: (typeof UPLOADS)[keyof typeof UPLOADS],
  chance: Chance,
): Promise<boolean> {
  const early = await client.post(`${origin}/up/${n}?after=${chance.pick(AFTER)}&ending=${ending}`, upload());
  const answer = await early.text();
  if (early.status !== 413 || answer !== answerBody(String(n))) throw new CheckFailed(`answered ${early.status}`);
  const next = await client.get(`${origin}/after/${n}`);
  const right = next.status === 200 && (await next.text()) === answerBody(String(n));
  if (!right) throw new CheckFailed(`the next request was answered ${next.status}`);
  return next.connection?.id === early.connection?.id;
}

function judge(seen: EarlyAnswererReport, uploads: number, reused: number, lost: readonly string[]): string {
  const figures =
    `${count(uploads)} uploads, ${lost.length} answers lost, ${seen.strays.length} stray bytes; ` +
    `${seen.whole} sent whole, ${reused} connections reused`;
  expect(seen.strays.length === 0, `${figures} (${seen.strays.slice(0, 3).join("; ")})`);
  expect(lost.length === 0, `${figures} (${lost.slice(0, 3).join("; ")})`);
  expect(seen.early === uploads, `${figures}, but the server answered ${seen.early} early`);
  expect(reused <= seen.whole, `${figures}: reused though the write was not finished`);
  return figures;
}
