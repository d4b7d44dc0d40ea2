/** UDP headers (RFC 768). */
import { concat, put16 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';
import { IPPROTO_UDP } from './ipv4.ts';
import type { Layer } from './packet.ts';

export interface UdpFields {
  readonly srcPort: number;
  readonly dstPort: number;
  /** Override what is computed. */
  readonly length?: number;
  readonly checksum?: number;
}

/** Without an IP header in front the checksum is 0: none. */
export function udp(fields: UdpFields): Layer {
  return {
    ipProtocol: IPPROTO_UDP,
    encode(payload, { pseudoSum }) {
      const datagram = concat([new Uint8Array(8), payload]);
      put16(datagram, 0, fields.srcPort);
      put16(datagram, 2, fields.dstPort);
      put16(datagram, 4, fields.length ?? datagram.length);
      // A computed 0 is sent as 0xffff, because 0 means that there is no checksum.
      const sum =
        pseudoSum === undefined ? 0 : internetChecksum(datagram, pseudoSum(IPPROTO_UDP, datagram.length)) || 0xffff;
      put16(datagram, 6, fields.checksum ?? sum);
      return datagram;
    },
  };
}
