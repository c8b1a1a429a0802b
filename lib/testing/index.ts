/** The public names of `persistconn/testing`; nothing is defined here. */

export type { Conduit, ConduitFacts, ConduitSink } from "../conn/conduit.ts";
export { arbitraries } from "./arbitraries/arbitraries.ts";
export type { ChunkedBody, ChunkingOptions } from "./arbitraries/bodies.ts";
export type { Arbitrary, FastCheck } from "./arbitraries/fast-check.ts";
export type { ConnectionPlan, Fault, Schedule } from "./arbitraries/faults.ts";
export type { FieldPair, FieldSection } from "./arbitraries/fields.ts";
export { type Mutation, mutate } from "./arbitraries/mutations.ts";
export type { RequestMessage } from "./arbitraries/requests.ts";
export type { InformationMessage, ResponseMessage, ResponseMessageOptions } from "./arbitraries/responses.ts";
export { cut, cutsIn, type Splits } from "./arbitraries/splits.ts";
export {
  type AnswerInit,
  answerBytes,
  answers,
  chunkExtensionFlood,
  closeCrossingRequest,
  earlyResponse,
  endlessBody,
  garbage,
  halfClose,
  hugeHeaders,
  informationalFlood,
  inTurn,
  lateAnswer,
  neverAnswers,
  neverReads,
  resetAfter,
  resetOnRequest,
  responseSplitting,
  slowLoris,
  staleKeepAlive,
  truncatedBody,
  unsolicitedResponse,
} from "./faults.ts";
export type { SocketPeerConn } from "./loopback.ts";
export {
  type Admission,
  type ListenOptions,
  type MemoryNetwork,
  type MemoryNetworkOptions,
  memoryNetwork,
  type PairOptions,
} from "./memory-network.ts";
export type { Behaviour, PeerChannel, PeerConn } from "./peer-conn.ts";
export type { PeerRequest } from "./peer-request.ts";
export {
  type Cassette,
  type CassetteBody,
  type CassetteEntry,
  type CassetteRequest,
  type CassetteResponse,
  type Recorder,
  type RecorderOptions,
  ReplayedError,
  type Replayer,
  type ReplayerOptions,
  recorder,
  replayer,
  UnmatchedRequestError,
} from "./recorder.ts";
export { type ScriptedPeer, type ScriptedPeerOptions, scriptedPeer } from "./scripted-peer.ts";
export { type VirtualClock, virtualClock } from "./virtual-clock.ts";
