/** Atomics.waitAsync: ES2024, which Node 20 has. */
export const waitAsync = (
  Atomics as unknown as {
    waitAsync(
      words: Int32Array,
      index: number,
      value: number,
      timeout?: number,
    ): { readonly async: false } | { readonly async: true; readonly value: Promise<string> };
  }
).waitAsync;
