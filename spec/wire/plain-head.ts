/** The plainest head that can be written, for specs that say what they change of it. */

import { type OutgoingHead, type WriterOptions, writeHead } from "../../lib/wire/request-writer.ts";

const HEAD: OutgoingHead = {
  method: "GET",
  scheme: "http",
  authority: "peer",
  target: "/",
  fields: [],
  bodyLength: undefined,
  contentType: null,
  trailerNames: null,
  expectContinue: false,
};
/** Without User-Agent and Accept-Encoding, so that the tables show what they are about. */
const OPTIONS: WriterOptions = {
  userAgent: "",
  acceptEncoding: null,
  absoluteForm: false,
  close: false,
  extra: [],
};

export const write = (head: Partial<OutgoingHead>, options: Partial<WriterOptions> = {}) =>
  writeHead({ ...HEAD, ...head }, { ...OPTIONS, ...options });
