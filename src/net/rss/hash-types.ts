/** Hash types, reports and encapsulation types of virtio-net, by the numbers of the specification (linux/virtio_net.h). */

/** Bits of `hash_types`. */
export const hashType = {
  ipv4: 0x1,
  tcpv4: 0x2,
  udpv4: 0x4,
  ipv6: 0x8,
  tcpv6: 0x10,
  udpv6: 0x20,
  ipv6Ex: 0x40,
  tcpv6Ex: 0x80,
  udpv6Ex: 0x100,
} as const;

export type HashTypeName = keyof typeof hashType;

export const HASH_TYPES_ALL = 0x1ff;

/** `hash_report`: 0, or 1 + the number of the type's bit. */
export const REPORT_NONE = 0;
export const reportNames = [
  'none',
  'ipv4',
  'tcpv4',
  'udpv4',
  'ipv6',
  'tcpv6',
  'udpv6',
  'ipv6Ex',
  'tcpv6Ex',
  'udpv6Ex',
] as const;

export type ReportName = (typeof reportNames)[number];

/** `hash_report` of a type. */
export function reportOf(name: HashTypeName): number {
  return 32 - Math.clz32(hashType[name]);
}

/** Bits of `enabled_tunnel_types`. */
export const tunnelType = {
  /** GRE without key and sequence number over and with IPv4 (RFC 2784). */
  gre2784: 0x1,
  /** The same with one of them (RFC 2890). */
  gre2890: 0x2,
  /** GRE over IPv6, or with IPv6 in it (RFC 7676). */
  gre7676: 0x4,
  /** GRE in UDP, port 4754 (RFC 8086). */
  greUdp: 0x8,
  /** Port 4789 (RFC 7348). */
  vxlan: 0x10,
  /** Port 4790. */
  vxlanGpe: 0x20,
  /** Port 6081 (RFC 8926). */
  geneve: 0x40,
  /** IPv4 in IPv4 (RFC 2003). */
  ipip: 0x80,
  /** GRE with a key and Ethernet in it, nothing else (RFC 7637): such a packet is of RFC 2890 or 7676 as well. */
  nvgre: 0x100,
} as const;

export type TunnelTypeName = keyof typeof tunnelType;

export const TUNNEL_TYPES_ALL = 0x1ff;

// Keys of the two tables.
const hashTypeNames = Object.keys(hashType) as HashTypeName[];
const tunnelTypeNames = Object.keys(tunnelType) as TunnelTypeName[];

/** Names of the bits that are set; unknown bits have none. */
export function hashTypesIn(bits: number): HashTypeName[] {
  return hashTypeNames.filter((name) => (bits & hashType[name]) !== 0);
}

export function tunnelTypesIn(bits: number): TunnelTypeName[] {
  return tunnelTypeNames.filter((name) => (bits & tunnelType[name]) !== 0);
}

/** Bytes of input that the largest of the types hashes: 0, 8, 12, 32 or 36. */
export function inputBytes(bits: number): number {
  if ((bits & (hashType.tcpv6 | hashType.udpv6 | hashType.tcpv6Ex | hashType.udpv6Ex)) !== 0) return 36;
  if ((bits & (hashType.ipv6 | hashType.ipv6Ex)) !== 0) return 32;
  if ((bits & (hashType.tcpv4 | hashType.udpv4)) !== 0) return 12;
  return (bits & hashType.ipv4) !== 0 ? 8 : 0;
}
