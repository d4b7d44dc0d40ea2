/** One split virtqueue from its device's side: set up by control code, worked on by the plane. */
import { InputError } from '../../errors.ts';
import {
  VQ_AVAIL,
  VQ_BYTES,
  VQ_DESC,
  VQ_DROPPED,
  VQ_ENTRIES,
  VQ_ERROR,
  VQ_ERROR_ADDRESS,
  VQ_ERROR_CHAIN,
  VQ_ERROR_DESCRIPTOR,
  VQ_ERROR_DIRECTION,
  VQ_ERROR_HEADER,
  VQ_ERROR_INDEX,
  VQ_EVENT_IDX,
  VQ_FLAGS,
  VQ_HEADER,
  VQ_MEMORY,
  VQ_MERGEABLE,
  VQ_NEXT,
  VQ_PACKETS,
  VQ_SEGMENT_COUNT,
  VQ_SEGMENTS,
  VQ_SIGNALLED,
  VQ_SIZE,
  VQ_UNSIGNALLED,
  VQ_USED,
  VQ_USED_NEXT,
  VQ_WRITABLE_FROM,
} from '../../plane/layout/virtio.ts';
import type { GuestMemory } from './guest-memory.ts';
import { type VirtioPlane, virtioPlane } from './plane.ts';

export interface VirtqueueSetup {
  /** Descriptors: a power of two up to 32768. */
  readonly entries: number;
  /** Addresses of the parts in the process that shares the memory. */
  readonly descriptors: bigint;
  readonly available: bigint;
  readonly used: bigint;
  /** Place in the available ring to begin at. */
  readonly base: number;
  /** Bytes of the virtio-net header: 20 with a hash, else 12. */
  readonly header: 12 | 20;
  readonly mergeable: boolean;
  readonly eventIndex: boolean;
}

export interface VirtqueueCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Packets that found no buffers, or did not fit. */
  readonly dropped: bigint;
}

/** Of a control command, bytes: none is near it. */
const LONGEST_REQUEST = 1 << 16;

const reasons: Readonly<Record<number, string>> = {
  [VQ_ERROR_INDEX]: 'more buffers are available than there are descriptors',
  [VQ_ERROR_DESCRIPTOR]: 'a descriptor has a number that there is none of',
  [VQ_ERROR_ADDRESS]: 'a buffer is not in the shared memory',
  [VQ_ERROR_CHAIN]: 'a chain of descriptors goes round, or is too long',
  [VQ_ERROR_DIRECTION]: 'a buffer is for the other direction',
  [VQ_ERROR_HEADER]: 'a packet is shorter than its virtio-net header',
};

export class Virtqueue {
  /** Of the block, for the plane. */
  readonly address: number;
  readonly memory: GuestMemory;
  readonly #plane: VirtioPlane;

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.#plane = virtioPlane(memory.runtime);
    this.address = memory.runtime.allocatePages(VQ_SIZE);
  }

  #u32(field: number): number {
    return this.memory.runtime.view().getUint32(this.address + field, true);
  }

  #set(field: number, value: number): void {
    this.memory.runtime.view().setUint32(this.address + field, value, true);
  }

  get running(): boolean {
    return this.#u32(VQ_ENTRIES) !== 0;
  }

  /** What the driver did wrong, after which the queue stands still until it is started again. */
  get problem(): string | undefined {
    return reasons[this.#u32(VQ_ERROR)];
  }

  /** Throws InputError `SLUICE_VIRTQUEUE` for a size that cannot be, and for rings that are not in the shared memory or not aligned (virtio 1.3, 2.7). */
  start(setup: VirtqueueSetup): void {
    const { entries } = setup;
    if (!Number.isInteger(entries) || entries < 1 || entries > 32768 || (entries & (entries - 1)) !== 0)
      throw new InputError('SLUICE_VIRTQUEUE', `${entries} descriptors: a power of two up to 32768 is needed`);
    const desc = this.#place('descriptors', setup.descriptors, 16 * entries, 16);
    const avail = this.#place('available ring', setup.available, 6 + 2 * entries, 2);
    const used = this.#place('used ring', setup.used, 6 + 8 * entries, 4);
    this.#set(VQ_DESC, desc);
    this.#set(VQ_AVAIL, avail);
    this.#set(VQ_USED, used);
    this.#set(VQ_MEMORY, this.memory.address);
    this.#set(VQ_FLAGS, (setup.eventIndex ? VQ_EVENT_IDX : 0) | (setup.mergeable ? VQ_MERGEABLE : 0));
    this.#set(VQ_HEADER, setup.header);
    this.#set(VQ_NEXT, setup.base & 0xffff);
    // A queue that was stopped had given everything back.
    this.#set(VQ_USED_NEXT, this.memory.runtime.view().getUint16(used + 2, true));
    this.#set(VQ_SIGNALLED, this.#u32(VQ_USED_NEXT));
    this.#set(VQ_ERROR, 0);
    this.#set(VQ_UNSIGNALLED, 0);
    this.#set(VQ_ENTRIES, entries);
  }

  #place(what: string, address: bigint, size: number, alignment: number): number {
    const local = this.memory.fromUser(address, size);
    if (local === undefined)
      throw new InputError('SLUICE_VIRTQUEUE', `the ${what} at 0x${address.toString(16)} is not in the shared memory`);
    if (local % alignment !== 0)
      throw new InputError(
        'SLUICE_VIRTQUEUE',
        `the ${what} at 0x${address.toString(16)} is not aligned to ${alignment}`,
      );
    return local;
  }

  /** Nothing is read or written from here on. Returns the place in the available ring to go on at. */
  stop(): number {
    this.#set(VQ_ENTRIES, 0);
    return this.#u32(VQ_NEXT) & 0xffff;
  }

  /** The driver wants to know of what was given back since the last time. */
  signalDue(): boolean {
    return this.#plane.virtq_signal(this.address) !== 0;
  }

  /** Asks for a kick at the next buffer. False: one is there already. */
  awaitKick(): boolean {
    return this.#plane.virtq_await(this.address) !== 0;
  }

  /**
   * Takes a request of a driver that waits for an answer (a control queue's). What can be read of it, copied; `answer` writes into what can be written, as far as
   * there is room, and gives it back. Undefined: there is none.
   */
  request(): { readonly data: Uint8Array; readonly answer: (bytes: Uint8Array) => void } | undefined {
    if (this.#plane.virtq_take(this.address) === 0) return undefined;
    const segments = this.#segments();
    const readable = segments.slice(0, this.#u32(VQ_WRITABLE_FROM));
    const size = readable.reduce((sum, { length }) => sum + length, 0);
    const data = new Uint8Array(Math.min(size, LONGEST_REQUEST));
    let at = 0;
    for (const { address, length } of readable) {
      const part = Math.min(length, data.length - at);
      data.set(this.memory.runtime.bytes().subarray(address, address + part), at);
      at += part;
    }
    return {
      data,
      answer: (bytes) => {
        let written = 0;
        for (const { address, length } of segments.slice(readable.length)) {
          const part = bytes.subarray(written, written + length);
          this.memory.runtime.bytes().set(part, address);
          written += part.length;
        }
        this.#plane.virtq_give(this.address, written);
      },
    };
  }

  #segments(): { address: number; length: number }[] {
    const view = this.memory.runtime.view();
    return Array.from({ length: this.#u32(VQ_SEGMENT_COUNT) }, (_, i) => {
      const at = this.address + VQ_SEGMENTS + i * 8;
      return { address: view.getUint32(at, true), length: view.getUint32(at + 4, true) };
    });
  }

  counters(): VirtqueueCounters {
    const view = this.memory.runtime.view();
    const counter = (field: number) => view.getBigUint64(this.address + field, true);
    return { packets: counter(VQ_PACKETS), bytes: counter(VQ_BYTES), dropped: counter(VQ_DROPPED) };
  }

  free(): void {
    this.memory.runtime.freePages(this.address, VQ_SIZE);
  }
}
