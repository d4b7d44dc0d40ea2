/**
 * verifier/resources/: what has to be given back or left again: objects, references, dynptrs, iterators, locks, critical sections.
 *
 * This file: objects of a program's own types: who owns one, what a pointer without ownership is still good for (ref_set_non_owning and its like).
 */

import { objectKfuncs } from '../../abi/object-kfuncs.ts';
import { recordFields } from '../../btf/special-fields.ts';
import * as k from '../kinds.ts';
import { FLAGS, REFERENCE } from '../layout.ts';
import { btfOf } from '../memory/btf-pointer.ts';
import { auxOf, flagsOf, kindOf, makeUnknown, referenceOf, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';

/** Inside the `less` function that bpf_rbtree_add calls with the lock held. */
export function inLessCallback(v: Verification): boolean {
  const frame = v.state.frames[v.state.depth]!;
  return frame.callback && objectKfuncs.get(v.code.kfuncs.get(frame.callsite)?.name ?? '')?.less === true;
}

function isRefcounted(v: Verification, r: number): boolean {
  return recordFields(btfOf(v, r), auxOf(r)).some(({ kind }) => kind === 'bpf_refcount');
}

/** The object is in a list or tree now: the pointer is good until the lock is given back, and longer if others keep count of it. */
export function makeNonOwning(v: Verification, r: number): void {
  const counted = isRefcounted(v, r);
  set(r, FLAGS, flagsOf(r) | k.NON_OWNING | (counted ? k.RCU : 0));
  if (counted) v.provenance.share(auxOf(r));
}

/** All pointers that share the reference lose it to a list or tree, which owns the object from here on. */
export function giveAway(v: Verification, reference: number): void {
  v.state.everyRecord((r) => {
    if (referenceOf(r) !== reference) return;
    set(r, REFERENCE, 0);
    makeNonOwning(v, r);
  });
  v.state.references = v.state.references.filter(({ id }) => id !== reference);
}

/** Whoever takes the lock next may free what is in the list or tree. */
export function forgetNonOwning(v: Verification): void {
  v.state.everyRecord((r) => {
    if (kindOf(r) === k.BTF_ID && (flagsOf(r) & (k.ALLOC | k.NON_OWNING)) === (k.ALLOC | k.NON_OWNING)) makeUnknown(r);
  });
}

/** bpf_rcu_read_lock and bpf_rcu_read_unlock. */
export function runRcu(v: Verification, name: string, lock: boolean): void {
  const refuse = (problem: string, reason: string): never =>
    v.refuse('critical-section', 'Resource Lifetime Safety', problem, reason);
  const { state } = v;
  if (state.rcu > 0 && inLessCallback(v))
    refuse('Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback', 'The lock protects enough there.');
  if (lock) {
    if (state.rcu > 0) refuse(`nested rcu read lock (kernel function ${name})`, 'Such a section is open already.');
    state.rcu = 1;
    return;
  }
  if (state.rcu === 0) refuse(`unmatched rcu read unlock (kernel function ${name})`, 'No such section is open here.');
  state.rcu = 0;
  state.everyRecord((r) => {
    if (kindOf(r) === k.SCALAR || (flagsOf(r) & k.RCU) === 0) return;
    set(r, FLAGS, (flagsOf(r) & ~(k.RCU | k.MAYBE_NULL)) | k.UNTRUSTED);
  });
  state.everyIterator((r) => {
    if ((flagsOf(r) & k.ITERATOR_RCU) !== 0) set(r, FLAGS, (flagsOf(r) & ~k.ITERATOR_RCU) | k.ITERATOR_UNTRUSTED);
  });
}
