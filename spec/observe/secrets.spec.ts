/**
 * The property: whatever the secrets of a call are, none is in anything that is made of its events. Secrets are the values
 * of secret fields in any case, of requests and answers; credentials in URLs, of the caller's and of a server's; signatures
 * in queries.
 */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { eventLine } from "../../lib/cli/events.ts";
import { renderWaterfall } from "../../lib/cli/waterfall.ts";
import { Request, Response, type TraceEvent } from "../../lib/index.ts";
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
  password: fc.tuple(token, fc.constantFrom("", "@", ":", "%40", "é", "'")).map(([a, b]) => a + b),
  signature: fc.tuple(
    fc.constantFrom("sig", "Signature", "X-Amz-Signature", "X-Amz-Security-Token", "access_token"),
    token,
  ),
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
        conn.reply(`HTTP/1.1 103 Early Hints\r\n${fields}${away}\r\n`);
        conn.reply(`HTTP/1.1 200 OK\r\n${fields}${away}Content-Length: 4\r\n\r\n${ending === "cut" ? "o" : "okay"}`);
        if (ending === "cut") conn.end();
        await call.then((response) => response.bytes()).catch(() => {});
        await peer.transport.destroy();

        outputs.push(watched.view(100), recent.since(0), ...recent.calls.map((id) => recent.story(id)));
        for (const event of events) {
          outputs.push(event, explain(event), eventLine(event, 0));
          // Fields are functions: whoever did not ask for secrets gets none from them either.
          if (event.type === "request-write" || event.type === "head") outputs.push(event.headers());
          if (event.type === "request-head") outputs.push(event.fields());
          if (event.type === "information") outputs.push(event.headers().raw);
        }
        const failed = await call.catch((error: unknown) => error);
        const request = new Request(url, { headers: asked });
        outputs.push(...[request, request.headers, failed, peer.client, peer.transport].map((value) => inspect(value)));
        if (failed instanceof Response) outputs.push(inspect(failed.headers));
        outputs.push(
          har(recording),
          traceEvents(recording),
          page(recording, `GET ${url}`),
          renderWaterfall(recording, 200),
        );
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
  ["http://u:p'w\"x@h/", "http://[hidden]@h/"],
  ["https://h/#access_token=x&state=1", "https://h/#access_token=[hidden]&state=1"],
  ["/p?X-Amz-Security-Token=x", "/p?X-Amz-Security-Token=[hidden]"],
  ["a@b.example", "a@b.example"],
])("shownText() hides credentials and signatures of URLs, and nothing else: %s", (text, shown) => {
  expect(shownText(text)).toBe(shown);
});

test("a listener sees what it asked for, whoever else listens, and what it does to the fields is seen by nobody", async () => {
  const told: { who: string; type: string; pairs: string }[] = [];
  const listener = (who: string) => (event: TraceEvent) => {
    const asked = event.type === "head" || event.type === "request-write" || event.type === "information";
    const fields = asked ? event.headers() : event.type === "request-head" ? event.fields() : null;
    if (fields === null) return;
    const pairs = "raw" in fields ? fields.raw : fields;
    told.push({ who, type: event.type, pairs: JSON.stringify(pairs) });
    if (!Array.isArray(fields)) return; // a Headers is immutable
    for (const pair of fields as [string, string][]) pair[1] = "altered";
    fields.length = 0;
  };
  const onChannel = (message: unknown) => listener("hidden channel")(message as TraceEvent); // what this channel carries
  subscribe("persistconn:connection", onChannel);
  try {
    const trace = traceAll(
      { on: listener("secret 1"), secrets: true },
      listener("hidden 1"),
      { on: listener("secret 2"), secrets: true },
      listener("hidden 2"),
    );
    await using peer = await scriptedPeer({ trace });
    watchedOf(peer.transport)!.listen(listener("hidden 3")); // one of ours
    const call = peer.client.get(peer.url("/?sig=signed"), {
      headers: { Cookie: "a=cookie", "X-A": "1" },
      trace: { on: listener("secret 3"), secrets: true },
    });
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("Cookie: a=cookie\r\n");
    conn.reply("HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=cookie\r\nX-A: 1\r\n\r\n");
    conn.reply("HTTP/1.1 200 OK\r\nSet-Cookie: a=cookie\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok");
    const response = await call;
    expect(response.headers.get("x-a")).toBe("1");
    expect(response.headers.getSetCookie()).toEqual(["a=cookie"]);
    await response.bytes();
  } finally {
    unsubscribe("persistconn:connection", onChannel);
  }
  const who = ["secret 1", "hidden 1", "secret 2", "hidden 2", "hidden 3", "hidden channel", "secret 3"];
  for (const type of ["request-write", "request-head", "information", "head"]) {
    const those = told.filter((one) => one.type === type);
    expect(those.map((one) => one.who)).toEqual(who);
    for (const { who: name, pairs } of those) {
      expect(pairs).toContain('["X-A","1"]');
      expect(pairs.includes("a=cookie")).toBe(name.startsWith("secret"));
    }
  }
});
