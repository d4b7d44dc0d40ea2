// CPU masks: a u64 of bits (the runtime has at most 64 CPUs) and a reference count. Facts: kernel/bpf/cpumask.c, where CPU numbers out of
// range do nothing and searches without a result give nr_cpu_ids.
import { MAX_CPUS } from '../../layout/memory';
import { EACCES, EINVAL } from '../errno';
import { cpu_count } from '../maps/header';
import { retire } from '../slab/epoch';
import { WAITS_BLOCK } from '../../layout/allocator';
import { takeSmall } from './pool';

const USES: usize = 8;

@inline function bits(mask: u64): u64 {
  return load<u64>(<usize>mask);
}

@inline function possible(): u64 {
  return cpu_count() >= <u32>MAX_CPUS ? ~(<u64>0) : ((<u64>1) << cpu_count()) - 1;
}

@inline function isCpu(cpu: u64): bool {
  return <u32>cpu < cpu_count();
}

/** Number of the lowest bit, or of CPUs where there is none. */
@inline function lowest(set: u64): u64 {
  return set == 0 ? <u64>cpu_count() : <u64>ctz<u64>(set);
}

export function bpf_cpumask_create(): u64 {
  const mask = takeSmall();
  if (mask != 0) store<u32>(mask, 1, USES);
  return <u64>mask;
}

export function bpf_cpumask_acquire(mask: u64): u64 {
  atomic.add<u32>(<usize>mask, 1, USES);
  return mask;
}

export function bpf_cpumask_release(mask: u64): u64 {
  // Programs read masks of maps under RCU.
  if (atomic.sub<u32>(<usize>mask, 1, USES) == 1) retire(<usize>mask, WAITS_BLOCK);
  return 0;
}

export function bpf_cpumask_first(mask: u64): u64 {
  return lowest(bits(mask) & possible());
}

export function bpf_cpumask_first_zero(mask: u64): u64 {
  return lowest(~bits(mask) & possible());
}

export function bpf_cpumask_first_and(a: u64, b: u64): u64 {
  return lowest(bits(a) & bits(b) & possible());
}

export function bpf_cpumask_set_cpu(cpu: u64, mask: u64): u64 {
  if (isCpu(cpu)) atomic.or<u64>(<usize>mask, (<u64>1) << <u64><u32>cpu);
  return 0;
}

export function bpf_cpumask_clear_cpu(cpu: u64, mask: u64): u64 {
  if (isCpu(cpu)) atomic.and<u64>(<usize>mask, ~((<u64>1) << <u64><u32>cpu));
  return 0;
}

export function bpf_cpumask_test_cpu(cpu: u64, mask: u64): u64 {
  return isCpu(cpu) ? (bits(mask) >> <u64><u32>cpu) & 1 : 0;
}

export function bpf_cpumask_test_and_set_cpu(cpu: u64, mask: u64): u64 {
  if (!isCpu(cpu)) return 0;
  return (atomic.or<u64>(<usize>mask, (<u64>1) << <u64><u32>cpu) >> <u64><u32>cpu) & 1;
}

export function bpf_cpumask_test_and_clear_cpu(cpu: u64, mask: u64): u64 {
  if (!isCpu(cpu)) return 0;
  return (atomic.and<u64>(<usize>mask, ~((<u64>1) << <u64><u32>cpu)) >> <u64><u32>cpu) & 1;
}

export function bpf_cpumask_setall(mask: u64): u64 {
  store<u64>(<usize>mask, possible());
  return 0;
}

export function bpf_cpumask_clear(mask: u64): u64 {
  store<u64>(<usize>mask, 0);
  return 0;
}

/** True if the result is not empty. */
export function bpf_cpumask_and(to: u64, a: u64, b: u64): u64 {
  const result = bits(a) & bits(b);
  store<u64>(<usize>to, result);
  return (result & possible()) != 0 ? 1 : 0;
}

export function bpf_cpumask_or(to: u64, a: u64, b: u64): u64 {
  store<u64>(<usize>to, bits(a) | bits(b));
  return 0;
}

export function bpf_cpumask_xor(to: u64, a: u64, b: u64): u64 {
  store<u64>(<usize>to, bits(a) ^ bits(b));
  return 0;
}

export function bpf_cpumask_equal(a: u64, b: u64): u64 {
  return ((bits(a) ^ bits(b)) & possible()) == 0 ? 1 : 0;
}

export function bpf_cpumask_intersects(a: u64, b: u64): u64 {
  return (bits(a) & bits(b) & possible()) != 0 ? 1 : 0;
}

export function bpf_cpumask_subset(a: u64, b: u64): u64 {
  return (bits(a) & ~bits(b) & possible()) == 0 ? 1 : 0;
}

export function bpf_cpumask_empty(mask: u64): u64 {
  return (bits(mask) & possible()) == 0 ? 1 : 0;
}

export function bpf_cpumask_full(mask: u64): u64 {
  return (~bits(mask) & possible()) == 0 ? 1 : 0;
}

export function bpf_cpumask_copy(to: u64, from: u64): u64 {
  store<u64>(<usize>to, bits(from));
  return 0;
}

// Linux spreads the choice over the CPUs; any of them is right, so this is the first.
export function bpf_cpumask_any_distribute(mask: u64): u64 {
  return bpf_cpumask_first(mask);
}

export function bpf_cpumask_any_and_distribute(a: u64, b: u64): u64 {
  return bpf_cpumask_first_and(a, b);
}

export function bpf_cpumask_weight(mask: u64): u64 {
  return <u64>popcnt<u64>(bits(mask) & possible());
}

/** Fills the mask from memory: at least its size, in whole longs. */
export function bpf_cpumask_populate(mask: u64, from: u64, size: u64): i64 {
  const cpus = (cpu_count() + 7) >> 3;
  if (<u32>size < cpus) return EACCES;
  if ((from & 7) != 0) return EINVAL;
  memory.copy(<usize>mask, <usize>from, min<usize>(8, <usize><u32>size));
  return 0;
}
