/**
 * For what throws from a microtask of its own on purpose: takes the next uncaught exception, which would otherwise be the
 * test runner's.
 */

/** Call it before what throws. */
export function nextUncaught(): Promise<unknown> {
  return new Promise((resolve) => {
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => {
      for (const other of others) process.on("uncaughtException", other);
      resolve(error);
    });
  });
}
