/**
 * One request head, from what a call has to the text that is written: through the templates that a connection's way has,
 * without them (every field checked), and a join that checks nothing.
 */
import type { HeadWriter as WriterOf } from "../../lib/wire/head-writer.ts";
import type { OutgoingHead, WriterOptions, writeHead as writeOf } from "../../lib/wire/request-writer.ts";
import { compare, ours } from "./compare.ts";

const { HeadWriter } = await ours<{ HeadWriter: typeof WriterOf }>("wire/head-writer.js");
const { writeHead } = await ours<{ writeHead: typeof writeOf }>("wire/request-writer.js");

const options: WriterOptions = {
  userAgent: "persistconn-bench",
  acceptEncoding: "gzip, deflate, br",
  absoluteForm: false,
  close: false,
  extra: [],
};

for (const count of [2, 12]) {
  const fields = Array.from({ length: count }, (_, i): [string, string] => [`x-field-${i}`, `some value, ${i}`]);
  const head: OutgoingHead = {
    method: "GET",
    scheme: "http",
    authority: "127.0.0.1:8080",
    target: "/things/17?page=2",
    fields,
    bodyLength: undefined,
    contentType: null,
    trailerNames: null,
    expectContinue: false,
  };
  const writer = new HeadWriter(options);
  const joined = () => {
    const lines = [`${head.method} ${head.target} HTTP/1.1`, `Host: ${head.authority}`];
    lines.push(`User-Agent: ${options.userAgent}`, "Accept: */*", `Accept-Encoding: ${options.acceptEncoding}`);
    for (const [name, value] of fields) lines.push(`${name}: ${value}`);
    return `${lines.join("\r\n")}\r\n\r\n`;
  };
  await compare(`writer: a GET with ${count} fields of the caller's`, {
    "persistconn, by template": () => writer.write({ ...head }).text,
    "persistconn, from nothing": () => writeHead(head, options).text,
    "joined, unchecked": joined,
  });
}
