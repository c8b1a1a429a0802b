/** Listeners that do nothing, on every diagnostics channel of a client: what its hooks cost. */
import { subscribe } from "node:diagnostics_channel";

const CHANNELS = {
  "undici:": [
    "undici:request:create",
    "undici:request:bodyChunkSent",
    "undici:request:bodySent",
    "undici:request:headers",
    "undici:request:trailers",
    "undici:request:error",
    "undici:client:sendHeaders",
    "undici:client:beforeConnect",
    "undici:client:connected",
    "undici:client:connectError",
  ],
  "http:": [
    "http.client.request.created",
    "http.client.request.start",
    "http.client.response.finish",
    "http.client.request.error",
  ],
} as const;

export function listenToChannels(whose: keyof typeof CHANNELS): void {
  for (const name of CHANNELS[whose]) subscribe(name, () => {});
}
