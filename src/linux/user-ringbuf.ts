/**
 * The producer's view of a kernel user ring buffer (kernel/bpf/ringbuf.c): the consumer's position in a page that we read, the producer's in one
 * that we write, and the data mapped twice in a row.
 */
import { InputError } from '../errors.ts';
import type { ProducerRing } from '../runtime/maps/record-producer.ts';
import { MAP_SHARED, type Mapping, memoryAt, mmap, munmap, PROT_READ, PROT_WRITE, pageSize } from './ffi.ts';

export class KernelProducerRing implements ProducerRing {
  readonly size: number;
  readonly #name: string;
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #consumerPosition: BigInt64Array;
  readonly #producerPosition: BigInt64Array;
  readonly #data: Uint8Array;
  #open = true;

  /** `size`: max_entries of the map, in bytes. The descriptor stays the caller's. */
  constructor(fd: number, size: number, name: string) {
    const page = pageSize();
    this.size = size;
    this.#name = name;
    this.#consumer = mmap(page, PROT_READ, MAP_SHARED, fd, 0);
    try {
      this.#producer = mmap(page + 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
    } catch (error) {
      munmap(this.#consumer);
      throw error;
    }
    this.#consumerPosition = new BigInt64Array(memoryAt(this.#consumer.address, 8));
    const shared = memoryAt(this.#producer.address, page + 2 * size);
    this.#producerPosition = new BigInt64Array(shared, 0, 1);
    this.#data = new Uint8Array(shared, page);
  }

  data(): Uint8Array {
    return this.#data;
  }

  consumed(): number {
    // The page is mapped for reading, and an atomic load of 64 bits is one.
    return Number(Atomics.load(this.#consumerPosition, 0));
  }

  produced(): number {
    return Number(Atomics.load(this.#producerPosition, 0));
  }

  publish(position: number): void {
    Atomics.store(this.#producerPosition, 0, BigInt(position));
  }

  check(): void {
    if (!this.#open) throw new InputError('SLUICE_MAP_EBADF', `map ${this.#name} is closed`);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    munmap(this.#producer);
    munmap(this.#consumer);
  }
}
