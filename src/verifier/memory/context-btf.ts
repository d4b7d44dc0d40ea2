/** Loads from the context of programs whose arguments BTF describes: those of the function, tracepoint, hook or method that they are attached to (btf_ctx_access). */
import { iteratorTargets } from '../../abi/iterator-targets.ts';
import { booleanLsmHooks } from '../../abi/lsm-hooks.ts';
import { structOpsRules } from '../../abi/struct-ops.ts';
import { argumentMayBeError, argumentMayBeNull } from '../../abi/tracepoint-arguments.ts';
import type { Btf, BtfType } from '../../btf/types.ts';
import * as k from '../kinds.ts';
import { ID, REFERENCE } from '../layout.ts';
import type { AttachTarget } from '../program/attach-target.ts';
import { arithmetic, makePointer, makeUnknown, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { tagFlag } from './btf-walk.ts';
import { coerceLoaded } from './stack.ts';

const MAX_ARGUMENTS = 12;
const MAX_ERRNO = 4095;

const isScalar = (type: BtfType | undefined) =>
  (type?.kind === 'int' && type.size <= 8) || type?.kind === 'enum' || type?.kind === 'enum64';

export function btfContextAccess(
  v: Verification,
  off: number,
  size: number,
  write: boolean,
  number: number,
  signed: boolean,
): void {
  const target = v.target!;
  const btf = v.vmlinux!;
  const refuse: (problem?: string) => never = (problem) =>
    v.refuse(
      'context-access',
      'Execution Context Safety',
      `${problem === undefined ? '' : `${problem}\n`}invalid bpf_context access off=${off} size=${size}`,
      `The context of the program holds the arguments of ${target.name}, 8 bytes each; they can only be read.`,
    );
  if (off < 0 || off >= MAX_ARGUMENTS * 8 || write || off % size !== 0) refuse();
  if (off % 8 !== 0) refuse(`func '${target.name}' offset ${off} is not multiple of 8`);
  const params = target.prototype.params.slice(target.skipped);
  let arg = 0;
  for (let start = 0; arg < params.length; arg++) {
    start += Math.ceil(sizeOf(btf, params[arg]!.type) / 8) * 8;
    if (off < start) break;
  }
  let typeId: number;
  if (arg === params.length) {
    const extra = arg === params.length ? Math.floor(off / 8) - slotsOf(btf, params) : 0;
    if (extra > 0) refuse(`func '${target.name}' doesn't have ${arg + extra + 1}-th argument`);
    typeId = resultType(v, target, arg, refuse);
  } else typeId = params[arg]!.type;
  const { type } = btf.resolve(typeId);
  const into = number < 0 ? undefined : v.register(number);
  const scalar = () => {
    if (into === undefined) return;
    makeUnknown(into);
    const range = arg === params.length ? resultRange(v) : undefined;
    if (range !== undefined && v.program.attachType === 'lsm_mac') arithmetic.between(into, range.min, range.max);
    coerceLoaded(into, size, signed);
  };
  if (isScalar(type) || type?.kind === 'struct' || type?.kind === 'union') {
    scalar();
    return;
  }
  if (type === undefined && arg === params.length)
    refuse(`func '${target.name}' arg${arg} '' has type UNKNOWN. Only pointer access is allowed`);
  if (type?.kind !== 'ptr')
    refuse(
      `func '${target.name}' arg${arg} '${type?.name ?? ''}' has type ${(type?.kind ?? 'void').toUpperCase()}. Only pointer access is allowed`,
    );
  if (size !== 8 || signed) refuse(`func '${target.name}' size ${size} must be 8`);
  const how =
    v.program.attachType === 'trace_iter' ? iteratorTargets.get(target.short)?.[arg + target.skipped] : undefined;
  if (how === 'buffer' || how === 'readonly_buffer') {
    if (into === undefined) return;
    makePointer(into, k.BUF, k.MAYBE_NULL | (how === 'readonly_buffer' ? k.READ_ONLY : 0), 0);
    set(into, ID, v.newId());
    return;
  }
  const pointed = btf.resolve(type.type);
  if (pointed.type === undefined || pointed.type.kind === 'int') {
    scalar();
    return;
  }
  let flags = target.trusted ? k.TRUSTED : 0;
  const name = target.names[arg + target.skipped] ?? '';
  if (how !== undefined) flags = k.MAYBE_NULL | (how === 'trusted' ? k.TRUSTED : 0);
  else if (name.endsWith('__nullable')) flags |= k.MAYBE_NULL;
  if (v.program.attachType === 'trace_raw_tp' && argumentMayBeNull(target.short, arg)) flags |= k.MAYBE_NULL;
  flags |= tagFlag(btf, type.type) & (k.USER | k.PERCPU);
  if (pointed.type.kind !== 'struct' && pointed.type.kind !== 'union')
    refuse(`func '${target.name}' arg${arg} type ${pointed.type.kind.toUpperCase()} is not a struct`);
  if (v.program.attachType === 'trace_raw_tp' && argumentMayBeError(target.short, arg)) {
    scalar();
    return;
  }
  if (into === undefined) return;
  makePointer(into, k.BTF_ID, flags, promoted(btf, target, pointed.id));
  if ((flags & k.MAYBE_NULL) !== 0) set(into, ID, v.newId());
  const held = v.argumentReferences.get(arg);
  if (held !== undefined && v.state.references.some(({ id }) => id === held)) set(into, REFERENCE, held);
}

function sizeOf(btf: Btf, type: number): number {
  const resolved = btf.resolve(type);
  return resolved.type?.kind === 'struct' || resolved.type?.kind === 'union' ? resolved.type.size : 8;
}

function slotsOf(btf: Btf, params: readonly { readonly type: number }[]): number {
  let slots = 0;
  for (const { type } of params) slots += Math.ceil(sizeOf(btf, type) / 8);
  return slots;
}

/** Behind the arguments stands the result, for those that see one. */
function resultType(v: Verification, target: AttachTarget, arg: number, refuse: (problem: string) => never): number {
  const { returns } = target.prototype;
  switch (v.program.attachType) {
    case 'lsm_mac':
    case 'lsm_cgroup':
    case 'trace_fexit':
      return returns;
    case 'modify_return': {
      const { type } = v.vmlinux!.resolve(returns);
      if (!isScalar(type)) refuse(`ret type ${(type?.kind ?? 'void').toUpperCase()} not allowed for fmod_ret`);
      return returns;
    }
    default:
      return refuse(`func '${target.name}' doesn't have ${arg + 1}-th argument`);
  }
}

function promoted(btf: Btf, target: AttachTarget, id: number): number {
  const promotes = target.struct === undefined ? undefined : structOpsRules(target.struct).promotes;
  if (promotes === undefined || btf.type(id)?.name !== promotes[0]) return id;
  return btf.find(promotes[1], 'struct') ?? id;
}

/** What an LSM hook may return, and a program that is attached to it; undefined where anything goes. */
export function resultRange(v: Verification): { readonly min: number; readonly max: number } | undefined {
  const { prototype, short } = v.target!;
  if (prototype.returns === 0) return undefined;
  return booleanLsmHooks.has(short) ? { min: 0, max: 1 } : { min: -MAX_ERRNO, max: 0 };
}

/** Struct that a method's result points to. */
export function resultStruct(v: Verification): number | undefined {
  const btf = v.vmlinux!;
  const { type } = btf.resolve(v.target!.prototype.returns);
  return type?.kind === 'ptr' ? btf.resolve(type.type).id : undefined;
}
