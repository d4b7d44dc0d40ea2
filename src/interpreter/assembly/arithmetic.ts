// Division, remainder and byte order as RFC 9669 defines them: by zero gives 0, or the dividend for a remainder; signed ones truncate
// and wrap around.

export function divide64(a: u64, b: u64): u64 {
  return b == 0 ? 0 : a / b;
}

export function divide32(a: u32, b: u32): u32 {
  return b == 0 ? 0 : a / b;
}

export function remainder64(a: u64, b: u64): u64 {
  return b == 0 ? a : a % b;
}

export function remainder32(a: u32, b: u32): u32 {
  return b == 0 ? a : a % b;
}

export function sdivide64(a: i64, b: i64): u64 {
  if (b == 0) return 0;
  return b == -1 ? <u64>(0 - a) : <u64>(a / b);
}

export function sdivide32(a: i32, b: i32): u32 {
  if (b == 0) return 0;
  return b == -1 ? <u32>(0 - a) : <u32>(a / b);
}

export function smodulo64(a: i64, b: i64): u64 {
  if (b == 0) return <u64>a;
  return b == -1 ? 0 : <u64>(a % b);
}

export function smodulo32(a: i32, b: i32): u32 {
  if (b == 0) return <u32>a;
  return b == -1 ? 0 : <u32>(a % b);
}

/** The lower `bits` (16, 32, 64) in the other byte order. */
export function swap(value: u64, bits: u32): u64 {
  if (bits == 16) return <u64>bswap<u16>(<u16>value);
  if (bits == 32) return <u64>bswap<u32>(<u32>value);
  return bswap<u64>(value);
}
