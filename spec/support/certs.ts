/**
 * Certificates for specs, made by the openssl command: an authority, and what it or nobody has signed. The command works
 * in a folder that lives as long as it runs, since a process that is killed removes nothing at its exit.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWish {
  /** Names and addresses, as openssl writes them: `"DNS:localhost"`, `"IP:127.0.0.1"`. */
  readonly names: readonly string[];
  /** Signed by itself instead of by the authority. */
  readonly selfSigned?: boolean;
  /** Its last day has passed. */
  readonly expired?: boolean;
}

/** An authority that no system trusts. */
export class CertificateAuthority {
  readonly #key: string;
  #made = 0;
  /** Its certificate, to be given as `ca`. */
  readonly cert: string;

  constructor() {
    const subject = ["-subj", "/CN=Authority of the specs"];
    [this.#key, this.cert] = inFolder((folder) => {
      newKey("ca.key", folder);
      openssl(["req", "-x509", "-new", "-key", "ca.key", ...subject, "-days", "2", "-out", "ca.pem"], folder);
      return [read(folder, "ca.key"), read(folder, "ca.pem")];
    });
  }

  issue({ names, selfSigned = false, expired = false }: CertificateWish): Certificate {
    return inFolder((folder) => {
      write(folder, "ca.key", this.#key);
      write(folder, "ca.pem", this.cert);
      write(folder, "leaf.ext", `subjectAltName=${names.join(",")}\n`);
      newKey("leaf.key", folder);
      const subject = `/CN=leaf${++this.#made}`;
      openssl(["req", "-new", "-key", "leaf.key", "-subj", subject, "-out", "leaf.csr"], folder);
      // A negative number of days ends before it begins, which is as expired as it gets.
      const days = expired ? "-1" : "2";
      const signer = selfSigned ? ["-signkey", "leaf.key"] : ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      const wish = ["-days", days, "-extfile", "leaf.ext"];
      openssl(["x509", "-req", "-in", "leaf.csr", ...signer, ...wish, "-out", "leaf.pem"], folder);
      return { cert: read(folder, "leaf.pem"), key: read(folder, "leaf.key") };
    });
  }
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "spec-certs-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function newKey(file: string, folder: string): void {
  openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file], folder);
}

function read(folder: string, file: string): string {
  return readFileSync(join(folder, file), "utf8");
}

function write(folder: string, file: string, text: string): void {
  writeFileSync(join(folder, file), text, { mode: 0o600 });
}

function openssl(args: readonly string[], cwd: string): void {
  try {
    execFileSync("openssl", args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new Error("Cannot make certificates: these specs need the openssl command in the PATH", { cause: error });
    }
    throw error;
  }
}
