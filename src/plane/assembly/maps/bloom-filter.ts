// Bloom filter: values are added and asked for, never taken out. As many bits as Linux gives (kernel/bpf/bloom_filter.c), so
// the rate of false positives is Linux's; which values are falsely found differs, as the hash function does.
import { hash_key } from './key';
import { access_flags_ok, header_allocate } from './header';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  KMALLOC_MAX_SIZE,
  MAP_VALUES,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import { BLOOM_DEFAULT_HASHES, BLOOM_HASHES, BLOOM_MASK, BLOOM_SEED } from '../../layout/map-queue';

export function bloom_filter_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  extra: u64,
  seed: u64,
): usize {
  const access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  if (value_size > <u32>KMALLOC_MAX_SIZE) return <usize>E2BIG;
  if (key_size != 0 || value_size == 0 || max_entries == 0 || extra > 15) return <usize>EINVAL;
  if ((flags & ~(BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | access)) != 0 || !access_flags_ok(flags)) return <usize>EINVAL;
  const hashes: u32 = extra == 0 ? BLOOM_DEFAULT_HASHES : <u32>extra;
  const bits = bit_count(max_entries, hashes);
  const map = header_allocate(type, key_size, value_size, max_entries, flags, bits >> 3);
  if (map == 0) return <usize>ENOMEM;
  store<u64>(map, flags & BPF_F_ZERO_SEED ? 0 : seed, BLOOM_SEED);
  store<u32>(map, <u32>(bits - 1), BLOOM_MASK);
  store<u32>(map, hashes, BLOOM_HASHES);
  return map;
}

/** Entries times hashes over ln 2, rounded up to a power of two: half of the bits are set when the filter is full. */
function bit_count(max_entries: u32, hashes: u32): u64 {
  const most: u64 = (<u64>1) << 32;
  const pairs = <u64>max_entries * hashes;
  if (pairs >= most) return most;
  const bits = (pairs / 5) * 7;
  if (bits > most >> 1) return most;
  return bits <= 64 ? 64 : (<u64>1) << (64 - clz<u64>(bits - 1));
}

// Two independent hashes make them all (Kirsch and Mitzenmacher, 2006): the i-th is first + i * second.
const SECOND_SEED: u64 = 0xa0761d6478bd642f;

/** 0, or -EINVAL for flags. */
export function bloom_filter_push(map: usize, value: usize, flags: u64): i64 {
  if (flags != 0) return EINVAL;
  const size = load<u32>(map, MAP_VALUE_SIZE);
  const seed = load<u64>(map, BLOOM_SEED);
  const step = hash_key(seed ^ SECOND_SEED, value, size) | 1;
  const bits = load<u32>(map, MAP_VALUES);
  const mask = load<u32>(map, BLOOM_MASK);
  let hash = hash_key(seed, value, size);
  for (let i = load<u32>(map, BLOOM_HASHES); i > 0; i--) {
    const bit = hash & mask;
    atomic.or<u32>(bits + ((bit >> 5) << 2), <u32>1 << (bit & 31));
    hash += step;
  }
  return 0;
}

/** 0 if the value may have been added, -ENOENT if it was not. */
export function bloom_filter_peek(map: usize, value: usize): i64 {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  const seed = load<u64>(map, BLOOM_SEED);
  const step = hash_key(seed ^ SECOND_SEED, value, size) | 1;
  const bits = load<u32>(map, MAP_VALUES);
  const mask = load<u32>(map, BLOOM_MASK);
  let hash = hash_key(seed, value, size);
  for (let i = load<u32>(map, BLOOM_HASHES); i > 0; i--) {
    const bit = hash & mask;
    if (!(atomic.load<u32>(bits + ((bit >> 5) << 2)) & (<u32>1 << (bit & 31)))) return ENOENT;
    hash += step;
  }
  return 0;
}
