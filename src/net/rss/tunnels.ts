/** Encapsulations whose inner header may be hashed (virtio's HASH_TUNNEL): which a packet is, and where the inner headers begin. One level. */
import { get16 } from '../bytes.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet.ts';
import { IPPROTO_UDP } from '../ipv4.ts';
import { tunnelType } from './hash-types.ts';
import { ETHERTYPE_TEB, type IpHeaders } from './headers.ts';

export const IPPROTO_IPIP = 4;
export const IPPROTO_GRE = 47;
export const PORT_GRE = 4754;
export const PORT_VXLAN = 4789;
export const PORT_VXLAN_GPE = 4790;
export const PORT_GENEVE = 6081;

const GRE_CHECKSUM = 0x8000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;
/** Source routing of RFC 1701, bits 4 and 5 that receivers must find zero (RFC 2784, section 2.3), and the version. */
const GRE_REFUSED = 0x4c07;

export interface Tunnel {
  /** Bits of tunnelType: a packet of NVGRE is one of GRE too. */
  readonly types: number;
  /** Where the inner packet begins. */
  readonly offset: number;
  /** Of the inner packet: of IPv4 or IPv6, ETHERTYPE_TEB for an Ethernet frame, or of something that is not hashed. */
  readonly etherType: number;
}

/** Undefined for a packet that is no tunnel's, and for a tunnel header that is cut or not valid: the outer header is hashed then. */
export function tunnelOf(packet: Uint8Array, outer: IpHeaders): Tunnel | undefined {
  const { protocol, transportOffset: at } = outer;
  if (protocol === undefined || at === undefined) return undefined;
  if (protocol === IPPROTO_IPIP && outer.version === 4)
    return { types: tunnelType.ipip, offset: at, etherType: ETHERTYPE_IPV4 };
  if (protocol === IPPROTO_GRE) return greAt(packet, at, outer.version);
  if (protocol !== IPPROTO_UDP || packet.length < at + 8) return undefined;
  return udpTunnel(packet, at + 8, get16(packet, at + 2), outer.version);
}

function udpTunnel(packet: Uint8Array, at: number, port: number, version: 4 | 6): Tunnel | undefined {
  if (port === PORT_GRE) {
    const gre = greAt(packet, at, version);
    return gre === undefined ? undefined : { ...gre, types: tunnelType.greUdp };
  }
  if (packet.length < at + 8) return undefined;
  const flags = packet[at]!;
  if (port === PORT_VXLAN)
    return (flags & 0x08) === 0 ? undefined : { types: tunnelType.vxlan, offset: at + 8, etherType: ETHERTYPE_TEB };
  if (port === PORT_VXLAN_GPE) {
    if ((flags & 0x30) !== 0) return undefined; // version
    return { types: tunnelType.vxlanGpe, offset: at + 8, etherType: gpeType(flags, packet[at + 3]!) };
  }
  if (port === PORT_GENEVE) {
    const size = 8 + (flags & 0x3f) * 4;
    if (flags >> 6 !== 0 || packet.length < at + size) return undefined;
    return { types: tunnelType.geneve, offset: at + size, etherType: get16(packet, at + 2) };
  }
  return undefined;
}

/** Next protocol of VXLAN-GPE, where its bit says that there is one. */
function gpeType(flags: number, next: number): number {
  if ((flags & 0x04) === 0) return ETHERTYPE_TEB;
  return { 1: ETHERTYPE_IPV4, 2: ETHERTYPE_IPV6, 3: ETHERTYPE_TEB }[next] ?? 0;
}

function greAt(packet: Uint8Array, at: number, version: 4 | 6): Tunnel | undefined {
  if (packet.length < at + 4) return undefined;
  const flags = get16(packet, at);
  const etherType = get16(packet, at + 2);
  if ((flags & GRE_REFUSED) !== 0) return undefined;
  const numbered = flags & (GRE_KEY | GRE_SEQUENCE);
  const words = [GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE].filter((bit) => (flags & bit) !== 0).length;
  const offset = at + 4 + words * 4;
  if (packet.length < offset) return undefined;
  const plain = version === 6 || etherType === ETHERTYPE_IPV6;
  const types = plain ? tunnelType.gre7676 : numbered === 0 ? tunnelType.gre2784 : tunnelType.gre2890;
  const nvgre = etherType === ETHERTYPE_TEB && (flags & (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE)) === GRE_KEY;
  return { types: types | (nvgre ? tunnelType.nvgre : 0), offset, etherType };
}
