/** Packets to a function of JavaScript, a batch of one queue at a time. */
import type { SinkFactory } from './sink.ts';
import type { PacketPlace, TapBlock } from './tap-block.ts';

/** Good until the function returns; its bytes are those of program memory. */
export class SteeredPacket {
  readonly hash: number;
  /** hash_report: 0 is none. */
  readonly report: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #data: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, place: PacketPlace, headerSize: number) {
    this.#bytes = bytes;
    this.#start = place.address;
    this.#data = place.address + headerSize;
    this.#end = place.address + place.length;
    this.hash = place.hash;
    this.report = place.report;
  }

  /** struct virtio_net_hdr_v1_hash: 20 bytes, little-endian. */
  get header(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#data);
  }

  /** From the Ethernet header on. */
  get data(): Uint8Array {
    return this.#bytes.subarray(this.#data, this.#end);
  }
}

export class SteeredBatch implements Iterable<SteeredPacket> {
  readonly queue: number;
  readonly length: number;
  readonly #block: TapBlock;
  readonly #bytes: Uint8Array;

  constructor(block: TapBlock, bytes: Uint8Array, queue: number) {
    this.#block = block;
    this.#bytes = bytes;
    this.queue = queue;
    this.length = block.waiting(queue);
  }

  at(index: number): SteeredPacket {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`packet ${index} of ${this.length}`);
    return new SteeredPacket(this.#bytes, this.#block.packet(this.queue, index), this.#block.headerSize);
  }

  *[Symbol.iterator](): Generator<SteeredPacket, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

/** What `take` throws ends `serve`; the batch's packets count as dropped. */
export function toFunction(take: (batch: SteeredBatch) => void): SinkFactory {
  return ({ runtime, block }) => ({
    what: 'a function',
    deliver(queue) {
      const batch = new SteeredBatch(block, runtime.bytes(), queue);
      let taken = false;
      try {
        take(batch);
        taken = true;
      } finally {
        block.release(queue, batch.length, !taken);
      }
    },
    close() {},
  });
}
