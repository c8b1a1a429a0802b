/**
 * The callers of a run: each makes one request after the other, reads answers in all the ways there are, loses interest,
 * and looks at every byte that it gets.
 */

import { Client, HttpError, type Response, TimeoutError, type Transport } from "../../lib/index.ts";
import { Bodies, patternOf } from "./bodies.ts";
import type { Invariants } from "./invariants.ts";
import { CallRecord } from "./records.ts";
import type { Settings } from "./settings.ts";
import type { World } from "./world.ts";

interface Group {
  readonly controller: AbortController;
  readonly records: CallRecord[];
}

export class Callers {
  readonly bodies: Bodies;
  /** Every request that was made, by its nonce. */
  readonly records = new Map<number, CallRecord>();
  readonly #world: World;
  readonly #settings: Settings;
  readonly #invariants: Invariants;
  readonly #client: Client;
  #nonces = 0;
  /** Set when the transport was told to end. */
  ending = false;
  /** Callers that have not come to the end of their work. */
  active = 0;
  /** Answers that were left unread: their reading ends with the time limits. */
  answered = 0;
  failed = 0;
  /** Whoever shares its signal is aborted with the others: all at once. */
  #group: Group | null = null;
  readonly #groupReason = new Error("the group is of no interest");

  constructor(world: World, settings: Settings, invariants: Invariants, transport: Transport) {
    this.#world = world;
    this.#settings = settings;
    this.#invariants = invariants;
    this.#client = new Client({ transport });
    this.bodies = new Bodies(world, invariants);
  }

  start(): void {
    if (this.#settings.groups) this.#abortGroups();
    for (let i = 0; i < this.#settings.callers; i++) {
      this.active++;
      this.#caller().then(
        () => this.active--,
        (error) => this.#world.fail(error),
      );
    }
  }

  async #caller(): Promise<void> {
    const world = this.#world;
    for (let i = 0; i < this.#settings.requestsPerCaller && !this.ending; i++) {
      if (world.oneIn(3)) await world.wait(world.chance.pick([0, 1, 20, 100, 700]) * world.chance.next());
      await this.#call();
    }
  }

  async #call(): Promise<void> {
    const world = this.#world;
    const { chance } = world;
    const method = chance.pick(["GET", "GET", "GET", "POST", "POST", "PUT", "HEAD"]);
    const nonce = ++this.#nonces;
    const bytes = method === "POST" || method === "PUT" ? this.#size() : 0;
    const record = new CallRecord(nonce, method, world.now, this.#settings.timeout, patternOf(nonce, "request", bytes));
    this.records.set(nonce, record);
    const scheme = this.#settings.secured ? "https" : "http";
    const reason = new Error(`r${nonce} is of no interest`);
    const { abortEvery, bodyTroubleEvery } = this.#settings;
    const drawn =
      method === "GET" || method === "HEAD"
        ? null
        : this.bodies.draw(record, bodyTroubleEvery > 0 && world.oneIn(bodyTroubleEvery), record.timeout > 0);
    let signal: AbortSignal | undefined;
    const aborts = abortEvery > 0 && world.oneIn(abortEvery);
    if (this.#group !== null && world.oneIn(2)) signal = this.#join(this.#group, record);
    else if (aborts || record.trouble === "aborts" || this.#settings.meddleEvery > 0) {
      const controller = new AbortController();
      signal = controller.signal;
      record.abort = () => {
        world.log(`r${nonce} is aborted`);
        record.aborted = true;
        controller.abort(reason);
      };
    }
    if (aborts) world.after(chance.pick([0, 0, 1, 5, 50, 300]) * chance.next(), () => record.abort?.());
    world.log(`r${nonce} ${method} with ${bytes} bytes`);
    this.#invariants.starting = record;
    try {
      const response = await this.#client.request(method, `${scheme}://${chance.pick(this.#hosts)}/r/${nonce}`, {
        ...(drawn === null ? {} : drawn),
        ...(bytes > 0 && world.oneIn(8) ? { expectContinue: true } : {}),
        ...(signal === undefined ? {} : { signal }),
        timeout: record.timeout,
        redirect: "manual",
      });
      this.#settle(record);
      await this.#read(record, response);
      this.answered++;
      world.log(`r${nonce} has its answer`);
    } catch (error) {
      if (!record.settled) this.#settle(record);
      this.failed++;
      world.log(`r${nonce} fails: ${error instanceof Error ? error.message : error}`);
      this.#explain(record, error, reason);
    }
  }

  /** Aborts, now and then, all calls at once that share a signal. */
  #abortGroups(): void {
    const world = this.#world;
    this.#group = { controller: new AbortController(), records: [] };
    world.after(world.chance.below(400), () => {
      const { controller, records } = this.#group!; // it was just made
      for (const record of records) record.aborted = true;
      world.log("a group is aborted");
      controller.abort(this.#groupReason);
      if (this.active > 0) this.#abortGroups();
    });
  }

  #join({ controller, records }: Group, record: CallRecord): AbortSignal {
    records.push(record);
    return controller.signal;
  }

  get #hosts(): readonly [string, ...string[]] {
    return this.#settings.hosts as readonly [string, ...string[]]; // drawn among lists with one or more
  }

  #settle(record: CallRecord): void {
    if (record.settled) this.#invariants.violate("settles-once", `${record.name} settled twice`);
    record.settled = true;
  }

  #size(): number {
    const { chance } = this.#world;
    const of = chance.below(100);
    if (of < 15) return 0;
    if (of < 90) return chance.below(400);
    return of < 99 ? chance.below(9_000) : 30_000 + chance.below(100_000);
  }

  // ---- answers

  async #read(record: CallRecord, response: Response): Promise<void> {
    const world = this.#world;
    const { answer } = record;
    if (record.links.at(-1)?.outOfStep === true) return this.#drain(record, response);
    if (answer === null) {
      return this.#invariants.violate("own-answer", `${record.name} got ${response.status}, which nobody said to it`);
    }
    if (answer.framing === "endless") return this.#drain(record, response);
    const nonce = response.headers.get("x-nonce");
    if (nonce !== `${record.nonce}` || response.status !== answer.status) {
      return this.#invariants.violate("own-answer", `${record.name} got ${response.status} with nonce ${nonce}`);
    }
    switch (world.chance.below(12)) {
      case 0:
        record.left = true;
        return response.close();
      case 1: {
        // Nobody reads: what fits the read-ahead is over all the same, the rest is closed in time.
        return;
      }
      case 2:
      case 3:
      case 4: {
        let at = 0;
        const leavesAt = world.oneIn(3) ? world.chance.below(500) : Number.POSITIVE_INFINITY;
        const how = world.chance.below(4);
        // An early end of the loop closes the answer, cancels the web stream, or destroys the Node stream.
        for await (const chunk of how === 0 ? response.readable() : how === 1 ? (response.body ?? []) : response) {
          this.#check(record, at, Buffer.from(chunk));
          at += chunk.length;
          record.taken += chunk.length;
          if (at > leavesAt) {
            record.left = true;
            break;
          }
          if (world.oneIn(2)) await world.wait(world.chance.below(60));
        }
        if (at <= leavesAt) this.#whole(record, response, at);
        return;
      }
      default: {
        // Read as it comes, so that what was taken is known.
        record.taken = Number.POSITIVE_INFINITY;
        const bytes = await response.bytes();
        this.#check(record, 0, bytes);
        this.#whole(record, response, bytes.length);
      }
    }
  }

  /** An answer about which nothing is promised but that it ends by a limit or by its caller. */
  async #drain(record: CallRecord, response: Response): Promise<void> {
    if (this.#world.oneIn(3)) {
      record.left = true;
      return response.close();
    }
    for await (const chunk of response) {
      record.taken += chunk.length;
      if (this.#world.oneIn(2)) await this.#world.wait(this.#world.chance.below(60));
    }
  }

  #check(record: CallRecord, at: number, chunk: Uint8Array): void {
    const expected = record.answer!.body; // looked at before the body was read
    if (expected.subarray(at, at + chunk.length).equals(chunk)) return;
    const got = JSON.stringify(Buffer.from(chunk).toString("latin1").slice(0, 40));
    this.#invariants.violate("own-answer", `${record.name} got at ${at} ${got} of ${chunk.length} bytes`);
  }

  #whole(record: CallRecord, response: Response, bytes: number): void {
    const { answer } = record;
    if (answer === null || answer.framing === "endless") return;
    const expected = record.method === "HEAD" ? 0 : answer.body.length;
    // Where the close marks the end, a cut body looks like a whole one (RFC 9112 §8).
    if (bytes === expected || response.framing === "close") return;
    this.#invariants.violate("own-answer", `${record.name} got ${bytes} bytes for whole, of ${expected}`);
  }

  // ---- failures

  #explain(record: CallRecord, error: unknown, reason: Error): void {
    const unexplained = (why: string) => {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      this.#invariants.violate("explained", `${record.name}: ${why}: ${text}`);
    };
    if (error === reason) {
      if (!record.aborted) unexplained("nobody aborted it");
      return;
    }
    if (error === this.#groupReason) {
      if (!record.aborted) unexplained("nobody aborted its group");
      return;
    }
    if (record.bodyError !== null && error === record.bodyError) return;
    if (!(error instanceof HttpError)) return unexplained("it is no error of the library's");
    if (error.code === "ERR_HTTP_INVARIANT") return unexplained("a rule of our own was broken");
    if (error instanceof TimeoutError && error.option === "timeout") {
      const early = record.startedAt + error.limit - this.#world.now;
      if (early > 0.001) unexplained(`it came ${early} ms early`);
      return;
    }
    if (this.ending) return;
    if (record.trouble === "short" || record.trouble === "long") {
      if (error.code === "ERR_HTTP_LOCAL_PROTOCOL") return;
    }
    // One that was lost behind another, whose peer did nothing wrong, may find no tunnel when it goes again.
    const noConnection = record.links.length === 0 || (error.attempt ?? 0) > record.links.length;
    if (this.#settings.proxy === "tunnels" && this.#settings.faultEvery > 0 && noConnection) {
      if (TUNNEL_CODES.has(error.code)) return;
    }
    const faults = record.links.map((link) => link.fault).filter((fault) => fault !== null);
    if (faults.length > 0) return;
    switch (error.code) {
      case "ERR_HTTP_POOL_TIMEOUT":
        if ((this.#settings.transport.maxConnsPerHost ?? 0) === 0) unexplained("there is no limit");
        return;
      case "ERR_HTTP_DIAL":
        if (this.#settings.dialFaultEvery === 0) unexplained("no dial is refused in this run");
        return;
      case "ERR_HTTP_TIMEOUT": {
        const { option } = error as TimeoutError; // its code says so
        if (option === "dialTimeout" && this.#settings.dialFaultEvery > 0) return;
        if (SLOW_OPTIONS.has(option)) return;
        return unexplained("nothing was late");
      }
      case "ERR_HTTP_REMOTE_PROTOCOL":
        if (this.#settings.transport.requireFraming && record.answer?.framing === "close") return;
        return unexplained("its peers did nothing wrong");
      case "ERR_HTTP_CONNECTION_CLOSED":
        // Lost for what stood in front of it: it may go again where replay allows it, or nobody has looked at it.
        if (error.behind === true && this.#settings.transport.replay !== "replayable") {
          if (error.unprocessed !== true && (error.bytesSubmitted ?? 0) > 0) return;
        }
        return unexplained("its peers did nothing wrong");
      default:
        unexplained("its peers did nothing wrong");
    }
  }
}

/** How a dial ends whose tunnel the proxy does not open. */
const TUNNEL_CODES: ReadonlySet<string> = new Set([
  "ERR_HTTP_PROXY",
  "ERR_HTTP_DIAL",
  "ERR_HTTP_CONNECTION_CLOSED",
  "ERR_HTTP_REMOTE_PROTOCOL",
  "ERR_HTTP_HEADER_LIMIT",
]);

/** What a slow caller, or a slow way, brings about by itself. */
const SLOW_OPTIONS: ReadonlySet<string> = new Set([
  "unreadBodyTimeout",
  "stalledReaderTimeout",
  "writeTimeout",
  "responseHeaderTimeout",
  "bodyTimeout",
  "proxyConnectTimeout",
]);
