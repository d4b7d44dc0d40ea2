/** Regions in which a program may not sleep, and what must have ended where the program does (check_resource_leak). */
import { referenceOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { refuseUnderLock } from './spin-lock.ts';

function refuse(v: Verification, problem: string, reason: string): never {
  v.refuse('critical-section', 'Resource Lifetime Safety', problem, reason);
}

/** bpf_preempt_disable and bpf_preempt_enable, which nest. */
export function runPreempt(v: Verification, name: string, disable: boolean): void {
  if (disable) {
    v.state.preempt++;
    return;
  }
  if (v.state.preempt === 0)
    refuse(
      v,
      `unmatched attempt to enable preemption (kernel function ${name})`,
      'Preemption was not disabled on this path.',
    );
  v.state.preempt--;
}

/** What a call that may sleep must not be in. @param what `kernel func NAME`, or of a helper its own words. */
export function refuseSleep(v: Verification, what: string): void {
  if (v.state.rcu > 0)
    refuse(v, `${what} is sleepable within rcu_read_lock region`, 'The section keeps objects alive.');
  if (v.state.preempt > 0)
    refuse(v, `${what} is sleepable within non-preemptible region`, 'Preemption is disabled here.');
  if (v.state.interrupts !== 0)
    refuse(v, `${what} is sleepable within IRQ-disabled region`, 'Interrupts are disabled here.');
}

/**
 * What is still held where the program (or, for an exception, the stack of frames) ends.
 * @param returned a struct_ops program may hand a reference back to the kernel in R0.
 * @param what in the kernel's words: `BPF_EXIT instruction in main prog`, `tail_call`, `BPF_LD_[ABS|IND]`, `bpf_throw`.
 */
export function refuseLeak(v: Verification, what: string, returned = false): void {
  const { state } = v;
  refuseUnderLock(v, `${what} cannot be used inside bpf_spin_lock-ed region`);
  const own = returned && v.declaration.type === 'struct_ops' ? referenceOf(v.register(0)) : 0;
  const held = state.references.filter(({ kind, id }) => kind === undefined && (own === 0 || id !== own));
  if (held.length > 0)
    v.refuse(
      'reference-leak',
      'Resource Lifetime Safety',
      `${held.map(({ id, slot }) => `Unreleased reference id=${id} alloc_insn=${slot}`).join('\n')}\n${what} would lead to reference leak`,
      `What was acquired at slot ${held[0]!.slot} is not released on this path.`,
    );
  if (state.interrupts !== 0)
    refuse(v, `${what} cannot be used inside bpf_local_irq_save-ed region`, 'Interrupts are still disabled here.');
  if (state.rcu !== 0)
    refuse(v, `${what} cannot be used inside bpf_rcu_read_lock-ed region`, 'The section is still open here.');
  if (state.preempt !== 0)
    refuse(v, `${what} cannot be used inside bpf_preempt_disable-ed region`, 'Preemption is still disabled here.');
}
