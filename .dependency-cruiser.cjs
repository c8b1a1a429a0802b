/**
 * The import rules of the tree: which station may know which. One row per folder; what is not listed is refused.
 * "type" imports count too: a type names a dependency as much as a value does.
 */
const allowed = {
  // bytes in, events out
  wire: ["errors"],
  // what callers hold
  message: ["wire/abnf", "secrets", "errors"],
  // generic over the thing pooled
  pool: ["errors"],
  // which proxy, and the tunnel through one
  proxy: ["wire", "conn/conduit", "ip", "errors"],
  // HTTP/2 on node:http2, behind the seam for protocols that ALPN chose
  h2: [
    "conn/async-queue",
    "wire",
    "message",
    "next-protocol",
    "round-tripper",
    "outgoing-head",
    "time-limits",
    "trace",
    "clock",
    "abort",
    "errors",
  ],
  // one socket and its two loops
  conn: ["wire", "message", "trace", "clock", "abort", "boundary", "errors"],
  // what is made of the event stream: it knows the stream, the seam and the figures, and no station
  observe: [
    "trace",
    "secrets",
    "message",
    "round-tripper",
    "options",
    "transport",
    "watched",
    "clock",
    "boundary",
    "errors",
  ],
  // a round tripper around another: it knows the seam, and no transport
  cache: ["message", "round-tripper", "patience", "wire/abnf", "clock", "abort", "boundary", "errors"],
  // what else stands around one; only the base URL's client knows a client
  middleware: ["message", "round-tripper", "patience", "wire/abnf", "clock", "abort", "boundary", "errors"],
  // what users test with: peers and networks stand where a client's other end stands, and know no client
  testing: ["conn", "message", "round-tripper", "clock", "abort", "errors"],
  // the standard call over a client, which it is given; only create-fetch knows one
  fetch: ["message", "errors"],
  // at the edge: other libraries' ways to send, over a client or a transport that they are given
  adapters: ["client", "round-tripper", "message", "clock", "abort", "errors"],
};
const also = {
  fetch: { files: "^lib/fetch/create-fetch\\.ts$", names: ["client", "round-tripper"] },
  middleware: { files: "^lib/middleware/base-url-client\\.ts$", names: ["client", "fetch/fetch", "transport"] },
  adapters: { files: "^lib/adapters/node-agent\\.ts$", names: ["transport", "conn/tls", "boundary"] },
};
const at = (names) => names.map((n) => `^lib/${n}(/|\\.ts$)`);

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "no-orphans", severity: "error", from: { orphan: true, path: "^lib/", pathNot: ["\\.mjs$"] }, to: {} },
    { name: "no-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
    ...Object.entries(allowed).map(([folder, names]) => ({
      name: `${folder}-imports`,
      severity: "error",
      from: { path: `^lib/${folder}/`, pathNot: also[folder] ? [also[folder].files] : [] },
      to: { path: "^lib/", pathNot: [`^lib/${folder}/`, ...at(names)] },
    })),
    ...Object.entries(also).map(([folder, { files, names }]) => ({
      name: `${folder}-edge-imports`,
      severity: "error",
      from: { path: files },
      to: { path: "^lib/", pathNot: [`^lib/${folder}/`, ...at([...allowed[folder], ...names])] },
    })),
    {
      name: "wire-node-buffer-only",
      comment: "wire/ is bytes in, events out: no socket, no timer",
      severity: "error",
      from: { path: "^lib/wire/", pathNot: ["\\.mjs$"] },
      to: { dependencyTypes: ["core"], pathNot: ["^(node:)?buffer$"] },
    },
    {
      name: "pool-knows-no-node",
      severity: "error",
      from: { path: "^lib/pool/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "sockets-in-conn-only",
      comment: "node:net, node:tls and node:dns live behind a Conduit",
      severity: "error",
      from: {
        path: "^lib/",
        pathNot: ["^lib/conn/", "^lib/cli/", "^lib/testing/loopback\\.ts$", "^lib/observe/inspector/server\\.ts$"],
      },
      to: { path: "^(node:)?(net|tls|dns|dns/promises)$" },
    },
    {
      name: "zlib-in-decode-only",
      comment: "types only, there too: it is loaded by the first connection, to unpack the parser",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/message/decode\\.ts$", "^lib/wire/llhttp/extract-wasm\\.mjs$"] },
      to: { path: "^(node:)?zlib$" },
    },
    {
      name: "no-node-http-in-lib",
      comment:
        "from Node 22 on, importing it loads undici; an agent for it must be one of its own, and who asks for one has loaded it",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/adapters/node-agent\\.ts$"] },
      to: { path: "^(node:)?(http|https)$" },
    },
    {
      name: "http2-in-h2-only",
      comment: "types only, there too: it is loaded by the first connection on which h2 was chosen; it loads node:http",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/h2/"] },
      to: { path: "^(node:)?http2$" },
    },
    {
      name: "nobody-needs-h2",
      comment: "it is reached by its own subpath, and by nothing else of ours",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/h2/"] },
      to: { path: "^lib/h2/" },
    },
    {
      name: "pool-and-conn-meet-in-transport",
      comment:
        "the transport, its calls and its leases, those who hold or make a connection beside them, and who publishes a type",
      severity: "error",
      from: {
        path: "^lib/",
        pathNot: ["^lib/(pool|(transport|call|lease|way|held|shared-lease|client-conn|preconnect|index)\\.ts)"],
      },
      to: { path: "^lib/pool/" },
    },
    {
      name: "inspector-is-loaded-late",
      comment:
        "the transport loads the server of the live view when somebody asks for it, and knows nothing else of observe/ but the words that NODE_DEBUG prints",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/observe(/|\\.ts$)", "^lib/cli/"] },
      to: { path: "^lib/observe", pathNot: ["^lib/observe/inspector/server\\.ts$", "^lib/observe/words\\.ts$"] },
    },
    {
      name: "inspector-by-import-expression",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/observe/inspector/", "^lib/cli/"] },
      to: { path: "^lib/observe/inspector/", dynamic: false },
    },
    {
      name: "lib-has-no-runtime-dependency",
      severity: "error",
      // extract-wasm.mjs runs when the package is built, and is not in it.
      from: {
        path: "^lib/",
        pathNot: [
          "^lib/testing/arbitraries/fast-check\\.ts$",
          "^lib/adapters/axios\\.ts$",
          "^lib/wire/llhttp/extract-wasm\\.mjs$",
        ],
      },
      to: { dependencyTypes: ["npm", "npm-dev", "npm-optional", "npm-peer", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "fast-check-by-type-only",
      comment: "an optional peer: it is handed in, never loaded",
      severity: "error",
      from: { path: "^lib/" },
      to: { path: "fast-check", dependencyTypesNot: ["type-only", "local"] },
    },
    {
      name: "axios-by-type-only",
      comment: "an optional peer: whoever imports the adapter hands his own copy in, and has its types",
      severity: "error",
      from: { path: "^lib/" },
      to: { path: "node_modules/axios/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "nobody-needs-adapters",
      comment: "each is reached by its own subpath, and by nothing else of ours",
      severity: "error",
      from: { path: "^lib/", pathNot: ["^lib/adapters/"] },
      to: { path: "^lib/adapters/" },
    },
    {
      name: "lib-knows-no-spec",
      severity: "error",
      from: { path: "^lib/" },
      to: { path: "^(spec|fuzz|bench)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: [".ts", ".mjs", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "types"],
    },
  },
};
