// Encapsulations whose inner header is hashed: which a packet is, and where the inner packet begins. Headers that are cut or not valid are no tunnel's.
const TUNNEL_GRE_2784: u32 = 0x1;
const TUNNEL_GRE_2890: u32 = 0x2;
const TUNNEL_GRE_7676: u32 = 0x4;
const TUNNEL_GRE_UDP: u32 = 0x8;
const TUNNEL_VXLAN: u32 = 0x10;
const TUNNEL_VXLAN_GPE: u32 = 0x20;
const TUNNEL_GENEVE: u32 = 0x40;
const TUNNEL_IPIP: u32 = 0x80;
const TUNNEL_NVGRE: u32 = 0x100;
/** All forms of GRE, which in UDP are one type. */
const TUNNEL_GRE_ANY: u32 = TUNNEL_GRE_2784 | TUNNEL_GRE_2890 | TUNNEL_GRE_7676;

const IPPROTO_UDP: u32 = 17;
const ETH_P_IP: u32 = 0x0008;
const ETH_P_IPV6: u32 = 0xdd86;
const ETH_P_TEB: u32 = 0x5865;

const PORT_GRE: u32 = 4754;
const PORT_VXLAN: u32 = 4789;
const PORT_VXLAN_GPE: u32 = 4790;
const PORT_GENEVE: u32 = 6081;

const GRE_CHECKSUM: u32 = 0x8000;
const GRE_KEY: u32 = 0x2000;
const GRE_SEQUENCE: u32 = 0x1000;
const GRE_REFUSED: u32 = 0x4c07;

@inline function inner(at: usize, type: u32): u64 {
  return (<u64>type << 32) | <u64>at;
}

// Each says where the inner packet begins, with its EtherType (as loaded) in bits 32 to 47; 0: not a tunnel of the `enabled` types. `at` is behind the IP header.

/** `protocol`: UDP or GRE. */
export function tunnelPayload(at: usize, end: usize, protocol: u32, version: u32, enabled: u32): u64 {
  return protocol == IPPROTO_UDP ? udpPayload(at, end, version, enabled) : grePayload(at, end, version, enabled);
}

@inline export function ipipPayload(at: usize, enabled: u32): u64 {
  return (enabled & TUNNEL_IPIP) != 0 ? inner(at, ETH_P_IP) : 0;
}

export function grePayload(at: usize, end: usize, version: u32, enabled: u32): u64 {
  if (at + 4 > end) return 0;
  const flags = <u32>bswap<u16>(load<u16>(at));
  if ((flags & GRE_REFUSED) != 0) return 0;
  const type = <u32>load<u16>(at, 2);
  const fields = flags & (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE);
  let types = version == 6 || type == ETH_P_IPV6
    ? TUNNEL_GRE_7676
    : (flags & (GRE_KEY | GRE_SEQUENCE)) == 0 ? TUNNEL_GRE_2784 : TUNNEL_GRE_2890;
  if (type == ETH_P_TEB && fields == GRE_KEY) types |= TUNNEL_NVGRE;
  at += 4 + (<usize>popcnt<u32>(fields) << 2);
  return (types & enabled) == 0 || at > end ? 0 : inner(at, type);
}

@inline export function udpPayload(at: usize, end: usize, version: u32, enabled: u32): u64 {
  if (at + 8 > end) return 0;
  const port = <u32>bswap<u16>(load<u16>(at, 2));
  at += 8;
  if (port == PORT_GRE) return (enabled & TUNNEL_GRE_UDP) != 0 ? grePayload(at, end, version, TUNNEL_GRE_ANY) : 0;
  if (at + 8 > end) return 0;
  const flags = <u32>load<u8>(at);
  if (port == PORT_VXLAN) {
    if ((enabled & TUNNEL_VXLAN) == 0) return 0;
    return (flags & 8) != 0 ? inner(at + 8, ETH_P_TEB) : 0;
  }
  if (port == PORT_VXLAN_GPE) {
    if ((enabled & TUNNEL_VXLAN_GPE) == 0 || (flags & 0x30) != 0) return 0;
    let type = ETH_P_TEB;
    if ((flags & 4) != 0) {
      const next = <u32>load<u8>(at, 3);
      type = next == 1 ? ETH_P_IP : next == 2 ? ETH_P_IPV6 : next == 3 ? ETH_P_TEB : 0;
    }
    return inner(at + 8, type);
  }
  if (port == PORT_GENEVE) {
    if ((enabled & TUNNEL_GENEVE) == 0 || flags >> 6 != 0) return 0;
    const payload = at + 8 + (<usize>(flags & 0x3f) << 2);
    return payload > end ? 0 : inner(payload, <u32>load<u16>(at, 2));
  }
  return 0;
}
