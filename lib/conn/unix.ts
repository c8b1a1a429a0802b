/**
 * A dialer for unix sockets: whatever host a URL names, the connection goes to one path of the file system.
 * For daemons that speak HTTP there: `new Transport({ dial: unixDialer("/run/docker.sock") })`.
 */

import { connect, type NetConnectOpts, type Socket } from "node:net";
import { bare, detached } from "../boundary.ts";
import { SOCKET_OPTIONS } from "./socket-options.ts";
import type { UserDial } from "./user-dial.ts";

/** @param path of the socket; on Windows the name of a pipe */
export function unixDialer(path: string): UserDial {
  return ({ onread }) => {
    const options: NetConnectOpts = bare({ ...SOCKET_OPTIONS, path, onread, allowHalfOpen: true });
    return detached<[NetConnectOpts], Socket>(connect, options);
  };
}
