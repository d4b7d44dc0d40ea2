/** Well-known traits: values that the system keeps of every packet, under keys from 2^63 up. They take no room in a packet's store: they are fields of the frame or the sk_buff. */

/** The first of the system's keys. */
export const SYSTEM_KEY = 1n << 63n;

export interface WellKnownTrait {
  readonly name: string;
  readonly key: bigint;
  /** Length of the value in bytes; numbers are in native byte order. */
  readonly size: number;
  /** What it is, in a line. */
  readonly meaning: string;
  /** Programs of XDP find it; programs may set it: on XDP, on an sk_buff. */
  readonly xdp: 'none' | 'read' | 'write';
  readonly skb: 'none' | 'read' | 'write';
}

const table: readonly Omit<WellKnownTrait, 'key'>[] = [
  {
    name: 'rx_hash',
    size: 4,
    meaning: "the receiver's hash of the packet's flow: the driver's, or what a program stored",
    xdp: 'write',
    skb: 'write',
  },
  {
    name: 'rx_hash_type',
    size: 4,
    meaning: 'what the hash is of: bits of enum xdp_rss_hash_type',
    xdp: 'write',
    skb: 'none',
  },
  {
    name: 'rx_timestamp',
    size: 8,
    meaning: 'when the packet came, ns: the time of the hardware or of the capture',
    xdp: 'write',
    skb: 'write',
  },
  {
    name: 'vlan',
    size: 4,
    meaning: 'tag that the receiver took off: u16 protocol in network order, u16 tag',
    xdp: 'write',
    skb: 'read',
  },
  {
    name: 'csum',
    size: 4,
    meaning: 'checksum: 0 not checked, 1 correct (CHECKSUM_UNNECESSARY)',
    xdp: 'none',
    skb: 'read',
  },
  { name: 'mark', size: 4, meaning: 'skb->mark', xdp: 'none', skb: 'write' },
  { name: 'ifindex', size: 4, meaning: 'interface that the packet came in by', xdp: 'read', skb: 'read' },
  { name: 'packet_id', size: 8, meaning: 'number that a program gave the packet', xdp: 'write', skb: 'write' },
];

/** In the order of their keys. */
export const wellKnownTraits: readonly WellKnownTrait[] = table.map((trait, n) => ({
  ...trait,
  key: SYSTEM_KEY + BigInt(n),
}));

const byName = new Map(wellKnownTraits.map((trait) => [trait.name, trait]));

export function wellKnownTrait(name: string): WellKnownTrait | undefined {
  return byName.get(name);
}
