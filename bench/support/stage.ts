/**
 * What every measuring program of the bench stands on: the machine and its cores, the compiled processes, a certificate,
 * responders, and a folder that goes away with the program.
 * Owns every process that is started through it: each is ended by its own id, at the end, on an error and on Ctrl-C.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Setting } from "../measure.ts";
import { Child, killAll } from "./child.ts";
import { describeMachine, type Machine, type Placement, pinned, responderCore } from "./machine.ts";
import { type Certificate, compile, compileParts, findDist, makeCertificate } from "./prepare.ts";
import type { ResponderPorts } from "./protocol.ts";

export const benchDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const root = dirname(benchDir);
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

export class Stage {
  readonly machine: Machine = describeMachine();
  readonly versions: Record<string, string>;
  /** The folder of the compiled processes. */
  readonly compiled: string;
  readonly tempDir: string;
  readonly certificate: Certificate;
  /** The folder of our built code. */
  readonly dist: string;
  #parts: string | null = null;
  #responders = 0;

  constructor(tempDir: string) {
    this.tempDir = tempDir;
    this.compiled = compile(benchDir);
    this.certificate = makeCertificate(tempDir);
    this.dist = dirname(findDist(root, print));
    this.versions = {
      node: this.machine.node,
      openssl: process.versions.openssl,
      ...Object.fromEntries(PEERS.map((name) => [name, versionOf(name)])),
      "undici in fetch": process.versions["undici"] ?? "unknown",
    };
  }

  /** file: URL of our built entry point. */
  get persistconn(): string {
    return pathToFileURL(join(this.dist, "index.js")).href;
  }

  /** The folder of our code in its parts: what dist/ is rolled up from. Made when it is first asked for. */
  get parts(): string {
    this.#parts ??= compileParts(root, join(this.tempDir, "parts"));
    return this.#parts;
  }

  /** A responder of its own, on the core that `placement` gives it. */
  async responder(placement: Placement | null): Promise<Setting> {
    const { certFile, keyFile } = this.certificate;
    const { pin } = this.machine;
    const socketPath = join(this.tempDir, `responder-${this.#responders++}.sock`);
    const command = [process.execPath, join(this.compiled, "responder.js"), certFile, keyFile, socketPath];
    const core = placement === null ? undefined : responderCore(pin, placement);
    const responder = new Child("responder", pinned(core, command), { PATH: process.env["PATH"] ?? "" });
    const ports = await responder.next<ResponderPorts>();
    return { responder, ports, socketPath, certFile, persistconn: this.persistconn, core: pin?.contestants };
  }

  /** Says what runs where; the first lines of every report. */
  describe(): void {
    const { cpu, cores, kernel, load, pin } = this.machine;
    print(`${cpu}, ${cores} cores, ${process.platform} ${kernel}, load ${load.toFixed(2)}`);
    const list = Object.entries(this.versions).map(([name, version]) => `${name} ${version}`);
    print(list.join(", "));
    if (pin === null) print("not pinned (taskset or a second core is missing): expect a wide spread");
    if (load > 0.5) print("the machine was busy when this began: expect a wide spread");
  }
}

const PEERS = ["undici", "undici-8", "got", "axios", "node-fetch"];

function versionOf(name: string): string {
  try {
    // npm wrote this file; it has a version.
    const manifest = join(benchDir, "node_modules", name, "package.json");
    return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
  } catch {
    return "missing";
  }
}

/**
 * Runs a measuring program and exits: with what it returns; with 2 when it could not go on.
 *
 * @param program is given the folder that goes away
 */
export async function perform(program: (tempDir: string) => Promise<number>): Promise<void> {
  const tempDir = mkdtempSync(join(tmpdir(), "persistconn-bench-"));
  process.on("exit", () => {
    killAll();
    rmSync(tempDir, { recursive: true, force: true });
  });
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  try {
    process.exitCode = await program(tempDir);
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}
