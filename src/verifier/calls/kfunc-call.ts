/** A call of a kfunc: who may call it, with what, and what is true afterwards (check_kfunc_call). */
import { type KfuncType, kfuncAllowed } from '../../abi/kfunc-signature.ts';
import { objectKfuncs } from '../../abi/object-kfuncs.ts';
import { backUp, putBack } from '../jump.ts';
import * as k from '../kinds.ts';
import { AUX2, FLAGS, ID, RECORD, REFERENCE } from '../layout.ts';
import { mayPointToLock } from '../memory/btf-pointer.ts';
import { refuseSleep, runPreempt } from '../resources/critical-section.ts';
import { isPacketDynptr } from '../resources/dynptr.ts';
import { makeLessArguments, makeNode } from '../resources/graph.ts';
import { forkIterator } from '../resources/iterator.ts';
import { giveAway, makeNonOwning, runRcu } from '../resources/ownership.ts';
import { originOf } from '../resources/provenance.ts';
import { refuseUnderLock } from '../resources/spin-lock.ts';
import {
  arithmetic,
  clearRecord,
  flagsOf,
  idOf,
  makeConstant,
  makePointer,
  makeUnknown,
  referenceOf,
  set,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { ANY_INT, ONLY_ZERO, pushAsynchronous, pushCallback, ZERO_OR_ONE } from './callback.ts';
import { runThrow } from './exceptions.ts';
import { forgetPacket, releaseReference } from './helper-call.ts';
import { refuseKfunc } from './helper-rights.ts';
import { checkKfuncArguments, hasFlag, type KfuncFacts } from './kfunc-arguments.ts';
import { giveSpecial, giveStruct, namedStruct } from './kfunc-btf.ts';
import { checkTrait } from './trait-key.ts';

/** Kfuncs that may be called with a lock held (kfunc_spin_allowed). */
const UNDER_LOCK = /^bpf_(list_|rbtree_|refcount_acquire|iter_num_|res_spin_)/;

const MAX_ERRNO = 4095;

/** Returns the slot to go on at, -1 at the end of the path. */
export function runKfunc(v: Verification): number {
  const reference = v.code.kfuncs.get(v.slot);
  if (reference === undefined) v.unfollowed('kfunc without a name');
  const { name, signature } = reference;
  if (signature === undefined) {
    if (reference.weak)
      v.refuse(
        'no-kfunc',
        'Call Type Safety',
        `kfunc '${name}' is referenced but wasn't resolved`,
        'Linux 6.18 has no such function, and the call of the weak symbol is reached.',
      );
    v.unfollowed(`kfunc ${name}`);
  }
  const facts: KfuncFacts = {
    signature,
    name,
    act: objectKfuncs.get(name),
    from: undefined,
    reference: 0,
    released: 0,
    constant: undefined,
    memorySize: 0,
    readOnly: false,
    callback: -1,
    mapIndex: -1,
    mapUid: 0,
    dynptr: undefined,
    iterator: 0,
    graph: undefined,
    object: undefined,
    owned: false,
  };
  if (!kfuncAllowed(signature.kfunc, v.declaration.type))
    v.refuse(
      'kfunc-not-allowed',
      'Execution Context Safety',
      `calling kernel function ${name} is not allowed`,
      `Programs of type ${v.declaration.type} may not call it.`,
    );
  refuseKfunc(v, signature.kfunc);
  const sleepable = hasFlag(facts, 'sleepable');
  if (sleepable && !v.state.sleepable)
    v.refuse(
      'sleepable-kfunc',
      'Execution Context Safety',
      `program must be sleepable to call sleepable kfunc ${name}`,
      `${name} may sleep, and programs that are not sleepable may run where nothing can.`,
    );
  if (!UNDER_LOCK.test(name)) refuseUnderLock(v, 'function calls are not allowed while holding a lock');
  if (name.startsWith('bpf_res_spin_lock')) leaveFailedLock(v);
  checkKfuncArguments(v, facts);
  if (v.program.traits !== undefined) checkTrait(v, name);
  if (name === 'bpf_preempt_disable') runPreempt(v, name, true);
  else if (name === 'bpf_preempt_enable') runPreempt(v, name, false);
  else if (name === 'bpf_rcu_read_lock' || name === 'bpf_rcu_read_unlock')
    runRcu(v, name, name === 'bpf_rcu_read_lock');
  else if (sleepable) refuseSleep(v, `kernel func ${name}`);
  if (name === 'bpf_throw') {
    runThrow(v);
    return -1;
  }
  if (hasFlag(facts, 'rcu_protected') && !v.inRcu())
    v.refuse(
      'needs-rcu',
      'Resource Lifetime Safety',
      `kernel func ${name} requires RCU critical section protection`,
      'Call bpf_rcu_read_lock first.',
    );
  if (facts.callback >= 0) enterKfuncCallback(v, facts);
  recordObject(v, facts);
  // The object in argument 2 is the list's or tree's afterwards.
  if (facts.act?.act === 'insert') giveAway(v, referenceOf(v.register(2)));
  else if (facts.released > 0) releaseReference(v, referenceOf(v.register(facts.released)));
  for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
  giveResult(v, facts);
  if (hasFlag(facts, 'iter_next')) forkIterator(v, facts);
  if (name === 'bpf_xdp_pull_data') forgetPacket(v);
  return v.slot + 1;
}

/** What the call says of objects of the program's own types. */
function recordObject(v: Verification, facts: KfuncFacts): void {
  const { name, act, graph, from } = facts;
  if (act === undefined || act.act === 'make') return;
  const percpu = act.percpu === true;
  if (act.act === 'reserve') {
    const { id } = namedStruct(v, facts);
    v.provenance.call(v, { name, struct: id, node: 0, percpu, origin: 0, allocator: from });
    return;
  }
  const insert = act.act === 'insert';
  const origin = graph === undefined ? facts.object!.origin : insert ? originOf(v.register(2)) : 0;
  const struct = graph?.struct ?? facts.object!.id;
  v.provenance.call(v, { name, struct, node: graph?.offset ?? 0, percpu, origin });
  if (insert) v.provenance.edge(v, origin, struct, graph!.owner);
  // An element that is not in the list is refused at run time, and the new one is given back.
  if (name === 'bpf_list_add') v.provenance.share(struct);
}

function enterKfuncCallback(v: Verification, facts: KfuncFacts): void {
  switch (facts.name) {
    case 'bpf_wq_set_callback_impl':
      pushAsynchronous(v, facts.callback, facts.mapIndex, facts.mapUid, ONLY_ZERO, true);
      return;
    case 'bpf_task_work_schedule_signal_impl':
    case 'bpf_task_work_schedule_resume_impl':
      pushAsynchronous(v, facts.callback, facts.mapIndex, facts.mapUid, ANY_INT, true);
      return;
    case 'bpf_rbtree_add':
    case 'bpf_rbtree_add_impl':
      pushCallback(v, facts.callback, ZERO_OR_ONE, (callee) => {
        makeLessArguments(v, callee + RECORD, callee + 2 * RECORD, facts.graph!);
      });
      return;
    default:
      v.unfollowed(`callback of ${facts.name}`);
  }
}

function giveResult(v: Verification, facts: KfuncFacts): void {
  const r = v.register(0);
  const { returns } = facts.signature;
  if (returns.kind === 'void') return;
  if (returns.kind !== 'pointer') {
    makeUnknown(r);
    if (facts.name.startsWith('bpf_res_spin_lock')) makeConstant(r, 0, 0);
    return;
  }
  givePointer(v, facts, returns.to, r);
  // The count of an object that the program owns cannot be zero.
  const orNull = hasFlag(facts, 'ret_null') && !(facts.act?.act === 'share' && facts.owned);
  if (orNull) {
    set(r, FLAGS, flagsOf(r) | k.MAYBE_NULL);
    set(r, ID, v.newId());
  }
  if (!hasFlag(facts, 'acquire')) {
    if (facts.graph !== undefined) makeNonOwning(v, r);
    if (mayPointToLock(v, r) && idOf(r) === 0) set(r, ID, v.newId());
    return;
  }
  const id = v.newId();
  v.state.references = [...v.state.references, { id, slot: v.slot }];
  if (orNull) set(r, ID, id);
  set(r, REFERENCE, id);
  if (mayPointToLock(v, r) && idOf(r) === 0) set(r, ID, v.newId());
}

/** A resilient lock may fail: the path without it, with an error number in r0, is left for later. */
function leaveFailedLock(v: Verification): void {
  backUp(v);
  for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
  const r = v.register(0);
  makeUnknown(r);
  arithmetic.between(r, -MAX_ERRNO, -1);
  v.push(v.slot + 1);
  putBack(v);
}

function givePointer(v: Verification, facts: KfuncFacts, to: KfuncType, r: number): void {
  const { name } = facts;
  if (name === 'bpf_dynptr_slice' || name === 'bpf_dynptr_slice_rdwr') {
    const { dynptr } = facts;
    const packet = dynptr !== undefined && isPacketDynptr(dynptr.type) ? k.PACKET_SLICE : k.SLICE;
    const readOnly = name === 'bpf_dynptr_slice';
    if (!readOnly && v.declaration.packetAccess !== 'write')
      v.refuse(
        'packet-write',
        'Memory Safety',
        'the prog does not allow writes to packet data',
        'Programs of this type only read packets.',
      );
    makePointer(r, k.MEM, packet | (readOnly ? k.READ_ONLY : 0), facts.constant ?? 0);
    set(r, AUX2, dynptr?.id ?? 0);
    return;
  }
  if (to.kind === 'void' || to.kind === 'function') {
    if (!giveSpecial(v, facts, r)) makeUnknown(r);
    return;
  }
  if (to.kind === 'struct') {
    if (facts.graph !== undefined) makeNode(v, r, facts.graph);
    else giveStruct(v, facts, to.name, r);
    return;
  }
  const sized = facts.memorySize !== 0 || name === 'bpf_session_cookie';
  const size = facts.memorySize !== 0 ? facts.memorySize : to.kind === 'scalar' ? to.size : 8;
  makePointer(r, k.MEM, sized && !facts.readOnly ? 0 : k.READ_ONLY, size);
  // Not to be touched after what it was taken from is gone.
  set(r, REFERENCE, facts.reference);
}
