/**
 * What node:net and node:tls ask an options object for and we never say: each name set, to undefined. An object without a
 * prototype is not enough, since both copy what they are given into ordinary objects, where a polluted prototype answers
 * for every name that is not there: `path` would send all connections elsewhere, `session` or `ca` change whom we trust.
 */

/** For `net.connect` and `tls.connect`; what is meant comes after it. */
export const SOCKET_OPTIONS: object = Object.freeze(
  Object.fromEntries(
    [
      // Where to.
      ["path", "socket", "fd", "handle", "lookup", "hints", "family", "localAddress", "localPort", "blockList"],
      ["autoSelectFamilyAttemptTimeout", "noDelay", "keepAlive", "keepAliveInitialDelay", "onread"],
      // As a stream.
      ["signal", "timeout", "readable", "writable", "highWaterMark", "readableHighWaterMark", "writableHighWaterMark"],
      ["objectMode", "readableObjectMode", "writableObjectMode", "encoding", "defaultEncoding", "decodeStrings"],
      ["read", "write", "writev", "destroy", "final", "construct", "captureRejections", "manualStart"],
      ["pauseOnCreate", "pauseOnConnect"],
      // In TLS. `rejectUnauthorized`, `checkServerIdentity`, `ciphers` and `minDHSize` have defaults of Node's own.
      ["session", "pskCallback", "isServer", "server", "requestCert", "requestOCSP", "enableTrace", "ALPNCallback"],
      ["SNICallback", "servername", "singleUse", "pskIdentityHint"],
    ].flatMap((names) => names.map((name) => [name, undefined])),
  ),
);
