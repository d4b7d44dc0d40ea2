/** TCP headers (RFC 9293). */
import { InputError } from '../errors.ts';
import { concat, padTo, put16, put32 } from './bytes.ts';
import { internetChecksum } from './checksum.ts';
import { IPPROTO_TCP } from './ipv4.ts';
import type { Layer } from './packet.ts';

/** Bits of the flags byte. */
export const tcpFlags = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;
export type TcpFlag = keyof typeof tcpFlags;

export interface TcpFields {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly sequence?: number;
  readonly acknowledgment?: number;
  readonly flags?: readonly TcpFlag[];
  readonly window?: number;
  readonly urgent?: number;
  /** Padded with zeros (end of options) to a multiple of 4; at most 40 bytes. */
  readonly options?: Uint8Array;
  /** Header length in words of 4 bytes; overrides what is computed, as does `checksum`. */
  readonly dataOffset?: number;
  readonly checksum?: number;
}

export function tcp(fields: TcpFields): Layer {
  const options = padTo(fields.options ?? new Uint8Array(0), 4);
  if (options.length > 40)
    throw new InputError('SLUICE_NET_FIELD', `TCP options of ${options.length} bytes, at most 40 fit`);
  return {
    ipProtocol: IPPROTO_TCP,
    encode(payload, { pseudoSum }) {
      const segment = concat([new Uint8Array(20), options, payload]);
      put16(segment, 0, fields.srcPort);
      put16(segment, 2, fields.dstPort);
      put32(segment, 4, fields.sequence ?? 0);
      put32(segment, 8, fields.acknowledgment ?? 0);
      segment[12] = (fields.dataOffset ?? 5 + options.length / 4) << 4;
      segment[13] = (fields.flags ?? []).reduce((bits, flag) => bits | tcpFlags[flag], 0);
      put16(segment, 14, fields.window ?? 65535);
      put16(segment, 18, fields.urgent ?? 0);
      const sum = pseudoSum === undefined ? 0 : internetChecksum(segment, pseudoSum(IPPROTO_TCP, segment.length));
      put16(segment, 16, fields.checksum ?? sum);
      return segment;
    },
  };
}
