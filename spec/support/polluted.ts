/** For specs about options: what a polluted prototype brings along is not the caller's. */

/** Runs `fn` while every object seems to have these properties, as after a prototype pollution. */
export function polluted<T>(properties: Record<string, unknown>, fn: () => T): T {
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true, enumerable: true });
  }
  try {
    return fn();
  } finally {
    for (const name of Object.keys(properties)) delete (Object.prototype as Record<string, unknown>)[name];
  }
}
