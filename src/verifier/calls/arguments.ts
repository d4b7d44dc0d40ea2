/** Arguments of helpers against their prototypes: kinds of registers, memory behind them, sizes. */
import type { ArgType, HelperPrototype } from '../../abi/prototype.ts';
import type { SpecialField } from '../../btf/special-fields.ts';
import type { MapSpec } from '../../object/spec.ts';
import * as k from '../kinds.ts';
import { UMAX, UMIN } from '../layout.ts';
import {
  checkAlignment,
  checkBounds,
  checkBuffer,
  checkMapAccess,
  checkMapBounds,
  checkPacketBounds,
  checkPlain,
  checkReadable,
} from '../memory/memory.ts';
import { helperStack } from '../memory/stack.ts';
import { checkSameMap, checkValueField } from '../memory/value-field.ts';
import {
  checkReleasable,
  type DynptrFacts,
  initDynptr,
  LOCAL,
  RINGBUF as RINGBUF_DYNPTR,
  useDynptr,
} from '../resources/dynptr.ts';
import { checkKptrType, exchangedField } from '../resources/kptr.ts';
import { markPrecise } from '../states/precision.ts';
import {
  aux2Of,
  auxOf,
  constantOf,
  flagsOf,
  isConstant,
  isZero,
  kindOf,
  offsetOf,
  referenceOf,
  sminOf,
  ulongs,
  umaxOf,
  uminOf,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { btfNames, checkBtfArgument, checkBtfMemory, percpuTarget } from './btf-arguments.ts';
import { checkConstString } from './const-string.ts';

/** What is learnt of the arguments on the way. */
export interface CallFacts {
  map: MapSpec | undefined;
  mapIndex: number;
  mapUid: number;
  /** Reference that the call releases or passes on. */
  reference: number;
  memorySize: number;
  sizeLimit: number;
  callback: number;
  released: boolean;
  rawStack: { number: number; size: number } | undefined;
  dynptr: DynptrFacts | undefined;
  /** What the percpu pointer in argument 1 is to. */
  percpu: ReturnType<typeof percpuTarget> | undefined;
  /** Field that bpf_kptr_xchg exchanges. */
  kptr: SpecialField | undefined;
}

const MEMORY = [k.STACK, k.PACKET, k.PACKET_META, k.MAP_KEY, k.MAP_VALUE, k.MEM, k.BUF];

const expected: Partial<Record<ArgType, readonly number[]>> = {
  const_map_ptr: [k.MAP_PTR],
  map_key: MEMORY,
  map_value: MEMORY,
  map_value_or_null: MEMORY,
  map_value_uninit: MEMORY,
  mem: MEMORY,
  mem_or_null: MEMORY,
  mem_uninit: MEMORY,
  mem_write: MEMORY,
  mem_write_or_null: MEMORY,
  fixed_mem: MEMORY,
  fixed_mem_uninit: MEMORY,
  fixed_mem_write: MEMORY,
  const_size: [k.SCALAR],
  const_size_or_zero: [k.SCALAR],
  const_alloc_size: [k.SCALAR],
  ctx: [k.CTX],
  ctx_or_null: [k.CTX],
  ringbuf_mem: [k.MEM],
  func: [k.FUNC],
  stack_or_null: [k.STACK],
  const_str: [k.MAP_VALUE],
  socket: [k.SOCKET],
  socket_or_null: [k.SOCKET],
  sock_common: [k.SOCK_COMMON, k.SOCKET, k.TCP_SOCK, k.XDP_SOCK],
  btf_id_sock_common: [k.SOCK_COMMON, k.SOCKET, k.TCP_SOCK, k.XDP_SOCK],
  btf_id_sock_common_or_null: [k.SOCK_COMMON, k.SOCKET, k.TCP_SOCK, k.XDP_SOCK],
  btf_id: [],
  btf_id_or_null: [],
  percpu_btf_id: [],
  kptr: [k.MAP_VALUE],
  long_ptr: MEMORY,
  int_ptr: MEMORY,
  dynptr: [k.STACK, k.DYNPTR],
  dynptr_uninit: [k.STACK, k.DYNPTR],
  timer: [k.MAP_VALUE],
};

const mayBeNull = new Set<ArgType>([
  'mem_or_null',
  'mem_write_or_null',
  'map_value_or_null',
  'ctx_or_null',
  'stack_or_null',
  'socket_or_null',
  'btf_id_sock_common_or_null',
  'btf_id_or_null',
]);

const written = new Set<ArgType>([
  'map_value_uninit',
  'mem_uninit',
  'mem_write',
  'mem_write_or_null',
  'fixed_mem_uninit',
  'fixed_mem_write',
  'long_ptr',
  'int_ptr',
]);
const raw = new Set<ArgType>(['map_value_uninit', 'mem_uninit', 'fixed_mem_uninit', 'long_ptr', 'int_ptr']);

export function checkArgument(v: Verification, prototype: HelperPrototype, index: number, facts: CallFacts): void {
  let type = prototype.args[index]!;
  if (type === 'dontcare') return;
  // What a map of sockets takes for its values are sockets.
  if (type === 'map_value' && (facts.map?.type === 'sockmap' || facts.map?.type === 'sockhash'))
    type = 'btf_id_sock_common';
  const number = index + 1;
  checkReadable(v, number);
  if (type === 'anything') return;
  const r = v.register(number);
  const kind = kindOf(r);
  if ((kind === k.PACKET || kind === k.PACKET_META) && !packetAllowed(v, prototype))
    v.refuse(
      'packet-argument',
      'Call Type Safety',
      'helper access to the packet is not allowed',
      `${prototype.name} cannot take its argument from the packet.`,
    );
  const kinds = expected[type];
  if (kinds === undefined) v.unfollowed(`argument of kind ${type} (${prototype.name})`);
  const isNull = kind === k.SCALAR && isZero(r) && mayBeNull.has(type);
  if (!isNull) checkKind(v, prototype, index, type, kinds, number, r);
  else if (number <= 5) markPrecise(v, number);
  if (!isNull && facts.kptr !== undefined) checkKptrType(v, facts.kptr, number);
  if (prototype.releases === index) {
    if (kind === k.SCALAR && !isNull) v.unfollowed(`release of a scalar (${prototype.name})`);
    if (type === 'dynptr') checkReleasable(v, number);
    else if (!isNull && referenceOf(r) === 0)
      v.refuse(
        'not-a-reference',
        'Resource Lifetime Safety',
        `R${number} must be referenced when passed to release function`,
        `${prototype.name} ends the life of what an acquiring call gave; this is not such a pointer.`,
      );
    if (type !== 'dynptr' && !isNull && (offsetOf(r) !== 0 || !isConstant(r) || constantOf(r) !== 0))
      v.refuse(
        'reference-offset',
        'Resource Lifetime Safety',
        `R${number} must have zero offset when passed to release func or trusted arg to kfunc`,
        'The pointer must be the one that the acquiring call gave.',
      );
    facts.released = true;
  }
  if (referenceOf(r) !== 0 && type !== 'kptr') {
    if (facts.reference !== 0)
      v.refuse(
        'two-references',
        'Call Type Safety',
        `more than one arg with ref_obj_id R${number} ${referenceOf(r)} ${facts.reference}`,
        'A call takes at most one pointer that must be released.',
      );
    facts.reference = referenceOf(r);
  }
  if (isNull && !type.startsWith('mem')) return;
  checkMeaning(v, prototype, index, type, number, r, facts);
}

function packetAllowed(v: Verification, prototype: HelperPrototype): boolean {
  if (v.declaration.packetAccess === 'none') return false;
  return prototype.packetAccess === true;
}

function checkKind(
  v: Verification,
  prototype: HelperPrototype,
  index: number,
  type: ArgType,
  kinds: readonly number[],
  number: number,
  r: number,
): void {
  const kind = kindOf(r);
  const flags = flagsOf(r);
  let fine = kind === k.BTF_ID ? checkBtfArgument(v, prototype, index, type, number, r) : kinds.includes(kind);
  if (
    fine &&
    (flags & k.MAYBE_NULL) !== 0 &&
    kind !== k.SCALAR &&
    kind !== k.BTF_ID &&
    !(mayBeNull.has(type) && type !== 'stack_or_null')
  )
    fine = false;
  if (fine && kind === k.MEM && (flags & k.READ_ONLY) !== 0 && written.has(type)) fine = false;
  if (fine && type === 'ringbuf_mem' && (flags & k.RINGBUF) === 0) fine = false;
  if (fine) {
    if (kind === k.CTX || k.isSocket(kind) || kind === k.MAP_PTR || kind === k.FUNC) checkPlain(v, number, r, false);
    return;
  }
  const shown = kinds.map((each) => k.kindName(each, 0));
  if (kinds === MEMORY) shown.splice(6, 0, 'ringbuf_mem');
  const names = [...shown, ...btfNames(type)].join(', ');
  v.refuse(
    'argument-kind',
    'Call Type Safety',
    `R${number} type=${k.kindName(kind, flags)} expected=${type === 'ringbuf_mem' ? 'ringbuf_mem' : names}`,
    `Argument ${number} of ${prototype.name} must be ${names}; here it is ${k.kindName(kind, flags)}.`,
  );
}

function checkMeaning(
  v: Verification,
  prototype: HelperPrototype,
  index: number,
  type: ArgType,
  number: number,
  r: number,
  facts: CallFacts,
): void {
  switch (type) {
    case 'timer':
      facts.mapIndex = checkValueField(v, number, 'bpf_timer');
      facts.mapUid = aux2Of(r);
      facts.map = v.code.maps[facts.mapIndex];
      return;
    case 'const_map_ptr':
      if (v.code.maps[auxOf(r)]!.type === 'allocator')
        v.refuse(
          'map-helper',
          'Call Type Safety',
          `cannot pass map_type allocator into func ${prototype.name}`,
          'An allocator has no elements: it is for bpf_mem_alloc and its like.',
        );
      if (facts.map !== undefined)
        checkSameMap(v, 'timer', { map: facts.mapIndex, uid: facts.mapUid }, { map: auxOf(r), uid: aux2Of(r) }, number);
      facts.mapIndex = auxOf(r);
      facts.map = v.code.maps[auxOf(r)]!;
      facts.mapUid = aux2Of(r);
      return;
    case 'map_key':
    case 'map_value':
    case 'map_value_or_null':
    case 'map_value_uninit': {
      const { map } = facts;
      if (map === undefined) v.unfollowed('map argument after its key');
      const size = type === 'map_key' ? map.keySize : map.valueSize;
      checkHelperMemory(v, number, r, size, type === 'map_value_uninit', false, raw.has(type), facts);
      return;
    }
    case 'fixed_mem':
    case 'fixed_mem_uninit':
    case 'fixed_mem_write':
    case 'long_ptr':
    case 'int_ptr': {
      const size = type === 'long_ptr' ? 8 : type === 'int_ptr' ? 4 : prototype.fixedSize?.[index];
      if (size === undefined) v.unfollowed(`size of argument ${number} of ${prototype.name}`);
      checkHelperMemory(v, number, r, size, written.has(type), false, raw.has(type), facts);
      if (prototype.aligned?.includes(index) === true) checkAlignment(v, r, 0, size, true);
      return;
    }
    case 'const_size':
    case 'const_size_or_zero': {
      const memory = prototype.args[index - 1]!;
      checkSize(v, written.has(memory), number, r, type === 'const_size_or_zero', raw.has(memory), facts);
      return;
    }
    case 'const_alloc_size':
      if (!isConstant(r))
        v.refuse(
          'size-not-constant',
          'Call Type Safety',
          `R${number} is not a known constant'`,
          'The size must be the same on every run.',
        );
      facts.memorySize = constantOf(r);
      markPrecise(v, number);
      return;
    case 'dynptr': {
      const wanted = prototype.dynptrType === 'ringbuf' ? RINGBUF_DYNPTR : prototype.dynptrType === 'local' ? LOCAL : 0;
      facts.dynptr = useDynptr(v, number, wanted, prototype.releases === index);
      return;
    }
    case 'dynptr_uninit':
      initDynptr(v, number, prototype.dynptrType === 'ringbuf' ? RINGBUF_DYNPTR : LOCAL, 0);
      return;
    case 'kptr':
      facts.kptr = exchangedField(v);
      return;
    case 'percpu_btf_id':
      facts.percpu = percpuTarget(v, r);
      return;
    case 'func':
      facts.callback = auxOf(r);
      return;
    case 'const_str':
      checkConstString(v, number);
  }
}

/** @param isRaw the memory need not be initialised. */
export function checkSize(
  v: Verification,
  writes: boolean,
  number: number,
  r: number,
  zeroAllowed: boolean,
  isRaw: boolean,
  facts: CallFacts | undefined,
): void {
  const refuse = (id: string, text: string, reason: string): never => v.refuse(id, 'Memory Safety', text, reason);
  if (facts !== undefined) facts.sizeLimit = umaxOf(r);
  if (sminOf(r) < 0)
    refuse(
      'size-negative',
      `R${number} min value is negative, either use unsigned or 'var &= const'`,
      `The size may be as low as ${sminOf(r)}.`,
    );
  if (uminOf(r) === 0 && !zeroAllowed)
    refuse(
      'size-zero',
      `R${number} invalid zero-sized read: u64=[${ulongs[(r + UMIN) >> 3]},${ulongs[(r + UMAX) >> 3]}]`,
      'The size may be 0.',
    );
  if (umaxOf(r) >= 1 << 29)
    refuse(
      'size-unbounded',
      `R${number} unbounded memory access, use 'var &= const' or 'if (var < const)'`,
      'The size has no useful upper limit.',
    );
  const memory = v.register(number - 1);
  checkHelperMemory(v, number - 1, memory, umaxOf(r), writes, zeroAllowed, isRaw && isConstant(r), facts);
  markPrecise(v, number);
}

export function checkHelperMemory(
  v: Verification,
  number: number,
  r: number,
  size: number,
  write: boolean,
  zeroAllowed: boolean,
  isRaw: boolean,
  facts: CallFacts | undefined,
): void {
  const off = offsetOf(r);
  const kind = kindOf(r);
  switch (kind) {
    case k.PACKET:
    case k.PACKET_META:
      checkPacketBounds(v, number, r, off, size, zeroAllowed);
      if (write && v.declaration.packetAccess !== 'write') v.unfollowed('helper that writes to a read-only packet');
      return;
    case k.MAP_KEY:
      if (write)
        v.refuse('map-key-write', 'Memory Safety', `R${number} cannot write into map_key`, 'Keys are read only.');
      checkBounds(v, number, r, off, size, v.code.maps[auxOf(r)]!.keySize, zeroAllowed);
      return;
    case k.MAP_VALUE:
      checkMapAccess(v, v.code.maps[auxOf(r)]!, off, size, write);
      checkMapBounds(v, number, r, off, size, zeroAllowed);
      return;
    case k.MEM:
      if (write && (flagsOf(r) & k.READ_ONLY) !== 0)
        v.refuse(
          'read-only',
          'Memory Safety',
          `R${number} cannot write into ${k.kindName(kind, flagsOf(r))}`,
          'The memory is read only.',
        );
      checkBounds(v, number, r, off, size, auxOf(r), zeroAllowed);
      return;
    case k.BTF_ID:
      checkBtfMemory(v, number, r, size);
      return;
    case k.BUF:
      if (write && (flagsOf(r) & k.READ_ONLY) !== 0)
        v.refuse(
          'read-only',
          'Memory Safety',
          `R${number} cannot write into ${k.kindName(kind, flagsOf(r))}`,
          'The memory is read only.',
        );
      checkBuffer(v, number, r, off, size);
      return;
    case k.STACK:
      if (size === 0 && !zeroAllowed)
        v.refuse('size-zero', 'Memory Safety', 'invalid zero-sized read', 'The size may be 0.');
      if (isRaw && isConstant(r) && facts !== undefined) {
        helperStack(v, number, r, size, false, true);
        facts.rawStack = { number, size };
      } else helperStack(v, number, r, size, write, false);
      return;
    default:
      if (zeroAllowed && size === 0 && kind === k.SCALAR && isZero(r)) return;
      v.refuse(
        'argument-kind',
        'Call Type Safety',
        `R${number} type=${k.kindName(kind, flagsOf(r))} expected=fp`,
        'The memory argument is no pointer, and the size may be more than 0.',
      );
  }
}
