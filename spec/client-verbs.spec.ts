/** Go's own tests of what a Client sends: its verbs, its default fields, the credentials of a URL. Beside `client.spec.ts`. */

import { describe, expect, test } from "vitest";
import {
  Client,
  Headers,
  LocalProtocolError,
  type Request,
  Response,
  type RoundTripper,
  Transport,
} from "../lib/index.ts";
import { scriptedPeer } from "./support/scripted-peer.ts";
import { Site } from "./support/site.ts";

const answering = () => new Site(() => new Response("ok"));

describe("Client sends", () => {
  test("a GET, and its answer is read whole [TestClient]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url("/robots.txt"));
    const conn = await peer.accept();
    await conn.expect(peer.head("GET /robots.txt"));
    conn.reply("HTTP/1.1 200 OK\r\nLast-Modified: sometime\r\nContent-Length: 14\r\n\r\nUser-agent: go");
    const response = await call;
    expect([response.status, response.headers.get("last-modified")]).toEqual([200, "sometime"]);
    expect(await response.text()).toMatch(/^User-agent:/);
  });

  test("a HEAD, whose answer has its fields and no body [TestClientHead]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.head(peer.url("/robots.txt"));
    const conn = await peer.accept();
    await conn.expect(peer.head("HEAD /robots.txt"));
    conn.reply("HTTP/1.1 200 OK\r\nLast-Modified: sometime\r\nContent-Length: 14\r\n\r\n");
    const response = await call;
    expect(response.headers.get("last-modified")).toBe("sometime");
    expect([response.body, await response.text()]).toEqual([null, ""]);
  });

  test("by get() a GET of the URL as it was given [TestGetRequestFormat]", async () => {
    const site = answering();
    await new Client({ transport: site }).get("http://dummy.faketld/");
    expect(site.seen).toMatchObject([{ method: "GET", url: "http://dummy.faketld/", body: "" }]);
    expect(site.seen[0]?.request.headers).toBeInstanceOf(Headers);
  });

  test("by post() a POST with body, length and type [TestPostRequestFormat]", async () => {
    const site = answering();
    const json = '{"key":"value"}';
    await new Client({ transport: site }).post("http://dummy.faketld/", {
      body: json,
      headers: { "Content-Type": "application/json" },
    });
    const [seen] = site.seen;
    expect(seen).toMatchObject({ method: "POST", url: "http://dummy.faketld/", body: json });
    expect(seen?.request.headers.raw).toEqual([["Content-Type", "application/json"]]);
    expect(seen?.request.body?.length).toBe(json.length);
  });

  test("by post() a form, repeated keys one by one [TestPostFormRequestFormat]", async () => {
    const site = answering();
    const client = new Client({ transport: site });
    await client.post("http://dummy.faketld/", { form: { bar: ["baz", "qux & x"], foo: "bar", empty: "" } });
    expect(site.seen[0]).toMatchObject({ method: "POST", body: "bar=baz&bar=qux+%26+x&foo=bar&empty=" });
    expect(site.sent("content-type")).toEqual(["application/x-www-form-urlencoded;charset=UTF-8"]);
  });

  test("its default fields where the request has none of the name", async () => {
    const site = answering();
    const client = new Client({
      transport: site,
      headers: [
        ["X-One", "1"],
        ["Accept", "a/b"],
      ],
    });
    await client.get("http://a.test/", { headers: { accept: "c/d" } });
    expect(site.seen[0]?.request.headers.raw).toEqual([
      ["X-One", "1"],
      ["accept", "c/d"],
    ]);
  });
});

describe("Client sends the user of a URL as Basic credentials", () => {
  const cases: [string, string, Record<string, string>, string | null][] = [
    ["with an empty password [TestEmptyPasswordAuth]", "http://gopher:@dummy.faketld/", {}, "gopher:"],
    ["without a password", "http://gopher@dummy.faketld/", {}, "gopher:"],
    ["with a password [TestBasicAuth]", "http://My%20User:My%20Pass@dummy.faketld/", {}, "My User:My Pass"],
    ["as in the RFC [TestSetBasicAuth]", "http://Aladdin:open%20sesame@a.test/", {}, "Aladdin:open sesame"],
    ["beyond ASCII", "http://us%C3%A9r:p@a.test/", {}, "usér:p"],
    ["where the request has no fields [TestNoPanicOnRoundTripWithBasicAuth]", "http://foo:bar@a.test/", {}, "foo:bar"],
    ["where it has others", "http://foo:bar@a.test/", { "X-A": "1" }, "foo:bar"],
    ["not where there is none", "http://a.test/", {}, null],
  ];
  test.each(cases)("%s", async (_, url, headers, credentials) => {
    const site = answering();
    await new Client({ transport: site }).get(url, { headers });
    const expected = credentials === null ? null : `Basic ${Buffer.from(credentials).toString("base64")}`;
    expect(site.sent("authorization")).toEqual([expected]);
    expect(site.seen[0]?.url).not.toMatch(/@/);
  });

  test("not where the caller says an Authorization [TestBasicAuthHeadersPreserved]", async () => {
    const site = answering();
    await new Client({ transport: site }).get("http://u:p@dummy.faketld/", { headers: { authorization: "Mine x" } });
    expect(site.seen[0]?.request.headers.raw).toEqual([["authorization", "Mine x"]]);
  });

  test("once, in the place of the client's default Authorization", async () => {
    const site = answering();
    const client = new Client({ transport: site, headers: { Authorization: "Bearer default", "X-A": "1" } });
    await client.get("http://u:p@a.test/");
    await client.get("http://a.test/");
    expect(site.seen[0]?.request.headers.raw).toEqual([
      ["Authorization", "Basic dTpw"],
      ["X-A", "1"],
    ]);
    expect(site.seen[1]?.request.headers.raw).toEqual([
      ["Authorization", "Bearer default"],
      ["X-A", "1"],
    ]);
  });

  test("and writes them as they are on the wire", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(`http://Aladdin:open%20sesame@${peer.authority}/`);
    const conn = await peer.accept();
    await conn.expect(peer.head("GET /", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await (await call).close();
  });
});

describe("Client.closeIdleConnections()", () => {
  test("is the transport's, whoever made that, and nothing where it has none [TestClientCloseIdleConnections]", () => {
    let closed = 0;
    const roundTrip = async () => new Response();
    const having: RoundTripper & { closeIdleConnections(): void } = {
      roundTrip,
      closeIdleConnections: () => void closed++,
    };
    new Client({ transport: having }).closeIdleConnections();
    expect(closed).toBe(1);
    new Client({ transport: { roundTrip } }).closeIdleConnections();
    new Client({ transport: new Transport() }).closeIdleConnections();
  });
});

test("Client gives an answer without a body as one that can be read and closed [TestClientPopulatesNilResponseBody]", async () => {
  const client = new Client({ transport: new Site(() => new Response(null)) });
  const response = await client.get("http://localhost/");
  expect(await response.text()).toBe("");
  await response.close();
});

test("Client.do() refuses what is no Request, and what no option is", async () => {
  const client = new Client({ transport: answering() });
  await expect(client.do("http://a.test/" as unknown as Request)).rejects.toThrow(/must be a Request/); // JavaScript may
  await expect(client.get("http://a.test/", { follow: true } as object)).rejects.toThrow(/Unknown option "follow"/);
  await expect(client.get("ftp://a.test/")).rejects.toThrow(LocalProtocolError);
});
