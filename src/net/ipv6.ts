/** IPv6 headers and extension headers (RFC 8200, RFC 4302). */
import { InputError } from '../errors.ts';
import { type Address, ipv6Bytes } from './addresses.ts';
import { concat, put16, put32 } from './bytes.ts';
import { ETHERTYPE_IPV6 } from './ethernet.ts';
import { IPPROTO_EXPERIMENT, pseudoHeaderSum } from './ipv4.ts';
import type { Layer } from './packet.ts';

export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_NONE = 59;
export const IPPROTO_DSTOPTS = 60;

export interface Ipv6Fields {
  readonly src: Address;
  readonly dst: Address;
  /** Default 64. */
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  /**
   * For the pseudo header only: where a routing header behind sends the packet in the end. The destination field keeps `dst`.
   */
  readonly finalDestination?: Address;
  /** The rest overrides what is computed, for packets that lie. */
  readonly nextHeader?: number;
  readonly payloadLength?: number;
  readonly version?: number;
}

export function ipv6(fields: Ipv6Fields): Layer {
  const src = ipv6Bytes(fields.src);
  const dst = ipv6Bytes(fields.dst);
  const final = fields.finalDestination === undefined ? dst : ipv6Bytes(fields.finalDestination);
  return {
    etherType: ETHERTYPE_IPV6,
    ipProtocol: 41,
    pseudoSum: (protocol, length) => pseudoHeaderSum(src, final, protocol, length),
    encode(payload, { next }) {
      const header = new Uint8Array(40);
      put32(
        header,
        0,
        (((fields.version ?? 6) << 28) | ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0)) >>> 0,
      );
      put16(header, 4, fields.payloadLength ?? payload.length);
      header[6] = fields.nextHeader ?? following(next, payload);
      header[7] = fields.hopLimit ?? 64;
      header.set(src, 8);
      header.set(dst, 24);
      return concat([header, payload]);
    },
  };
}

/** Number for the next-header field. */
function following(next: Layer | undefined, payload: Uint8Array): number {
  return next?.ipProtocol ?? (payload.length === 0 ? IPPROTO_NONE : IPPROTO_EXPERIMENT);
}

export interface ExtensionFields {
  /** Behind the two bytes of next header and length, padded to a multiple of 8 with Pad1 (zeros). */
  readonly body?: Uint8Array;
  /** Override what is computed. */
  readonly nextHeader?: number;
  /** The length field: in units of 8 bytes, not counting the first 8. */
  readonly length?: number;
}

function extension(number: number, fields: ExtensionFields): Layer {
  const body = fields.body ?? new Uint8Array(6);
  const header = new Uint8Array((2 + body.length + 7) & ~7);
  if (header.length > 2048)
    throw new InputError('SLUICE_NET_FIELD', `extension header of ${header.length} bytes, at most 2048 fit`);
  header.set(body, 2);
  return {
    ipProtocol: number,
    encode(payload, { next }) {
      header[0] = fields.nextHeader ?? following(next, payload);
      header[1] = fields.length ?? header.length / 8 - 1;
      return concat([header, payload]);
    },
  };
}

export const hopByHop = (fields: ExtensionFields = {}): Layer => extension(IPPROTO_HOPOPTS, fields);
export const destinationOptions = (fields: ExtensionFields = {}): Layer => extension(IPPROTO_DSTOPTS, fields);

/** Routing header of type 2 (RFC 6275) for one address, or of another type with the same layout. */
export function routing(fields: {
  readonly address: Address;
  readonly type?: number;
  readonly segmentsLeft?: number;
  readonly nextHeader?: number;
}): Layer {
  const body = new Uint8Array(22);
  body[0] = fields.type ?? 2;
  body[1] = fields.segmentsLeft ?? 1;
  body.set(ipv6Bytes(fields.address), 6);
  return extension(IPPROTO_ROUTING, {
    body,
    ...(fields.nextHeader === undefined ? {} : { nextHeader: fields.nextHeader }),
  });
}

/** Fragment header; `nextHeader` must be given where the payload is a bare piece of the original packet. */
export function ipv6Fragment(fields: {
  readonly id: number;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly nextHeader?: number;
}): Layer {
  return {
    ipProtocol: IPPROTO_FRAGMENT,
    encode(payload, { next }) {
      const header = new Uint8Array(8);
      header[0] = fields.nextHeader ?? following(next, payload);
      put16(header, 2, ((fields.fragmentOffset ?? 0) << 3) | (fields.moreFragments ? 1 : 0));
      put32(header, 4, fields.id);
      return concat([header, payload]);
    },
  };
}

/** Authentication header: its length counts words of 4 bytes, less 2. `icv` of 4 + 8n bytes keeps IPv6 alignment. */
export function authentication(fields: {
  readonly spi: number;
  readonly sequence: number;
  readonly icv?: Uint8Array;
  readonly nextHeader?: number;
}): Layer {
  const icv = fields.icv ?? new Uint8Array(12);
  return {
    ipProtocol: IPPROTO_AH,
    encode(payload, { next }) {
      const header = new Uint8Array(12 + icv.length);
      header[0] = fields.nextHeader ?? following(next, payload);
      header[1] = header.length / 4 - 2;
      put32(header, 4, fields.spi);
      put32(header, 8, fields.sequence);
      header.set(icv, 12);
      return concat([header, payload]);
    },
  };
}
