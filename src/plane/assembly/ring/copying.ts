// Copies of fixed size, in place of memory.copy and memory.fill, which V8 calls out of WebAssembly for: 15 ns and more each.

// @ts-ignore: decorator
@inline
export function copySqe(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

// @ts-ignore: decorator
@inline
export function copyCqe(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
}

/** Zeros 64 bytes. */
// @ts-ignore: decorator
@inline
export function clear64(at: usize): void {
  const zero = i64x2.splat(0);
  v128.store(at, zero);
  v128.store(at, zero, 16);
  v128.store(at, zero, 32);
  v128.store(at, zero, 48);
}
