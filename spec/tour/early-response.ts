/** The server answers while the body of the request is still being sent. */

import { Stage } from "./stage.ts";

await using stage = new Stage();
let more = () => {};
async function* body() {
  yield Buffer.alloc(3, "a");
  await new Promise<void>((resolve) => {
    more = resolve;
  });
  yield Buffer.alloc(3, "b");
}

stage.say("the client uploads in pieces; the server has seen enough after the first");
const call = stage.client.post(stage.url("/upload"), { body: body() });
const conn = await stage.until(stage.peer.accept());
await stage.until(conn.readThrough("3\r\naaa\r\n"));
conn.reply("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
await stage.read(call);
more();
