/**
 * The few names of undici that the bench uses. Declared here because undici is installed in bench/ only, and the types
 * of the whole project are checked without it.
 */
declare module "undici" {
  export interface DispatchOptions {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: Buffer;
  }
  export interface DispatchHandler {
    onConnect(abort: () => void): void;
    onHeaders(statusCode: number, headers: readonly Buffer[], resume: () => void): boolean;
    onData(chunk: Buffer): boolean;
    onComplete(trailers: readonly Buffer[]): void;
    onError(error: Error): void;
  }
  export class Pool {
    constructor(origin: string, options: { connections: number });
    request(options: DispatchOptions): Promise<{ body: { arrayBuffer(): Promise<ArrayBuffer> } }>;
    dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
  }
}
