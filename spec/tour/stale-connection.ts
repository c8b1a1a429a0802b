/** The server closes an idle connection in the moment in which a request asks for it. */

import { OK, Stage } from "./stage.ts";

await using stage = new Stage();
const conn = await stage.served();

stage.say("the client asks again; in the same moment the server closes the connection");
const call = stage.client.get(stage.url());
conn.close();
const fresh = await stage.until(stage.peer.accept());
await stage.until(fresh.readHead());
fresh.reply(OK);
await stage.read(call);
