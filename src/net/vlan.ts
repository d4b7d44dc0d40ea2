/** VLAN tags: 802.1Q, and 802.1ad as the outer of two. */
import { concat, put16 } from './bytes.ts';
import { ETHERTYPE_EXPERIMENT, ETHERTYPE_VLAN } from './ethernet.ts';
import type { Layer } from './packet.ts';

export interface VlanFields {
  /** VLAN identifier, 0..4095. */
  readonly id: number;
  /** Priority code point, 0..7. */
  readonly priority?: number;
  readonly dropEligible?: boolean;
  /** Type by which the header in front announces this tag: 0x8100 (default) or 0x88a8. */
  readonly tpid?: number;
  /** Type of what follows; default of the header behind. */
  readonly etherType?: number;
}

export function vlan(fields: VlanFields): Layer {
  return {
    etherType: fields.tpid ?? ETHERTYPE_VLAN,
    encode(payload, { next }) {
      const tag = new Uint8Array(4);
      put16(tag, 0, ((fields.priority ?? 0) << 13) | (fields.dropEligible ? 0x1000 : 0) | (fields.id & 0xfff));
      put16(tag, 2, fields.etherType ?? next?.etherType ?? ETHERTYPE_EXPERIMENT);
      return concat([tag, payload]);
    },
  };
}
