/** Histories: what each CPU did, with stamps of one counter that all count up, in buffers in the shared memory. */

/** One operation as a CPU has seen it. What the numbers mean is the map type's to say; all are u32. */
export interface Operation {
  readonly cpu: number;
  readonly kind: number;
  readonly key: number;
  readonly value: number;
  readonly result: number;
  /** A second result. */
  readonly extra: number;
  /** It took effect between the two: an operation whose end is below the start of another one came before it. */
  readonly start: number;
  readonly end: number;
}

/** Words of a record: kind, key, value, result, extra, start, end. */
export const RECORD_WORDS = 7;
/** Words in front of a CPU's records: their number, and for how many there is room. */
export const BUFFER_WORDS = 2;
/** A result of an operation that another CPU's crash or the test's end has cut off: it may have taken effect or not. */
export const NEVER = 0xffff_ffff;

/** Bytes of a buffer with room for so many operations. */
export function bufferBytes(operations: number): number {
  return (BUFFER_WORDS + operations * RECORD_WORDS) * 4;
}

/** The operations in the buffer at `address`, in the order in which the CPU has done them. */
export function readBuffer(memory: WebAssembly.Memory, address: number, cpu: number): Operation[] {
  const words = new Uint32Array(memory.buffer, address);
  const count = words[0]!;
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) {
    const at = BUFFER_WORDS + i * RECORD_WORDS;
    const [kind, key, value, result, extra, start, end] = words.subarray(at, at + RECORD_WORDS);
    operations.push({
      cpu,
      kind: kind!,
      key: key!,
      value: value!,
      result: result!,
      extra: extra!,
      start: start!,
      end: end!,
    });
  }
  return operations;
}
