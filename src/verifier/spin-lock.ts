/** bpf_spin_lock: one at a time, unlocked on every path, nothing called in between (process_spin_lock). */
import * as k from './kinds.ts';
import { specialFields } from './map-fields.ts';
import { auxOf, constantOf, flagsOf, idOf, isConstant, kindOf, offsetOf } from './records.ts';
import type { Verification } from './verification.ts';

const TRACING = new Set<string>(['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint', 'raw_tracepoint_writable']);

/** Program types that may not refer to a map with a lock in it at all (check_map_prog_compatibility). */
export function checkLockedMap(v: Verification, index: number): void {
  const { type } = v.declaration;
  const refused = type === 'socket_filter' ? 'socket filter' : TRACING.has(type) ? 'tracing' : undefined;
  if (refused === undefined || !v.hasLock(index)) return;
  v.refuse(
    'lock-not-allowed',
    'Execution Context Safety',
    `${refused} progs cannot use bpf_spin_lock yet`,
    'Programs of this type may interrupt one that holds the lock.',
  );
}

/** Argument 1 of bpf_spin_lock and bpf_spin_unlock. */
export function runLock(v: Verification, lock: boolean): void {
  const r = v.register(1);
  const refuse: (text: string, reason: string) => never = (text, reason) =>
    v.refuse('spin-lock', 'Resource Lifetime Safety', text, reason);
  if (kindOf(r) !== k.MAP_VALUE || (flagsOf(r) & k.MAYBE_NULL) !== 0)
    v.refuse(
      'argument-kind',
      'Call Type Safety',
      `R1 type=${k.kindName(kindOf(r), flagsOf(r))} expected=map_value`,
      'A spin lock is a field of a map value.',
    );
  if (!isConstant(r))
    refuse(
      "R1 doesn't have constant offset. bpf_spin_lock has to be at the constant offset",
      'Which field the pointer means must be known.',
    );
  const map = v.code.maps[auxOf(r)]!;
  if (v.btf === undefined || map.valueTypeId === 0)
    refuse(`map '${map.name}' has to have BTF in order to use bpf_spin_lock`, 'The lock is found by its type.');
  const field = specialFields(v, map).find(({ kind }) => kind === 'bpf_spin_lock');
  if (field === undefined) refuse(`map '${map.name}' has no valid bpf_spin_lock`, 'The value has no such field.');
  const at = offsetOf(r) + constantOf(r);
  if (at !== field.offset)
    refuse(
      `off ${at} doesn't point to 'struct bpf_spin_lock' that is at ${field.offset}`,
      'The pointer must be that of the lock itself.',
    );
  // Values that an LDDW points to have no id: there is one in the map.
  const identity = idOf(r) !== 0 ? idOf(r) : -1 - auxOf(r);
  if (lock) {
    if (v.state.lock !== 0) refuse('Locking two bpf_spin_locks are not allowed', 'One lock is held already.');
    v.state.lock = identity;
    return;
  }
  if (v.state.lock === 0) refuse('bpf_spin_unlock without taking a lock', 'No lock is held here.');
  if (v.state.lock !== identity) refuse('bpf_spin_unlock of different lock', 'Another lock is held here.');
  v.state.lock = 0;
}

/** What may not happen under a lock. */
export function refuseUnderLock(v: Verification, what: string): void {
  if (v.state.lock === 0) return;
  v.refuse('under-lock', 'Resource Lifetime Safety', what, 'A spin lock is held here; it must be unlocked first.');
}
