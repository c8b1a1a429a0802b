/**
 * A request as a peer reads it: the head, taken apart as leniently as one's own client can be trusted, and the body when
 * it is asked for. Lives as long as its exchange.
 *
 * Never: judges the request. A peer that must see particular bytes uses `PeerConn.expect`.
 *
 * RFC 9112 §3 (request line), §6.3 (length), §7.1 (chunked).
 */

/** Where the body comes from: the connection that the head came from. */
interface ByteSource {
  readBytes(n: number): Promise<Buffer>;
  readThrough(mark: string): Promise<string>;
}

export class PeerRequest {
  /** As it came, its empty line too; latin1. */
  readonly head: string;
  readonly method: string;
  readonly target: string;
  /** Names as they came, values without outer blanks. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly #source: ByteSource;
  #body: Promise<Buffer> | null = null;

  constructor(head: string, source: ByteSource) {
    const lines = head.split("\r\n");
    const [method = "", target = ""] = lines[0]!.split(" "); // split gives one at least
    this.head = head;
    this.method = method;
    this.target = target;
    this.#source = source;
    const fields: [string, string][] = [];
    for (let i = 1; i < lines.length - 2; i++) {
      const line = lines[i]!; // i is within
      const colon = line.indexOf(":");
      fields.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    }
    this.fields = fields;
  }

  /** The value of the first field of this name, or null. */
  field(name: string): string | null {
    const lower = name.toLowerCase();
    return this.fields.find(([own]) => own.toLowerCase() === lower)?.[1] ?? null;
  }

  /** Waits for the whole body; empty where there is none. Asked twice, it gives the same. */
  body(): Promise<Buffer> {
    this.#body ??= this.#read();
    return this.#body;
  }

  /** The fields of a chunked body's trailer section, as one text. Waits for the body. */
  trailers = "";

  async #read(): Promise<Buffer> {
    const length = this.field("content-length");
    if (length !== null) return this.#source.readBytes(Number(length));
    if (this.field("transfer-encoding") === null) return Buffer.alloc(0);
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await this.#source.readThrough("\r\n"), 16);
      if (size === 0) break;
      chunks.push(await this.#source.readBytes(size));
      await this.#source.readBytes(2);
    }
    for (let line = ""; line !== "\r\n"; this.trailers += line) line = await this.#source.readThrough("\r\n");
    return Buffer.concat(chunks);
  }
}
