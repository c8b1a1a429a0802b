/** Expect: 100-continue: the body waits for the server's word, and not for ever. */

import { OK, Stage } from "./stage.ts";

const BIG = "x".repeat(100);

await using stage = new Stage({ expectContinueTimeout: 1000 });
const upload = (path: string) => stage.client.put(stage.url(path), { body: BIG, expectContinue: true });

stage.say("the server says 100 when it has seen the head");
const first = upload("/wanted");
const conn = await stage.until(stage.peer.accept());
await stage.until(conn.readHead());
conn.reply("HTTP/1.1 100 Continue\r\n\r\n");
await stage.until(conn.read(BIG.length));
conn.reply(OK);
await stage.read(first);

stage.say("the server says nothing for a second");
const second = upload("/slow");
await stage.until(conn.readHead());
await stage.clock.advance(1000);
await stage.until(conn.read(BIG.length));
conn.reply(OK);
await stage.read(second);

stage.say("the server refuses the head alone");
const third = upload("/refused");
await stage.until(conn.readHead());
conn.reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
await stage.read(third);
