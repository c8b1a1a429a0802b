/** A request has a dial of its own under way when another's connection comes back: the connection wins. */

import { OK, Stage } from "./stage.ts";

let open = () => {};
const slow = new Promise<"accepted">((resolve) => {
  open = () => resolve("accepted");
});
await using stage = new Stage({}, (dials) => (dials === 0 ? "accepted" : slow));

stage.say("two requests at once; the second one's dial is slow");
const first = stage.client.get(stage.url("/1"));
const conn = await stage.until(stage.peer.accept());
await stage.until(conn.readHead());
const second = stage.client.get(stage.url("/2"));
await stage.clock.settle();
conn.reply(OK);
await stage.read(first);
await stage.until(conn.readHead());
conn.reply(OK);
await stage.read(second);

stage.say("now the dial ends");
open();
await stage.until(stage.peer.accept());
await stage.clock.settle();
