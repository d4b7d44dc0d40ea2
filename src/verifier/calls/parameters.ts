/** Parameters of global functions, as BTF and its `arg:` tags say (btf_prepare_func_args). */
import { coreCandidates } from '../../btf/core.ts';
import type { BtfType } from '../../btf/types.ts';
import { declTags } from '../program/decl-tags.ts';
import type { Verification } from '../verification.ts';
import { checkExceptionParameters } from './exceptions.ts';

export type Parameter =
  | { readonly kind: 'scalar' | 'context' | 'dynptr' | 'arena' }
  | { readonly kind: 'memory'; readonly size: number; readonly nonnull: boolean }
  /** A struct of the kernel, by its type id there. */
  | { readonly kind: 'trusted'; readonly id: number; readonly nullable: boolean }
  /** A struct of the kernel; without an id bytes of unknown number. Whatever is passed is read with care. */
  | { readonly kind: 'untrusted'; readonly id: number | undefined };

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

const TAGS = new Set(['ctx', 'trusted', 'untrusted', 'nonnull', 'nullable', 'arena']);

/** Parameters of function `fn`; refuses what BTF says of them, each time anew. */
export function parametersOf(v: Verification, fn: number): readonly Parameter[] {
  let found = v.parameters.get(fn);
  if (found === undefined) {
    found = readParameters(v, fn);
    v.parameters.set(fn, found);
  }
  return found;
}

function readParameters(v: Verification, fn: number): readonly Parameter[] {
  const btf = v.btf!;
  const spec = v.code.functions[fn]!;
  const func = btf.type(spec.btfId!);
  const proto = func?.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto')
    refuse(v, `Invalid type of function ${spec.name}()`, 'It is described as no function.');
  if (proto.params.length > 5)
    refuse(
      v,
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

function refuse(v: Verification, problem: string, reason: string): never {
  v.refuse('global-arguments', 'Call Type Safety', problem, reason);
}

function isScalar(type: BtfType): boolean {
  return type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64';
}

/** `arg:` tags of a parameter, without the prefix. */
function tagsOf(v: Verification, func: number, index: number): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { name, component } of declTags(v.btf!, func)) {
    if (component !== index || !name.startsWith('arg:')) continue;
    const tag = name.slice(4);
    if (!TAGS.has(tag)) refuse(v, `arg#${index} has unsupported set of tags`, `Linux 6.18 knows no tag arg:${tag}.`);
    found.add(tag);
  }
  return found;
}

/** `STRUCT name`, as the kernel calls types in messages. */
function typeText(type: BtfType | undefined): string {
  if (type === undefined) return 'UNKNOWN ';
  return `${type.kind.toUpperCase()} ${type.name === '' ? '(anon)' : type.name}`;
}

function parameter(v: Verification, fn: number, typeId: number, index: number): Parameter {
  const btf = v.btf!;
  const spec = v.code.functions[fn]!;
  const tags = tagsOf(v, spec.btfId!, index);
  const { type } = btf.resolve(typeId);
  if (type?.kind !== 'ptr') {
    if (tags.size > 0)
      refuse(v, `arg#${index} has pointer tag, but is not a pointer type`, 'Only pointers have such tags.');
    if (type !== undefined && isScalar(type)) return { kind: 'scalar' };
    refuse(
      v,
      `Arg#${index} type ${type === undefined ? 'UNKNOWN' : type.kind.toUpperCase()} in ${spec.name}() is not supported yet.`,
      'Arguments of global functions are numbers and pointers.',
    );
  }
  const only = (tag: string, problem = `arg#${index} has invalid combination of tags`) => {
    if (tags.size > (tags.has(tag) ? 1 : 0)) refuse(v, problem, 'The tags contradict each other.');
  };
  if (tags.has('ctx') || isContext(v, type.type)) {
    only('ctx');
    if (tags.has('ctx')) checkContextType(v, type.type, index);
    return { kind: 'context' };
  }
  const pointed = btf.resolve(type.type);
  if (pointed.type?.kind === 'struct' && pointed.type.name === 'bpf_dynptr') {
    only('');
    return { kind: 'dynptr' };
  }
  if (tags.has('trusted')) {
    if (tags.has('nonnull'))
      refuse(v, `arg#${index} has invalid combination of tags`, 'The tags contradict each other.');
    return { kind: 'trusted', id: kernelType(v, pointed.id, index), nullable: tags.has('nullable') };
  }
  if (tags.has('untrusted')) {
    only('untrusted', `arg#${index} untrusted cannot be combined with any other tags`);
    if (pointed.type === undefined || isScalar(pointed.type)) return { kind: 'untrusted', id: undefined };
    const id = kernelType(v, pointed.id, index);
    if (v.vmlinux!.type(id)?.kind !== 'struct')
      refuse(
        v,
        `arg#${index} has type ${pointed.type.kind.toUpperCase()} '${pointed.type.name}', but only struct or primitive types are allowed`,
        'What an untrusted pointer points to must be a struct or a number.',
      );
    return { kind: 'untrusted', id };
  }
  if (tags.has('arena')) {
    only('arena', `arg#${index} arena cannot be combined with any other tags`);
    return { kind: 'arena' };
  }
  if (tags.has('nullable'))
    refuse(v, `arg#${index} has invalid combination of tags`, 'The tags contradict each other.');
  const { type: target } = pointed;
  if (target === undefined || target.kind === 'func_proto' || target.kind === 'fwd')
    refuse(
      v,
      `arg#${index} reference type('${typeText(target)}') size cannot be determined: -22`,
      'Nothing is known of what the pointer points to.',
    );
  return { kind: 'memory', size: btf.sizeOf(pointed.id), nonnull: tags.has('nonnull') };
}

/** The context is known by the name of its struct, also before typedefs are followed. */
function isContext(v: Verification, pointed: number): boolean {
  const btf = v.btf!;
  for (let id = pointed; ; ) {
    const target = btf.type(id);
    if (target === undefined) return false;
    const named = target.kind === 'struct' || target.kind === 'typedef';
    if (named && (target.name === v.declaration.context.struct || isOwnContext(v, target.name))) return true;
    if (named && contexts.has(target.name) && target.kind === 'struct') return false;
    const { kind } = target;
    if (kind !== 'typedef' && kind !== 'const' && kind !== 'volatile' && kind !== 'restrict') return false;
    id = target.type;
  }
}

function isOwnContext(v: Verification, name: string): boolean {
  const { type } = v.declaration;
  if (type === 'kprobe') return name === 'bpf_user_pt_regs_t' || name === 'pt_regs';
  if (type === 'perf_event') return name === 'bpf_perf_event_data';
  if (type === 'raw_tracepoint') return name === 'bpf_raw_tracepoint_args';
  return false;
}

/** Types whose programs may call their context `u64 *`; of tracing programs all but iterators. */
const WORDS = new Set(['raw_tracepoint', 'raw_tracepoint_writable', 'tracing', 'lsm', 'struct_ops']);
const ANYTHING = new Set(['tracepoint', 'syscall', 'ext']);

/** What `arg:ctx` is on (btf_validate_prog_ctx_type). */
function checkContextType(v: Verification, pointed: number, index: number): void {
  const btf = v.btf!;
  const { type } = v.declaration;
  if (type === 'kprobe' || type === 'perf_event') {
    for (let id = pointed; ; ) {
      const each = btf.type(id);
      if (each?.kind === 'typedef') {
        if (each.name === 'bpf_user_pt_regs_t') return;
        break;
      }
      if (each?.kind !== 'const' && each?.kind !== 'volatile' && each?.kind !== 'restrict') break;
      id = each.type;
    }
  }
  const target = btf.resolve(pointed).type;
  if (target === undefined) return;
  if (target.name === '') refuse(v, `arg#${index} type doesn't have a name`, 'The context is known by its name.');
  const struct = target.kind === 'struct' ? target.name : undefined;
  if ((type === 'kprobe' || type === 'perf_event') && struct === 'pt_regs') return;
  const iterator = type === 'tracing' && v.program.attachType === 'trace_iter';
  if (iterator && struct?.startsWith('bpf_iter__') === true) return;
  if (type === 'tracing' && v.program.attachType === 'trace_raw_tp' && struct === 'bpf_raw_tracepoint_args') return;
  if (WORDS.has(type) && !iterator && target.kind === 'int' && target.size === 8) return;
  if (ANYTHING.has(type)) return;
  const wanted = v.declaration.context.struct;
  if (struct === undefined || struct !== wanted)
    refuse(v, `arg#${index} should be \`struct ${wanted} *\``, 'The context of the program has another type.');
}

/** The one kernel type of the same kind and, flavors apart, name. */
function kernelType(v: Verification, id: number, index: number): number {
  const type = v.btf!.type(id);
  const about = `arg#${index} reference type('${typeText(type)}')`;
  if (type === undefined || type.name === '')
    refuse(v, `${about} candidate matching error: -22`, 'Only a named type can be looked for in the kernel.');
  if (v.vmlinux === undefined)
    v.unfollowed(`struct ${type.name} without the kernel's types (a vmlinux BTF: --btf FILE)`);
  const found = coreCandidates(type, v.vmlinux);
  if (found.length !== 1)
    refuse(
      v,
      `${about} ${found.length === 0 ? 'has no matches' : 'is ambiguous'}`,
      'The argument must be a struct that the kernel has, once.',
    );
  return found[0]!;
}
