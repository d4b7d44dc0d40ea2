/** Pointers to typed structs as arguments and results of kfuncs: trust, the struct's type, casts, and objects of the program's own types. */
import type { KfuncParameter, KfuncType } from '../../abi/kfunc-signature.ts';
import { recordFields } from '../../btf/special-fields.ts';
import * as k from '../kinds.ts';
import { FLAGS } from '../layout.ts';
import { btfOf, isTrusted, kernelStruct, makeBtfPointer } from '../memory/btf-pointer.ts';
import { structMatches } from '../memory/btf-walk.ts';
import { checkPlain } from '../memory/memory.ts';
import { originOf, setOrigin } from '../resources/provenance.ts';
import { auxOf, flagsOf, kindOf, makePointer, offsetOf, referenceOf, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { refuseAllocator } from './allocator-argument.ts';
import { asksForTrust, hasFlag, type KfuncFacts, refuseArgument } from './kfunc-arguments.ts';

/** Structs that pointers of these kinds are to, in the kernel (reg2btf_ids). */
const kernelStructs: Readonly<Record<number, string>> = {
  [k.SOCKET]: 'sock',
  [k.SOCK_COMMON]: 'sock_common',
  [k.TCP_SOCK]: 'tcp_sock',
  [k.MAP_PTR]: 'bpf_map',
};

/** The register is, to the kernel, a pointer to one of its structs. */
export function isKernelObject(r: number): boolean {
  return kindOf(r) === k.BTF_ID || kernelStructs[kindOf(r)] !== undefined;
}

/** A program sees the left one in its context, the kernel the right one. */
const projections: Readonly<Record<string, string>> = { __sk_buff: 'sk_buff', xdp_md: 'xdp_buff' };
const OFFSETS = [0, k.ALLOC, k.TRUSTED, k.RCU, k.ALLOC | k.NON_OWNING, k.ALLOC | k.NON_OWNING | k.RCU];

export function checkStructArgument(
  v: Verification,
  facts: KfuncFacts,
  _param: KfuncParameter,
  to: KfuncType,
  index: number,
): void {
  const number = index + 1;
  const r = v.register(number);
  const kind = kindOf(r);
  const flags = flagsOf(r);
  const name = to.kind === 'struct' ? to.name : '';
  if (to.kind !== 'struct') {
    const shown = to.kind === 'scalar' ? `INT ${to.name}` : to.kind === 'pointer' ? 'PTR ' : 'UNKNOWN ';
    refuseArgument(
      v,
      facts,
      index,
      `kernel function ${facts.name} args#${index} pointer type ${shown} is not supported`,
    );
  }
  if ((asksForTrust(facts) || hasFlag(facts, 'rcu')) && !isTrusted(r)) {
    if (!hasFlag(facts, 'rcu')) refuseArgument(v, facts, index, `R${number} must be referenced or trusted`);
    if ((flags & k.RCU) === 0) refuseArgument(v, facts, index, `R${number} must be a rcu pointer`);
  }
  refuseAllocator(v, facts, index);
  checkOffset(v, facts, index);
  const unsafe = (flags & ~(k.ALLOC | k.TRUSTED | k.NON_OWNING)) !== 0 && (flags & k.RCU) === 0;
  if (kind === k.BTF_ID ? unsafe : kernelStructs[kind] === undefined)
    refuseArgument(
      v,
      facts,
      index,
      `arg#${index} is ${k.kindName(kind, flags)} expected ${k.kindName(kind, flags & (k.ALLOC | k.TRUSTED | k.NON_OWNING))} or socket`,
    );
  const kernel = v.vmlinux;
  if (kernel === undefined) v.unfollowed(`kfunc ${facts.name} without the kernel's types (a vmlinux BTF: --btf FILE)`);
  const btf = kind === k.BTF_ID ? btfOf(v, r) : kernel;
  const id = kind === k.BTF_ID ? auxOf(r) : kernelStruct(v, kernelStructs[kind]!);
  const own = btf.type(id)?.name ?? '';
  const noCast = own === `${name}___init` || name === `${own}___init`;
  const strict = (hasFlag(facts, 'release') && referenceOf(r) !== 0) || noCast;
  if (projections[name] === own) return;
  const wanted = kernel.find(name, 'struct') ?? kernel.find(name, 'union');
  if (wanted !== undefined && structMatches(btf, id, offsetOf(r), kernel, wanted, strict)) return;
  refuseArgument(
    v,
    facts,
    index,
    `kernel function ${facts.name} args#${index} expected pointer to STRUCT ${name} but R${number} has a pointer to STRUCT ${own}`,
  );
}

/** Fixed offsets are for pointers to structs that are not given away (check_func_arg_reg_off). */
export function checkOffset(v: Verification, facts: KfuncFacts, index: number): void {
  const number = index + 1;
  const r = v.register(number);
  if (hasFlag(facts, 'release') && referenceOf(r) !== 0) {
    if (offsetOf(r) !== 0)
      refuseArgument(
        v,
        facts,
        index,
        `R${number} must have zero offset when passed to release func or trusted arg to kfunc`,
      );
    checkPlain(v, number, r, false);
    return;
  }
  checkPlain(v, number, r, kindOf(r) === k.BTF_ID && OFFSETS.includes(flagsOf(r)));
}

/** `__alloc`: an object of the program's, for bpf_obj_drop and bpf_percpu_obj_drop. */
export function checkAllocated(v: Verification, facts: KfuncFacts, index: number): void {
  const r = v.register(index + 1);
  const flags = flagsOf(r);
  const refuse = (problem: string): never => refuseArgument(v, facts, index, problem);
  if (!isTrusted(r)) refuse(`R${index + 1} must be referenced or trusted`);
  checkOffset(v, facts, index);
  if (kindOf(r) === k.BTF_ID && flags === k.ALLOC) {
    if (facts.act?.act !== 'drop' || facts.act.percpu) refuse(`arg#${index} expected for bpf_obj_drop_impl()`);
  } else if (kindOf(r) === k.BTF_ID && flags === (k.ALLOC | k.PERCPU)) {
    if (facts.act?.act !== 'drop' || !facts.act.percpu) refuse(`arg#${index} expected for bpf_percpu_obj_drop_impl()`);
  } else refuse(`arg#${index} expected pointer to allocated object`);
  if (referenceOf(r) === 0) refuse('allocated object must be referenced');
  facts.object = { id: auxOf(r), origin: originOf(r) };
}

/** `__refcounted_kptr`, for bpf_refcount_acquire. */
export function checkRefcounted(v: Verification, facts: KfuncFacts, index: number): void {
  const r = v.register(index + 1);
  checkPlain(v, index + 1, r, kindOf(r) === k.BTF_ID && OFFSETS.includes(flagsOf(r)));
  if (kindOf(r) !== k.BTF_ID || (flagsOf(r) & k.ALLOC) === 0)
    refuseArgument(v, facts, index, `arg#${index} is neither owning or non-owning ref`);
  facts.owned = (flagsOf(r) & k.NON_OWNING) === 0;
  if (!recordFields(btfOf(v, r), auxOf(r)).some(({ kind }) => kind === 'bpf_refcount'))
    refuseArgument(v, facts, index, `arg#${index} doesn't point to a type with bpf_refcount field`);
  facts.object = { id: auxOf(r), origin: originOf(r) };
}

const MAX_PERCPU_SIZE = 512;

/** Struct of the program's own types that a call names by its id. */
export function namedStruct(v: Verification, facts: KfuncFacts): { readonly id: number; readonly size: number } {
  const refuse = (problem: string): never => refuseArgument(v, facts, facts.act?.from === true ? 1 : 0, problem);
  const id = facts.constant ?? -1;
  if (id < 0 || id > 0xffff_ffff) refuse('local type ID argument must be in range [0, U32_MAX]');
  if (v.btf === undefined) refuse('bpf_obj_new/bpf_percpu_obj_new requires prog BTF');
  const type = id < v.btf!.typeCount ? v.btf!.type(id) : undefined;
  if (type?.kind !== 'struct') return refuse('bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct');
  return { id, size: type.size };
}

/** A new object, in R0. */
function makeObject(v: Verification, facts: KfuncFacts, r: number): void {
  const refuse = (problem: string): never => refuseArgument(v, facts, 0, problem);
  const { id, size } = namedStruct(v, facts);
  const percpu = facts.act?.percpu === true;
  if (percpu) {
    if (size > MAX_PERCPU_SIZE) refuse(`bpf_percpu_obj_new type size (${size}) is greater than ${MAX_PERCPU_SIZE}`);
    if (!isScalars(v, id, 0)) refuse('bpf_percpu_obj_new type ID argument must be of a struct of scalars');
    if (recordFields(v.btf!, id).length > 0)
      refuse('bpf_percpu_obj_new type ID argument must not contain special fields');
  }
  makeBtfPointer(v, r, id, k.ALLOC | (percpu ? k.PERCPU : 0), k.PROGRAM_TYPES);
  const { from } = facts;
  const origin = v.provenance.origin(
    from === undefined ? { kind: 'implicit', slot: v.slot } : { kind: 'allocator', slot: v.slot, ...from },
  );
  setOrigin(r, origin);
  v.provenance.call(v, { name: facts.name, struct: id, node: 0, percpu, origin, allocator: from });
}

/** Results that are not as the prototype says; false if it is none of those. */
export function giveSpecial(v: Verification, facts: KfuncFacts, r: number): boolean {
  const refuse = (problem: string): never => refuseArgument(v, facts, 0, problem);
  if (facts.act?.act === 'make') {
    makeObject(v, facts, r);
    return true;
  }
  if (facts.act?.act === 'share') {
    makeBtfPointer(v, r, facts.object!.id, k.ALLOC, k.PROGRAM_TYPES);
    setOrigin(r, facts.object!.origin);
    return true;
  }
  switch (facts.name) {
    case 'bpf_cast_to_kern_ctx': {
      const struct = contextStructs[v.declaration.type] ?? contextStructs[v.declaration.context.struct];
      if (struct === undefined) refuse(`arg#0 has no kernel context (${v.declaration.type})`);
      makeBtfPointer(v, r, kernelStruct(v, struct!), k.TRUSTED);
      return true;
    }
    case 'bpf_rdonly_cast': {
      const id = facts.constant ?? 0;
      if (v.vmlinux === undefined)
        v.unfollowed("bpf_rdonly_cast without the kernel's types (a vmlinux BTF: --btf FILE)");
      if (id === 0) {
        makePointer(r, k.MEM, k.READ_ONLY | k.UNTRUSTED, 0);
        return true;
      }
      if (id < 0 || id >= v.vmlinux.typeCount) refuse(`Unknown type ID ${id} passed to kfunc bpf_rdonly_cast`);
      const type = v.vmlinux.type(id);
      if (type?.kind !== 'struct' && type?.kind !== 'union')
        refuse('kfunc bpf_rdonly_cast type ID argument must be of a struct or void');
      makeBtfPointer(v, r, id, k.UNTRUSTED);
      return true;
    }
    default:
      return false;
  }
}

/** What the kernel's own context is, by the program's type or by the struct that it sees (bpf_ctx_convert). */
const contextStructs: Readonly<Record<string, string>> = {
  flow_dissector: 'bpf_flow_dissector',
  kprobe: 'pt_regs',
  __sk_buff: 'sk_buff',
  xdp_md: 'xdp_buff',
  bpf_sock: 'sock',
  bpf_sock_addr: 'bpf_sock_addr_kern',
  bpf_sock_ops: 'bpf_sock_ops_kern',
  sk_msg_md: 'sk_msg',
  bpf_perf_event_data: 'bpf_perf_event_data_kern',
  bpf_cgroup_dev_ctx: 'bpf_cgroup_dev_ctx',
  bpf_sysctl: 'bpf_sysctl_kern',
  bpf_sockopt: 'bpf_sockopt_kern',
  sk_reuseport_md: 'sk_reuseport_kern',
  bpf_sk_lookup: 'bpf_sk_lookup_kern',
  bpf_nf_ctx: 'bpf_nf_ctx',
};

/** __btf_type_is_scalar_struct. */
function isScalars(v: Verification, struct: number, depth: number): boolean {
  const { type } = v.btf!.resolve(struct);
  if (type?.kind !== 'struct' || depth >= 3) return false;
  return type.members.every((member) => {
    let resolved = v.btf!.resolve(member.type);
    while (resolved.type?.kind === 'array') resolved = v.btf!.resolve(resolved.type.type);
    const { kind } = resolved.type ?? { kind: 'void' };
    if (kind === 'struct') return isScalars(v, resolved.id, depth + 1);
    return kind === 'int' || kind === 'enum' || kind === 'enum64' || kind === 'float';
  });
}

/** A pointer to a struct of the kernel, as the prototype says. */
export function giveStruct(v: Verification, facts: KfuncFacts, struct: string, r: number): void {
  const id = v.vmlinux?.find(struct, 'struct') ?? v.vmlinux?.find(struct, 'union') ?? kernelStruct(v, struct);
  let flags = 0;
  if (facts.name === 'bpf_get_kmem_cache') flags = k.UNTRUSTED;
  else if (hasFlag(facts, 'rcu_protected')) flags = k.RCU;
  if (hasFlag(facts, 'iter_next') && facts.iterator !== 0)
    flags = (flagsOf(facts.iterator) & k.ITERATOR_RCU) !== 0 ? k.RCU : k.TRUSTED;
  makeBtfPointer(v, r, id, 0);
  set(r, FLAGS, flags);
}
