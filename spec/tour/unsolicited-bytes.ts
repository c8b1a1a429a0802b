/** Bytes come that no request has asked for: they must never pass for an answer. */

import { OK, Stage } from "./stage.ts";

await using stage = new Stage();
const conn = await stage.served();

stage.say("the server sends an answer to a question that nobody has asked");
conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
await stage.clock.settle();

const call = stage.client.get(stage.url("/balance"));
const fresh = await stage.until(stage.peer.accept());
await stage.until(fresh.readHead());
fresh.reply(OK);
await stage.read(call);
