/**
 * A ring of provided buffers: a group that requests take their buffer from when there is data for it (`bufferSelect`), given back by a store into
 * memory, without a request (IORING_REGISTER_PBUF_RING, Linux 5.19).
 */

import { CQE_BUFFER_SHIFT, cqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { bufferRingFlags, registerOpcodes, ringLimits } from '../../../abi/io-uring/ring-flags.ts';
import { InputError } from '../../../errors.ts';
import { WASM_PAGE } from '../../../plane/layout/memory.ts';
import type { RingBackend } from '../backend.ts';
import type { RingBuffer, RingMemory } from '../memory.ts';
import { writeProcessAddress } from '../prep/structures.ts';
import { RequestError } from '../request-error.ts';

export interface BufferRingOptions {
  /** What requests name: 0 to 65535. */
  readonly group: number;
  /** Buffers, a power of two up to 32768. */
  readonly count: number;
  /** Bytes of each. */
  readonly size: number;
  /** A buffer serves several completions, until it is full (Linux 6.12). */
  readonly incremental?: boolean;
}

/** A part of a buffer that a completion filled. */
export interface FilledPart {
  readonly buffer: number;
  /** In the linear memory. */
  readonly address: number;
  /** Shared memory, and only this part of it; valid until the buffer is given back. */
  readonly bytes: Uint8Array;
  /** The kernel will put nothing more into the buffer: it can be given back once it is read. */
  readonly done: boolean;
}

/** struct io_uring_buf; the tail of the ring lies in what the first one does not use. */
const ENTRY = 16;
const TAIL = 14;
/** struct io_uring_buf_reg. */
const REGISTER_SIZE = 40;

export class BufferRing {
  readonly group: number;
  readonly count: number;
  readonly size: number;
  readonly #backend: RingBackend;
  readonly #memory: RingMemory;
  readonly #ring: RingBuffer;
  readonly #data: RingBuffer;
  readonly #view: DataView;
  readonly #tailWord: Uint16Array;
  /** By place in the ring: which buffer; by buffer: its place, and bytes of it that are filled. */
  readonly #order: Uint16Array;
  readonly #place: Uint16Array;
  readonly #filled: Uint32Array;
  /** 1: it is in user space's hands. */
  readonly #taken: Uint8Array;
  readonly #incremental: boolean;
  #tail = 0;
  #open = true;

  /** Throws InputError `SLUICE_RING_BUFFERS`, RequestError: EEXIST if the group is there, EINVAL before Linux 5.19. */
  constructor(memory: RingMemory, backend: RingBackend, options: BufferRingOptions) {
    const { group, count, size } = options;
    if (!Number.isInteger(group) || group < 0 || group >= ringLimits.bufferGroups)
      throw new InputError('SLUICE_RING_BUFFERS', `a group of buffers: 0 to 65535, not ${group}`);
    if (!Number.isInteger(count) || count < 1 || count > ringLimits.bufferRingEntries || (count & (count - 1)) !== 0)
      throw new InputError(
        'SLUICE_RING_BUFFERS',
        `a ring of buffers has a power of two of them, up to ${ringLimits.bufferRingEntries}, not ${count}`,
      );
    if (!Number.isInteger(size) || size < 1 || size * count >= 2 ** 32)
      throw new InputError('SLUICE_RING_BUFFERS', `${count} buffers of ${size} bytes: 1 byte to 4 GiB together`);
    this.group = group;
    this.count = count;
    this.size = size;
    this.#memory = memory;
    this.#backend = backend;
    this.#incremental = options.incremental === true;
    // Pages of its own: the kernel pins them whole.
    this.#ring = memory.allocate(Math.max(count * ENTRY, WASM_PAGE));
    this.#data = memory.allocate(size * count);
    this.#view = new DataView(this.#ring.bytes.buffer);
    this.#tailWord = new Uint16Array(this.#ring.bytes.buffer, this.#ring.address + TAIL, 1);
    this.#order = new Uint16Array(count);
    this.#place = new Uint16Array(count);
    this.#filled = new Uint32Array(count);
    this.#taken = new Uint8Array(count).fill(1);
    const result = this.#register(registerOpcodes.PBUF_RING, this.#incremental ? bufferRingFlags.INC : 0);
    if (result < 0) {
      this.#ring.free();
      this.#data.free();
      throw new RequestError('register a ring of buffers', result);
    }
    for (let buffer = 0; buffer < count; buffer++) this.#put(buffer);
    this.#publish();
  }

  /** Address of a buffer in the linear memory. */
  address(buffer: number): number {
    return this.#data.address + buffer * this.size;
  }

  /** Buffers that the kernel may take. */
  get available(): number {
    let available = this.count;
    for (const taken of this.#taken) available -= taken;
    return available;
  }

  /**
   * What a completion of a request with this group filled, in order: one part, several for a bundle, none if it took no buffer. The buffers are the
   * caller's until `giveBack`, except those that are not `done`.
   */
  take(res: number, flags: number): FilledPart[] {
    if ((flags & cqeFlags.BUFFER) === 0) return [];
    const parts: FilledPart[] = [];
    let buffer = flags >>> CQE_BUFFER_SHIFT;
    let left = Math.max(res, 0);
    for (;;) {
      const from = this.#filled[buffer]!;
      const length = Math.min(left, this.size - from);
      left -= length;
      const last = left === 0;
      const done = !(last && (flags & cqeFlags.BUF_MORE) !== 0);
      const start = buffer * this.size + from;
      parts.push({
        buffer,
        address: this.#data.address + start,
        bytes: this.#data.bytes.subarray(start, start + length),
        done,
      });
      if (done) {
        this.#taken[buffer] = 1;
        this.#filled[buffer] = 0;
      } else this.#filled[buffer] = from + length;
      if (last) return parts;
      buffer = this.#order[(this.#place[buffer]! + 1) & (this.count - 1)]!;
    }
  }

  /** The kernel may fill them again. Throws InputError `SLUICE_RING_BUFFERS` for one that it has. */
  giveBack(...buffers: readonly number[]): void {
    for (const buffer of buffers) {
      if (this.#taken[buffer] !== 1)
        throw new InputError('SLUICE_RING_BUFFERS', `buffer ${buffer} of group ${this.group} is not in your hands`);
      this.#put(buffer);
    }
    this.#publish();
  }

  /** Ends the group, and gives its memory back: no request with it may be under way. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#register(registerOpcodes.UNPBUF_RING, 0);
    this.#ring.free();
    this.#data.free();
  }

  #put(buffer: number): void {
    const place = this.#tail & (this.count - 1);
    const at = this.#ring.address + place * ENTRY;
    writeProcessAddress(this.#view, at, Number(this.#backend.base), this.address(buffer));
    this.#view.setUint32(at + 8, this.size, true);
    // Not the word behind it: in the first entry it is the tail.
    this.#view.setUint16(at + 12, buffer, true);
    this.#order[place] = buffer;
    this.#place[buffer] = place;
    this.#taken[buffer] = 0;
    this.#tail = (this.#tail + 1) & 0xffff;
  }

  #publish(): void {
    Atomics.store(this.#tailWord, 0, this.#tail);
  }

  #register(opcode: number, flags: number): number {
    const argument = this.#memory.allocate(REGISTER_SIZE);
    const view = new DataView(argument.bytes.buffer);
    const at = argument.address;
    if (opcode === registerOpcodes.PBUF_RING) {
      writeProcessAddress(view, at, Number(this.#backend.base), this.#ring.address);
      view.setUint32(at + 8, this.count, true);
    }
    view.setUint16(at + 12, this.group, true);
    view.setUint16(at + 14, flags, true);
    const result = this.#backend.register(opcode, at, 1);
    argument.free();
    return result;
  }
}
