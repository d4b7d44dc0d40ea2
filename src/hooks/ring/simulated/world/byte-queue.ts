/** Bytes in the order in which they came: what a pipe or a socket holds. */

export class ByteQueue {
  length = 0;
  #parts: Uint8Array[] = [];
  /** Bytes of the first part that have been taken. */
  #taken = 0;

  /** Keeps `bytes` as they are: the caller gives them away. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  /** Copies up to `length` bytes to `target`, skipping the first `skip`; they stay. */
  peek(target: Uint8Array, at: number, length: number, skip = 0): number {
    let done = 0;
    let start = this.#taken + skip;
    for (const part of this.#parts) {
      if (done === length) break;
      if (start >= part.length) {
        start -= part.length;
        continue;
      }
      const count = Math.min(part.length - start, length - done);
      target.set(part.subarray(start, start + count), at + done);
      done += count;
      start = 0;
    }
    return done;
  }

  /** Moves up to `length` bytes to `target`. */
  take(target: Uint8Array, at: number, length: number): number {
    const done = this.peek(target, at, length);
    this.drop(done);
    return done;
  }

  /** Up to `length` bytes of their own. */
  shift(length: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, this.length));
    this.take(bytes, 0, bytes.length);
    return bytes;
  }

  drop(length: number): void {
    this.length -= length;
    let left = length;
    let whole = 0;
    while (left > 0) {
      const rest = this.#parts[whole]!.length - this.#taken;
      if (left < rest) {
        this.#taken += left;
        break;
      }
      left -= rest;
      this.#taken = 0;
      whole++;
    }
    if (whole > 0) this.#parts.splice(0, whole);
  }

  clear(): void {
    this.length = 0;
    this.#parts = [];
    this.#taken = 0;
  }
}
