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
  /** Signed by this one, from `intermediate()`, instead of by the authority itself. */
  readonly by?: Intermediate;
}

/** An authority below the authority. */
export interface Intermediate extends Certificate {
  readonly name: string;
}

/** An authority that no system trusts. */
export class CertificateAuthority {
  readonly #dir = mkdtempSync(join(tmpdir(), "spec-certs-"));
  #made = 0;
  /** Its certificate, to be given as `ca`. */
  readonly cert: string;

  readonly name: string;

  constructor(name = "Authority of the specs") {
    this.name = name;
    process.once("exit", () => rmSync(this.#dir, { recursive: true, force: true }));
    this.#newKey("ca.key");
    openssl(
      ["req", "-x509", "-new", "-key", "ca.key", "-subj", `/CN=${name}`, "-days", "2", "-out", "ca.pem"],
      this.#dir,
    );
    this.cert = this.#read("ca.pem");
  }

  /** An authority that this one has signed. */
  intermediate(): Intermediate {
    const name = `authority${++this.#made}`;
    this.#newKey(`${name}.key`);
    openssl(["req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`], this.#dir);
    this.#signAuthority(name, ["-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key"]);
    return { name, cert: this.#read(`${name}.pem`), key: this.#read(`${name}.key`) };
  }

  /**
   * A certificate that anybody could make: this authority's public key under another one's name, signed with neither's
   * key.
   */
  forgedAs(victim: { readonly name: string }): string {
    const name = `forged${++this.#made}`;
    this.#newKey(`${name}.key`);
    openssl(
      ["req", "-x509", "-new", "-key", `${name}.key`, "-subj", "/CN=nobody", "-out", `${name}-ca.pem`],
      this.#dir,
    );
    openssl(["pkey", "-in", "ca.key", "-pubout", "-out", `${name}.pub`], this.#dir);
    const signer = ["-CA", `${name}-ca.pem`, "-CAkey", `${name}.key`];
    this.#signAuthority(name, ["-new", "-force_pubkey", `${name}.pub`, "-subj", `/CN=${victim.name}`, ...signer]);
    return this.#read(`${name}.pem`);
  }

  #signAuthority(name: string, how: readonly string[]): void {
    // Without key identifiers, so that issuers are told apart by nothing but their names.
    const extensions = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n";
    writeFileSync(join(this.#dir, `${name}.ext`), extensions);
    openssl(["x509", ...how, "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`], this.#dir);
  }

  issue({ names, selfSigned = false, expired = false, by }: CertificateWish): Certificate {
    const name = `leaf${++this.#made}`;
    this.#newKey(`${name}.key`);
    openssl(["req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`], this.#dir);
    writeFileSync(join(this.#dir, `${name}.ext`), `subjectAltName=${names.join(",")}\nauthorityKeyIdentifier=none\n`);
    // A negative number of days ends before it begins, which is as expired as it gets.
    const days = expired ? "-1" : "2";
    const authority = by === undefined ? "ca" : by.name;
    const signed = ["-CA", `${authority}.pem`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
    const signer = selfSigned ? ["-signkey", `${name}.key`] : signed;
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
