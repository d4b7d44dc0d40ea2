// Internet checksum arithmetic (RFC 1071), with the 32-bit intermediate results that Linux's csum_partial has: a sum is 0 only if
// every word was 0.
function fold64(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  return <u32>sum;
}

function fold16(sum: u32): u64 {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u64>sum;
}

// One's complement sum of `size` bytes and `seed`; bytes that are no whole word count as one with zeros above them.
function partial(from: usize, size: u32, seed: u32): u32 {
  let sum: u64 = seed;
  const words = from + (size & ~3);
  while (from < words) {
    sum += <u64>load<u32>(from);
    from += 4;
  }
  if ((size & 2) != 0) sum += <u64>load<u16>(from);
  if ((size & 1) != 0) sum += <u64>load<u8>(from + (size & 2)) << ((size & 2) << 3);
  return fold64(sum);
}

// net/core/filter.c bpf_csum_diff as of 6.13, which folds the result to 16 bits and takes any size.
export function bpf_csum_diff(from: u64, from_size: u64, to: u64, to_size: u64, seed: u64): i64 {
  const removed = <u32>from_size;
  const added = <u32>to_size;
  const start = <u32>seed;
  if (removed != 0 && added != 0) {
    const plus = partial(<usize>to, added, start);
    const minus = ~partial(<usize>from, removed, 0);
    return <i64>fold16(fold64(<u64>plus + <u64>minus));
  }
  if (added != 0) return <i64>fold16(partial(<usize>to, added, start));
  if (removed != 0) return <i64>fold16(~partial(<usize>from, removed, ~start));
  return <i64>fold16(start);
}
