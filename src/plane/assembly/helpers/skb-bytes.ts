// Bytes of an sk_buff: load, store, pull, and the loads of classic programs. bpf_skb_load_bytes and its like in net/core/filter.c.
import { SKB_DATA, SKB_DATA_END, SKB_LEN, SKB_MAC_HEADER, SKB_NETWORK_HEADER } from '../../layout/skb';
import { EFAULT, EINVAL, ENOMEM } from '../errno';
import { skbOfContext } from '../hooks/context';
import { clearHash } from '../hooks/skb-buffer';

const BPF_F_RECOMPUTE_CSUM: u64 = 1;
const BPF_F_INVALIDATE_HASH: u64 = 2;
const BPF_HDR_START_MAC: u32 = 0;
const BPF_HDR_START_NET: u32 = 1;
/** Negative offsets of classic loads: from the network header, and from the link header. */
const SKF_NET_OFF: i32 = -0x100000;
const SKF_LL_OFF: i32 = -0x200000;

@inline function within(offset: u32, size: u32, length: u32): bool {
  return size <= length && offset <= length - size;
}

export function bpf_skb_load_bytes(ctx: u64, offset: u64, to: u64, size: u64): i64 {
  const skb = skbOfContext(ctx);
  const bytes = <u32>size;
  if (!within(<u32>offset, bytes, load<u32>(skb, SKB_LEN))) {
    memory.fill(<usize>to, 0, <usize>bytes);
    return EFAULT;
  }
  memory.copy(<usize>to, <usize>load<u32>(skb, SKB_DATA) + <usize><u32>offset, <usize>bytes);
  return 0;
}

export function bpf_skb_load_bytes_relative(ctx: u64, offset: u64, to: u64, size: u64, start: u64): i64 {
  const skb = skbOfContext(ctx);
  const bytes = <u32>size;
  const from = <u32>start == BPF_HDR_START_MAC ? load<u32>(skb, SKB_MAC_HEADER) : load<u32>(skb, SKB_NETWORK_HEADER);
  const end = load<u32>(skb, SKB_DATA_END);
  if (<u32>start <= BPF_HDR_START_NET && <u32>offset <= 0xffff && from <= end && within(<u32>offset, bytes, end - from)) {
    memory.copy(<usize>to, <usize>from + <usize><u32>offset, <usize>bytes);
    return 0;
  }
  memory.fill(<usize>to, 0, <usize>bytes);
  return EFAULT;
}

export function bpf_skb_store_bytes(ctx: u64, offset: u64, from: u64, size: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  if ((flags & ~(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) != 0) return EINVAL;
  if (!within(<u32>offset, <u32>size, load<u32>(skb, SKB_LEN))) return EFAULT;
  // RECOMPUTE_CSUM corrects skb->csum, which only CHECKSUM_COMPLETE has; no packet here is of that kind.
  memory.copy(<usize>load<u32>(skb, SKB_DATA) + <usize><u32>offset, <usize>from, <usize><u32>size);
  if ((flags & BPF_F_INVALIDATE_HASH) != 0) clearHash(skb);
  return 0;
}

// A packet here is always linear and writable.
export function bpf_skb_pull_data(ctx: u64, size: u64): i64 {
  return <u32>size > load<u32>(<usize>ctx, SKB_LEN) ? ENOMEM : 0;
}

/**
 * What BPF_LD_ABS and BPF_LD_IND read: `size` (1, 2, 4) bytes, big-endian, or -1 where the program has to return 0. Offsets below 0 count from
 * the network header (SKF_NET_OFF) or the link header (SKF_LL_OFF).
 */
export function skb_load_packet(ctx: u32, offset: i32, size: u32): i64 {
  const skb = <usize>ctx;
  let at = <i64>offset;
  const data = <i64>load<u32>(skb, SKB_DATA);
  if (offset < 0) {
    if (offset >= SKF_NET_OFF) at += <i64>load<u32>(skb, SKB_NETWORK_HEADER) - data - <i64>SKF_NET_OFF;
    else if (offset >= SKF_LL_OFF) at += <i64>load<u32>(skb, SKB_MAC_HEADER) - data - <i64>SKF_LL_OFF;
    else return -1;
  }
  const from = data + at;
  if (from + <i64>size > <i64>load<u32>(skb, SKB_DATA_END)) return -1;
  if (from < <i64>load<u32>(skb, SKB_MAC_HEADER) && from < data) return -1;
  if (size == 1) return <i64>load<u8>(<usize>from);
  if (size == 2) return <i64>bswap<u16>(load<u16>(<usize>from));
  return <i64>bswap<u32>(load<u32>(<usize>from));
}
