/** The connection dies after its last poll and before the write: nothing was written, so the request goes again. */

import { OK, Stage } from "./stage.ts";

await using stage = new Stage();
const conn = await stage.served();

stage.say("the client asks again; the connection lives through its poll, and dies before the write");
stage.afterNextPoll(() => conn.reset());
const call = stage.client.get(stage.url());
const fresh = await stage.until(stage.peer.accept());
await stage.until(fresh.readHead());
fresh.reply(OK);
await stage.read(call);

stage.say("the client posts; the server takes the request, and closes without an answer");
const post = stage.client.post(stage.url("/order"), { body: "one pizza" });
await stage.until(fresh.readHead());
fresh.close();
await stage.read(post);
