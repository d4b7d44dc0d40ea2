// Checksums in packets, corrected by difference (RFC 1624), and the checksum state of an sk_buff. net/core/filter.c, net/core/utils.c.
import { SKB_CSUM_LEVEL, SKB_DATA, SKB_IP_SUMMED, SKB_LEN } from '../../layout/skb';
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from '../errno';
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, resetChecksum } from '../hooks/skb-buffer';

const HEADER_FIELD: u64 = 0xf;
const PSEUDO_HEADER: u64 = 0x10;
const MARK_MANGLED_0: u64 = 0x20;
const MARK_ENFORCE: u64 = 0x40;
const IPV6: u64 = 0x80;

const MAX_LEVEL: u32 = 3;

@inline function fold(sum: u64): u16 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u16>sum;
}

// One's complement addition of 32-bit sums.
@inline function add32(a: u32, b: u32): u32 {
  const sum = a + b;
  return sum + <u32>(sum < a);
}

// The field after a difference `diff` (32 bits, one's complement) was added to what it covers.
@inline function byDifference(field: u16, diff: u32): u16 {
  return ~fold(<u64>add32(diff, <u32>~field & 0xffff));
}

@inline function by2(field: u16, before: u16, after: u16): u16 {
  return ~fold(<u64>(<u32>~field & 0xffff) + <u64>(<u32>~before & 0xffff) + <u64>after);
}

@inline function by4(field: u16, before: u32, after: u32): u16 {
  return byDifference(field, add32(~before, after));
}

// Address of the checksum field, 0 where it does not lie in the packet.
@inline function field(skb: usize, offset: u32): usize {
  if (offset > 0xffff || (offset & 1) != 0) return 0;
  const length = load<u32>(skb, SKB_LEN);
  if (offset + 2 > length) return 0;
  return <usize>load<u32>(skb, SKB_DATA) + <usize>offset;
}

export function bpf_l3_csum_replace(ctx: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  if ((flags & ~HEADER_FIELD) != 0) return EINVAL;
  const at = field(<usize>ctx, <u32>offset);
  if (at == 0) return EFAULT;
  return replace(at, from, to, <u32>flags);
}

function replace(at: usize, from: u64, to: u64, size: u32): i64 {
  const old = load<u16>(at);
  if (size == 0) {
    if (from != 0) return EINVAL;
    store<u16>(at, byDifference(old, <u32>to));
  } else if (size == 2) {
    store<u16>(at, by2(old, <u16>from, <u16>to));
  } else if (size == 4) {
    store<u16>(at, by4(old, <u32>from, <u32>to));
  } else {
    return EINVAL;
  }
  return 0;
}

export function bpf_l4_csum_replace(ctx: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  if ((flags & ~(HEADER_FIELD | PSEUDO_HEADER | MARK_MANGLED_0 | MARK_ENFORCE | IPV6)) != 0) return EINVAL;
  const at = field(<usize>ctx, <u32>offset);
  if (at == 0) return EFAULT;
  const zero = (flags & MARK_MANGLED_0) != 0;
  if (zero && (flags & MARK_ENFORCE) == 0 && load<u16>(at) == 0) return 0;
  // PSEUDO_HEADER matters only to packets whose checksum the device has begun or summed; no packet here is of that kind.
  const result = replace(at, from, to, <u32>(flags & HEADER_FIELD));
  if (result == 0 && zero && load<u16>(at) == 0) store<u16>(at, 0xffff);
  return result;
}

// Only for CHECKSUM_COMPLETE.
export function bpf_csum_update(_ctx: u64, _csum: u64): i64 {
  return ENOTSUPP;
}

export function bpf_csum_level(ctx: u64, operation: u64): i64 {
  const skb = <usize>ctx;
  const unnecessary = load<u32>(skb, SKB_IP_SUMMED) == CHECKSUM_UNNECESSARY;
  const level = load<u32>(skb, SKB_CSUM_LEVEL);
  if (operation == 0) return unnecessary ? <i64>level : EACCES;
  if (operation == 1) {
    if (!unnecessary) {
      store<u32>(skb, CHECKSUM_UNNECESSARY, SKB_IP_SUMMED);
      store<u32>(skb, 0, SKB_CSUM_LEVEL);
    } else if (level < MAX_LEVEL) {
      store<u32>(skb, level + 1, SKB_CSUM_LEVEL);
    }
    return 0;
  }
  if (operation == 2) {
    if (unnecessary) {
      if (level == 0) store<u32>(skb, CHECKSUM_NONE, SKB_IP_SUMMED);
      else store<u32>(skb, level - 1, SKB_CSUM_LEVEL);
    }
    return 0;
  }
  if (operation == 3) {
    resetChecksum(skb);
    return 0;
  }
  return EINVAL;
}
