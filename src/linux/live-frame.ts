/** A packet of a live interface after the program, as readers see it. */

import { type Traits, traitsOf } from '../hooks/traits.ts';
import { mapIdAt } from '../hooks/xdp/redirect.ts';
import {
  FRAME_DATA,
  FRAME_DATA_END,
  FRAME_DATA_META,
  FRAME_INGRESS_IFINDEX,
  FRAME_PACKET_ID,
  FRAME_REDIRECT_INDEX,
  FRAME_REDIRECT_MAP,
  FRAME_RX_QUEUE_INDEX,
  FRAME_VERDICT,
} from '../plane/layout/frame.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** A frame of the current batch. What it has is read when it is asked for, and is good until the callback returns. */
export class LiveFrame {
  /** Address of the frame's descriptor (plane/layout/frame.ts). */
  readonly address: number;
  /** Whose memory it lies in. */
  readonly runtime: Runtime;

  constructor(runtime: Runtime, address: number) {
    this.runtime = runtime;
    this.address = address;
  }

  get verdict(): number {
    return this.#field(FRAME_VERDICT);
  }

  get ifindex(): number {
    return this.#field(FRAME_INGRESS_IFINDEX);
  }

  get queue(): number {
    return this.#field(FRAME_RX_QUEUE_INDEX);
  }

  /** The packet's bytes; not a copy. */
  get data(): Uint8Array {
    return this.runtime.bytes().subarray(this.#field(FRAME_DATA), this.#field(FRAME_DATA_END));
  }

  /** What lies between data_meta and data; not a copy. */
  get metadata(): Uint8Array {
    return this.runtime.bytes().subarray(this.#field(FRAME_DATA_META), this.#field(FRAME_DATA));
  }

  /** Copies of the packet's traits: those that a program in the kernel set and those that were set here; undefined without any. */
  get traits(): Traits | undefined {
    return traitsOf(this.runtime, 'xdp', this.address);
  }

  /** The well-known trait packet_id; 0: no program gave it. */
  get packetId(): bigint {
    return this.runtime.view().getBigUint64(this.address + FRAME_PACKET_ID, true);
  }

  /** Where XDP_REDIRECT leads: an interface, or a map's id and key. */
  get redirect(): { readonly ifindex: number } | { readonly mapId: number; readonly key: number } {
    const index = this.#field(FRAME_REDIRECT_INDEX);
    const mapId = mapIdAt(this.runtime, this.#field(FRAME_REDIRECT_MAP));
    return mapId === undefined ? { ifindex: index } : { mapId, key: index };
  }

  #field(at: number): number {
    return this.runtime.view().getUint32(this.address + at, true);
  }
}
