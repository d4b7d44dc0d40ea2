// Strings that may lie anywhere: -ERANGE for an address of user space, -EFAULT for one that is not there, -E2BIG after 64 KiB without an
// end. Characters are unsigned, as the kernel is compiled. Facts: kernel/bpf/helpers.c of Linux 6.18.
import { E2BIG, EFAULT, ENOENT, ERANGE } from '../errno';
import { isReadable, isUserAddress } from './readable';

/** XATTR_SIZE_MAX. */
const LONGEST: u64 = 65536;

/** 0, or what a string whose first byte cannot be read gives. */
@inline function refusal(s: u64): i64 {
  return isUserAddress(s) ? ERANGE : 0;
}

/** One past the last readable address, so that one comparison a byte is enough. */
@inline function limit(): u64 {
  return <u64>memory.size() << 16;
}

@inline function lower(c: u8): u8 {
  // Latin-1, as lib/ctype.c has it.
  return (c >= 65 && c <= 90) || (c >= 192 && c <= 222 && c != 215) ? c + 32 : c;
}

function compare(a: u64, b: u64, ignoreCase: bool): i64 {
  if (refusal(a) != 0 || refusal(b) != 0) return ERANGE;
  const end = limit();
  for (let i: u64 = 0; i < LONGEST; i++) {
    if (a + i >= end || b + i >= end) return EFAULT;
    let x = load<u8>(<usize>(a + i));
    let y = load<u8>(<usize>(b + i));
    if (ignoreCase) {
      x = lower(x);
      y = lower(y);
    }
    if (x != y) return x < y ? -1 : 1;
    if (x == 0) return 0;
  }
  return E2BIG;
}

export function bpf_strcmp(a: u64, b: u64): i64 {
  return compare(a, b, false);
}

export function bpf_strcasecmp(a: u64, b: u64): i64 {
  return compare(a, b, true);
}

export function bpf_strnchr(s: u64, count: u64, c: u64): i64 {
  if (refusal(s) != 0) return ERANGE;
  const end = limit();
  let i: u64 = 0;
  for (; i < count && i < LONGEST; i++) {
    if (s + i >= end) return EFAULT;
    const at = load<u8>(<usize>(s + i));
    if (at == <u8>c) return <i64>i;
    if (at == 0) return ENOENT;
  }
  return i == LONGEST ? E2BIG : ENOENT;
}

export function bpf_strchr(s: u64, c: u64): i64 {
  return bpf_strnchr(s, LONGEST, c);
}

export function bpf_strchrnul(s: u64, c: u64): i64 {
  if (refusal(s) != 0) return ERANGE;
  const end = limit();
  for (let i: u64 = 0; i < LONGEST; i++) {
    if (s + i >= end) return EFAULT;
    const at = load<u8>(<usize>(s + i));
    if (at == 0 || at == <u8>c) return <i64>i;
  }
  return E2BIG;
}

// The character is an int here: a negative one is never found.
export function bpf_strrchr(s: u64, c: u64): i64 {
  if (refusal(s) != 0) return ERANGE;
  const end = limit();
  let last: i64 = ENOENT;
  for (let i: u64 = 0; i < LONGEST; i++) {
    if (s + i >= end) return EFAULT;
    const at = load<u8>(<usize>(s + i));
    if (<i32>at == <i32>c) last = <i64>i;
    if (at == 0) return last;
  }
  return E2BIG;
}

export function bpf_strnlen(s: u64, count: u64): i64 {
  if (refusal(s) != 0) return ERANGE;
  const end = limit();
  let i: u64 = 0;
  for (; i < count && i < LONGEST; i++) {
    if (s + i >= end) return EFAULT;
    if (load<u8>(<usize>(s + i)) == 0) return <i64>i;
  }
  return i == LONGEST ? E2BIG : <i64>i;
}

export function bpf_strlen(s: u64): i64 {
  return bpf_strnlen(s, LONGEST);
}

/** Bytes at the start of `s` that are all in `set`, or with `absent` all not in it. */
function span(s: u64, set: u64, absent: bool): i64 {
  if (refusal(s) != 0 || refusal(set) != 0) return ERANGE;
  const end = limit();
  for (let i: u64 = 0; i < LONGEST; i++) {
    if (s + i >= end) return EFAULT;
    const at = load<u8>(<usize>(s + i));
    if (at == 0) return <i64>i;
    let one: u8 = 0;
    let j: u64 = 0;
    for (; j < LONGEST; j++) {
      if (set + j >= end) return EFAULT;
      one = load<u8>(<usize>(set + j));
      if (one == at || one == 0) break;
    }
    if (j == LONGEST) return E2BIG;
    if ((one == 0) != absent) return <i64>i;
  }
  return E2BIG;
}

export function bpf_strspn(s: u64, accept: u64): i64 {
  return span(s, accept, false);
}

export function bpf_strcspn(s: u64, reject: u64): i64 {
  return span(s, reject, true);
}

export function bpf_strnstr(s: u64, part: u64, length: u64): i64 {
  if (refusal(s) != 0 || refusal(part) != 0) return ERANGE;
  const end = limit();
  for (let i: u64 = 0; i < LONGEST; i++) {
    let j: u64 = 0;
    // One byte more of the part may be read, to see that it ends with the text.
    for (; i + j <= length && j < LONGEST; j++) {
      if (part + j >= end) return EFAULT;
      const wanted = load<u8>(<usize>(part + j));
      if (wanted == 0) return <i64>i;
      if (i + j == length) break;
      if (s + i + j >= end) return EFAULT;
      const at = load<u8>(<usize>(s + i + j));
      if (at == 0) return ENOENT;
      if (at != wanted) break;
    }
    if (j == LONGEST) return E2BIG;
    if (i + j == length) return ENOENT;
  }
  return E2BIG;
}

export function bpf_strstr(s: u64, part: u64): i64 {
  return bpf_strnstr(s, part, LONGEST);
}
