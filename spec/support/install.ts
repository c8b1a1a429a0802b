/**
 * Installed servers and tools: finds them, and as root installs from Debian what is missing. Never starts a distribution's
 * service: while apt runs, a policy says no to every start, and it is taken away again if it was ours.
 * Packages stay installed; all else that a run makes is in its temporary folder.
 */

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const POLICY = "/usr/sbin/policy-rc.d";
/** Debian keeps daemons where an ordinary user's PATH does not look. */
const FOLDERS = [...(process.env["PATH"] ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Where the program is. @throws why it is not here and cannot be installed */
export function findOrInstall(program: string, packages: readonly string[]): string {
  return installed(program, packages, () => find(program));
}

/** The file, which is part of a package. @throws why it is not here and cannot be installed */
export function findOrInstallFile(file: string, name: string): string {
  return installed(file, [name], () => (existsSync(file) ? file : null));
}

function installed(program: string, packages: readonly string[], look: () => string | null): string {
  const found = look();
  if (found !== null) return found;
  if (process.getuid?.() !== 0) throw new Error(`${program} is not installed, and only root can install it`);
  if (find("apt-get") === null) throw new Error(`${program} is not installed, and there is no apt-get`);
  let said = "";
  for (const fresh of [false, true]) {
    if (fresh) apt(["update"]);
    for (const name of packages) {
      said = apt(["install", "-y", "--no-install-recommends", name]);
      const now = look();
      if (now !== null) return now;
    }
  }
  throw new Error(`${packages.join(" or ")} cannot be installed: ${said.trim().split("\n").at(-1)}`);
}

function find(program: string): string | null {
  for (const folder of FOLDERS) {
    const file = path.join(folder, program);
    if (folder !== "" && existsSync(file)) return file;
  }
  return null;
}

/** Returns what it said on its error channel, since its last line tells why it failed. */
function apt(args: string[]): string {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const ran = spawnSync("apt-get", ["-q", ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8",
      timeout: 300_000,
    });
    return ran.stderr || String(ran.error ?? "no reason given");
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}
