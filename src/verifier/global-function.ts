/** Global functions: verified once, with arguments as their BTF signature says, and called by that signature (btf_prepare_func_args). */
import type { BtfType } from '../btf/types.ts';
import { LOCAL, makeConstDynptr, useDynptr } from './dynptr.ts';
import { checkExceptionParameters } from './exceptions.ts';
import * as k from './kinds.ts';
import { ID } from './layout.ts';
import { checkBounds, checkMapAccess, checkMapBounds, checkPacketBounds, checkPlain, checkReadable } from './memory.ts';
import { auxOf, flagsOf, kindOf, makePointer, makeUnknown, offsetOf, registerAt, set } from './records.ts';
import { helperStack } from './stack.ts';
import type { Verification } from './verification.ts';

export type Parameter =
  | { readonly kind: 'scalar' }
  | { readonly kind: 'context' }
  | { readonly kind: 'dynptr' }
  | { readonly kind: 'memory'; readonly size: number; readonly nonnull: boolean };

const contexts = new Set([
  '__sk_buff',
  'xdp_md',
  'bpf_sock_ops',
  'bpf_sk_lookup',
  'sk_msg_md',
  'bpf_sysctl',
  'bpf_sockopt',
  'bpf_sock_addr',
  'bpf_sock',
  'sk_reuseport_md',
  'bpf_perf_event_data',
  'bpf_cgroup_dev_ctx',
  'bpf_user_pt_regs_t',
  'pt_regs',
  'bpf_raw_tracepoint_args',
  'bpf_nf_ctx',
]);

/** Parameters of function `fn`; refuses or gives up on what BTF says of them. */
export function parametersOf(v: Verification, fn: number): readonly Parameter[] {
  const btf = v.btf!;
  const spec = v.code.functions[fn]!;
  const func = btf.type(spec.btfId!);
  const proto = func?.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') v.unfollowed(`signature of ${spec.name}`);
  for (const id of allTags(v, spec.btfId!)) if (!id.startsWith('comment:')) tagKnown(v, id);
  if (proto.params.length > 5)
    v.refuse(
      'global-arguments',
      'Call Type Safety',
      `Global function ${spec.name}() with ${proto.params.length} > 5 args. Buggy compiler.`,
      'Registers r1 to r5 carry arguments.',
    );
  const result = btf.resolve(proto.returns).type;
  if (result === undefined || !isScalar(result))
    v.refuse(
      'global-result',
      'Call Type Safety',
      `Global function ${spec.name}() doesn't return scalar. Only those are supported.`,
      'A global function is verified apart from its callers, which know nothing of a pointer that it returns.',
    );
  const found = proto.params.map((param, index) => parameter(v, fn, param.type, index));
  if (fn === v.exceptionCallback)
    checkExceptionParameters(
      v,
      found.map(({ kind }) => kind === 'scalar'),
    );
  return found;
}

function isScalar(type: BtfType): boolean {
  return type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64';
}

function allTags(v: Verification, func: number): string[] {
  return tagsOf(v, func, undefined);
}

function tagsOf(v: Verification, func: number, component: number | undefined): string[] {
  const found: string[] = [];
  const btf = v.btf!;
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type?.kind === 'decl_tag' && type.type === func && (component === undefined || type.component === component))
      found.push(type.name);
  }
  return found;
}

function tagKnown(v: Verification, tag: string): void {
  if (tag === 'arg:ctx' || tag === 'arg:nonnull') return;
  if (tag.startsWith('arg:')) v.unfollowed(`tag ${tag}`);
}

function parameter(v: Verification, fn: number, typeId: number, index: number): Parameter {
  const btf = v.btf!;
  const spec = v.code.functions[fn]!;
  const tags = tagsOf(v, spec.btfId!, index);
  const { type } = btf.resolve(typeId);
  if (tags.includes('arg:ctx') && type?.kind === 'ptr') return { kind: 'context' };
  if (type !== undefined && isScalar(type)) return { kind: 'scalar' };
  if (type?.kind !== 'ptr') v.unfollowed(`argument ${index + 1} of ${spec.name}`);
  // The context is known by the name before typedefs are followed, too.
  for (let id = type.type; ; ) {
    const target = btf.type(id);
    if (target === undefined) break;
    const named = target.kind === 'struct' || target.kind === 'typedef';
    if (named && (target.name === v.declaration.context.struct || isOwnContext(v, target.name)))
      return { kind: 'context' };
    if (named && contexts.has(target.name) && target.kind === 'struct') break;
    if (
      target.kind !== 'typedef' &&
      target.kind !== 'const' &&
      target.kind !== 'volatile' &&
      target.kind !== 'restrict'
    )
      break;
    id = target.type;
  }
  const pointed = btf.resolve(type.type);
  if (pointed.type?.kind === 'struct' && pointed.type.name === 'bpf_dynptr') return { kind: 'dynptr' };
  if (pointed.type === undefined || pointed.type.kind === 'func_proto' || pointed.type.kind === 'fwd')
    v.refuse(
      'global-arguments',
      'Call Type Safety',
      `arg#${index} reference type('UNKNOWN ') size cannot be determined`,
      'Nothing is known of what the pointer points to.',
    );
  if (pointed.type.kind === 'ptr' || pointed.type.kind === 'union')
    v.unfollowed(`argument ${index + 1} of ${spec.name}`);
  return { kind: 'memory', size: btf.sizeOf(pointed.id), nonnull: tags.includes('arg:nonnull') };
}

function isOwnContext(v: Verification, name: string): boolean {
  const { type } = v.declaration;
  if (type === 'kprobe') return name === 'bpf_user_pt_regs_t' || name === 'pt_regs';
  if (type === 'perf_event') return name === 'bpf_perf_event_data';
  if (type === 'raw_tracepoint') return name === 'bpf_raw_tracepoint_args';
  return false;
}

/** Registers at the entry of a global function that is verified by itself. */
export function enterGlobal(v: Verification, fn: number): void {
  parametersOf(v, fn).forEach((each, index) => {
    const r = registerAt(0, index + 1);
    switch (each.kind) {
      case 'scalar':
        makeUnknown(r);
        break;
      case 'context':
        makePointer(r, k.CTX, 0, 0);
        break;
      case 'dynptr':
        makeConstDynptr(v, r, LOCAL);
        break;
      case 'memory':
        makePointer(r, k.MEM, each.nonnull ? 0 : k.MAYBE_NULL, each.size);
        set(r, ID, v.newId());
    }
  });
}

/** Arguments of a call against the signature. */
export function checkGlobalArguments(v: Verification, fn: number): void {
  parametersOf(v, fn).forEach((each, index) => {
    const number = index + 1;
    const r = v.register(number);
    checkReadable(v, number);
    const { name } = v.code.functions[fn]!;
    const refuse = (text: string): never =>
      v.refuse(
        'global-arguments',
        'Call Type Safety',
        `${text}\nCaller passes invalid args into func#${fn} ('${name}')`,
        `Argument ${number} of ${name} does not fit its signature.`,
      );
    switch (each.kind) {
      case 'scalar':
        if (kindOf(r) !== k.SCALAR) refuse(`R${number} is not a scalar`);
        return;
      case 'context':
        if (kindOf(r) !== k.CTX) refuse(`arg#${index} expects pointer to ctx`);
        checkPlain(v, number, r, false);
        return;
      case 'dynptr':
        useDynptr(v, number, 0, false);
        return;
      case 'memory':
        checkMemory(v, number, r, each.size, each.nonnull, refuse);
    }
  });
}

function checkMemory(
  v: Verification,
  number: number,
  r: number,
  size: number,
  nonnull: boolean,
  refuse: (text: string) => never,
): void {
  const kind = kindOf(r);
  const flags = flagsOf(r);
  if (kind === k.SCALAR) {
    if (!nonnull) v.unfollowed('NULL for a pointer of a global function');
    refuse(`R${number} type=scalar expected=fp`);
  }
  if ((flags & k.MAYBE_NULL) !== 0 && nonnull) refuse(`arg#${number - 1} is expected to be non-NULL`);
  const off = offsetOf(r);
  switch (kind) {
    case k.STACK:
      // The function may read and write it.
      helperStack(v, number, r, size, true, false);
      return;
    case k.MAP_VALUE:
      checkMapAccess(v, v.code.maps[auxOf(r)]!, off, size, true);
      checkMapAccess(v, v.code.maps[auxOf(r)]!, off, size, false);
      checkMapBounds(v, number, r, off, size, false);
      return;
    case k.MEM:
      if ((flags & k.READ_ONLY) !== 0) refuse(`R${number} cannot write into rdonly_mem`);
      checkBounds(v, number, r, off, size, auxOf(r), false);
      return;
    case k.PACKET:
      if (v.declaration.packetAccess !== 'write') refuse('cannot write into packet');
      checkPacketBounds(v, number, r, off, size, false);
      return;
    default:
      refuse(`R${number} type=${k.kindName(kind, flags)} expected=fp`);
  }
}
