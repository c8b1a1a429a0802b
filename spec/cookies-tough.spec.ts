/**
 * A Client with tough-cookie's own CookieJar: that it is of the shape which is asked for, and that the two agree on what
 * a cookie is.
 */

import { CookieJar } from "tough-cookie";
import { describe, expect, test } from "vitest";
import { Client, Response } from "../lib/index.ts";
import { redirect, Site } from "./support/site.ts";

describe("Client with a jar of tough-cookie", () => {
  const newJar = () => new CookieJar();

  test("sends what was set, to whom it was set for", async () => {
    const cookieJar = newJar();
    const site = new Site(({ url }) => {
      const { host, pathname } = new URL(url);
      if (host === "www.example.com" && pathname === "/login") {
        return redirect(
          303,
          "/app/start",
          ["Set-Cookie", "session=1; Path=/app; HttpOnly"],
          ["Set-Cookie", "shared=2; Domain=example.com; Path=/"],
          ["Set-Cookie", "safe=3; Secure; Path=/"],
          ["Set-Cookie", "gone=4; Max-Age=0; Path=/"],
        );
      }
      if (pathname === "/app/start") return redirect(302, "http://www.example.com/api");
      return new Response("ok");
    });
    const client = new Client({ transport: site, cookieJar });
    await client.post("https://www.example.com/login", { form: { user: "u" } });
    expect(site.sent("cookie")).toEqual([null, "session=1; shared=2; safe=3", "shared=2"]);
    await client.get("https://api.example.com/", { headers: { Cookie: "mine=0" } });
    expect(site.sent("cookie").at(-1)).toBe("mine=0; shared=2");
  });

  test("passes over what it refuses: another's domain, a public suffix, no cookie at all", async () => {
    const cookieJar = newJar();
    const headers: [string, string][] = [
      ["Set-Cookie", "foreign=1; Domain=other.test"],
      ["Set-Cookie", "suffix=1; Domain=com"],
      ["Set-Cookie", ""],
      ["Set-Cookie", "good=1"],
    ];
    const site = new Site(() => new Response("ok", { headers }));
    const response = await new Client({ transport: site, cookieJar }).get("http://www.example.com/");
    expect(await response.text()).toBe("ok");
    expect(await cookieJar.getSetCookieStrings("http://www.example.com/")).toEqual([expect.stringMatching(/^good=1/)]);
  });

  test("lets a cookie of the caller's go when a redirect sets it anew", async () => {
    const site = new Site((_, count) =>
      count === 0 ? redirect(302, "/", ["Set-Cookie", "a=new; Path=/"]) : new Response("ok"),
    );
    await new Client({ transport: site, cookieJar: newJar() }).get("http://a.test/", {
      headers: { Cookie: "a=old; b=kept" },
    });
    expect(site.sent("cookie")).toEqual(["a=old; b=kept", "b=kept; a=new"]);
  });
});
