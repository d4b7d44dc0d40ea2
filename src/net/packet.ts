/** Building packets: `packet(ethernet({…}), ipv4({…}), udp({…}), payload)` fills in lengths, protocol numbers and checksums. */
import { concat } from './bytes.ts';

/** One header. Made by ethernet(), vlan(), ipv4(), … */
export interface Layer {
  /** What a link header in front puts into its type field. */
  readonly etherType?: number;
  /** What an IP or extension header in front puts into its protocol field. */
  readonly ipProtocol?: number;
  /** Sum of the pseudo header that transports behind this header add to their checksum; only of IPv4 and IPv6. */
  readonly pseudoSum?: (protocol: number, length: number) => number;
  /** The header followed by `payload`, which is everything behind it, already encoded. */
  encode(payload: Uint8Array, stack: LayerStack): Uint8Array;
}

/** What a header sees of its neighbours. */
export interface LayerStack {
  /** Header behind this one; undefined if payload or nothing follows. */
  readonly next: Layer | undefined;
  /** Pseudo header sum by the nearest IP header in front; undefined without one. */
  readonly pseudoSum: ((protocol: number, length: number) => number) | undefined;
}

/** The headers and payloads in the order of the wire. Layers encode from the last to the first. */
export function packet(...parts: readonly (Layer | Uint8Array)[]): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(0);
  let next: Layer | undefined;
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    if (part instanceof Uint8Array) {
      bytes = concat([part, bytes]);
      next = undefined;
    } else {
      const network = parts
        .slice(0, i)
        .findLast((p): p is Layer => !(p instanceof Uint8Array) && p.pseudoSum !== undefined);
      bytes = part.encode(bytes, { next, pseudoSum: network?.pseudoSum });
      next = part;
    }
  }
  return bytes;
}

/** Zero bytes behind, as Ethernet adds to short frames; the frame itself if it is long enough. */
export function padded(frame: Uint8Array, length = 60): Uint8Array {
  return frame.length >= length ? frame : concat([frame, new Uint8Array(length - frame.length)]);
}
