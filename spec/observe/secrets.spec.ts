/**
 * The property: whatever the secrets of a call are, none is in anything that is made of its events. Secrets are the values
 * of secret fields in any case, of requests and answers; credentials in URLs, of the caller's and of a server's; signatures
 * in queries.
 */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { eventLine } from "../../lib/cli/events.ts";
import { renderWaterfall } from "../../lib/cli/waterfall.ts";
import type { TraceEvent } from "../../lib/index.ts";
import { Recent } from "../../lib/observe/inspector/recent.ts";
import { explain, har, openTelemetry, page, Recording, traceAll, traceEvents } from "../../lib/observe.ts";
import { SECRET_FIELDS, shownText } from "../../lib/secrets.ts";
import { watchedOf } from "../../lib/watched.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";

checkLeaks();

const CHANNELS = ["call", "pool", "dial", "connection", "body"].map((group) => `persistconn:${group}`);

/** Long enough to be found by nothing but itself. */
const token = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/);

/** A name in any case. */
const anyCase = (names: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...names), fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }))
    .map(([name, upper]) => [...name].map((c, i) => (upper[i] ? c.toUpperCase() : c)).join(""));

/** What the library hides, and what it must. */
const FIELDS = [...SECRET_FIELDS, "authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];
const REQUEST_FIELDS = FIELDS.filter((name) => name !== "proxy-authorization");

const scene = fc.record({
  asked: fc.array(fc.tuple(anyCase(REQUEST_FIELDS), token), { maxLength: 4 }),
  answered: fc.array(fc.tuple(anyCase(FIELDS), token), { maxLength: 4 }),
  user: token,
  password: fc.tuple(token, fc.constantFrom("", "@", ":", "%40", "é")).map(([a, b]) => a + b),
  signature: fc.tuple(fc.constantFrom("sig", "Signature", "X-Amz-Signature", "access_token"), token),
  ending: fc.constantFrom("whole", "cut", "redirect"),
  elsewhere: token,
});

/** What a spec's OpenTelemetry writes down, whatever it is told. */
function collecting(told: unknown[]) {
  const span = {
    setAttributes: (attributes: unknown) => told.push(attributes),
    setStatus: (status: unknown) => told.push(status),
    addEvent: (...args: unknown[]) => told.push(args),
    end() {},
  };
  const instrument = { add: (...args: unknown[]) => told.push(args), record: (...args: unknown[]) => told.push(args) };
  return {
    tracerProvider: {
      getTracer: () => ({
        startSpan: (...[name, options]: unknown[]) => {
          told.push(name, options);
          return span;
        },
      }),
    },
    meterProvider: { getMeter: () => ({ createHistogram: () => instrument, createUpDownCounter: () => instrument }) },
  };
}

test("no secret of any call is in any output", async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ asked, answered, user, password, signature, ending, elsewhere }) => {
      const outputs: unknown[] = [];
      const onChannel = (event: unknown) => outputs.push(event);
      for (const name of CHANNELS) subscribe(name, onChannel);
      try {
        const events: TraceEvent[] = [];
        const recording = new Recording();
        const telemetry = await openTelemetry(collecting(outputs));
        const trace = traceAll(recording.trace, telemetry.trace, (event) => events.push(event));
        await using peer = await scriptedPeer({ trace });
        const watched = watchedOf(peer.transport)!; // one of ours
        const recent = new Recent(() => {});
        watched.listen(recent.hear);
        const url = `http://${user}:${encodeURIComponent(password)}@${peer.authority}/p?a=1&${signature[0]}=${signature[1]}`;
        const call = peer.client.get(url, { headers: asked });
        const conn = await peer.accept();
        await conn.readHead();
        outputs.push(watched.view(100));
        const fields = answered.map(([name, value]) => `${name}: ${value}\r\n`).join("");
        const away = `Link: <http://u:${elsewhere}@h/>; rel="next"\r\n`;
        if (ending === "redirect") {
          conn.reply(
            `HTTP/1.1 302 Found\r\n${fields}Location: http://u:${elsewhere}@${peer.authority}/\r\nContent-Length: 0\r\n\r\n`,
          );
          await conn.readHead();
        }
        conn.reply(`HTTP/1.1 200 OK\r\n${fields}${away}Content-Length: 4\r\n\r\n${ending === "cut" ? "o" : "okay"}`);
        if (ending === "cut") conn.end();
        await call.then((response) => response.bytes()).catch(() => {});
        await peer.transport.destroy();

        outputs.push(watched.view(100), recent.since(0), ...recent.calls.map((id) => recent.story(id)));
        for (const event of events) outputs.push(event, explain(event), eventLine(event, 0));
        outputs.push(har(recording), traceEvents(recording), page(recording), renderWaterfall(recording, 200));
        const text = JSON.stringify(outputs);
        const basic = Buffer.from(`${user}:${password}`).toString("base64");
        const secrets = [...asked, ...answered].map(([, value]) => value);
        secrets.push(user, password, encodeURIComponent(password), basic, signature[1], elsewhere);
        for (const secret of secrets) expect(text).not.toContain(secret);
        expect(text).toContain("/p?a=1"); // what is no secret is there
      } finally {
        for (const name of CHANNELS) unsubscribe(name, onChannel);
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);

test.each([
  ["http://u:p@h/x", "http://[hidden]@h/x"],
  ["see http://u:p@ss@h/ and //v@i/", "see http://[hidden]@h/ and //[hidden]@i/"],
  ["http://h/a@b?c=d@e", "http://h/a@b?c=d@e"],
  ["/p?sig=abc&b=1#f", "/p?sig=[hidden]&b=1#f"],
  ["/p?a=1&access_token=x", "/p?a=1&access_token=[hidden]"],
  ["/p?design=1&mysig=2", "/p?design=1&mysig=2"],
  ["a@b.example", "a@b.example"],
])("shownText() hides credentials and signatures of URLs, and nothing else: %s", (text, shown) => {
  expect(shownText(text)).toBe(shown);
});
