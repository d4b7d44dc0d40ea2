// Sections that a program enters and leaves: RCU, preemption, interrupts, resilient locks. A worker is never interrupted by another program
// of its CPU, so entering counts and leaves nothing to switch off. The verifier sees that they are balanced. Facts: kernel/bpf/helpers.c,
// kernel/bpf/rqspinlock.c.
import { EDEADLK } from '../errno';
import { cpu_count, this_cpu } from '../maps/header';

export function bpf_rcu_read_lock(): u64 {
  return 0;
}

export function bpf_rcu_read_unlock(): u64 {
  return 0;
}

export function bpf_preempt_disable(): u64 {
  return 0;
}

export function bpf_preempt_enable(): u64 {
  return 0;
}

/** Interrupts are on whenever a program begins: X86_EFLAGS_IF is what restoring brings back. */
const INTERRUPTS_ON: u64 = 0x200;

export function bpf_local_irq_save(flags: u64): u64 {
  store<u64>(<usize>flags, INTERRUPTS_ON);
  return 0;
}

export function bpf_local_irq_restore(flags: u64): u64 {
  return 0;
}

/** The lock word is 0, or the number of the CPU that holds it, from 1. */
export function bpf_res_spin_lock(lock: u64): i64 {
  const at = <usize>lock;
  const mine = this_cpu() + 1;
  while (true) {
    const holder = atomic.cmpxchg<u32>(at, 0, mine);
    if (holder == 0) return 0;
    // A second time on one CPU: the deadlock of one with itself, as Linux finds it at once.
    if (holder == mine || cpu_count() == 1) return EDEADLK;
  }
}

export function bpf_res_spin_unlock(lock: u64): u64 {
  atomic.store<u32>(<usize>lock, 0);
  return 0;
}

export function bpf_res_spin_lock_irqsave(lock: u64, flags: u64): i64 {
  bpf_local_irq_save(flags);
  return bpf_res_spin_lock(lock);
}

export function bpf_res_spin_unlock_irqrestore(lock: u64, flags: u64): u64 {
  return bpf_res_spin_unlock(lock);
}
