/** bpf_spin_lock and bpf_res_spin_lock: taken through a value or an object, given back in order, little called in between (process_spin_lock). */

import { recordFields, type SpecialField } from '../../btf/special-fields.ts';
import * as k from '../kinds.ts';
import { btfOf } from '../memory/btf-pointer.ts';
import { specialFields } from '../memory/map-fields.ts';
import { auxOf, constantOf, flagsOf, idOf, isConstant, kindOf, offsetOf } from '../states/records.ts';
import type { HeldLock } from '../states/state.ts';
import type { Verification } from '../verification.ts';
import { forgetNonOwning, inLessCallback } from './ownership.ts';

/** Fields of the map value or object that a register points to; undefined for one without types. */
export function fieldsOf(v: Verification, r: number): readonly SpecialField[] {
  return kindOf(r) === k.MAP_VALUE ? specialFields(v, v.code.maps[auxOf(r)]!) : recordFields(btfOf(v, r), auxOf(r));
}

/** Who a lock, or what it protects, belongs to: the map, or objects as such. */
export function ownerOf(r: number): number {
  return kindOf(r) === k.MAP_VALUE ? auxOf(r) : -1;
}

export type LockKind = HeldLock['kind'];

/** Argument 1 of bpf_spin_lock, bpf_res_spin_lock and their like: a field of a map value or of an object. */
export function runLock(v: Verification, number: number, kind: LockKind, lock: boolean): void {
  const r = v.register(number);
  const prefix = kind === 'spin' ? 'bpf_spin' : 'bpf_res_spin';
  const refuse: (text: string, reason: string) => never = (text, reason) =>
    v.refuse('spin-lock', 'Resource Lifetime Safety', text, reason);
  const object = kindOf(r) === k.BTF_ID && flagsOf(r) === k.ALLOC;
  if (!object && (kindOf(r) !== k.MAP_VALUE || (flagsOf(r) & k.MAYBE_NULL) !== 0)) {
    const problem =
      kind === 'spin'
        ? `R1 type=${k.kindName(kindOf(r), flagsOf(r))} expected=map_value, ptr_`
        : `arg#${number - 1} doesn't point to map value or allocated object`;
    v.refuse('argument-kind', 'Call Type Safety', problem, 'A spin lock is a field of a map value or of an object.');
  }
  if (kind === 'spin' && inLessCallback(v)) refuse("can't spin_{lock,unlock} in rbtree cb", 'The lock is held there.');
  if (!isConstant(r))
    refuse(
      `R${number} doesn't have constant offset. ${prefix}_lock has to be at the constant offset`,
      'Which field the pointer means must be known.',
    );
  const map = object ? undefined : v.code.maps[auxOf(r)]!;
  if (map !== undefined && (v.btf === undefined || map.valueTypeId === 0))
    refuse(`map '${map.name}' has to have BTF in order to use ${prefix}_lock`, 'The lock is found by its type.');
  const field = fieldsOf(v, r).find((each) => each.kind === `${prefix}_lock`);
  if (field === undefined)
    refuse(
      `${map === undefined ? "local 'kptr'" : `map '${map.name}'`} has no valid ${prefix}_lock`,
      'There is no such field.',
    );
  const at = offsetOf(r) + constantOf(r);
  if (at !== field.offset)
    refuse(
      `off ${at} doesn't point to 'struct ${prefix}_lock' that is at ${field.offset}`,
      'The pointer must be that of the lock itself.',
    );
  // Values that an LDDW points to have no id: there is one in the map.
  const held: HeldLock = { kind, id: idOf(r), owner: ownerOf(r) };
  if (lock) take(v, held, refuse);
  else giveBack(v, held, prefix, refuse);
}

const isSame = (a: HeldLock, b: HeldLock) => a.id === b.id && a.owner === b.owner;

function take(v: Verification, lock: HeldLock, refuse: (text: string, reason: string) => never): void {
  const { locks } = v.state;
  if (lock.kind === 'spin') {
    if (locks.some(({ kind }) => kind === 'spin'))
      refuse('Locking two bpf_spin_locks are not allowed', 'One lock is held already.');
  } else if (locks.some((held) => held.kind !== 'spin' && isSame(held, lock)))
    refuse('Acquiring the same lock again, AA deadlock detected', 'This lock is held already.');
  v.state.locks = [...locks, lock];
}

function giveBack(
  v: Verification,
  lock: HeldLock,
  prefix: string,
  refuse: (text: string, reason: string) => never,
): void {
  const { locks } = v.state;
  if (locks.length === 0) refuse(`${prefix}_unlock without taking a lock`, 'No lock is held here.');
  if (!locks.some((held) => held.kind === lock.kind && isSame(held, lock)))
    refuse(`${prefix}_unlock of different lock`, 'Another lock is held here.');
  const last = locks.at(-1)!;
  if (!isSame(last, lock)) refuse(`${prefix}_unlock cannot be out of order`, 'A lock that was taken later is held.');
  if (last.kind !== lock.kind) refuse(`${prefix}_unlock of different lock`, 'Another lock is held here.');
  v.state.locks = locks.slice(0, -1);
  forgetNonOwning(v);
}

/** What may not happen under a lock. */
export function refuseUnderLock(v: Verification, what: string): void {
  if (v.state.locks.length === 0) return;
  v.refuse('under-lock', 'Resource Lifetime Safety', what, 'A spin lock is held here; it must be unlocked first.');
}
