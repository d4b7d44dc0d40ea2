// Sections that a program enters and leaves: RCU, preemption, interrupts, resilient locks. A worker is never interrupted by another program
// of its CPU, so entering counts and leaves nothing to switch off. The verifier sees that they are balanced. Facts: kernel/bpf/helpers.c,
// kernel/bpf/rqspinlock.c.
import { EDEADLK, ETIMEDOUT } from '../errno';
import { program_holds, program_lets_go } from '../locks/held';
import { holder, word_lock_within, word_unlock } from '../locks/word';
import { cpu_count } from '../maps/header';
import { WORKER } from '../worker';
import { LOCK_WAITED, PROGRAM_LOCKS } from '../../layout/locks';
import { WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_PROGRAM_LOCKS } from '../../layout/worker';

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

/** Lock `i` of those that the program of a CPU holds; the last one may be one that it waits for. */
// @ts-ignore: decorator
@inline
function lock_of(worker: usize, i: u32): usize {
  return atomic.load<u32>(worker + (<usize>i << 2), WORKER_PROGRAM_LOCKS + 4);
}

function is_among(worker: usize, count: u32, lock: usize): bool {
  for (let i: u32 = 0; i < count; i++) if (lock_of(worker, i) == lock) return true;
  return false;
}

/** Another CPU holds the lock, and waits for one that this CPU holds. */
function is_crossed(lock: usize): bool {
  const own = load<u32>(WORKER, WORKER_PROGRAM_LOCKS) - 1;
  for (let cpu: u32 = 0; cpu < cpu_count(); cpu++) {
    const worker = WORKERS + <usize>cpu * WORKER_SIZE;
    const count = atomic.load<u32>(worker, WORKER_PROGRAM_LOCKS);
    if (worker == WORKER || count < 2 || count > <u32>PROGRAM_LOCKS) continue;
    if (is_among(WORKER, own, lock_of(worker, count - 1)) && is_among(worker, count - 1, lock)) return true;
  }
  return false;
}

/**
 * 0; -EDEADLK: this CPU holds it, or one that holds it waits for a lock of this CPU's, as Linux finds at once (here after a millisecond); -ETIMEDOUT: another one has held it
 * for RES_DEF_TIMEOUT.
 */
export function bpf_res_spin_lock(lock: u64): i64 {
  const at = <usize>lock;
  const seen = atomic.load<u32>(at) & ~LOCK_WAITED;
  if (seen == holder() || (seen != 0 && cpu_count() == 1)) return EDEADLK;
  // Before it is taken: others see what this CPU waits for.
  program_holds(at);
  for (let ms: u32 = 0; !word_lock_within(at, 1); ms++) {
    const crossed = is_crossed(at);
    if (!crossed && ms < RES_TIMEOUT_MS) continue;
    program_lets_go();
    return crossed ? EDEADLK : ETIMEDOUT;
  }
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
