/** The far end of a TLS connection in memory: a handshake without a socket, so that a spec need not wait for a kernel. */

import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket, type TlsOptions } from "node:tls";
import { CertificateAuthority } from "../support/certs.ts";
import { duplexPair } from "../support/duplex-pair.ts";

const authority = new CertificateAuthority();
export const { cert: ca } = authority;
const leaf = authority.issue({ names: ["DNS:localhost", "DNS:other.test", "IP:127.0.0.1"] });

/** One for all ends, so that a session of one is good for the next. */
const context: SecureContext = createSecureContext({ ...leaf, sessionIdContext: "specs" });

export interface TlsEnds {
  /** What a dial goes over. */
  readonly near: Duplex;
  /** What the server has of it: bytes come back as they went. */
  readonly server: TLSSocket;
  readonly far: Duplex;
  destroy(): void;
}

/** @param options of the server, beside its certificate, which is good for localhost, other.test and 127.0.0.1 */
export function tlsEnds(options: TlsOptions = {}): TlsEnds {
  const [near, far] = duplexPair();
  const server = new TLSSocket(far, { isServer: true, secureContext: context, ...options });
  server.on("error", () => {});
  server.on("data", (chunk) => server.write(chunk));
  return {
    near,
    server,
    far,
    destroy() {
      near.destroy();
      server.destroy();
      far.destroy();
    },
  };
}
