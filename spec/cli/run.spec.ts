/** The command line against a server on raw sockets: bytes out, bytes in, exit codes. */

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type Server } from "node:tls";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { acceptEncoding } from "../../lib/message/decode.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { StandingClock } from "./standing-clock.ts";
import { cli, ok, rawServer, type SeenRequest } from "./support.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const sayOk = ({ socket }: SeenRequest) => socket.write(ok("body\n"));
const says =
  (text: string) =>
  ({ socket }: SeenRequest) =>
    socket.end(text, "latin1");

/** The fields of a request's head, by lower-case name. */
function fieldsOf(request: string): Record<string, string> {
  const lines = request.slice(0, request.indexOf("\r\n\r\n")).split("\r\n").slice(1);
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
}

const bodyOf = (request: string) => request.slice(request.indexOf("\r\n\r\n") + 4);

describe("stdout", () => {
  test("run() prints the body byte for byte, and nothing else anywhere", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await using server = await rawServer(({ socket }) => socket.write(ok(bytes)));
    expect(await cli([`${server.url}/x?y`])).toEqual({ code: 0, stdout: bytes, stderr: "" });
    expect(server.requests[0]).toMatch(/^GET \/x\?y HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/);
  });

  test("run() streams: the first chunk is out before the last one is sent", async () => {
    let finish = () => {};
    await using server = await rawServer(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
      finish = () => socket.write("4\r\nlast\r\n0\r\n\r\n");
    });
    const result = await cli([server.url], { onStdout: () => finish() });
    expect(result.stdout.toString()).toBe("firstlast");
  });

  test("run() with -i prints the head as it came, then the body", async () => {
    const head = "HTTP/1.1 201 Made It\r\nX-First: \xe9\r\nx-FIRST: 2\r\nContent-Length: 3\r\n\r\n";
    await using server = await rawServer(({ socket }) => socket.write(`${head}abc`, "latin1"));
    expect((await cli(["-i", server.url])).stdout.toString("latin1")).toBe(`${head}abc`);
  });

  test("run() with -I sends HEAD and prints the head alone", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    await using server = await rawServer(({ socket }) => socket.write(head));
    expect(await cli(["-I", server.url])).toEqual({ code: 0, stdout: Buffer.from(head), stderr: "" });
    expect(server.requests[0]).toMatch(/^HEAD \/ HTTP\/1\.1\r\n/);
  });

  test("run() with -o writes the file, and nothing on stdout", async () => {
    await using server = await rawServer(sayOk);
    const path = join(folder, "out");
    expect(await cli(["-o", path, server.url])).toEqual({ code: 0, stdout: Buffer.alloc(0), stderr: "" });
    expect(readFileSync(path, "utf8")).toBe("body\n");
  });

  test("run() leaves an older file alone when no answer comes", async () => {
    await using server = await rawServer(({ socket }) => socket.destroy());
    const path = join(folder, "older");
    writeFileSync(path, "older");
    expect((await cli(["-o", path, server.url])).code).toBe(52);
    expect(readFileSync(path, "utf8")).toBe("older");
  });

  test("run() asks several URLs over one connection, and prints one answer after the other", async () => {
    await using server = await rawServer(({ text, socket }) => socket.write(ok(text.slice(4, 6))));
    const result = await cli([`${server.url}/1`, `${server.url}/2`, `${server.url}/3`]);
    expect([result.stdout.toString(), server.accepted, result.code]).toEqual(["/1/2/3", 1, 0]);
  });

  test("run() keeps what came before and after a URL that failed in one file", async () => {
    await using server = await rawServer(({ text, socket }) => {
      if (text.startsWith("GET /2")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut");
      else socket.write(ok(text.slice(4, 6)));
    });
    const path = join(folder, "several");
    const result = await cli(["-o", path, `${server.url}/1`, `${server.url}/2`, `${server.url}/3`]);
    expect([readFileSync(path, "utf8"), result.code]).toEqual(["/1cut/3", 18]);
  });

  test("run() leaves no connection behind", async () => {
    const sockets: Socket[] = [];
    await using server = await rawServer(({ socket }) => {
      sockets.push(socket);
      socket.write(ok("x"));
    });
    await cli([server.url]);
    const [socket] = sockets;
    if (socket !== undefined && !socket.closed) await once(socket, "close");
    expect(sockets).toHaveLength(1);
  });

  test("run() goes on after a URL that failed, and says so with its exit code", async () => {
    await using server = await rawServer(({ text, socket }) => {
      if (text.startsWith("GET /bad")) socket.destroy();
      else socket.write(ok("good"));
    });
    const result = await cli([`${server.url}/bad`, `${server.url}/good`]);
    expect([result.stdout.toString(), result.code]).toEqual(["good", 52]);
  });
});

describe("redirects", () => {
  /** Sends every path but /end to the next one. */
  const redirecting = ({ text, socket }: SeenRequest) => {
    if (text.startsWith("GET /end ")) socket.write(ok("the end\n"));
    else socket.write("HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 5\r\n\r\nmoved");
  };

  test("run() does not follow them by itself", async () => {
    await using server = await rawServer(redirecting);
    expect(await cli([server.url])).toMatchObject({ code: 0, stdout: Buffer.from("moved") });
    expect(server.requests).toHaveLength(1);
  });

  test("run() with -L follows them, over one connection, and draws the last one's timeline", async () => {
    await using server = await rawServer(redirecting);
    const result = await cli(["-L", "--timeline", server.url]);
    expect(result).toMatchObject({ code: 0, stdout: Buffer.from("the end\n") });
    expect(result.stderr).toContain(`GET ${server.url}/end`);
    expect([server.requests.length, server.accepted]).toEqual([2, 1]);
  });

  test("run() with -L and --max-redirs ends a loop with curl's exit code", async () => {
    await using server = await rawServer(({ socket }) =>
      socket.write("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"),
    );
    expect((await cli(["-L", "--max-redirs", "2", server.url])).code).toBe(47);
    expect(server.requests).toHaveLength(3);
  });
});

describe("the request", () => {
  test("run() with -d posts a form, its parts joined by &", async () => {
    await using server = await rawServer(sayOk);
    await cli(["-d", "a=1", "--data", "b=ü", server.url]);
    expect(server.requests[0]).toMatch(/^POST \/ HTTP\/1\.1\r\n/);
    expect(fieldsOf(server.requests[0]!)).toMatchObject({
      "content-type": "application/x-www-form-urlencoded",
      "content-length": "8",
    });
    expect(Buffer.from(bodyOf(server.requests[0]!), "latin1").toString()).toBe("a=1&b=ü");
  });

  test("run() strips line ends from -d @FILE and keeps every byte of --data-binary @FILE", async () => {
    await using server = await rawServer(sayOk);
    const path = join(folder, "data");
    writeFileSync(path, "a\r\nb\n\0c\xff", "latin1");
    await cli(["-d", `@${path}`, server.url]);
    await cli(["--data-binary", `@${path}`, server.url]);
    expect(server.requests.map(bodyOf)).toEqual(["abc\xff", "a\r\nb\n\0c\xff"]);
  });

  test("run() reads stdin for @-", async () => {
    await using server = await rawServer(sayOk);
    await cli(["--data-binary", "@-", server.url], { stdin: "from\nstdin" });
    expect(bodyOf(server.requests[0]!)).toBe("from\nstdin");
  });

  test("run() with --json says that it sends and wants JSON", async () => {
    await using server = await rawServer(sayOk);
    await cli(["--json", '{"a":1}', server.url]);
    expect(fieldsOf(server.requests[0]!)).toMatchObject({
      "content-type": "application/json",
      accept: "application/json",
    });
    expect(bodyOf(server.requests[0]!)).toBe('{"a":1}');
  });

  test("run() with empty data posts an empty body", async () => {
    await using server = await rawServer(sayOk);
    await cli(["-d", "", server.url]);
    expect(server.requests[0]).toMatch(/^POST /);
    expect(fieldsOf(server.requests[0]!)["content-length"]).toBe("0");
  });

  test("run() sends the method of -X as it is written", async () => {
    await using server = await rawServer(sayOk);
    await cli(["-X", "pAtCh", "-d", "x", server.url]);
    expect(server.requests[0]).toMatch(/^pAtCh \/ /);
  });

  test("run() adds, replaces, empties and drops fields with -H", async () => {
    await using server = await rawServer(sayOk);
    await cli([
      "-H",
      "X-New: 1",
      "-H",
      "User-Agent: me",
      "-H",
      "X-Empty;",
      "-H",
      "Content-Type:",
      "-d",
      "x",
      server.url,
    ]);
    const fields = fieldsOf(server.requests[0]!);
    expect(fields).toMatchObject({ "x-new": "1", "user-agent": "me", "x-empty": "" });
    expect(fields).not.toHaveProperty("content-type");
    expect(server.requests[0]!.match(/user-agent/gi)).toHaveLength(1);
  });

  test("run() drops what the client would send by itself, and does not show it either", async () => {
    await using server = await rawServer(sayOk);
    const { stderr } = await cli(["-v", "-H", "User-Agent:", "-H", "accept-encoding:", server.url]);
    expect(Object.keys(fieldsOf(server.requests[0]!))).toEqual(["host", "accept"]);
    expect(stderr).not.toMatch(/user-agent|accept-encoding/i);
  });

  const page = "a page ".repeat(100);
  const gzipped = gzipSync(page);
  test.each<[why: string, flags: string[], asks: string | undefined, stdout: string | Buffer]>([
    ["decodes by itself", [], acceptEncoding(), page],
    ["decodes with --compressed", ["--no-compressed", "--compressed"], acceptEncoding(), page],
    ["asks for nothing with --no-compressed, and decodes nothing", ["--no-compressed"], undefined, gzipped],
    ["leaves to the caller what -H asked for", ["-H", "Accept-Encoding: gzip"], "gzip", gzipped],
  ])("run() %s", async (_, flags, asks, stdout) => {
    await using server = await rawServer(({ socket }) => socket.write(ok(gzipped, "Content-Encoding: gzip\r\n")));
    const result = await cli(["-v", ...flags, server.url]);
    expect(fieldsOf(server.requests[0]!)["accept-encoding"]).toBe(asks);
    expect(/^> Accept-Encoding: (.*)$/m.exec(result.stderr)?.[1]).toBe(asks);
    expect(result.stdout.equals(Buffer.from(stdout))).toBe(true);
    expect(result.stderr).toContain("< Content-Encoding: gzip");
  });

  test("run() ends with 61 when the answer cannot be decoded", async () => {
    await using server = await rawServer(({ socket }) => socket.write(ok("no gzip", "Content-Encoding: gzip\r\n")));
    expect((await cli([server.url])).code).toBe(61);
  });

  test("run() sends the credentials of a URL, and shows them nowhere", async () => {
    await using server = await rawServer(sayOk);
    const url = `http://user:secret@127.0.0.1:${server.port}/`;
    const result = await cli(["-v", "--timeline", url]);
    expect(fieldsOf(server.requests[0]!).authorization).toBe(`Basic ${Buffer.from("user:secret").toString("base64")}`);
    expect(result.stderr).toContain("> Authorization: Basic (hidden)");
    for (const secret of ["secret", "user", Buffer.from("user:secret").toString("base64")]) {
      expect(result.stderr).not.toContain(secret);
    }
  });

  test("run() shows no cookie, no key and no signature under -v, and puts none into the title of a page", async () => {
    await using server = await rawServer(({ socket }) => socket.write(ok("ok", "Set-Cookie: a=SECRET-S\r\n")));
    const html = join(folder, "secrets.html");
    const headers = ["-H", "Cookie: a=SECRET-C", "-H", "X-Api-Key: SECRET-K"];
    const { stderr } = await cli(["-v", ...headers, "--html", html, `${server.url}?a=1&sig=SECRET-Q`]);
    expect(stderr).toContain("> GET /?a=1&sig=[hidden] HTTP/1.1");
    expect(fieldsOf(server.requests[0]!).cookie).toBe("a=SECRET-C");
    const page = readFileSync(html, "utf8");
    expect(page).toContain("?a=1&#38;sig=[hidden]</title>");
    expect(stderr + page).not.toContain("SECRET-");
  });

  test("run() goes through the proxy of -x, of the environment, or through none", async () => {
    await using proxy = await rawServer(sayOk);
    await using server = await rawServer(sayOk);
    const env = { HTTP_PROXY: `http://user:secret@127.0.0.1:${proxy.port}` };
    const elsewhere = `http://origin.test:${server.port}/x`;
    expect(await cli([elsewhere], { env })).toMatchObject({ code: 0, stdout: Buffer.from("body\n") });
    expect(await cli(["-x", `127.0.0.1:${proxy.port}`, `${server.url}/x`])).toMatchObject({ code: 0 });
    expect(proxy.requests.map((text) => text.split("\r\n", 1)[0])).toEqual([
      `GET ${elsewhere} HTTP/1.1`,
      `GET ${server.url}/x HTTP/1.1`,
    ]);
    expect(proxy.requests[0]).toMatch(/^Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r$/m);
    await cli(["-x", "", `${server.url}/x`], { env });
    expect(server.requests[0]).toMatch(/^GET \/x HTTP/);
    const verbose = await cli(["-v", "--timeline", elsewhere], { env });
    expect(verbose.stderr).toMatch(new RegExp(`through http://127.0.0.1:${proxy.port}\n`));
    expect(verbose.stderr).not.toMatch(/secret|dXNlcjpzZWNyZXQ/);
  });

  test("run() tells a proxy that refuses from a server that does", async () => {
    await using proxy = await rawServer(says("HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n"));
    const refused = await cli(["-x", `http://u:secret@127.0.0.1:${proxy.port}`, "-v", "https://origin.test/"]);
    expect(refused.code).toBe(97);
    expect(refused.stderr).toContain("the proxy answered 407 Login");
    expect(refused.stderr).not.toContain("secret");
    expect((await cli(["-x", "ftp://u:secret@p", "http://a/"])).code).toBe(97);
    expect((await cli(["-x", "p:1", "--unix-socket", "/s", "http://a/"])).code).toBe(2);
  });

  test("run() connects to a unix socket", async () => {
    const path = join(folder, "socket");
    await using server = await rawServer(sayOk, path);
    const result = await cli(["--unix-socket", path, "http://anything/x"]);
    expect([result.stdout.toString(), result.code]).toEqual(["body\n", 0]);
    expect(fieldsOf(server.requests[0]!).host).toBe("anything");
  });
});

describe("exit codes", () => {
  const answers: [string, (request: SeenRequest) => void, string[], number, RegExp][] = [
    ["an empty reply", ({ socket }) => socket.destroy(), [], 52, /^persistconn: .*\n$/],
    ["a truncated body", says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"), [], 18, /^persistconn: .*\n$/],
    ["a broken head", says("HTTP/1.1 200 OK\r\nbad\0: x\r\n\r\n"), [], 8, /^persistconn: .*\n$/],
    ["half a head", says("HTTP/1.1 200 OK\r\nConte"), [], 56, /^persistconn: .*\n$/],
    ["silence", () => {}, ["-m", "50ms"], 28, /^persistconn: .*\n$/],
    ["a status with -f", says("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"), ["-f"], 22, /status 404\n$/],
  ];
  test.each(answers)("run() tells %s", async (_, answer, argv, code, stderr) => {
    await using server = await rawServer(answer);
    const result = await cli([...argv, server.url]);
    expect(result.stderr).toMatch(stderr);
    expect(result.code).toBe(code);
  });

  test("run() prints what came of a truncated body, and says that it is not all", async () => {
    await using server = await rawServer(says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"));
    const result = await cli([server.url]);
    expect([result.stdout.toString(), result.code]).toEqual(["12345", 18]);
  });

  test("run() tells a refused connection, with its facts at -v", async () => {
    const { port } = await rawServer(sayOk).then(async (server) => {
      await server[Symbol.asyncDispose]();
      return server;
    });
    const result = await cli(["-v", `http://127.0.0.1:${port}/`]);
    expect(result.code).toBe(7);
    expect(result.stderr).toContain("  code: ERR_HTTP_DIAL\n");
    expect(result.stderr).toMatch(/ {2}attempts: .*ECONNREFUSED/);
  });

  const words: [string, string[], number, RegExp][] = [
    ["no URL", [], 2, /^persistconn: no URL given\nUsage: /],
    ["a URL that is none", ["http://a:b:c/"], 3, /^persistconn: Cannot parse URL http:\/\/a:b:c\/\n$/],
    ["a URL with a line feed", ["http://a/\nb"], 3, /^persistconn: /],
    ["another scheme", ["gopher://a/"], 1, /only http and https/],
    ["a method that is none", ["-X", "G T", "http://127.0.0.1/"], 43, /^persistconn: /],
    ["a default that no request goes without", ["-H", "Host:", "http://127.0.0.1/"], 43, /Cannot leave out host/],
    ["a field that is none", ["-H", "a b: c", "http://127.0.0.1/"], 43, /^persistconn: /],
    [
      "a file of data that is not there",
      ["-d", "@/nonexistent/x", "http://127.0.0.1/"],
      26,
      /Cannot read \/nonexistent\/x/,
    ],
    [
      "a file of certificates that is not there",
      ["--cacert", "/nonexistent/x", "http://127.0.0.1/"],
      77,
      /Cannot read/,
    ],
  ];
  test.each(words)("run() tells %s before anything is sent", async (_, argv, code, stderr) => {
    const result = await cli(argv);
    expect(result.stderr).toMatch(stderr);
    expect(result.code).toBe(code);
  });

  test("run() tells an output that cannot be written", async () => {
    await using server = await rawServer(sayOk);
    const result = await cli(["-o", folder, server.url]);
    expect(result.stderr).toMatch(/^persistconn: Cannot write to .*EISDIR/);
    expect(result.code).toBe(23);
  });

  test("run() tells an interrupt while it waits for an answer", async () => {
    const interrupt = new AbortController();
    await using server = await rawServer(() => interrupt.abort(new Error("interrupted")));
    const result = await cli([server.url], { signal: interrupt.signal });
    expect([result.code, result.stderr]).toEqual([130, "persistconn: interrupted\n"]);
  });

  test("run() tells that a server speaks no TLS", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // a TCP server that listens has one
    const result = await cli([`https://127.0.0.1:${port}/`]);
    server.close();
    expect(result.stderr).toMatch(/^persistconn: .*\n$/);
    expect(result.code).toBe(35);
  });
});

describe("TLS", () => {
  const authority = new CertificateAuthority();
  const good = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
  let server: Server;
  let url = "";
  beforeAll(async () => {
    server = createTlsServer(good, (socket) => {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("data", () => socket.write(ok("secured")));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`; // a TCP server that listens has one
  });
  afterAll(() => {
    server.close();
  });

  test("run() refuses a certificate that nobody known has signed", async () => {
    const result = await cli([url]);
    expect([result.code, result.stdout.length]).toEqual([60, 0]);
    expect(result.stderr).toMatch(/^persistconn: .*\n$/);
  });

  test("run() takes any certificate with -k", async () => {
    const result = await cli(["-k", url]);
    expect([result.code, result.stdout.toString()]).toEqual([0, "secured"]);
  });

  test("run() trusts the certificates of --cacert, and tells the facts of TLS", async () => {
    const path = join(folder, "ca.pem");
    writeFileSync(path, authority.cert);
    const result = await cli(["--timeline", "--cacert", path, url]);
    expect([result.code, result.stdout.toString()]).toEqual([0, "secured"]);
    expect(result.stderr).toMatch(/^ {2}connection \d+, new: .*, TLSv1\.3 TLS_\w+/m);
    expect(result.stderr).toMatch(/^ {2}tls /m);
  });
});

describe("stderr", () => {
  test("run() draws a timeline when asked, none with -s, and none where stderr is no terminal", async () => {
    await using server = await rawServer(sayOk);
    const lines = (await cli(["--timeline", server.url, server.url])).stderr.split("\n");
    expect(lines[0]).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/ -> 200 OK, 5 bytes in [\d.]+ ms$/);
    expect(lines[1]).toMatch(/^ {2}connection \d+, new: 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+$/);
    const names = lines.filter((line) => line.startsWith("  ")).map((line) => line.trim().split(/[ ,]/)[0]);
    expect(names).toEqual([
      "connection",
      "queue",
      "connect",
      "write",
      "wait",
      "body",
      "connection",
      "queue",
      "write",
      "wait",
      "body",
    ]);
    expect(lines.filter((line) => /connection \d+, reused/.test(line))).toHaveLength(1);

    expect((await cli([server.url], { stderrTty: true })).stderr).toMatch(/connection \d+, new/);
    expect((await cli(["-s", "--timeline", server.url], { stderrTty: true })).stderr).toBe("");
    expect((await cli([server.url])).stderr).toBe("");
  });

  test("run() draws a progress line on long downloads, and wipes it, where only stderr is a terminal", async () => {
    class LeapingClock extends StandingClock {
      override now(): number {
        this.time += 600;
        return this.time;
      }
    }
    await using server = await rawServer(sayOk);
    const drawn = await cli([server.url], { stderrTty: true, clock: new LeapingClock() });
    const [line, wiped] = drawn.stderr.split("\u001b[K");
    expect(line).toMatch(/^\r100 % .* 5 B of 5 B /);
    expect(wiped).toBe("\r");
    for (const argv of [["-s", server.url], [server.url]]) {
      const { stderr } = await cli(argv, { stderrTty: true, stdoutTty: argv.length === 1, clock: new LeapingClock() });
      expect(stderr).not.toContain("%");
    }
  });

  test("run() begins the timeline on a line of its own when the body ends without one", async () => {
    await using server = await rawServer(({ socket }) => socket.write(ok("no line end")));
    expect((await cli([server.url], { stderrTty: true, stdoutTty: true })).stderr).toMatch(/^\nGET /);
  });

  test("run() with -v shows heads and events", async () => {
    await using server = await rawServer(({ socket }) => socket.write(ok("x", "X-Esc: \x9b2J\r\n"), "latin1"));
    const { stderr } = await cli(["-v", "-H", "X-Mine: yes", server.url]);
    expect(stderr).toMatch(/^> GET \/ HTTP\/1\.1$/m);
    expect(stderr).toMatch(/^> Host: 127\.0\.0\.1:\d+$/m);
    expect(stderr).toMatch(/^> X-Mine: yes$/m);
    expect(stderr).toMatch(/^< HTTP\/1\.1 200 OK$/m);
    expect(stderr).toMatch(/^< X-Esc: \\x9b2J$/m);
    expect(stderr).toMatch(/^\* +[\d.]+ ms dial-done /m);
  });
});

describe("load", () => {
  test("run() with -n and -c sends so many with so many connections at most, and sums up", async () => {
    await using server = await rawServer(sayOk);
    const { stdout, code } = await cli(["-n", "50", "-c", "5", server.url]);
    const text = stdout.toString();
    expect(code).toBe(0);
    expect(server.requests).toHaveLength(50);
    expect(server.accepted).toBeLessThanOrEqual(5);
    expect(text).toMatch(/^requests {5}50 by 5 workers in /m);
    expect(text).toMatch(/^answers {6}50 with 200$/m);
    expect(text).toMatch(/^failures {5}0$/m);
    expect(text).toContain(`connections  ${server.accepted} dialed; ${50 - server.accepted} answers on a reused one`);
    expect(text).toMatch(/^latency {6}p50 .* p90 .* p99 .* max .*$/m);
    expect(text).toMatch(/^received {5}250 B of bodies$/m);
  });

  test("run() with -n counts failures by kind, and exits with the first one's code", async () => {
    let n = 0;
    await using server = await rawServer(({ socket }) => {
      if (++n % 2 === 0) socket.destroy();
      else socket.write(ok("x"));
    });
    const { stdout, code } = await cli(["-n", "10", server.url]);
    expect(stdout.toString()).toMatch(/^failures {5}5\n {13}5 × ConnectionClosedError/m);
    expect(code).toBe(52);
  });

  test("run() with -n sends the same body each time", async () => {
    await using server = await rawServer(sayOk);
    await cli(["-n", "10", "-c", "3", "--json", '{"a":1}', server.url]);
    expect(new Set(server.requests.map(bodyOf))).toEqual(new Set(['{"a":1}']));
  });
});
