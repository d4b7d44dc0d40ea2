// Iterators that live on the program's stack: bpf_iter_num (8 bytes: i32 current, i32 end) and bpf_iter_bits (16 bytes: u64 word, or
// address of words; i32 number of bits, i32 current). Facts: kernel/bpf/bpf_iter.c, kernel/bpf/helpers.c.
import { E2BIG, EFAULT, EINVAL, ENOMEM } from '../errno';
import { giveLarge, takeLarge } from './pool';
import { isReadable } from './readable';

const MAX_LOOPS: i64 = 8 * 1024 * 1024;
const NUM_END: usize = 4;

export function bpf_iter_num_new(it: u64, start: u64, end: u64): i64 {
  const s = <usize>it;
  const first = <i32>start;
  const last = <i32>end;
  store<u64>(s, 0);
  if (first > last) return EINVAL;
  if (<i64>last - <i64>first > MAX_LOOPS) return E2BIG;
  // One before the first, by wrapping where the first is the lowest.
  store<i32>(s, first - 1);
  store<i32>(s, last, NUM_END);
  return 0;
}

/** Address of the current number, inside of the iterator; 0 at the end. */
export function bpf_iter_num_next(it: u64): u64 {
  const s = <usize>it;
  const next = load<i32>(s) + 1;
  if (next >= load<i32>(s, NUM_END)) {
    store<u64>(s, 0);
    return 0;
  }
  store<i32>(s, next);
  return it;
}

export function bpf_iter_num_destroy(it: u64): u64 {
  store<u64>(<usize>it, 0);
  return 0;
}

const BITS_COUNT: usize = 8;
const BITS_CURRENT: usize = 12;
/** What one block of the allocator holds (BITS_ITER_NR_WORDS_MAX). */
const MAX_WORDS: u32 = 511;

export function bpf_iter_bits_new(it: u64, words: u64, count: u64): i64 {
  const s = <usize>it;
  const n = <u32>count;
  store<u64>(s, 0);
  store<i32>(s, 0, BITS_COUNT);
  store<i32>(s, -1, BITS_CURRENT);
  if (words == 0 || n == 0) return EINVAL;
  if (n > MAX_WORDS) return E2BIG;
  const bytes = n << 3;
  if (!isReadable(words, bytes)) return EFAULT;
  if (n == 1) {
    store<u64>(s, load<u64>(<usize>words));
  } else {
    const copy = takeLarge();
    if (copy == 0) return ENOMEM;
    memory.copy(copy, <usize>words, <usize>bytes);
    store<u64>(s, <u64>copy);
  }
  store<u32>(s, n << 6, BITS_COUNT);
  return 0;
}

/** Address of the number of the next bit that is set, inside of the iterator; 0 at the end. */
export function bpf_iter_bits_next(it: u64): u64 {
  const s = <usize>it;
  const count = load<i32>(s, BITS_COUNT);
  let bit = load<i32>(s, BITS_CURRENT);
  if (bit >= count) return 0;
  const words = count == 64 ? s : <usize>load<u64>(s);
  bit++;
  while (bit < count) {
    const rest = load<u64>(words + (<usize>(bit >> 6) << 3)) >> (<u64>bit & 63);
    if (rest != 0) {
      bit += <i32>ctz<u64>(rest);
      break;
    }
    bit = (bit & ~63) + 64;
  }
  store<i32>(s, bit, BITS_CURRENT);
  return bit >= count ? 0 : it + BITS_CURRENT;
}

export function bpf_iter_bits_destroy(it: u64): u64 {
  const s = <usize>it;
  if (load<i32>(s, BITS_COUNT) > 64) giveLarge(<usize>load<u64>(s));
  store<u64>(s, 0);
  store<u64>(s, 0, BITS_COUNT);
  return 0;
}
