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
  /** Signed by this one, from `intermediate()`, instead of by the authority itself. */
  readonly by?: Intermediate;
}

/** An authority below the authority. */
export interface Intermediate extends Certificate {
  readonly name: string;
}

/** An authority that no system trusts. */
export class CertificateAuthority {
  readonly #key: string;
  #made = 0;
  readonly name: string;
  /** Its certificate, to be given as `ca`. */
  readonly cert: string;

  constructor(name = "Authority of the specs") {
    this.name = name;
    [this.#key, this.cert] = inFolder((folder) => {
      newKey("ca.key", folder);
      openssl(["req", "-x509", "-new", "-key", "ca.key", ...subject(name), ...DAYS, "-out", "ca.pem"], folder);
      return [read(folder, "ca.key"), read(folder, "ca.pem")];
    });
  }

  /** An authority that this one has signed. */
  intermediate(): Intermediate {
    const name = `authority${++this.#made}`;
    return inFolder((folder) => {
      this.#unpack(folder);
      newKey("below.key", folder);
      openssl(["req", "-new", "-key", "below.key", ...subject(name), "-out", "below.csr"], folder);
      const how = ["-req", "-in", "below.csr", "-CA", "ca.pem", "-CAkey", "ca.key"];
      return { name, cert: signedAuthority(how, folder), key: read(folder, "below.key") };
    });
  }

  /**
   * A certificate that anybody could make: this authority's public key under another one's name, signed with neither's
   * key.
   */
  forgedAs(victim: { readonly name: string }): string {
    return inFolder((folder) => {
      this.#unpack(folder);
      newKey("forger.key", folder);
      openssl(
        ["req", "-x509", "-new", "-key", "forger.key", ...subject("nobody"), ...DAYS, "-out", "forger.pem"],
        folder,
      );
      openssl(["pkey", "-in", "ca.key", "-pubout", "-out", "ca.pub"], folder);
      const signer = ["-CA", "forger.pem", "-CAkey", "forger.key"];
      return signedAuthority(["-new", "-force_pubkey", "ca.pub", ...subject(victim.name), ...signer], folder);
    });
  }

  issue({ names, selfSigned = false, expired = false, by }: CertificateWish): Certificate {
    return inFolder((folder) => {
      this.#unpack(folder, by);
      write(folder, "leaf.ext", `subjectAltName=${names.join(",")}\nauthorityKeyIdentifier=none\n`);
      newKey("leaf.key", folder);
      openssl(["req", "-new", "-key", "leaf.key", ...subject(`leaf${++this.#made}`), "-out", "leaf.csr"], folder);
      // A negative number of days ends before it begins, which is as expired as it gets.
      const days = expired ? ["-days", "-1"] : DAYS;
      const signer = selfSigned ? ["-signkey", "leaf.key"] : ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      openssl(
        ["x509", "-req", "-in", "leaf.csr", ...signer, ...days, "-extfile", "leaf.ext", "-out", "leaf.pem"],
        folder,
      );
      return { cert: read(folder, "leaf.pem"), key: read(folder, "leaf.key") };
    });
  }

  /** Puts who signs where openssl looks for it. */
  #unpack(folder: string, { key, cert }: Certificate = { key: this.#key, cert: this.cert }): void {
    write(folder, "ca.key", key);
    write(folder, "ca.pem", cert);
  }
}

const DAYS = ["-days", "2"];

function subject(name: string): string[] {
  return ["-subj", `/CN=${name}`];
}

/** Without key identifiers, so that issuers are told apart by nothing but their names. */
function signedAuthority(how: readonly string[], folder: string): string {
  write(
    folder,
    "authority.ext",
    "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n",
  );
  openssl(["x509", ...how, ...DAYS, "-extfile", "authority.ext", "-out", "authority.pem"], folder);
  return read(folder, "authority.pem");
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
