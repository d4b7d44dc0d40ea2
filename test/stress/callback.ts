/** Callbacks of programs that are functions of JavaScript, as elements of a function table. */

/** A module that exports its import e.f, (u64, u64, u64, u64, u64) -> u64, as f: what comes out of a module can be put into a table. */
export const callbackThunk = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 10, 1, 96, 5, 126, 126, 126, 126, 126, 1, 126],
  ...[2, 7, 1, 1, 101, 1, 102, 0, 0, 7, 5, 1, 1, 102, 0, 0],
);

/** As callbackThunk: (u64) -> u64, the type of programs. */
export const programThunk = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 126, 1, 126],
  ...[2, 7, 1, 1, 101, 1, 102, 0, 0, 7, 5, 1, 1, 102, 0, 0],
);

/** Puts `run` into the table; its place there. */
export function addCallback(table: WebAssembly.Table, run: (key: number, value: number) => void): number {
  const f = (_map: bigint, key: bigint, value: bigint) => {
    run(Number(key), Number(value));
    return 0n;
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(callbackThunk), { e: { f } });
  return table.grow(1, exports['f']);
}
