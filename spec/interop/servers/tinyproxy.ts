/**
 * Tinyproxy: it closes its connections behind each answer that is no tunnel, without saying so. Two run, one of them with a
 * password.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { PASSWORD, type RealProxy, USER } from "./real-proxy.ts";
import { versionOf } from "./real-server.ts";

export async function startTinyproxy(site: Site): Promise<RealProxy> {
  const program = findOrInstall("tinyproxy", ["tinyproxy"]);
  const [open = 0, guarded = 0] = await freePorts(2);
  const home = path.join(site.folder, `tinyproxy-${open}`);
  mkdirSync(home);
  const start = (port: number, more: string) => {
    const config = path.join(home, `${port}.conf`);
    writeFileSync(
      config,
      `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 200\nLogLevel Critical\nAllow 127.0.0.1\n${more}`,
    );
    return startInstalled(program, ["-d", "-c", config], [port]);
  };
  const first = await start(open, "");
  try {
    const second = await start(guarded, `BasicAuth ${USER} ${PASSWORD}\n`);
    return {
      version: versionOf(program, ["-v"]),
      open: `http://127.0.0.1:${open}`,
      withPassword: `http://127.0.0.1:${guarded}`,
      secured: null,
      refusedPort: null,
      keepsAlive: false,
      async [Symbol.asyncDispose]() {
        await second[Symbol.asyncDispose]();
        await first[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await first[Symbol.asyncDispose]();
    throw error;
  }
}
