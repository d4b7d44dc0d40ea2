/** Packets to a function of JavaScript, a batch of one queue at a time. */
import type { SinkFactory } from './sink.ts';

/** Of program memory, good until the function returns. */
export interface SteeredPacket {
  /** struct virtio_net_hdr_v1_hash: 20 bytes, little-endian. */
  readonly header: Uint8Array;
  /** From the Ethernet header on. */
  readonly data: Uint8Array;
  readonly hash: number;
  /** hash_report: 0 is none. */
  readonly report: number;
}

export interface SteeredBatch extends Iterable<SteeredPacket> {
  readonly queue: number;
  readonly length: number;
  at(index: number): SteeredPacket;
}

/** What `take` throws ends `serve`; the batch's packets count as dropped. */
export function toFunction(take: (batch: SteeredBatch) => void): SinkFactory {
  return ({ runtime, block }) => ({
    what: 'a function',
    deliver(queue) {
      const length = block.waiting(queue);
      const at = (index: number): SteeredPacket => {
        if (!(index >= 0 && index < length)) throw new RangeError(`packet ${index} of ${length}`);
        const { address, length: bytes, hash, report } = block.packet(queue, index);
        const whole = runtime.bytes().subarray(address, address + bytes);
        return {
          header: whole.subarray(0, block.headerSize),
          data: whole.subarray(block.headerSize),
          hash,
          report,
        };
      };
      let taken = false;
      try {
        take({
          queue,
          length,
          at,
          *[Symbol.iterator]() {
            for (let i = 0; i < length; i++) yield at(i);
          },
        });
        taken = true;
      } finally {
        block.release(queue, length, !taken);
      }
    },
    close() {},
  });
}
