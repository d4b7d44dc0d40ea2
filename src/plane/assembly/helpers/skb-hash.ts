// The flow hash of an sk_buff. The kernel's is keyed with a random secret of the machine, so no two machines agree on it; this one
// has no key, so that a run can be repeated.
import { SKB_DATA_END, SKB_HASH, SKB_HASH_VALID, SKB_NETWORK_HEADER, SKB_PROTOCOL } from '../../layout/skb';
import { clearHash, ETH_P_IP, ETH_P_IPV6 } from '../hooks/skb-buffer';

const TCP: u32 = 6;
const UDP: u32 = 17;
const IP_OFFSET: u32 = 0x1fff;

@inline function mix(hash: u32, word: u32): u32 {
  hash = (hash ^ word) * 0x9e3779b1;
  return hash ^ (hash >> 15);
}

// Addresses, and the ports of TCP and UDP that is not a later fragment; the protocol alone for all else.
function flowHash(skb: usize): u32 {
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  const at = <usize>load<u32>(skb, SKB_NETWORK_HEADER);
  const end = <usize>load<u32>(skb, SKB_DATA_END);
  let hash = mix(0x5bd1e995, protocol);
  let next: usize = 0;
  let transport: u32 = 0;
  if (protocol == ETH_P_IP && at + 20 <= end) {
    transport = <u32>load<u8>(at, 9);
    hash = mix(mix(hash, load<u32>(at, 12)), load<u32>(at, 16));
    if ((<u32>bswap<u16>(load<u16>(at, 6)) & IP_OFFSET) == 0) next = at + (<usize>(load<u8>(at) & 15) << 2);
  } else if (protocol == ETH_P_IPV6 && at + 40 <= end) {
    transport = <u32>load<u8>(at, 6);
    for (let i: usize = 8; i < 40; i += 4) hash = mix(hash, load<u32>(at + i));
    next = at + 40;
  }
  hash = mix(hash, transport);
  if (next != 0 && (transport == TCP || transport == UDP) && next + 4 <= end) hash = mix(hash, load<u32>(next));
  return hash == 0 ? 1 : hash;
}

export function bpf_get_hash_recalc(ctx: u64): u64 {
  const skb = <usize>ctx;
  if (load<u32>(skb, SKB_HASH_VALID) == 0) {
    store<u32>(skb, flowHash(skb), SKB_HASH);
    store<u32>(skb, 1, SKB_HASH_VALID);
  }
  return <u64>load<u32>(skb, SKB_HASH);
}

export function bpf_set_hash(ctx: u64, hash: u64): u64 {
  store<u32>(<usize>ctx, <u32>hash, SKB_HASH);
  store<u32>(<usize>ctx, 1, SKB_HASH_VALID);
  return 0;
}

export function bpf_set_hash_invalid(ctx: u64): u64 {
  clearHash(<usize>ctx);
  return 0;
}
