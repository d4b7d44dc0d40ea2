/** Flows and the queues that they were sent on: automatic receive steering (virtio 1.3, 5.1.6.5.6) in its long form. The data plane has the same for packets at speed. */
import { rssFields } from './fields.ts';
import { HASH_TYPES_ALL } from './hash-types.ts';

/** How long a flow is known after it was last sent, as in drivers/net/tun.c. */
const AGE_MS = 3000;

/**
 * The flow that a received packet is of: transport, addresses, ports; undefined: of none. Of a packet that was `sent`, what answers it. Addresses are those that are hashed: inner
 * ones of tunnels, home addresses; fragments have no ports.
 */
export function flowOf(packet: Uint8Array, tunnelTypes = 0, sent = false): string | undefined {
  const fields = rssFields(packet, HASH_TYPES_ALL, tunnelTypes);
  if (fields === undefined) return undefined;
  const { input, headers, type } = fields;
  const size = headers.version === 4 ? 4 : 16;
  const ends = [0, 1].map((which) => {
    const ports = 2 * size + 2 * which;
    return `${input.subarray(which * size, (which + 1) * size).join('.')} ${input.subarray(ports, ports + 2).join('.')}`;
  });
  return `${type.slice(0, 3)} ${(sent ? ends.reverse() : ends).join(' ')}`;
}

export class FlowMemory<Note = undefined> {
  readonly #flows = new Map<string, { readonly queue: number; readonly time: number; readonly note: Note }>();
  readonly #tunnelTypes: number;

  constructor(tunnelTypes = 0) {
    this.#tunnelTypes = tunnelTypes;
  }

  /** A packet was sent on the queue, at `time` in ms. `note`: of the last one that was. */
  learn(packet: Uint8Array, queue: number, time: number, note: Note): void {
    const flow = flowOf(packet, this.#tunnelTypes, true);
    if (flow !== undefined) this.#flows.set(flow, { queue, time, note });
  }

  /** The queue that a packet's flow was last sent on; undefined: it is not known. */
  find(packet: Uint8Array, time: number): { readonly queue: number; readonly note: Note } | undefined {
    const found = this.#flows.get(flowOf(packet, this.#tunnelTypes) ?? '');
    return found !== undefined && time - found.time <= AGE_MS ? found : undefined;
  }
}
