/** IPv4 headers (RFC 791), and cutting a packet into fragments. */
import { InputError } from '../errors.ts';
import { type Address, ipv4Bytes } from './addresses.ts';
import { concat, get16, padTo, put16 } from './bytes.ts';
import { internetChecksum, sum16 } from './checksum.ts';
import { ETHERTYPE_IPV4 } from './ethernet.ts';
import type { Layer } from './packet.ts';

export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
/** RFC 3692 experiments: what bare payloads get. */
export const IPPROTO_EXPERIMENT = 253;
export const IPV4_MORE_FRAGMENTS = 0x2000;
export const IPV4_DONT_FRAGMENT = 0x4000;

export interface Ipv4Fields {
  readonly src: Address;
  readonly dst: Address;
  /** Default 64. */
  readonly ttl?: number;
  /** DSCP and ECN. */
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
  /** Padded with zeros to a multiple of 4; at most 40 bytes. */
  readonly options?: Uint8Array;
  /** The rest overrides what is computed, for packets that lie. */
  readonly protocol?: number;
  readonly version?: number;
  /** Header length in words of 4 bytes. */
  readonly ihl?: number;
  readonly totalLength?: number;
  readonly checksum?: number;
}

/** Sum of an IPv4 or IPv6 pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1), unfolded: the two sum up alike. */
export function pseudoHeaderSum(src: Uint8Array, dst: Uint8Array, protocol: number, length: number): number {
  return sum16(src) + sum16(dst) + protocol + Math.floor(length / 0x10000) + (length % 0x10000);
}

export function ipv4(fields: Ipv4Fields): Layer {
  const src = ipv4Bytes(fields.src);
  const dst = ipv4Bytes(fields.dst);
  const options = padTo(fields.options ?? new Uint8Array(0), 4);
  if (options.length > 40)
    throw new InputError('SLUICE_NET_FIELD', `IPv4 options of ${options.length} bytes, at most 40 fit`);
  return {
    etherType: ETHERTYPE_IPV4,
    ipProtocol: 4,
    pseudoSum: (protocol, length) => pseudoHeaderSum(src, dst, protocol, length),
    encode(payload, { next }) {
      const header = new Uint8Array(20 + options.length);
      header[0] = ((fields.version ?? 4) << 4) | (fields.ihl ?? header.length / 4);
      header[1] = fields.tos ?? 0;
      put16(header, 2, fields.totalLength ?? header.length + payload.length);
      put16(header, 4, fields.id ?? 0);
      put16(
        header,
        6,
        (fields.dontFragment ? IPV4_DONT_FRAGMENT : 0) |
          (fields.moreFragments ? IPV4_MORE_FRAGMENTS : 0) |
          (fields.fragmentOffset ?? 0),
      );
      header[8] = fields.ttl ?? 64;
      header[9] = fields.protocol ?? next?.ipProtocol ?? IPPROTO_EXPERIMENT;
      header.set(src, 12);
      header.set(dst, 16);
      header.set(options, 20);
      put16(header, 10, fields.checksum ?? internetChecksum(header));
      return concat([header, payload]);
    },
  };
}

/**
 * Fragments of an IPv4 packet that begins at `offset` of a frame; what is in front goes before each fragment. `size` is the payload
 * of each fragment but the last, a multiple of 8. Options are copied to all fragments (as if each had the copied flag).
 */
export function fragmentIpv4(frame: Uint8Array, offset: number, size: number): Uint8Array[] {
  if (size % 8 !== 0 || size <= 0)
    throw new InputError('SLUICE_NET_FIELD', `fragments of ${size} bytes: not a multiple of 8`);
  const headerLength = (frame[offset]! & 0xf) * 4;
  const payload = frame.subarray(offset + headerLength, offset + get16(frame, offset + 2));
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    const header = frame.slice(0, offset + headerLength);
    const ip = header.subarray(offset);
    put16(ip, 2, headerLength + part.length);
    put16(ip, 6, (at + size < payload.length ? IPV4_MORE_FRAGMENTS : 0) | (at / 8));
    put16(ip, 10, 0);
    put16(ip, 10, internetChecksum(ip));
    fragments.push(concat([header, part]));
  }
  return fragments;
}
