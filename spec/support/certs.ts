/**
 * Certificates for specs, made by the openssl command once per process, in a directory of its own that is removed at
 * exit: an authority, and what it or nobody has signed.
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
  readonly #dir = mkdtempSync(join(tmpdir(), "spec-certs-"));
  #made = 0;
  /** Its certificate, to be given as `ca`. */
  readonly cert: string;

  constructor() {
    process.once("exit", () => rmSync(this.#dir, { recursive: true, force: true }));
    this.#newKey("ca.key");
    openssl(
      ["req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=Authority of the specs", "-days", "2", "-out", "ca.pem"],
      this.#dir,
    );
    this.cert = this.#read("ca.pem");
  }

  issue({ names, selfSigned = false, expired = false }: CertificateWish): Certificate {
    const name = `leaf${++this.#made}`;
    this.#newKey(`${name}.key`);
    openssl(["req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`], this.#dir);
    writeFileSync(join(this.#dir, `${name}.ext`), `subjectAltName=${names.join(",")}\n`);
    // A negative number of days ends before it begins, which is as expired as it gets.
    const days = expired ? "-1" : "2";
    const signer = selfSigned ? ["-signkey", `${name}.key`] : ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(
      [
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        ...signer,
        "-days",
        days,
        "-extfile",
        `${name}.ext`,
        "-out",
        `${name}.pem`,
      ],
      this.#dir,
    );
    return { cert: this.#read(`${name}.pem`), key: this.#read(`${name}.key`) };
  }

  #newKey(file: string): void {
    openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file], this.#dir);
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), "utf8");
  }
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
