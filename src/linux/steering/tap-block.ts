/** The block that the plane steers a TAP's packets with (plane/layout/steering-tap.ts): its memory, the ring's buffers, and what it says. */
import { registerOpcodes } from '../../abi/io-uring/ring-flags.ts';
import { WASM_PAGE } from '../../plane/layout/memory.ts';
import { STEER_FRAME_SIZE } from '../../plane/layout/steering.ts';
import * as layout from '../../plane/layout/steering-tap.ts';
import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { SyscallError } from '../syscall-error.ts';
import { type TapPlane, tapPlane } from './plane.ts';
import { writeRingFields } from './ring-fields.ts';

/** struct io_uring_buf; struct io_uring_buf_reg has 40 bytes. */
const PROVIDED_ENTRY = 16;
const REGISTRATION_SIZE = 40;
const GROUP = 0;

export interface TapBlockOptions {
  /** Descriptors to read. */
  readonly sources: readonly number[];
  readonly queues: number;
  readonly buffers: number;
  readonly bufferSize: number;
  readonly headerSize: number;
  /** Bytes of a buffer that stay free in front of the header (default 0). */
  readonly headroom?: number;
}

/** Packets of a queue since the start. */
export interface QueueCounters {
  readonly queue: number;
  /** Steered to it, and their bytes without header. */
  readonly packets: number;
  readonly bytes: number;
  /** Of them: its consumer had no room, or failed. */
  readonly dropped: number;
  /** Of them: without a hash (report NONE). */
  readonly noHash: number;
  /** Of them: with the sink, or waiting for it. */
  readonly waiting: number;
}

/** Address and bytes of a packet, header included; hash and report as the engine left them. */
export interface PacketPlace {
  readonly address: number;
  readonly length: number;
  readonly hash: number;
  readonly report: number;
}

export interface TapCounters {
  readonly packets: number;
  readonly bytes: number;
  /** Too short for an Ethernet header. */
  readonly runts: number;
  /** Times that reading stopped as all buffers waited for consumers. */
  readonly exhausted: number;
  readonly queues: readonly QueueCounters[];
}

export class TapBlock {
  readonly address: number;
  readonly plane: TapPlane;
  readonly queues: number;
  readonly bufferSize: number;
  readonly headerSize: number;
  /** Address of the batch's frame records. */
  readonly frames: number;
  readonly #runtime: Runtime;
  readonly #start: number;
  readonly #bytes: number;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #queues: number;
  readonly #buffers: number;
  readonly #mask: number;

  /** Memory and buffers of a device's ring, which the kernel may fill at once. */
  constructor(runtime: Runtime, ring: RingBackend, options: TapBlockOptions) {
    const { sources, queues, buffers, bufferSize, headerSize } = options;
    const sizes = {
      // Pages of its own: the kernel pins them whole.
      provided: Math.max(buffers * PROVIDED_ENTRY, WASM_PAGE),
      buffers: buffers * bufferSize,
      block: layout.TAP_SIZE,
      registration: REGISTRATION_SIZE,
      frames: layout.TAP_BATCH * STEER_FRAME_SIZE,
      sources: sources.length * layout.TAP_SOURCE_SIZE,
      queues: (queues + 1) * layout.TAP_QUEUE_SIZE,
      entries: (queues + 1) * buffers * layout.TAP_ENTRY_SIZE,
    };
    this.#bytes = Object.values(sizes).reduce((sum, size) => sum + align(size), 0);
    this.#start = runtime.allocatePages(this.#bytes);
    let next = this.#start;
    const place = (size: number) => {
      const at = next;
      next += align(size);
      return at;
    };
    const provided = place(sizes.provided);
    this.#buffers = place(sizes.buffers);
    this.address = place(sizes.block);
    const registration = place(sizes.registration);
    this.frames = place(sizes.frames);
    const sourcesAt = place(sizes.sources);
    this.#queues = place(sizes.queues);
    const entries = place(sizes.entries);

    this.#runtime = runtime;
    this.plane = tapPlane(runtime);
    this.queues = queues;
    this.bufferSize = bufferSize;
    this.headerSize = headerSize;
    this.#mask = buffers - 1;
    // Growth of the memory leaves addresses as they are, and these views valid.
    this.#view = runtime.view();
    this.#words = new Int32Array(this.#view.buffer);
    const words: readonly (readonly [field: number, value: number])[] = [
      [layout.TAP_BUFFERS, this.#buffers],
      [layout.TAP_BUFFER_SIZE, bufferSize],
      [layout.TAP_BUFFER_COUNT, buffers],
      [layout.TAP_PROVIDED, provided],
      [layout.TAP_FRAMES, this.frames],
      [layout.TAP_QUEUES, this.#queues],
      [layout.TAP_QUEUE_COUNT, queues],
      [layout.TAP_HEADROOM, options.headroom ?? 0],
      [layout.TAP_SOURCES, sourcesAt],
      [layout.TAP_SOURCE_COUNT, sources.length],
    ];
    for (const [field, value] of words) this.#view.setUint32(this.address + field, value, true);
    writeRingFields(runtime, this.address, ring, headerSize);
    for (const [i, fd] of sources.entries())
      this.#view.setInt32(sourcesAt + i * layout.TAP_SOURCE_SIZE + layout.TAP_SOURCE_FD, fd, true);
    for (let i = 0; i <= queues; i++) {
      const at = this.#queues + i * layout.TAP_QUEUE_SIZE;
      this.#view.setUint32(at + layout.TAP_QUEUE_ENTRIES, entries + i * buffers * layout.TAP_ENTRY_SIZE, true);
      this.#view.setUint32(at + layout.TAP_QUEUE_READY, 1, true);
    }

    this.#view.setBigUint64(registration, ring.base + BigInt(provided), true);
    this.#view.setUint32(registration + 8, buffers, true);
    this.#view.setUint16(registration + 12, GROUP, true);
    const result = ring.register(registerOpcodes.PBUF_RING, registration, 1);
    if (result < 0) {
      runtime.freePages(this.#start, this.#bytes);
      throw new SyscallError('io_uring_register(IORING_REGISTER_PBUF_RING)', -result);
    }
    this.plane.tap_provide(this.address);
  }

  /** Packets that wait in a queue for its sink. */
  waiting(queue: number): number {
    const at = (this.#queues + queue * layout.TAP_QUEUE_SIZE) / 4;
    return (this.#words[at + layout.TAP_QUEUE_TAIL / 4]! - this.#words[at + layout.TAP_QUEUE_HEAD / 4]!) >>> 0;
  }

  /** Gives the oldest packets of a queue back: their sink is done with them, or they are `dropped`. */
  release(queue: number, packets: number, dropped = false): void {
    this.plane.tap_release(this.address, queue, packets, dropped ? 1 : 0);
  }

  /** Whether what the queue was last awaited for has come. */
  isReady(queue: number): boolean {
    return this.#words[(this.#queues + queue * layout.TAP_QUEUE_SIZE + layout.TAP_QUEUE_READY) / 4] === 1;
  }

  /** The packet that is `index` behind the oldest one of a queue. */
  packet(queue: number, index: number): PacketPlace {
    const at = this.#queues + queue * layout.TAP_QUEUE_SIZE;
    const head = this.#view.getUint32(at + layout.TAP_QUEUE_HEAD, true);
    const entries = this.#view.getUint32(at + layout.TAP_QUEUE_ENTRIES, true);
    const entry = entries + ((head + index) & this.#mask) * layout.TAP_ENTRY_SIZE;
    const view = this.#view;
    return {
      address:
        this.#buffers +
        view.getUint32(entry + layout.TAP_ENTRY_BUFFER, true) * this.bufferSize +
        view.getUint16(entry + layout.TAP_ENTRY_START, true),
      length: view.getUint32(entry + layout.TAP_ENTRY_LENGTH, true),
      hash: view.getUint32(entry + layout.TAP_ENTRY_HASH, true),
      report: view.getUint16(entry + layout.TAP_ENTRY_REPORT, true),
    };
  }

  /** Requests that the kernel has not been told of. */
  get staged(): number {
    return this.#words[(this.address + layout.TAP_STAGED) / 4]!;
  }

  /** The kernel has taken that many of them. */
  submitted(requests: number): void {
    this.#words[(this.address + layout.TAP_STAGED) / 4]! -= requests;
  }

  /** What ended the reading, as a negated errno; 0: nothing has. */
  get error(): number {
    return this.#words[(this.address + layout.TAP_ERROR) / 4]!;
  }

  get packets(): number {
    return this.#counter(this.address + layout.TAP_PACKETS);
  }

  counters(): TapCounters {
    const queues = Array.from({ length: this.queues }, (_, queue) => {
      const at = this.#queues + queue * layout.TAP_QUEUE_SIZE;
      return {
        queue,
        packets: this.#counter(at + layout.TAP_QUEUE_PACKETS),
        bytes: this.#counter(at + layout.TAP_QUEUE_BYTES),
        dropped: this.#counter(at + layout.TAP_QUEUE_DROPPED),
        noHash: this.#counter(at + layout.TAP_QUEUE_UNHASHED),
        waiting: this.waiting(queue) + this.#words[(at + layout.TAP_QUEUE_WRITES) / 4]!,
      };
    });
    return {
      packets: this.packets,
      bytes: this.#counter(this.address + layout.TAP_BYTES),
      runts: this.#counter(this.address + layout.TAP_RUNTS),
      exhausted: this.#counter(this.address + layout.TAP_EXHAUSTED),
      queues,
    };
  }

  /** Once the kernel fills no buffer any more. */
  free(): void {
    this.#runtime.freePages(this.#start, this.#bytes);
  }

  #counter(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }
}

function align(size: number): number {
  return Math.ceil(size / 64) * 64;
}
