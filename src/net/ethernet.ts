/** Ethernet II headers. */
import { type Address, macBytes } from './addresses.ts';
import { concat, put16 } from './bytes.ts';
import type { Layer } from './packet.ts';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_QINQ = 0x88a8;

export interface EthernetFields {
  /** Default 02:00:00:00:00:02. */
  readonly dst?: Address;
  /** Default 02:00:00:00:00:01. */
  readonly src?: Address;
  /** Default: of the header behind; 0x88b5 (local experiment) for a bare payload. */
  readonly etherType?: number;
}

/** Type for payloads without a header of their own: IEEE 802 local experimental EtherType 1. */
export const ETHERTYPE_EXPERIMENT = 0x88b5;

export function ethernet(fields: EthernetFields = {}): Layer {
  const dst = macBytes(fields.dst ?? '02:00:00:00:00:02');
  const src = macBytes(fields.src ?? '02:00:00:00:00:01');
  return {
    encode(payload, { next }) {
      const header = new Uint8Array(14);
      header.set(dst, 0);
      header.set(src, 6);
      put16(header, 12, fields.etherType ?? next?.etherType ?? ETHERTYPE_EXPERIMENT);
      return concat([header, payload]);
    },
  };
}
