// Sections that a program enters and leaves: RCU, preemption, interrupts, resilient locks. A worker is never interrupted by another program
// of its CPU, so entering counts and leaves nothing to switch off. The verifier sees that they are balanced. Facts: kernel/bpf/helpers.c,
// kernel/bpf/rqspinlock.c.
import { EDEADLK, ETIMEDOUT } from '../errno';
import { program_holds, program_lets_go } from '../locks/held';
import { holder, word_lock_within, word_unlock } from '../locks/word';
import { cpu_count } from '../maps/header';
import { LOCK_WAITED } from '../../layout/locks';

/** RES_DEF_TIMEOUT. */
const RES_TIMEOUT_MS: u32 = 250;

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

/** 0; -EDEADLK: this CPU holds it, as Linux finds at once; -ETIMEDOUT: another one has held it for RES_DEF_TIMEOUT. */
export function bpf_res_spin_lock(lock: u64): i64 {
  const at = <usize>lock;
  const seen = atomic.load<u32>(at) & ~LOCK_WAITED;
  if (seen == holder() || (seen != 0 && cpu_count() == 1)) return EDEADLK;
  if (!word_lock_within(at, RES_TIMEOUT_MS)) return ETIMEDOUT;
  program_holds(at);
  return 0;
}

export function bpf_res_spin_unlock(lock: u64): u64 {
  word_unlock(<usize>lock);
  program_lets_go();
  return 0;
}

export function bpf_res_spin_lock_irqsave(lock: u64, flags: u64): i64 {
  bpf_local_irq_save(flags);
  return bpf_res_spin_lock(lock);
}

export function bpf_res_spin_unlock_irqrestore(lock: u64, flags: u64): u64 {
  return bpf_res_spin_unlock(lock);
}
