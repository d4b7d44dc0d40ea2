// Tunnel key and options of an sk_buff: what a tunnel device would take from it. bpf_skb_set_tunnel_key and its like in net/core/filter.c.
import {
  SKB_TUNNEL, SKB_TUNNEL_FLAGS, SKB_TUNNEL_IPV6, SKB_TUNNEL_KEY, SKB_TUNNEL_OPTIONS, SKB_TUNNEL_OPTIONS_SIZE, TUNNEL_KEY_SIZE,
} from '../../layout/skb';
import { EINVAL, ENOENT, ENOMEM, EPROTO } from '../errno';

const TUNINFO_IPV6: u64 = 1;
const ZERO_CSUM_TX: u64 = 2;
const DONT_FRAGMENT: u64 = 4;
const SEQ_NUMBER: u64 = 8;
const NO_TUNNEL_KEY: u64 = 16;
/** The same bit for bpf_skb_get_tunnel_key. */
const TUNINFO_FLAGS: u64 = 16;

/** TUNNEL_* of include/uapi/linux/if_tunnel.h. */
const TUNNEL_CSUM: u32 = 0x01;
const TUNNEL_KEY: u32 = 0x04;
const TUNNEL_SEQ: u32 = 0x08;
const TUNNEL_DONT_FRAGMENT: u32 = 0x0100;
const TUNNEL_NOCACHE: u32 = 0x2000;
/** GENEVE, VXLAN, ERSPAN and GTP options: set together, because the program knows which they are, not the kernel. */
const TUNNEL_OPTIONS: u32 = 0xd800;

/** Offsets in struct bpf_tunnel_key. */
const REMOTE: usize = 4;
const TOS: usize = 20;
const TTL: usize = 21;
const EXT: usize = 22;
const LABEL: usize = 24;
const LOCAL: usize = 28;
const LABEL_MASK: u32 = 0x000f_ffff;
const MAX_OPTIONS: u32 = 255;

// Sizes of struct bpf_tunnel_key as it was in older kernels, besides its size now.
@inline function isOldSize(size: u32): bool {
  return size == 28 || size == 24 || size == 22 || size == 8;
}

export function bpf_skb_set_tunnel_key(ctx: u64, from: u64, size: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  const given = <u32>size;
  if ((flags & ~(TUNINFO_IPV6 | ZERO_CSUM_TX | DONT_FRAGMENT | SEQ_NUMBER | NO_TUNNEL_KEY)) != 0) return EINVAL;
  if (given != TUNNEL_KEY_SIZE && !isOldSize(given)) return EINVAL;
  const key = <usize>from;
  const v6 = (flags & TUNINFO_IPV6) != 0;
  const label = given >= 28 ? load<u32>(key, LABEL) : 0;
  const ext = given >= 24 ? <u32>load<u16>(key, EXT) : 0;
  if ((!v6 && label != 0) || ext != 0) return EINVAL;
  const to = skb + SKB_TUNNEL_KEY;
  memory.fill(to, 0, TUNNEL_KEY_SIZE);
  memory.copy(to, key, <usize>given);
  if (!v6) {
    memory.fill(to + REMOTE + 4, 0, 12);
    memory.fill(to + LOCAL + 4, 0, 12);
  }
  store<u32>(to, load<u32>(to, LABEL) & LABEL_MASK, LABEL);
  let bits = TUNNEL_NOCACHE;
  if ((flags & DONT_FRAGMENT) != 0) bits |= TUNNEL_DONT_FRAGMENT;
  if ((flags & ZERO_CSUM_TX) == 0) bits |= TUNNEL_CSUM;
  if ((flags & SEQ_NUMBER) != 0) bits |= TUNNEL_SEQ;
  if ((flags & NO_TUNNEL_KEY) == 0) bits |= TUNNEL_KEY;
  store<u32>(skb, 1, SKB_TUNNEL);
  store<u32>(skb, <u32>v6, SKB_TUNNEL_IPV6);
  store<u32>(skb, bits, SKB_TUNNEL_FLAGS);
  store<u32>(skb, 0, SKB_TUNNEL_OPTIONS_SIZE);
  return 0;
}

export function bpf_skb_get_tunnel_key(ctx: u64, to: u64, size: u64, flags: u64): i64 {
  const wanted = <u32>size;
  const result = readKey(<usize>ctx, <usize>to, wanted, flags);
  if (result != 0) memory.fill(<usize>to, 0, <usize>wanted);
  return result;
}

// Writes nothing unless it succeeds.
function readKey(skb: usize, to: usize, size: u32, flags: u64): i64 {
  if (load<u32>(skb, SKB_TUNNEL) == 0 || (flags & ~(TUNINFO_IPV6 | TUNINFO_FLAGS)) != 0) return EINVAL;
  const v6 = (flags & TUNINFO_IPV6) != 0;
  if ((load<u32>(skb, SKB_TUNNEL_IPV6) != 0) != v6) return EPROTO;
  if (size != TUNNEL_KEY_SIZE && !isOldSize(size)) return EINVAL;
  if (size == 8 && v6) return EINVAL;
  const key = skb + SKB_TUNNEL_KEY;
  // What was set for sending reads as if it had been received: its remote end is the local one. Field by field, as far as `size` goes.
  memory.copy(to, key, 4);
  memory.copy(to + REMOTE, key + LOCAL, size == 8 ? 4 : 16);
  if (size == 8) return 0;
  store<u8>(to, load<u8>(key, TOS), TOS);
  store<u8>(to, load<u8>(key, TTL), TTL);
  if (size >= 24) store<u16>(to, (flags & TUNINFO_FLAGS) != 0 ? bswap<u16>(<u16>load<u32>(skb, SKB_TUNNEL_FLAGS)) : 0, EXT);
  if (size >= 28) store<u32>(to, load<u32>(key, LABEL), LABEL);
  if (size >= <u32>TUNNEL_KEY_SIZE) memory.copy(to + LOCAL, key + REMOTE, 16);
  return 0;
}

export function bpf_skb_set_tunnel_opt(ctx: u64, from: u64, size: u64): i64 {
  const skb = <usize>ctx;
  const given = <u32>size;
  if (load<u32>(skb, SKB_TUNNEL) == 0 || (given & 3) != 0) return EINVAL;
  if (given > MAX_OPTIONS) return ENOMEM;
  store<u32>(skb, given, SKB_TUNNEL_OPTIONS_SIZE);
  if (given == 0) return 0;
  memory.copy(skb + SKB_TUNNEL_OPTIONS, <usize>from, <usize>given);
  store<u32>(skb, load<u32>(skb, SKB_TUNNEL_FLAGS) | TUNNEL_OPTIONS, SKB_TUNNEL_FLAGS);
  return 0;
}

export function bpf_skb_get_tunnel_opt(ctx: u64, to: u64, size: u64): i64 {
  const skb = <usize>ctx;
  const wanted = <u32>size;
  const have = load<u32>(skb, SKB_TUNNEL_OPTIONS_SIZE);
  const present = load<u32>(skb, SKB_TUNNEL) != 0 && (load<u32>(skb, SKB_TUNNEL_FLAGS) & TUNNEL_OPTIONS) != 0;
  if (!present || wanted < have) {
    memory.fill(<usize>to, 0, <usize>wanted);
    return present ? ENOMEM : ENOENT;
  }
  memory.copy(<usize>to, skb + SKB_TUNNEL_OPTIONS, <usize>have);
  memory.fill(<usize>to + <usize>have, 0, <usize>(wanted - have));
  return <i64>have;
}
