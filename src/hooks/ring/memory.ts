/** Buffers that requests read into and write from: memory of the runtime, in sizes of powers of two from 64 bytes, larger ones in pages of 64 KiB. */
import { InputError } from '../../errors.ts';
import { WASM_PAGE } from '../../plane/layout/memory.ts';
import type { Runtime } from '../../runtime/runtime.ts';

const SMALLEST = 64;

/** Memory of a ring, the holder's until `free`. Requests that name it must have completed by then. */
export interface RingBuffer {
  /** Address in the linear memory, as requests take it. */
  readonly address: number;
  readonly length: number;
  /** The bytes themselves, not a copy. They are shared memory: what refuses that needs `Uint8Array.from`. */
  readonly bytes: Uint8Array;
  /** A part of it, which lives as long as the whole. */
  slice(start: number, end?: number): RingBuffer;
  free(): void;
}

class Piece implements RingBuffer {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly #memory: RingMemory | undefined;
  #freed = false;

  constructor(memory: RingMemory | undefined, bytes: Uint8Array, address: number) {
    this.#memory = memory;
    this.bytes = bytes;
    this.address = address;
  }

  get length(): number {
    return this.bytes.length;
  }

  slice(start: number, end = this.length): RingBuffer {
    const part = this.bytes.subarray(start, end);
    return new Piece(undefined, part, this.address + (part.byteOffset - this.bytes.byteOffset));
  }

  free(): void {
    if (this.#memory === undefined || this.#freed) return;
    this.#freed = true;
    this.#memory.give(this.address, this.length);
  }
}

export class RingMemory {
  readonly #runtime: Runtime;
  /** Free pieces by the logarithm of their size. */
  readonly #free: number[][] = [];
  readonly #pages: { readonly address: number; readonly size: number }[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Zeroed memory. Throws InputError `SLUICE_RING_LENGTH` for a length that no memory has. */
  allocate(length: number): RingBuffer {
    if (!Number.isInteger(length) || length < 0 || length >= 2 ** 32)
      throw new InputError('SLUICE_RING_LENGTH', `a buffer of ${length} bytes: from 0 to 4294967295`);
    const address = this.take(length);
    const bytes = new Uint8Array(this.#runtime.plane.memory.buffer, address, length);
    bytes.fill(0);
    return new Piece(this, bytes, address);
  }

  /** A string with the NUL that ends it. Throws InputError `SLUICE_RING_PATH` for one with a NUL inside. */
  text(text: string): RingBuffer {
    const bytes = new TextEncoder().encode(text);
    if (bytes.includes(0))
      throw new InputError('SLUICE_RING_PATH', `a path has no NUL inside: ${JSON.stringify(text)}`);
    const buffer = this.allocate(bytes.length + 1);
    buffer.bytes.set(bytes);
    return buffer;
  }

  /** As it is, not zeroed. */
  take(length: number): number {
    const kind = sizeClass(length);
    const size = 2 ** kind;
    if (size >= WASM_PAGE) return this.#runtime.allocatePages(length);
    this.#free[kind] ??= [];
    const free = this.#free[kind];
    if (free.length === 0) {
      const page = this.#runtime.allocatePages(WASM_PAGE);
      this.#pages.push({ address: page, size: WASM_PAGE });
      for (let at = page + WASM_PAGE - size; at >= page; at -= size) free.push(at);
    }
    return free.pop()!;
  }

  give(address: number, length: number): void {
    const kind = sizeClass(length);
    if (2 ** kind >= WASM_PAGE) this.#runtime.freePages(address, length);
    else this.#free[kind]!.push(address);
  }

  /** Gives the pages of small pieces back; whoever holds a large one frees it. */
  close(): void {
    for (const { address, size } of this.#pages.splice(0)) this.#runtime.freePages(address, size);
    this.#free.length = 0;
  }
}

/** Logarithm of the smallest power of two that holds so many bytes. */
function sizeClass(length: number): number {
  return 32 - Math.clz32(Math.max(SMALLEST, length) - 1);
}
