/** ICMP (RFC 792) and ICMPv6 (RFC 4443) messages. */
import { concat, put16, put32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';
import { IPPROTO_ICMP } from './ipv4.ts';
import { IPPROTO_ICMPV6 } from './ipv6.ts';
import type { Layer } from './packet.ts';

export interface IcmpFields {
  readonly type: number;
  readonly code?: number;
  /** The four bytes behind the checksum: identifier << 16 | sequence in an echo, the MTU in "too big". */
  readonly rest?: number;
  /** Overrides what is computed. */
  readonly checksum?: number;
}

function message(fields: IcmpFields, payload: Uint8Array): Uint8Array {
  const bytes = concat([new Uint8Array(8), payload]);
  bytes[0] = fields.type;
  bytes[1] = fields.code ?? 0;
  put32(bytes, 4, fields.rest ?? 0);
  return bytes;
}

export function icmp(fields: IcmpFields): Layer {
  return {
    ipProtocol: IPPROTO_ICMP,
    encode(payload) {
      const bytes = message(fields, payload);
      put16(bytes, 2, fields.checksum ?? internetChecksum(bytes));
      return bytes;
    },
  };
}

/** Its checksum covers the IPv6 pseudo header; 0 without an IP header in front. */
export function icmpv6(fields: IcmpFields): Layer {
  return {
    ipProtocol: IPPROTO_ICMPV6,
    encode(payload, { pseudoSum }) {
      const bytes = message(fields, payload);
      const sum = pseudoSum === undefined ? 0 : internetChecksum(bytes, pseudoSum(IPPROTO_ICMPV6, bytes.length));
      put16(bytes, 2, fields.checksum ?? sum);
      return bytes;
    },
  };
}
