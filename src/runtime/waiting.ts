/** Waiting for a word of the memory without holding up JavaScript's thread. */

/** Atomics.waitAsync (ES2024), which the library of ES2023 does not declare. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeout: number,
) => { readonly async: boolean; readonly value: Promise<string> | string };
const waitAsync = (Atomics as { readonly waitAsync?: WaitAsync }).waitAsync;

/** Resolves when the word is notified, at once if it is not `seen`, and after so long in any case. Keeps the process alive meanwhile, but in the `background`. */
export async function waitForChange(
  words: Int32Array,
  index: number,
  seen: number,
  ms: number,
  { background = false } = {},
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitAsync === undefined ? Math.min(ms, background ? 10 : 1) : ms);
    // Node's: elsewhere it is a number.
    if (background && typeof timer === 'object') timer.unref();
  });
  try {
    if (waitAsync === undefined) {
      if (Atomics.load(words, index) === seen) await late;
      return;
    }
    const waiting = waitAsync(words, index, seen, ms);
    if (waiting.async) await Promise.race([waiting.value, late]);
  } finally {
    clearTimeout(timer);
  }
}
