/**
 * The consumer of a kernel ring buffer, over its mapped pages (kernel/bpf/ringbuf.c): the consumer's position in a page that
 * we write, the producer's in one that we read, and the data mapped twice in a row, so that no record is torn.
 */

import type { RecordSource } from '../runtime/maps/record-stream.ts';
import { MAP_SHARED, type Mapping, memoryAt, mmap, munmap, PROT_READ, PROT_WRITE, pageSize } from './ffi.ts';

const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const LENGTH = 0x3fff_ffff;
const HEADER = 8;

// Polling: the kernel wakes by epoll, which Node cannot wait for. Quick after traffic, slow when idle.
const SHORTEST_WAIT = 1;
const LONGEST_WAIT = 20;

export class KernelRingbuf implements RecordSource {
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #consumerPosition: BigUint64Array;
  readonly #producerPosition: Uint32Array;
  readonly #data: Uint8Array;
  readonly #words: Uint32Array;
  readonly #size: number;
  /** Monotonic, below 2^53. */
  #position: number;
  #wakes = 0;
  #delay = SHORTEST_WAIT;
  #open = true;

  /** `size`: max_entries of the map, in bytes. The descriptor stays the caller's, who may close it before this. */
  constructor(fd: number, size: number) {
    const page = pageSize();
    this.#size = size;
    this.#consumer = mmap(page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    try {
      this.#producer = mmap(page + 2 * size, PROT_READ, MAP_SHARED, fd, page);
    } catch (error) {
      munmap(this.#consumer);
      throw error;
    }
    this.#consumerPosition = new BigUint64Array(memoryAt(this.#consumer.address, 8));
    const shared = memoryAt(this.#producer.address, page + 2 * size);
    this.#producerPosition = new Uint32Array(shared, 0, 1);
    this.#data = new Uint8Array(shared, page);
    this.#words = new Uint32Array(shared, page);
    this.#position = Number(this.#consumerPosition[0]);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  take(): Uint8Array | undefined {
    while (this.#open && this.#isReady()) {
      const at = this.#position % this.#size;
      const header = Atomics.load(this.#words, at >>> 2);
      const length = header & LENGTH;
      // Copied before the position is given back: then the kernel may write there.
      const record = (header & DISCARD) === 0 ? this.#data.slice(at + HEADER, at + HEADER + length) : undefined;
      this.#position += (HEADER + length + 7) & ~7;
      Atomics.store(this.#consumerPosition, 0, BigInt(this.#position));
      if (record !== undefined) return record;
    }
    return undefined;
  }

  wakes(): number {
    return this.#wakes;
  }

  async wait(_seen: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#open || signal?.aborted) return;
    if (this.#isReady()) {
      this.#delay = SHORTEST_WAIT;
      return;
    }
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, this.#delay);
      signal?.addEventListener('abort', end);
    });
    this.#wakes++;
    this.#delay = this.#open && this.#isReady() ? SHORTEST_WAIT : Math.min(LONGEST_WAIT, this.#delay * 2);
  }

  /** Bytes that are reserved or waiting to be taken. */
  get pending(): number {
    return this.#open ? (Atomics.load(this.#producerPosition, 0) - this.#position) >>> 0 : 0;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    munmap(this.#producer);
    munmap(this.#consumer);
  }

  #isReady(): boolean {
    if (this.pending === 0) return false;
    return (Atomics.load(this.#words, (this.#position % this.#size) >>> 2) & BUSY) === 0;
  }
}
