/**
 * The other processes of a run against real servers or a real kernel: our own programs (they talk over the channel that
 * `fork` gives) and installed servers. Each is killed by its id when its owner is disposed, and all that are left when
 * the run exits; a program of ours also goes when its channel breaks.
 */

import { type ChildProcess, fork, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import net from "node:net";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { textOf } from "./report.ts";

/** What a program of ours is asked. */
interface Asked {
  readonly id: number;
  readonly question: string;
}
/** What it says: an answer, the reason why there is none, or something unasked. That it is ready answers no question. */
type Said =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly note: number };
const READY = 0;

const living = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of living) kill(child, "SIGKILL");
});

/** Installed servers lead a process group of their own, and their workers must go with them. */
function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(child.channel === undefined ? -child.pid : child.pid, signal);
  } catch {
    // It went between the look and the call.
  }
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Nobody was left.
  }
}

/** Has the process killed at the exit of this one. Without a channel it must lead a group of its own (`detached`). */
export function keepTrack(child: ChildProcess): void {
  living.add(child);
  child.once("exit", () => living.delete(child));
}

/** A program of ours in a process of its own. `Ready` is what it says once, when it can be used. */
export interface Program<Ready, Report> extends AsyncDisposable {
  readonly pid: number;
  readonly ready: Ready;
  /** Asks for what it has seen since it was last asked; or for what `question` says, where the pair has agreed on it. */
  report(question?: string): Promise<Report>;
}

export interface ProgramOptions {
  /** A command that takes node's command line as its last arguments and becomes it: `ip netns exec NAME`. */
  readonly behind?: readonly string[];
  /** Hears what the program says unasked, see `tellParent`. */
  readonly heard?: (note: number) => void;
}

/** Runs one of our programs. `settings` reaches it as its only argument, in JSON. */
export async function startProgram<Ready, Report>(
  file: URL,
  settings: object,
  { behind = [], heard }: ProgramOptions = {},
): Promise<Program<Ready, Report>> {
  const [first = process.execPath, ...rest] = [...behind, process.execPath, "--import", "tsx"];
  const child = fork(fileURLToPath(file), [JSON.stringify(settings)], {
    execPath: first,
    execArgv: rest,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  keepTrack(child);
  const name = basename(file.pathname);
  const answers = new EventEmitter();
  child.on("message", (said: Said) => {
    if ("note" in said) heard?.(said.note);
    else answers.emit(String(said.id), said);
  });
  const answerTo = async (id: number) => {
    const gone = new AbortController();
    const exited = once(child, "exit", { signal: gone.signal }).then(([code, signal]) => {
      throw new Error(`${name} ended: ${signal ?? `exit code ${code}`}`);
    });
    exited.catch(() => {});
    try {
      const [said] = await Promise.race([once(answers, String(id), { signal: gone.signal }), exited]);
      if ("error" in said) throw new Error(`${name}: ${said.error}`);
      return said.value;
    } finally {
      gone.abort();
    }
  };
  const dispose = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    kill(child, "SIGKILL");
    await exit;
  };
  try {
    const ready: Ready = await answerTo(READY); // the program's first message; its type is the pair's own agreement
    let asked = READY;
    return {
      pid: child.pid ?? 0, // it has spoken, so it has one
      ready,
      async report(question = "report") {
        const message: Asked = { id: ++asked, question };
        const answer = answerTo(message.id);
        child.send(message);
        return answer;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The other end: says that this program is ready, answers each request for a report, and goes with its parent. */
export function serveParent<Ready, Report>(ready: Ready, report: (question: string) => Report | Promise<Report>): void {
  process.on("disconnect", () => process.exit(0));
  const say = (said: Said) => process.send?.(said);
  process.on("message", async ({ id, question }: Asked) => {
    try {
      say({ id, value: await report(question) });
    } catch (error) {
      say({ id, error: textOf(error) });
    }
  });
  say({ id: READY, value: ready });
}

/** Says a number unasked: how far it is, say. */
export function tellParent(note: number): void {
  const said: Said = { note };
  process.send?.(said);
}

/** The settings given to this program. */
export function programSettings<Settings>(): Settings {
  return JSON.parse(process.argv[2] ?? "{}"); // written by startProgram; its type is the pair's own agreement
}

/** An installed server in the foreground, with our own configuration. Resolves when its ports answer. */
export async function startInstalled(
  command: string,
  args: string[],
  ports: number[],
  environment: Record<string, string> = {},
): Promise<AsyncDisposable> {
  const env = { ...process.env, ...environment };
  const child = spawn(command, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  keepTrack(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("latin1").on("data", (text: string) => {
      said = (said + text).slice(-2000);
    });
  }
  let ended: string | null = null;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    ended ??= String(signal ?? code);
  });
  const server = {
    async [Symbol.asyncDispose]() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      kill(child, "SIGTERM");
      const patience = setTimeout(() => kill(child, "SIGKILL"), 3_000);
      await exit;
      clearTimeout(patience);
      endGroup(child.pid); // some servers' workers take seconds to see that their leader is gone
    },
  };
  const until = Date.now() + 15_000;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (ended === null && Date.now() < until) continue;
      await server[Symbol.asyncDispose]();
      throw new Error(`${command} does not answer (${ended ?? "still starting"}): ${said.trim()}`);
    }
  }
  return server;
}

/** Whether somebody listens there; takes 20 ms to say no. */
async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  } finally {
    socket.destroy();
  }
}

/** Ports that were free a moment ago, for servers that cannot choose one and say which. */
export async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
  await Promise.all(listeners.map((listener) => once(listener, "listening")));
  const ports = listeners.map((listener) => portOf(listener));
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}

/** The port of a listening TCP server. */
export function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot tell the port: not listening on TCP");
  return address.port;
}
