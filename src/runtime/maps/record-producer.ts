/** The writing side of a user ring buffer, whichever target it lies in: one producer, which reserves, fills and submits records. */
import { InputError } from '../../errors.ts';
import type { UserRingbufHandle, UserRingbufRecord } from '../handles.ts';

/** One ring as its target shares it: the data twice as long as the ring, so that no record is torn. */
export interface ProducerRing {
  /** Of the data, a power of two. */
  readonly size: number;
  /** The data as it lies now. */
  data(): Uint8Array;
  /** Position up to which the programs have drained. */
  consumed(): number;
  produced(): number;
  publish(position: number): void;
  /** Throws for a map that is closed. */
  check(): void;
}

const HEADER = 8;
const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const LENGTH_MAX = 0x3fff_ffff;

export class RecordProducer<E> implements Pick<UserRingbufHandle<E>, 'push' | 'reserve' | 'available'> {
  readonly #ring: ProducerRing;
  readonly #encode: (event: E) => Uint8Array;

  constructor(ring: ProducerRing, encode: (event: E) => Uint8Array) {
    this.#ring = ring;
    this.#encode = encode;
  }

  /** Bytes that the next record may have. */
  get available(): number {
    this.#ring.check();
    const free = this.#ring.size - (this.#ring.produced() - this.#ring.consumed());
    return Math.max(0, (free & ~7) - HEADER);
  }

  push(event: E): boolean {
    const bytes = event instanceof Uint8Array ? event : this.#encode(event);
    const record = this.reserve(bytes.length);
    if (record === undefined) return false;
    record.bytes.set(bytes);
    record.submit();
    return true;
  }

  reserve(length: number): UserRingbufRecord | undefined {
    this.#ring.check();
    const { size } = this.#ring;
    const space = (length + HEADER + 7) & ~7;
    if (!Number.isInteger(length) || length < 0 || length > LENGTH_MAX || space > size)
      throw new InputError('SLUICE_MAP_E2BIG', `a record of ${length} bytes does not fit into a ring of ${size}`);
    const produced = this.#ring.produced();
    if (size - (produced - this.#ring.consumed()) < space) return undefined;
    const at = produced % size;
    const header = (word: number) => {
      this.#ring.check();
      const data = this.#ring.data();
      Atomics.store(new Uint32Array(data.buffer, data.byteOffset + at, 1), 0, word >>> 0);
    };
    header(length | BUSY);
    this.#ring.publish(produced + space);
    let open = true;
    const end = (word: number) => {
      if (!open) throw new InputError('SLUICE_MAP_RECORD', 'the record has been submitted or discarded already');
      open = false;
      header(word);
    };
    const data = this.#ring.data();
    return {
      bytes: data.subarray(at + HEADER, at + HEADER + length),
      submit: () => end(length),
      discard: () => end(length | DISCARD),
    };
  }
}
