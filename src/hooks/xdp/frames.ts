/** Packet frames in program memory: descriptors in a row, each with a buffer of XDP_FRAME_SIZE bytes (plane/layout/frame.ts). */
import { InputError, UnsupportedError } from '../../errors.ts';
import {
  FRAME_DATA,
  FRAME_DATA_END,
  FRAME_DATA_META,
  FRAME_DESCRIPTOR_SIZE,
  FRAME_EGRESS_IFINDEX,
  FRAME_HARD_START,
  FRAME_INGRESS_IFINDEX,
  FRAME_PACKET_ID,
  FRAME_RX_QUEUE_INDEX,
  FRAME_SIZE_TOTAL,
  FRAME_TIMESTAMP,
  FRAME_TRAITS,
  FRAME_TRAITS_EPOCH,
  FRAME_TRAITS_SIDE,
  FRAME_VERDICT,
  FRAME_WIRE_LENGTH,
  XDP_FRAME_SIZE,
  XDP_HEADROOM,
  XDP_MAX_LINEAR,
} from '../../plane/layout/frame.ts';
import { ROOT, ROOT_TRAIT_PLACEMENT, TRAIT_TABLE } from '../../plane/layout/memory.ts';
import { TRAIT_TABLE_EPOCH, TRAITS_META_TAKEN, TRAITS_SIDE, TRAITS_SIDE_SIZE } from '../../plane/layout/trait.ts';
import type { XdpHints } from '../../runtime/handles.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { writeHints } from './hints.ts';

/** ETH_HLEN: the kernel refuses shorter packets. */
export const SHORTEST_PACKET = 14;
/** Ingress of a packet that came from nowhere: the loopback device, as in the kernel's test run. */
export const LOOPBACK_IFINDEX = 1;

export interface PacketOrigin {
  /** Bytes at the start of `data` that are metadata, not packet. */
  readonly metadata?: number;
  readonly ingressIfindex?: number;
  readonly rxQueueIndex?: number;
  readonly timestampNs?: bigint;
  readonly wireLength?: number;
  readonly hints?: XdpHints;
}

/** Why a packet cannot be an XDP frame; undefined if it can. Lengths in bytes. */
export function refusal(length: number): InputError | UnsupportedError | undefined {
  if (length < SHORTEST_PACKET) {
    return new InputError(
      'SLUICE_PACKET_LENGTH',
      `EINVAL: a packet of ${length} bytes is shorter than an Ethernet header`,
    );
  }
  if (length > XDP_MAX_LINEAR) {
    return new UnsupportedError(
      'XDP fragments',
      `a packet of ${length} bytes needs fragments; one buffer takes ${XDP_MAX_LINEAR}`,
    );
  }
  return undefined;
}

/** A fixed number of frames, owned by whoever made it until `free`. */
export class FramePool {
  readonly count: number;
  /** Address of the first descriptor. */
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #buffers: number;
  readonly #bytes: number;
  /** First of the blocks for traits, 0 where they lie elsewhere. */
  readonly #sides: number;

  constructor(runtime: Runtime, count: number) {
    const descriptors = Math.ceil((count * FRAME_DESCRIPTOR_SIZE) / XDP_FRAME_SIZE) * XDP_FRAME_SIZE;
    this.count = count;
    this.#runtime = runtime;
    const aside = runtime.view().getUint32(ROOT + ROOT_TRAIT_PLACEMENT, true) === TRAITS_SIDE;
    const buffers = descriptors + count * XDP_FRAME_SIZE;
    this.#bytes = buffers + (aside ? count * TRAITS_SIDE_SIZE : 0);
    this.address = runtime.allocatePages(this.#bytes);
    this.#buffers = this.address + descriptors;
    this.#sides = aside ? this.address + buffers : 0;
  }

  descriptor(index: number): number {
    return this.address + index * FRAME_DESCRIPTOR_SIZE;
  }

  /** Address of the frame's buffer, XDP_FRAME_SIZE bytes. */
  buffer(index: number): number {
    return this.#buffers + index * XDP_FRAME_SIZE;
  }

  /** Address of the frame's block for traits, 0 where they lie elsewhere. */
  side(index: number): number {
    return this.#sides === 0 ? 0 : this.#sides + index * TRAITS_SIDE_SIZE;
  }

  /** Puts a packet into a frame; the length was checked with `refusal`. */
  fill(index: number, data: Uint8Array, origin: PacketOrigin = {}): void {
    const view = this.#runtime.view();
    const frame = this.descriptor(index);
    const buffer = this.buffer(index);
    // Metadata is taken from the headroom, so that the packet itself begins where it always does.
    const start = buffer + XDP_HEADROOM - (origin.metadata ?? 0);
    // What a packet before left there must not come up when this one grows.
    this.#runtime.bytes().fill(0, buffer, start);
    this.#runtime.bytes().set(data, start);
    view.setUint32(frame + FRAME_DATA, start + (origin.metadata ?? 0), true);
    view.setUint32(frame + FRAME_DATA_END, start + data.length, true);
    view.setUint32(frame + FRAME_DATA_META, start, true);
    view.setUint32(frame + FRAME_INGRESS_IFINDEX, origin.ingressIfindex ?? LOOPBACK_IFINDEX, true);
    view.setUint32(frame + FRAME_RX_QUEUE_INDEX, origin.rxQueueIndex ?? 0, true);
    view.setUint32(frame + FRAME_EGRESS_IFINDEX, 0, true);
    view.setUint32(frame + FRAME_HARD_START, buffer, true);
    view.setUint32(frame + FRAME_SIZE_TOTAL, XDP_FRAME_SIZE, true);
    view.setUint32(frame + FRAME_VERDICT, 0, true);
    view.setUint32(frame + FRAME_TRAITS, origin.metadata ? TRAITS_META_TAKEN : 0, true);
    view.setUint32(frame + FRAME_TRAITS_SIDE, this.side(index), true);
    view.setUint32(frame + FRAME_TRAITS_EPOCH, view.getUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCH, true), true);
    view.setBigUint64(frame + FRAME_PACKET_ID, 0n, true);
    view.setBigUint64(frame + FRAME_TIMESTAMP, origin.timestampNs ?? 0n, true);
    view.setUint32(frame + FRAME_WIRE_LENGTH, origin.wireLength ?? data.length, true);
    writeHints(view, frame, origin.hints);
  }

  /** A copy of the frame's bytes, from the metadata on if `withMetadata`, else from the packet on. */
  read(index: number, withMetadata = false): Uint8Array {
    const view = this.#runtime.view();
    const frame = this.descriptor(index);
    const from = view.getUint32(frame + (withMetadata ? FRAME_DATA_META : FRAME_DATA), true);
    return this.#runtime.bytes().slice(from, view.getUint32(frame + FRAME_DATA_END, true));
  }

  field(index: number, offset: number): number {
    return this.#runtime.view().getUint32(this.descriptor(index) + offset, true);
  }

  setField(index: number, offset: number, value: number): void {
    this.#runtime.view().setUint32(this.descriptor(index) + offset, value, true);
  }

  free(): void {
    this.#runtime.freePages(this.address, this.#bytes);
  }
}
