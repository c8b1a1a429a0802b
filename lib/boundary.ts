/**
 * The border between the library and the runtime that calls it back.
 *
 * `detached` makes what lives longer than one call (sockets, timers, immediates) outside of any call's async context:
 * a pooled socket made within request A's AsyncLocalStorage store would otherwise run request B's events in it.
 * `throwLater` is for an error that nobody is left to take: it becomes an uncaught exception of its own, so that it
 * neither vanishes nor unwinds the loop that served others when it was thrown. `bare` is for objects handed over to code
 * that asks them for options that we never gave: what a polluted prototype brings along must not answer.
 */

import { AsyncResource } from "node:async_hooks";

/** Made when the module is loaded, so its context is that of the program's start. */
const start = new AsyncResource("persistconn");

/** Calls `make(...args)` in the async context of the program's start. */
export function detached<A extends unknown[], R>(make: (...args: A) => R, ...args: A): R {
  return start.runInAsyncScope(make, undefined, ...args);
}

/** Throws `error` from a microtask of its own. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** The same properties on an object that inherits none. A spread of it has a prototype again. */
export function bare<T extends object>(properties: T): T {
  return Object.assign(Object.create(null), properties);
}
