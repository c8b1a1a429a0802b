/**
 * Go's own client, for comparison: builds go/main.go into a temporary folder where `go` is installed, and runs it.
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type GoMode = "default" | "wide" | "per-worker";

export interface GoLoad {
  readonly url: string;
  readonly body: string;
  readonly workers: number;
  readonly posts: number;
  readonly mode: GoMode;
  /** Milliseconds between two posts of a worker. */
  readonly pause: readonly [least: number, most: number];
}

export interface GoRun {
  readonly dialed: number;
  readonly answered: number;
  /** Ends the process, and its connections with it. */
  close(): Promise<void>;
}

export class GoClient {
  readonly version: string;
  readonly #folder: string;
  readonly #binary: string;

  private constructor(version: string, folder: string, binary: string) {
    this.version = version;
    this.#folder = folder;
    this.#binary = binary;
  }

  /** @returns null where there is no `go`, or it cannot build */
  static build(): GoClient | null {
    let version: string;
    try {
      version = execFileSync("go", ["version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      return null;
    }
    const folder = mkdtempSync(join(tmpdir(), "articles-go-"));
    const binary = join(folder, "articles");
    const source = fileURLToPath(new URL("./go/main.go", import.meta.url));
    try {
      // Nothing but the standard library: no module, and nothing to download.
      const env = { ...process.env, GO111MODULE: "off", GOFLAGS: "", GOCACHE: join(folder, "cache") };
      execFileSync("go", ["build", "-o", binary, source], { env, stdio: ["ignore", "ignore", "inherit"] });
    } catch {
      rmSync(folder, { recursive: true, force: true });
      return null;
    }
    return new GoClient(version, folder, binary);
  }

  /** Resolves when all answers have come; the connections stay open until `close`. */
  async run(args: GoLoad): Promise<GoRun> {
    const words = [args.url, args.body, String(args.workers), String(args.posts), args.mode, ...args.pause.map(String)];
    const child = spawn(this.#binary, words, { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(child, "exit");
    let text = "";
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      text += chunk;
      if (text.endsWith("\n")) break;
    }
    const counts = JSON.parse(text) as { dialed: number; answered: number }; // what main.go prints
    const close = async () => {
      child.stdin.end();
      await exited;
    };
    return { ...counts, close };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
