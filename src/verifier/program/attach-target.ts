/** What a tracing, lsm, iter or struct_ops program is attached to: found by name in the kernel's BTF, as libbpf does, and judged as bpf_check_attach_target does. */
import { deniedFunctions, mayModifyReturn, maySleepInside, noReturnFunctions } from '../../abi/attach-functions.ts';
import { iteratorTargets } from '../../abi/iterator-targets.ts';
import { disabledLsmHooks, sleepableLsmHooks, untrustedLsmHooks } from '../../abi/lsm-hooks.ts';
import type { ProgramDeclaration } from '../../abi/program-declaration.ts';
import { structOpsRules } from '../../abi/struct-ops.ts';
import type { Btf, BtfType } from '../../btf/types.ts';
import { methodOf } from '../../object/maps-struct-ops.ts';
import type { MapSpec, ProgramSpec } from '../../object/spec.ts';
import { Refusal, Unfollowed } from '../diagnostic.ts';

const MAX_ARGUMENTS = 12;
const MAX_ARGUMENT_BYTES = 16;

type Prototype = Extract<BtfType, { kind: 'func_proto' }>;

export interface AttachTarget {
  /** As the kernel names it in messages. */
  readonly name: string;
  /** Name of the hook, tracepoint, iterator target or method alone. */
  readonly short: string;
  readonly prototype: Prototype;
  /** Names of the arguments where the prototype has none, or says less. */
  readonly names: readonly string[];
  /** Arguments that are no context: the `void *__data` of a tracepoint. */
  readonly skipped: number;
  /** Pointers in arguments may be passed on. */
  readonly trusted: boolean;
  /** Struct whose method the program is. */
  readonly struct?: string;
}

function refuse(problem: string, reason: string): never {
  throw new Refusal({ id: 'attach-target', category: 'Policy', problem, reason, slot: undefined });
}

/** Linux's trampolines pass no more than twelve arguments, of at most 16 bytes each (btf_distill_func_proto). */
function checkTrampoline(btf: Btf, name: string, { params, returns }: Prototype): void {
  const refused = (what: string): never => refuse(`The function ${name} ${what}`, 'No trampoline can call it.');
  if (params.length > MAX_ARGUMENTS) refused(`has ${params.length} arguments. Too many.`);
  const result = btf.resolve(returns).type;
  if (result?.kind === 'struct' || result?.kind === 'union')
    refused(`return type ${result.kind.toUpperCase()} is unsupported.`);
  for (const [index, { type }] of params.entries()) {
    const resolved = btf.resolve(type).type;
    if (resolved === undefined)
      refused(index === params.length - 1 ? 'with variable args is unsupported.' : 'has malformed void argument.');
    if ((resolved?.kind === 'struct' || resolved?.kind === 'union') && resolved.size > MAX_ARGUMENT_BYTES)
      refused(`arg${index} type ${resolved.kind.toUpperCase()} is unsupported.`);
  }
}

function prototypeOf(btf: Btf, func: number): Prototype {
  const type = btf.type(func);
  const proto = type?.kind === 'func' ? btf.type(type.type) : undefined;
  if (proto?.kind !== 'func_proto') throw new Unfollowed('attach target without a prototype', undefined);
  return proto;
}

/** undefined for programs of types that have no target. Throws Refusal, and Unfollowed where what is needed is not in `kernel`. */
export function findAttachTarget(
  program: ProgramSpec,
  declaration: ProgramDeclaration,
  maps: ReadonlyMap<string, MapSpec>,
  own: Btf | undefined,
  kernel: Btf | undefined,
): AttachTarget | undefined {
  if (declaration.context.layout !== 'btf') return undefined;
  if (kernel === undefined)
    throw new Unfollowed(
      `programs of type ${declaration.type} without the kernel's types (a vmlinux BTF: --btf FILE)`,
      undefined,
    );
  if (declaration.type === 'struct_ops') return findMethod(program, maps, own, kernel);
  const { attachTo, attachType } = program;
  if (attachTo === undefined)
    refuse('Tracing programs must provide btf_id', 'The section name does not say what the program is attached to.');
  switch (attachType) {
    case 'trace_raw_tp':
      return findTracepoint(attachTo, kernel);
    case 'trace_iter':
      return findIterator(attachTo, kernel);
    case 'lsm_mac':
    case 'lsm_cgroup':
      return findHook(program, attachTo, kernel);
    default:
      return findFunction(program, attachTo, kernel);
  }
}

function missing(what: string): never {
  throw new Unfollowed(`${what}, which is not in the kernel's BTF (a module's, or another program)`, undefined);
}

function findTracepoint(name: string, kernel: Btf): AttachTarget {
  const id = kernel.find(`btf_trace_${name}`, 'typedef');
  const typedef = id === undefined ? undefined : kernel.type(id);
  if (typedef?.kind !== 'typedef') missing(`tracepoint ${name}`);
  const pointer = kernel.type(typedef.type);
  const prototype = pointer?.kind === 'ptr' ? kernel.type(pointer.type) : undefined;
  if (prototype?.kind !== 'func_proto') missing(`prototype of tracepoint ${name}`);
  // Names are those of the function that all events of a class share; which class is not in BTF where its name is not the event's.
  const template = kernel.find(`__bpf_trace_${name}`, 'func');
  const names = (template === undefined ? prototype : prototypeOf(kernel, template)).params.map((each) => each.name);
  return { name, short: name, prototype, names, skipped: 1, trusted: true };
}

function findIterator(name: string, kernel: Btf): AttachTarget {
  const id = kernel.find(`bpf_iter_${name}`, 'func');
  if (id === undefined) missing(`iterator ${name}`);
  if (!iteratorTargets.has(name))
    refuse(`bpf_iter_${name} is not a supported iterator target`, 'Linux iterates over no such thing.');
  const prototype = prototypeOf(kernel, id);
  checkTrampoline(kernel, `bpf_iter_${name}`, prototype);
  const names = prototype.params.map((each) => each.name);
  return { name: `bpf_iter_${name}`, short: name, prototype, names, skipped: 0, trusted: true };
}

function findHook(program: ProgramSpec, hook: string, kernel: Btf): AttachTarget {
  const name = `bpf_lsm_${hook}`;
  const id = kernel.find(name, 'func');
  if (id === undefined) missing(`hook ${hook}`);
  if (program.sleepable && !sleepableLsmHooks.has(hook))
    refuse(`${name} is not sleepable`, 'The hook is called where one may not sleep.');
  if (disabledLsmHooks.has(hook))
    refuse(`attach_btf_id ${id} points to disabled hook ${name}`, 'No program may be attached to this hook.');
  const prototype = prototypeOf(kernel, id);
  checkTrampoline(kernel, name, prototype);
  const names = prototype.params.map((each) => each.name);
  return { name, short: hook, prototype, names, skipped: 0, trusted: !untrustedLsmHooks.has(hook) };
}

function findFunction(program: ProgramSpec, name: string, kernel: Btf): AttachTarget {
  const id = kernel.find(name, 'func');
  if (id === undefined) missing(`function ${name}`);
  if (program.sleepable) {
    if (!maySleepInside(name))
      refuse(`${name} is not sleepable`, 'The function is not known to be called only where one may sleep.');
  } else if (program.attachType === 'modify_return' && !mayModifyReturn(name))
    refuse(`${name}() is not modifiable`, 'Linux lets programs change the result of few functions.');
  if (deniedFunctions.has(name))
    refuse(`Attaching tracing programs to function '${name}' is rejected.`, 'The program itself would call it.');
  if (program.attachType !== 'trace_fentry' && noReturnFunctions.has(name))
    refuse(`Attaching fexit/fmod_ret to __noreturn function '${name}' is rejected.`, 'The function does not return.');
  const prototype = prototypeOf(kernel, id);
  checkTrampoline(kernel, name, prototype);
  const names = prototype.params.map((each) => each.name);
  return { name, short: name, prototype, names, skipped: 0, trusted: false };
}

function findMethod(
  program: ProgramSpec,
  maps: ReadonlyMap<string, MapSpec>,
  own: Btf | undefined,
  kernel: Btf,
): AttachTarget {
  const of = methodOf(program, maps, own);
  if (of === undefined)
    refuse(
      'attach_btf_id 0 is not a supported struct',
      'No struct_ops map of the object refers to the program, so that it is no method of any struct.',
    );
  const { struct, method } = of;
  if (method === undefined) missing(`member at ${of.offset}`);
  const id = kernel.find(struct, 'struct');
  const type = id === undefined ? undefined : kernel.type(id);
  if (type?.kind !== 'struct' || kernel.find(`bpf_struct_ops_${struct}`, 'struct') === undefined)
    missing(`struct_ops ${struct}`);
  const member = type.members.find((each) => each.name === method);
  if (member === undefined) missing(`member ${method} of struct ${struct}`);
  const pointer = kernel.resolve(member.type).type;
  const target = pointer?.kind === 'ptr' ? kernel.resolve(pointer.type).type : undefined;
  if (target?.kind !== 'func_proto')
    refuse(
      `attach to invalid member ${method}(@idx ${type.members.indexOf(member)}) of struct ${struct}`,
      'The member is no function.',
    );
  const { refused, sleepable } = structOpsRules(struct);
  const unsupported = `attach to unsupported member ${method} of struct ${struct}`;
  if (refused.includes(method)) refuse(unsupported, 'No program may be this method.');
  if (program.sleepable && sleepable !== 'any' && !sleepable.includes(method))
    refuse(unsupported, 'The method is called where one may not sleep.');
  // Nullable and referenced arguments are marked in the names of the stub function's.
  const stub = kernel.find(`${struct}__${method}`, 'func');
  const names = (stub === undefined ? target : prototypeOf(kernel, stub)).params.map((each) => each.name);
  return { name: method, short: method, prototype: target, names, skipped: 0, trusted: true, struct };
}
