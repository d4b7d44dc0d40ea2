/** Frames for a device, from JavaScript: records in a row, each with a buffer for a packet and its virtio-net header. */
import { InputError } from '../../errors.ts';
import {
  STEER_FRAME_CONTEXT,
  STEER_FRAME_DATA,
  STEER_FRAME_HASH,
  STEER_FRAME_HEADER,
  STEER_FRAME_LENGTH,
  STEER_FRAME_QUEUE,
  STEER_FRAME_REPORT,
  STEER_FRAME_RETURN,
  STEER_FRAME_SIZE,
  VNET_HASH_HEADER_SIZE,
} from '../../plane/layout/steering.ts';
import type { Runtime } from '../runtime.ts';

export interface SteeredFrame {
  /** After modulo the number of queues. */
  readonly queue: number;
  /** Unsigned. */
  readonly hash: number;
  /** `hash_report`; 0: no hash. */
  readonly report: number;
  /** Return value of the program, unsigned; 0 without one. */
  readonly returned: number;
}

export class SteeringFrames {
  readonly count: number;
  /** Longest packet in bytes. */
  readonly capacity: number;
  /** Of the first record. */
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #bytes: number;
  readonly #stride: number;

  /** Owned by whoever made it until `free`. `capacity` of a packet in bytes; by default what a TAP gives without offloads and more. */
  constructor(runtime: Runtime, count: number, capacity = 65536 - 64) {
    this.count = count;
    this.capacity = capacity;
    this.#runtime = runtime;
    this.#stride = Math.ceil((capacity + 64) / 64) * 64;
    this.#bytes = count * (STEER_FRAME_SIZE + this.#stride) + 64;
    this.address = runtime.allocatePages(this.#bytes);
  }

  /** Address of a packet's first byte; the 20 bytes before are its virtio-net header. */
  data(index: number): number {
    return Math.ceil((this.address + this.count * STEER_FRAME_SIZE) / 64) * 64 + index * this.#stride + 32;
  }

  /** Puts a packet in, with a header of zeros. `context`: its RSS context. */
  fill(index: number, packet: Uint8Array, context = 0): void {
    if (packet.length > this.capacity)
      throw new InputError('SLUICE_PACKET_LENGTH', `a packet of ${packet.length} bytes: frames take ${this.capacity}`);
    const data = this.data(index);
    const header = data - VNET_HASH_HEADER_SIZE;
    const view = this.#runtime.view();
    const record = this.address + index * STEER_FRAME_SIZE;
    this.#runtime.bytes().fill(0, header, data);
    this.#runtime.bytes().set(packet, data);
    view.setUint32(record + STEER_FRAME_DATA, data, true);
    view.setUint32(record + STEER_FRAME_LENGTH, packet.length, true);
    view.setUint32(record + STEER_FRAME_HEADER, header, true);
    view.setUint32(record + STEER_FRAME_CONTEXT, context, true);
  }

  /** What a batch left. */
  result(index: number): SteeredFrame {
    const view = this.#runtime.view();
    const record = this.address + index * STEER_FRAME_SIZE;
    return {
      queue: view.getUint16(record + STEER_FRAME_QUEUE, true),
      hash: view.getUint32(record + STEER_FRAME_HASH, true),
      report: view.getUint16(record + STEER_FRAME_REPORT, true),
      returned: view.getUint32(record + STEER_FRAME_RETURN, true),
    };
  }

  /** A copy of the virtio-net header, 20 bytes. */
  header(index: number): Uint8Array {
    const data = this.data(index);
    return this.#runtime.bytes().slice(data - VNET_HASH_HEADER_SIZE, data);
  }

  free(): void {
    this.#runtime.freePages(this.address, this.#bytes);
  }
}
