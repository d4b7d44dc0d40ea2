/**
 * verifier/calls/: calls of helpers, kfuncs, functions and callbacks: who may call what, with which arguments, and what is true afterwards.
 *
 * This file: a call of a helper: who may call it, with what, and what is true afterwards.
 */
import { helperNameIn } from '../../abi/context-access.ts';
import { helperTakesMap } from '../../abi/map-rules.ts';
import { mapTypes } from '../../abi/map-types.ts';
import type { HelperPrototype } from '../../abi/prototype.ts';
import * as k from '../kinds.ts';
import { AUX2, BYTES, FLAGS, ID, PRECISE, REFERENCE } from '../layout.ts';
import { kernelStruct } from '../memory/btf-pointer.ts';
import { kptrTarget } from '../memory/map-fields.ts';
import { checkReadable } from '../memory/memory.ts';
import { helperStack } from '../memory/stack.ts';
import { refuseLeak } from '../resources/critical-section.ts';
import { releaseDynptr, SKB, SKB_META } from '../resources/dynptr.ts';
import { recordExchange } from '../resources/kptr.ts';
import { setOrigin } from '../resources/provenance.ts';
import { refuseUnderLock, runLock } from '../resources/spin-lock.ts';
import { markPrecise, markSlotPrecise } from '../states/precision.ts';
import {
  arithmetic,
  auxOf,
  bytes,
  clearRecord,
  constantOf,
  flagsOf,
  isConstant,
  kindOf,
  makePointer,
  makeUnknown,
  offsetOf,
  set,
  slotAt,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { type CallFacts, checkArgument } from './arguments.ts';
import { enterCallback } from './callback.ts';
import { checkFormat } from './const-string.ts';
import { helperRight } from './helper-rights.ts';

function findPrototype(v: Verification, id: number): HelperPrototype {
  const { declaration, program } = v;
  const { attachType } = program;
  const name = helperNameIn(declaration, id);
  const shown = `${name ?? 'bpf_unknown'}#${id}`;
  if (name === undefined)
    v.refuse('no-helper', 'Call Type Safety', `invalid func unknown#${id}`, 'Linux has no helper of that number.');
  let prototype = declaration.helpers.get(id);
  for (const variant of declaration.helperVariants ?? [])
    if (attachType !== undefined && variant.attachTypes.includes(attachType))
      prototype = variant.helpers.get(id) ?? prototype;
  const only = declaration.helperAttachTypes?.get(id);
  const right = helperRight(v, name.replace(/^bpf_/, ''));
  if (
    prototype === undefined ||
    right === 'absent' ||
    (only !== undefined && (attachType === undefined || !only.includes(attachType)))
  )
    v.refuse(
      'helper-not-allowed',
      'Execution Context Safety',
      `program of this type cannot use helper ${shown}`,
      `Programs of type ${declaration.type} may not call it.`,
    );
  if (prototype.gplOnly && !v.gplCompatible)
    v.refuse(
      'gpl-only',
      'Policy',
      'cannot call GPL-restricted function from non-GPL compatible program',
      `${prototype.name} is only for programs with a GPL-compatible license.`,
    );
  if (right === 'refused')
    v.refuse(
      'helper-not-allowed',
      'Execution Context Safety',
      'helper call is not allowed in probe',
      `${prototype.name} is not for programs that are attached there.`,
    );
  if (prototype.sleepable === true) {
    const { state } = v;
    const where =
      state.rcu > 0 ? 'in rcu_read_lock region' : state.preempt > 0 ? 'in non-preemptible region' : undefined;
    if (!state.sleepable || where !== undefined)
      v.refuse(
        'sleepable-helper',
        'Execution Context Safety',
        state.sleepable ? `sleepable helper ${shown} ${where}` : 'helper call might sleep in a non-sleepable prog',
        `${prototype.name} may sleep.`,
      );
  }
  return prototype;
}

const ELIDABLE = new Set(['array', 'percpu_array']);

/** The key that the program has put on the stack, if it is known and its bytes are one spilled constant. */
function constantKey(v: Verification): number | undefined {
  const r = v.register(2);
  if (kindOf(r) !== k.STACK || !isConstant(r)) return undefined;
  const off = constantOf(r) + offsetOf(r);
  if (off % 4 !== 0) return undefined;
  const byte = -off - 1;
  const depth = auxOf(r);
  const slot = slotAt(depth, byte >> 3);
  let zeros = 0;
  let spills = 0;
  for (let i = 0; i < 4; i++) {
    const type = bytes[slot + BYTES + ((byte - i) & 7)];
    if (type === k.ZERO) zeros++;
    if (type === k.SPILL) spills++;
  }
  if (zeros === 4) return 0;
  // The key must be the spilled value itself: all of it, in the low half of the slot.
  if (spills !== 4 || off % 8 !== 0 || kindOf(slot) !== k.SCALAR || !isConstant(slot)) return undefined;
  if (bytes[slot + BYTES + 3] === k.SPILL) return undefined;
  markSlotPrecise(v, depth, byte >> 3);
  return constantOf(slot);
}

export function runHelper(v: Verification): void {
  const id = v.code.imm[v.slot]!;
  const prototype = findPrototype(v, id);
  const name = prototype.name.replace(/^bpf_/, '');
  const facts: CallFacts = {
    map: undefined,
    mapIndex: -1,
    mapUid: 0,
    reference: 0,
    memorySize: 0,
    sizeLimit: 0,
    callback: -1,
    released: false,
    rawStack: undefined,
    dynptr: undefined,
    percpu: undefined,
    kptr: undefined,
  };
  if (name !== 'spin_unlock') refuseUnderLock(v, 'function calls are not allowed while holding a lock');
  if (name === 'spin_lock' || name === 'spin_unlock') {
    checkReadable(v, 1);
    runLock(v, 1, 'spin', name === 'spin_lock');
    for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
    return;
  }
  for (let i = 0; i < prototype.args.length; i++) checkArgument(v, prototype, i, facts);
  if (
    facts.map !== undefined &&
    !helperTakesMap(name, facts.map.type, { type: v.declaration.type, attachType: v.program.attachType })
  )
    v.refuse(
      'map-helper',
      'Call Type Safety',
      `cannot pass map_type ${mapTypes[facts.map.type]} into func bpf_${name}#${id}`,
      `${prototype.name} does not take maps of type ${facts.map.type}.`,
    );
  const sockets = facts.map?.type === 'sockmap' || facts.map?.type === 'sockhash';
  if (sockets && (name === 'map_update_elem' || name === 'map_delete_elem') && !mayUpdateSockets(v, name))
    v.refuse(
      'map-helper',
      'Execution Context Safety',
      `cannot update sockmap in this context\ncannot pass map_type ${mapTypes[facts.map!.type]} into func bpf_${name}#${id}`,
      'Programs of this type may run where the sockets of a map cannot be locked.',
    );
  if (name === 'dynptr_from_mem' && kindOf(v.register(1)) !== k.MAP_VALUE)
    v.refuse(
      'argument-kind',
      'Call Type Safety',
      `Unsupported reg type ${k.kindName(kindOf(v.register(1)), flagsOf(v.register(1)))} for bpf_dynptr_from_mem data`,
      'A local dynptr is over a map value.',
    );
  if (name === 'snprintf') checkFormat(v);
  if (name === 'tail_call') checkTailCall(v);
  if (name === 'get_local_storage') checkFlagsZero(v);
  const exchanged = facts.kptr === undefined ? 0 : recordExchange(v, facts.kptr);
  let constant: number | undefined;
  if (name === 'map_lookup_elem' && ELIDABLE.has(facts.map!.type)) constant = constantKey(v);
  if (name === 'map_update_elem' || name === 'map_delete_elem') {
    const mapFlags = facts.map!.flags;
    if ((mapFlags & (1 << 7)) !== 0)
      v.refuse('map-access', 'Memory Safety', 'write into map forbidden', 'Programs may not write to this map.');
  }
  if (facts.rawStack !== undefined) {
    const { number, size } = facts.rawStack;
    helperStack(v, number, v.register(number), size, true, true);
  }
  if (facts.released && prototype.args[prototype.releases ?? 0] === 'dynptr')
    releaseDynptr(v, (prototype.releases ?? 0) + 1);
  else if (facts.released && facts.reference !== 0) {
    if (facts.kptr === undefined) releaseReference(v, facts.reference);
    else passOn(v, facts.reference);
  }
  if (facts.callback >= 0) {
    if (name === 'loop') markPrecise(v, 1);
    enterCallback(v, prototype, facts);
  }
  if (
    name === 'dynptr_write' &&
    facts.dynptr !== undefined &&
    (facts.dynptr.type === SKB || facts.dynptr.type === SKB_META)
  )
    forgetPacket(v);
  if (prototype.changesPacketData && name !== 'tail_call') forgetPacket(v);
  for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
  giveResult(v, prototype, name, facts, constant);
  if (exchanged !== 0) setOrigin(v.register(0), exchanged);
}

const SOCKET_UPDATERS = new Set<string>([
  'socket_filter',
  'sched_cls',
  'sched_act',
  'xdp',
  'sk_reuseport',
  'flow_dissector',
  'sk_lookup',
]);
function mayUpdateSockets(v: Verification, name: string): boolean {
  const { type } = v.declaration;
  if (type === 'tracing') return v.program.attachType === 'trace_iter';
  return SOCKET_UPDATERS.has(type) || (type === 'sock_ops' && name === 'map_delete_elem');
}

function checkFlagsZero(v: Verification): void {
  const r = v.register(2);
  if (kindOf(r) === k.SCALAR && isConstant(r) && constantOf(r) === 0) return;
  v.refuse(
    'local-storage-flags',
    'Call Type Safety',
    "get_local_storage() doesn't support non-zero flags",
    'The second argument must be 0.',
  );
}

function checkTailCall(v: Verification): void {
  refuseLeak(v, 'tail_call');
  if (v.state.depth > 0) v.tailCallInFunction();
}

export function releaseReference(v: Verification, reference: number): void {
  if (!v.state.references.some(({ id }) => id === reference))
    v.refuse(
      'not-a-reference',
      'Resource Lifetime Safety',
      `func release of unowned reference id=${reference}`,
      'The reference was released before.',
    );
  v.state.forgetReference(reference, (r) => makeUnknown(r));
}

/** The object is the map's now. One of each CPU is freed under RCU: until then it may be read. */
function passOn(v: Verification, reference: number): void {
  const inRcu = v.inRcu();
  v.state.forgetReference(reference, (r) => {
    const flags = flagsOf(r);
    if (!inRcu || (flags & (k.ALLOC | k.PERCPU)) !== (k.ALLOC | k.PERCPU)) {
      makeUnknown(r);
      return;
    }
    set(r, REFERENCE, 0);
    set(r, FLAGS, (flags & ~k.ALLOC) | k.RCU);
    v.provenance.share(auxOf(r));
  });
}

/** Packet pointers are void: the data may have moved. */
export function forgetPacket(v: Verification): void {
  v.state.everyRecord((r) => {
    if (k.isPacket(kindOf(r)) || (kindOf(r) === k.MEM && (flagsOf(r) & k.PACKET_SLICE) !== 0)) makeUnknown(r);
  });
}

/** The result is the argument seen as another struct (is_ptr_cast_function). */
const CASTS = new Set([
  'tcp_sock',
  'sk_fullsock',
  'skc_to_tcp_sock',
  'skc_to_tcp6_sock',
  'skc_to_udp6_sock',
  'skc_to_mptcp_sock',
  'skc_to_tcp_timewait_sock',
  'skc_to_tcp_request_sock',
]);

/** Results that are an error number or a size at most that of the buffer. */
const SIZED = new Set([
  'get_stack',
  'get_task_stack',
  'probe_read_str',
  'probe_read_kernel_str',
  'probe_read_user_str',
]);
const MAX_ERRNO = 4095;

function giveResult(
  v: Verification,
  prototype: HelperPrototype,
  name: string,
  facts: CallFacts,
  constant: number | undefined,
): void {
  const r = v.register(0);
  const acquire = (): number => {
    const id = v.newId();
    v.state.references = [...v.state.references, { id, slot: v.slot }];
    return id;
  };
  const sockets = facts.map?.type === 'sockmap' || facts.map?.type === 'sockhash';
  const acquires = prototype.acquires === true || (name === 'map_lookup_elem' && sockets);
  const pointer = (kind: number, flags: number, aux: number) => {
    makePointer(r, kind, flags, aux);
    if ((flags & k.MAYBE_NULL) !== 0 || acquires) set(r, ID, v.newId());
    if (acquires) {
      const id = acquire();
      set(r, ID, id);
      set(r, REFERENCE, id);
    }
  };
  switch (prototype.returns) {
    case 'integer':
      makeUnknown(r);
      if (name === 'get_smp_processor_id') arithmetic.between(r, 0, v.cpus - 1);
      if (SIZED.has(name) && facts.sizeLimit < 1 << 29) arithmetic.between(r, -MAX_ERRNO, facts.sizeLimit);
      return;
    case 'void':
      return;
    case 'map_value_or_null':
    case 'map_value': {
      const map = facts.map!;
      const never =
        prototype.returns === 'map_value' || (constant !== undefined && constant >= 0 && constant < map.maxEntries);
      pointer(k.MAP_VALUE, never ? 0 : k.MAYBE_NULL, facts.mapIndex);
      set(r, AUX2, facts.mapUid);
      if (never && v.hasLock(facts.mapIndex)) set(r, ID, v.newId());
      set(r, PRECISE, 0);
      return;
    }
    case 'ringbuf_mem_or_null':
      pointer(k.MEM, k.MAYBE_NULL | k.RINGBUF, facts.memorySize);
      return;
    case 'dynptr_mem_or_null':
      pointer(k.MEM, k.MAYBE_NULL, facts.memorySize);
      set(r, AUX2, facts.dynptr?.id ?? 0);
      set(r, REFERENCE, facts.dynptr?.reference ?? 0);
      return;
    case 'socket_or_null':
      pointer(k.SOCKET, k.MAYBE_NULL, 0);
      break;
    case 'sock_common_or_null':
      pointer(k.SOCK_COMMON, k.MAYBE_NULL, 0);
      break;
    case 'tcp_sock_or_null':
      pointer(k.TCP_SOCK, k.MAYBE_NULL, 0);
      break;
    case 'btf_id':
    case 'trusted_btf_id':
    case 'btf_id_or_null': {
      if (facts.kptr !== undefined) {
        const { types, id } = kptrTarget(v, facts.kptr.pointer!);
        const local = types === k.PROGRAM_TYPES ? k.ALLOC : 0;
        const percpu = local !== 0 && facts.kptr.pointer!.how === 'percpu' ? k.PERCPU : 0;
        pointer(k.BTF_ID, k.MAYBE_NULL | local | percpu, id);
        set(r, AUX2, types);
        return;
      }
      if (prototype.returnsBtfId === undefined) v.unfollowed(`result of ${prototype.name}`);
      const orNull = prototype.returns === 'btf_id_or_null' ? k.MAYBE_NULL : 0;
      const trust = prototype.returns === 'trusted_btf_id' ? k.TRUSTED : 0;
      pointer(k.BTF_ID, orNull | trust, kernelStruct(v, prototype.returnsBtfId));
      break;
    }
    case 'mem_or_btf_id':
    case 'mem_or_btf_id_or_null': {
      const { struct, types, size, allocated } = facts.percpu!;
      const orNull = prototype.returns === 'mem_or_btf_id_or_null' ? k.MAYBE_NULL : 0;
      if (struct === 0) pointer(k.MEM, orNull | k.READ_ONLY, size);
      else {
        pointer(k.BTF_ID, allocated ? orNull | k.ALLOC | k.RCU : orNull, struct);
        set(r, AUX2, types);
      }
      return;
    }
    default:
      v.unfollowed(`result of kind ${prototype.returns} (${prototype.name})`);
  }
  // A socket that was found through another lives as long as that one.
  if (facts.reference !== 0 && prototype.acquires !== true && CASTS.has(name)) set(r, REFERENCE, facts.reference);
}
