import { describe, expect, test } from "vitest";
import { Request, type RequestInit } from "../lib/index.ts";
import { type FailedAttempt, shouldRetry } from "../lib/retry.ts";

/** A POST with a body factory that met a connection found dead before its first byte: the case that may go again. */
const stale: FailedAttempt = {
  cancelled: false,
  reused: true,
  nothingWritten: true,
  bytesRead: 0,
  connectionLost: true,
  regenerable: true,
  replayable: false,
  replay: "nothing-written",
  exhausted: false,
};

const written = { nothingWritten: false } as const;
const go = { ...written, replayable: true, replay: "replayable" } as const;

/** Each reason both ways: the fact that decides, and the same attempt without it. */
const table: [name: string, facts: Partial<FailedAttempt>, retry: boolean, reason: string][] = [
  ["nothing written, reused, body can be made again", {}, true, "nothing was written"],
  ["the same, cancelled", { cancelled: true }, false, "the call was cancelled"],
  [
    "the same, a time limit or a protocol error",
    { connectionLost: false },
    false,
    "the failure was not a lost connection",
  ],
  ["the same, dialed for this request", { reused: false }, false, "the connection was dialed for this request"],
  [
    "the same, after the final fresh dial",
    { exhausted: true },
    false,
    "the last attempt was the final fresh connection",
  ],
  ["the same, one-shot body", { regenerable: false }, false, "the body cannot be made again"],
  [
    "written, but not processed, says the peer [TestTransportShouldRetryRequest/2]",
    { ...written, unprocessed: true },
    true,
    "the peer has not processed it",
  ],
  [
    "the same, dialed for this request [TestTransportShouldRetryRequest/3]",
    { ...written, unprocessed: true, reused: false },
    true,
    "the peer has not processed it",
  ],
  [
    "not processed, one-shot body",
    { ...written, unprocessed: true, regenerable: false },
    false,
    "the body cannot be made again",
  ],
  [
    "not processed, again and again",
    { ...written, unprocessed: true, exhausted: true },
    false,
    "it was refused too often",
  ],
  ["not processed, cancelled", { unprocessed: true, cancelled: true }, false, "the call was cancelled"],
  ["behind another request, not written", { behind: true }, true, "nothing was written"],
  [
    "behind another request, written",
    { ...written, behind: true },
    false,
    "bytes were written, behind another request",
  ],
  [
    "behind another request, written, option on (RFC 9112 §9.3.2)",
    { ...go, behind: true },
    true,
    "it was written behind another request, whose end closed the connection",
  ],
  [
    "behind another request, whose answer said close (RFC 9112 §9.6)",
    { ...written, behind: true, unprocessed: true },
    true,
    "the peer has not processed it",
  ],
  ["behind another request, cancelled", { ...go, behind: true, cancelled: true }, false, "the call was cancelled"],
  ["bytes written", written, false, "bytes were written"],
  ["bytes written, replayable, option off", { ...written, replayable: true }, false, "bytes were written"],
  [
    "bytes written, not replayable, option on",
    { ...go, replayable: false },
    false,
    "bytes were written and the request is not replayable",
  ],
  ["bytes written, replayable, option on", go, true, "no response byte came and the request is replayable"],
  ["replayable, option on, a response had begun", { ...go, bytesRead: 1 }, false, "a response had begun"],
  ["replayable, option on, one-shot body", { ...go, regenerable: false }, false, "the body cannot be made again"],
  [
    "replayable, option on, dialed for this request",
    { ...go, reused: false },
    false,
    "the connection was dialed for this request",
  ],
  ["replayable, option on, cancelled", { ...go, cancelled: true }, false, "the call was cancelled"],
  [
    "replayable, option on, a time limit",
    { ...go, connectionLost: false },
    false,
    "the failure was not a lost connection",
  ],
];

describe("shouldRetry()", () => {
  test.each(table)("%s", (_name, facts, retry, reason) => {
    expect(shouldRetry({ ...stale, ...facts })).toEqual({ retry, reason });
  });

  test("says yes for a reused connection only, whatever else holds: so a chain of attempts ends at a fresh dial", () => {
    for (const nothingWritten of [true, false])
      for (const replayable of [true, false])
        for (const replay of ["nothing-written", "replayable"] as const)
          expect(shouldRetry({ ...stale, nothingWritten, replayable, replay, reused: false }).retry).toBe(false);
  });
});

describe("shouldRetry() and Request.replayable, row by row of Go's tables: Go's verdict is that of replay: \"replayable\"", () => {
  const lost: Omit<FailedAttempt, "regenerable" | "replayable"> = {
    cancelled: false,
    reused: true,
    nothingWritten: false,
    bytesRead: 0,
    connectionLost: true,
    replay: "replayable",
    exhausted: false,
  };
  const decided = (request: Request, facts: Partial<FailedAttempt>): boolean =>
    shouldRetry({
      ...lost,
      regenerable: request.body?.regenerable ?? true,
      replayable: request.replayable,
      ...facts,
    }).retry;
  const post = (body?: RequestInit["body"]) =>
    new Request("http://a/", body === undefined ? { method: "POST" } : { method: "POST", body });
  const get = new Request("http://a/");
  const reader = () =>
    (async function* () {
      yield "x";
    })();

  const rows: [title: string, request: Request, facts: Partial<FailedAttempt>, goes: boolean, byDefault: boolean][] = [
    [
      "a fresh connection, nothing written: no [TestTransportShouldRetryRequest/0]",
      post(),
      { reused: false, nothingWritten: true },
      false,
      false,
    ],
    [
      "POST without a body, nothing written: yes [TestTransportShouldRetryRequest/1]",
      post(),
      { nothingWritten: true },
      true,
      true,
    ],
    [
      "an error that is no lost connection: no [TestTransportShouldRetryRequest/4]",
      get,
      { connectionLost: false },
      false,
      false,
    ],
    ["POST that got no response byte: no [TestTransportShouldRetryRequest/5]", post(), {}, false, false],
    ["GET that got no response byte: yes [TestTransportShouldRetryRequest/6]", get, {}, true, false],
    [
      "GET whose server closed an idle connection: yes [TestTransportShouldRetryRequest/7]",
      get,
      { nothingWritten: true },
      true,
      true,
    ],
    [
      "POST whose body can be made again, nothing written: yes [TestTransportShouldRetryRequest/8]",
      post("foo"),
      { nothingWritten: true },
      true,
      true,
    ],
    [
      "POST whose body cannot, nothing written: no [TestTransportShouldRetryRequest/9]",
      post(reader()),
      { nothingWritten: true },
      false,
      false,
    ],
    ["GET is replayable [TestTransportRequestReplayable/GET]", get, {}, true, false],
    [
      "GET with an empty body is [TestTransportRequestReplayable/GET_http.NoBody]",
      new Request("http://a/", { body: "" }),
      {},
      true,
      false,
    ],
    [
      "GET with a body that can be read once is not [TestTransportRequestReplayable/GET_body]",
      new Request("http://a/", { body: reader() }),
      {},
      false,
      false,
    ],
    ["POST is not [TestTransportRequestReplayable/POST]", post(), {}, false, false],
    [
      "POST with an Idempotency-Key is [TestTransportRequestReplayable/POST_idempotency-key]",
      post().with({ headers: { "Idempotency-Key": "x" } }),
      {},
      true,
      false,
    ],
    [
      "POST with an X-Idempotency-Key is [TestTransportRequestReplayable/POST_x-idempotency-key]",
      post().with({ headers: { "X-Idempotency-Key": "x" } }),
      {},
      true,
      false,
    ],
    [
      "POST with a key and a body that can be read once is not [TestTransportRequestReplayable/POST_body]",
      post(reader()).with({ headers: { "Idempotency-Key": "x" } }),
      {},
      false,
      false,
    ],
  ];
  test.each(rows)("%s", (_, request, facts, goes) => {
    expect(decided(request, facts)).toBe(goes);
  });

  // Only what was provably not written goes again: stricter than Go wherever a byte may have left.
  test.each(
    rows.map(([title, request, facts, goes, byDefault]) => {
      const rule = `${title.slice(0, title.indexOf(" ["))}; by default: ${byDefault ? "yes" : "no"}`;
      return [goes === byDefault ? rule : `${rule}, where Go says yes`, request, facts, byDefault] as const;
    }),
  )("%s", (_, request, facts, byDefault) => {
    expect(decided(request, { ...facts, replay: "nothing-written" })).toBe(byDefault);
  });
});
