import { defineConfig } from "vitest/config";

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: ["spec/**/*.spec.ts", "fuzz/**/*.fuzz.ts"],
    // Specs open real sockets and count them, so each file has a process of its own.
    pool: "forks",
    globalSetup: "spec/support/own-tmpdir.ts",
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
