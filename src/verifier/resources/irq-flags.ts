/** Interrupt flags on the stack: 8 bytes that bpf_local_irq_save fills and bpf_local_irq_restore takes, in reverse order (process_irq_flag). */
import type { KfuncFacts } from '../calls/kfunc-arguments.ts';
import * as k from '../kinds.ts';
import { AUX, BYTES, KIND, REFERENCE } from '../layout.ts';
import { writeStack } from '../memory/stack.ts';
import {
  auxOf,
  bytes,
  clearRecord,
  constantOf,
  isConstant,
  kindOf,
  offsetOf,
  referenceOf,
  set,
  slotAt,
} from '../states/records.ts';
import { markSlotRead, markSlotWritten } from '../states/state.ts';
import type { Verification } from '../verification.ts';

/** Which kfuncs saved the flags: those of the lock restore only their own. */
const NATIVE = 1;
const LOCK = 2;

export function checkFlagsArgument(v: Verification, facts: KfuncFacts, index: number): void {
  const number = index + 1;
  const r = v.register(number);
  const { name } = facts;
  const refuse = (problem: string): never =>
    v.refuse('irq-flags', 'Resource Lifetime Safety', problem, `${name} takes flags in 8 bytes of the stack.`);
  const saves = name === 'bpf_local_irq_save' || name === 'bpf_res_spin_lock_irqsave';
  const owner = name.startsWith('bpf_res_spin') ? LOCK : NATIVE;
  if (kindOf(r) !== k.STACK) refuse(`arg#${index} doesn't point to an irq flag on stack`);
  const depth = auxOf(r);
  const off = offsetOf(r) + constantOf(r);
  const place = !isConstant(r)
    ? 'irq_flag has to be at a constant offset'
    : off % 8 !== 0 || off > -8
      ? `cannot pass in irq_flag at an offset=${off}`
      : undefined;
  const slot = (-off - 1) >> 3;
  if (saves) {
    if (
      place !== undefined ||
      (slot < v.state.frames[depth]!.slots && bytes[slotAt(depth, slot) + BYTES] === k.IRQ_FLAG)
    )
      refuse(`${place === undefined ? '' : `${place}\n`}expected uninitialized irq flag as arg#${index}`);
    writeStack(v, number, r, offsetOf(r), 8, -1);
    const flags = slotAt(depth, slot);
    clearRecord(flags);
    const id = v.newId();
    v.state.references = [...v.state.references, { id, slot: v.slot, kind: 'irq' }];
    v.state.interrupts = id;
    set(flags, KIND, k.STACK);
    set(flags, AUX, owner);
    set(flags, REFERENCE, id);
    for (let i = 0; i < 8; i++) bytes[flags + BYTES + i] = k.IRQ_FLAG;
    markSlotWritten(v.state, depth, slot);
    return;
  }
  const flags = slotAt(depth, slot);
  if (place !== undefined || slot >= v.state.frames[depth]!.slots || bytes[flags + BYTES] !== k.IRQ_FLAG)
    refuse(`${place === undefined ? '' : `${place}\n`}expected an initialized irq flag as arg#${index}`);
  markSlotRead(v.state, depth, slot);
  const { interrupts, references } = v.state;
  const id = referenceOf(flags);
  if (auxOf(flags) !== owner) {
    const names = ['', 'native', 'lock'];
    refuse(`irq flag acquired by ${names[auxOf(flags)]} kfuncs cannot be restored with ${names[owner]} kfuncs`);
  }
  if (id !== interrupts) {
    const last = references.find((each) => each.id === interrupts);
    refuse(`cannot restore irq state out of order, expected id=${interrupts} acquired at insn_idx=${last?.slot}`);
  }
  v.state.references = references.filter((each) => each.id !== id);
  v.state.interrupts = v.state.references.reduce((latest, each) => (each.kind === 'irq' ? each.id : latest), 0);
  clearRecord(flags);
  for (let i = 0; i < 8; i++) bytes[flags + BYTES + i] = k.INVALID;
  markSlotWritten(v.state, depth, slot);
}
