/**
 * What is left of the limits of one exchange: over all its 1xx heads, its head and its trailers together. Reset when an
 * exchange begins; charged by whoever consumes the bytes.
 */

import { HeaderLimitError } from "../errors.ts";
import type { ParserLimits } from "./parser-events.ts";

export class ExchangeBudget {
  readonly limits: ParserLimits;
  /** Bytes and fields that may still come. */
  headBytes = 0;
  fields = 0;
  /** 1xx responses that came. */
  #information = 0;

  constructor(limits: ParserLimits) {
    this.limits = limits;
  }

  reset(): void {
    this.headBytes = this.limits.headBytesMax;
    this.fields = this.limits.headerCountMax;
    this.#information = 0;
  }

  countInformation(): void {
    const max = this.limits.informationMax;
    if (++this.#information > max) {
      throw new HeaderLimitError(
        "max1xxResponses",
        max,
        `Cannot read response: more than ${max} responses with a 1xx status`,
        0,
      );
    }
  }

  bytesExceeded(): HeaderLimitError {
    const max = this.limits.headBytesMax;
    const message = `Cannot read response head: more than ${max} bytes in the heads and trailers of one exchange`;
    return new HeaderLimitError("maxResponseHeaderBytes", max, message, max);
  }

  fieldsExceeded(offset: number): HeaderLimitError {
    const max = this.limits.headerCountMax;
    const message = `Cannot read response head: more than ${max} fields in the heads and trailers of one exchange`;
    return new HeaderLimitError("maxResponseHeaders", max, message, offset);
  }
}
