/**
 * Dante, a SOCKS server; two run, one of them with a password. It looks passwords up where the system has them, so for
 * the run there is a user who cannot log in, and who is gone with the server, or when the process exits.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { PASSWORD, type RealProxy, USER } from "./real-proxy.ts";
import { givesUpRoot, versionOf } from "./real-server.ts";

/** Nobody listens there, and the configuration refuses it before that could matter. */
const REFUSED_PORT = 7;

export async function startDante(site: Site): Promise<RealProxy> {
  const program = findOrInstall("danted", ["dante-server"]);
  if (!givesUpRoot) throw new Error("Dante looks passwords up as root");
  const [open = 0, guarded = 0] = await freePorts(2);
  const home = path.join(site.folder, `dante-${open}`);
  mkdirSync(home);
  const start = (port: number, method: string) => {
    const config = path.join(home, `${port}.conf`);
    writeFileSync(config, configuration(port, method));
    return startInstalled(program, ["-f", config, "-p", path.join(home, `${port}.pid`)], [port]);
  };
  addUser();
  try {
    const first = await start(open, "none");
    try {
      const second = await start(guarded, "username");
      return {
        version: versionOf(program, ["-v"]),
        open: `socks5://127.0.0.1:${open}`,
        withPassword: `socks5h://127.0.0.1:${guarded}`,
        secured: null,
        refusedPort: REFUSED_PORT,
        keepsAlive: null,
        async [Symbol.asyncDispose]() {
          await second[Symbol.asyncDispose]();
          await first[Symbol.asyncDispose]();
          removeUser();
        },
      };
    } catch (error) {
      await first[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    removeUser();
    throw error;
  }
}

function addUser(): void {
  const hash = execFileSync("openssl", ["passwd", "-6", PASSWORD], { encoding: "utf8" }).trim();
  removeUser(); // of a run that was killed
  execFileSync("useradd", ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--password", hash, USER], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  process.once("exit", removeUser);
}

function removeUser(): void {
  process.off("exit", removeUser);
  spawnSync("userdel", [USER]);
}

function configuration(port: number, method: string): string {
  return `
logoutput: stderr
errorlog: stderr
internal: 127.0.0.1 port = ${port}
external: 127.0.0.1
clientmethod: none
socksmethod: ${method}
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 port = ${REFUSED_PORT} }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
`;
}
