/** Memory behind pointers to typed structs: which fields may be touched, and how far a pointer that is loaded from one can be relied on (check_ptr_to_btf_access). */
import { structOpsRules, type WriteRules } from '../../abi/struct-ops.ts';
import { recordFields } from '../../btf/special-fields.ts';
import type { Btf } from '../../btf/types.ts';
import * as k from '../kinds.ts';
import { AUX2, ID } from '../layout.ts';
import {
  auxOf,
  bitsText,
  constantOf,
  flagsOf,
  isConstant,
  kindOf,
  makePointer,
  makeUnknown,
  referenceOf,
  set,
  typesOf,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { accessStruct, structMatches } from './btf-walk.ts';
import { coerceLoaded } from './stack.ts';

/** BTF that the type of a BTF_ID register is from. */
export function btfOf(v: Verification, r: number): Btf {
  const btf = typesOf(r) === k.PROGRAM_TYPES ? v.btf : v.vmlinux;
  if (btf === undefined) v.unfollowed("pointer to a kernel struct without the kernel's types");
  return btf;
}

export function structName(v: Verification, r: number): string {
  return btfOf(v, r).type(auxOf(r))?.name ?? '';
}

/** A register for a pointer to kernel struct `id`; its id for the NULL check if it may be NULL. */
export function makeBtfPointer(v: Verification, r: number, id: number, flags: number, types = k.KERNEL_TYPES): void {
  makePointer(r, k.BTF_ID, flags, id);
  set(r, AUX2, types);
  if ((flags & k.MAYBE_NULL) !== 0) set(r, ID, v.newId());
}

const RELIABLE = k.ALLOC | k.TRUSTED | k.NON_OWNING;

/** Type id of a kernel struct by name. */
export function kernelStruct(v: Verification, name: string): number {
  if (v.vmlinux === undefined) v.unfollowed(`struct ${name} without the kernel's types (a vmlinux BTF: --btf FILE)`);
  return v.vmlinux.find(name, 'struct') ?? v.unfollowed(`struct ${name}, which is not in the kernel's BTF`);
}

/** May be passed where the kernel wants a pointer that it can rely on (is_trusted_reg). */
export function isTrusted(r: number): boolean {
  if (referenceOf(r) !== 0) return true;
  const kind = kindOf(r);
  const flags = flagsOf(r);
  if ((flags & ~RELIABLE) !== 0) return false;
  const always = kind === k.SOCKET || kind === k.SOCK_COMMON || kind === k.TCP_SOCK || kind === k.MAP_PTR;
  return always || (flags & RELIABLE) !== 0;
}

/** Its id must stay: it tells one lock from another (reg_may_point_to_spin_lock). */
export function mayPointToLock(v: Verification, r: number): boolean {
  const kind = kindOf(r);
  if (kind === k.MAP_VALUE) return v.hasLock(auxOf(r));
  if (kind !== k.BTF_ID || (flagsOf(r) & k.ALLOC) === 0) return false;
  return recordFields(btfOf(v, r), auxOf(r)).some((field) => field.kind.endsWith('spin_lock'));
}

export function btfPointerAccess(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  write: boolean,
  into: number,
  signed: boolean,
): void {
  const flags = flagsOf(pointer);
  const local = typesOf(pointer) === k.PROGRAM_TYPES;
  const name = structName(v, pointer);
  const refuse = (problem: string, reason: string): never =>
    v.refuse('struct-access', 'Memory Safety', problem, reason);
  if (!v.gplCompatible && !local)
    v.refuse(
      'gpl-only',
      'Policy',
      `Cannot access kernel 'struct ${name}' from non-GPL compatible program`,
      "The kernel's structs are only for programs with a GPL-compatible license.",
    );
  if (off < 0)
    refuse(`R${number} is ptr_${name} invalid negative access: off=${off}`, 'The access is before the struct.');
  if (!isConstant(pointer) || constantOf(pointer) !== 0)
    refuse(
      `R${number} is ptr_${name} invalid variable offset: off=${off}, var_off=${bitsText(pointer)}`,
      'Which field is meant must be known.',
    );
  if ((flags & k.USER) !== 0)
    refuse(`R${number} is ptr_${name} access user memory: off=${off}`, 'User memory is read by bpf_probe_read_user.');
  if ((flags & k.PERCPU) !== 0)
    refuse(`R${number} is ptr_${name} access percpu memory: off=${off}`, 'bpf_per_cpu_ptr gives the copy of one CPU.');
  const btf = btfOf(v, pointer);
  const id = auxOf(pointer);
  const alloc = (flags & k.ALLOC) !== 0;
  const rules = write && !alloc ? writeRules(v) : undefined;
  if (rules !== undefined) {
    checkWrite(rules, btf, id, off, size, refuse);
    return;
  }
  // A pointer that RCU or an owner keeps alive may be written through as well; one that was loaded and nothing keeps alive may not.
  if (write && (!alloc || (flags & k.UNTRUSTED) !== 0))
    refuse('only read is supported', 'Structs of the kernel are changed by its functions alone.');
  if (alloc)
    for (const field of recordFields(btf, id))
      if (off < field.offset + field.size && field.offset < off + size)
        refuse(
          `direct access to ${field.kind} is disallowed`,
          'Fields that the kernel manages are only reached through its functions.',
        );
  const field = accessStruct(btf, id, off, size);
  if (field.kind === 'refused') refuse(field.problem, `struct ${name} cannot be touched like that.`);
  if (write || into < 0) return;
  const r = v.register(into);
  switch (field.kind) {
    case 'pointer':
      if (alloc) break;
      makeBtfPointer(v, r, field.id, trustOf(v, pointer, btf, name, field.field, field.flags), typesOf(pointer));
      return;
    case 'memory':
      makePointer(r, k.MEM, k.READ_ONLY | k.UNTRUSTED, 0);
      return;
  }
  makeUnknown(r);
  coerceLoaded(r, size, signed);
}

/** Flags of a pointer that was loaded from `field` through `pointer`, whose own tags are `tags`. */
function trustOf(v: Verification, pointer: number, btf: Btf, name: string, field: string, tags: number): number {
  const flags = flagsOf(pointer);
  const old = tags & ~(k.UNTRUSTED | k.TRUSTED | k.RCU);
  if ((flags & k.UNTRUSTED) !== 0) return k.UNTRUSTED;
  if (!isTrusted(pointer) && (flags & k.RCU) === 0) return old;
  if (isSafe(btf, name, field, '__safe_trusted')) return tags | k.TRUSTED;
  if (isSafe(btf, name, field, '__safe_trusted_or_null')) return tags | k.TRUSTED | k.MAYBE_NULL;
  if (!v.inRcu() || (flags & k.MAYBE_NULL) !== 0) return k.UNTRUSTED;
  if (isSafe(btf, name, field, '__safe_rcu')) return tags | k.RCU;
  const orNull = isSafe(btf, name, field, '__safe_rcu_or_null');
  if (orNull) return (tags | k.RCU | k.MAYBE_NULL) & ~k.UNTRUSTED;
  if ((tags & k.RCU) !== 0) return tags | k.MAYBE_NULL;
  return (tags & (k.PERCPU | k.USER)) !== 0 ? tags : old;
}

const safe = new WeakMap<Btf, Map<string, boolean>>();

/** The kernel keeps its lists of fields that keep trust as structs in its BTF: `struct task_struct__safe_rcu { … cpus_ptr; … }`. */
function isSafe(btf: Btf, struct: string, field: string, suffix: string): boolean {
  let ofBtf = safe.get(btf);
  if (ofBtf === undefined) {
    ofBtf = new Map();
    safe.set(btf, ofBtf);
  }
  const key = `${struct}${suffix}.${field}`;
  let is = ofBtf.get(key);
  if (is === undefined) {
    const type = btf.type(btf.find(`${struct}${suffix}`, 'struct') ?? 0);
    is = type?.kind === 'struct' && type.members.some((member) => member.name === field);
    ofBtf.set(key, is);
  }
  return is;
}

/** Connections that packet programs make may be marked (nfct_btf_struct_access). */
const connections: WriteRules = {
  writable: { nf_conn: ['mark'], nf_conn___init: ['ct.mark'] },
  nothingElseIsWritable: 'only read is supported',
};

/** Fields of the kernel's structs that the program may write, for the types of programs that may at all. */
function writeRules(v: Verification): WriteRules | undefined {
  const { type } = v.declaration;
  if (type === 'sched_cls' || type === 'sched_act' || type === 'xdp') return connections;
  return v.target?.struct === undefined ? undefined : structOpsRules(v.target.struct);
}

function checkWrite(
  rules: WriteRules,
  btf: Btf,
  id: number,
  off: number,
  size: number,
  refuse: (problem: string, reason: string) => never,
): void {
  const type = btf.type(id);
  const name = type?.name ?? '';
  const members = rules.writable[name];
  if (members === undefined) refuse(rules.nothingElseIsWritable, `struct ${name} is read only for these programs.`);
  if (members === 'all') {
    if (off + size > btf.sizeOf(id))
      refuse(`write access at off ${off} with size ${size}`, `The write ends behind struct ${name}.`);
    return;
  }
  for (const path of members ?? []) {
    const at = findMember(btf, id, path.split('.'));
    if (at === undefined || off < at.offset || off >= at.offset + at.size) continue;
    if (off + size <= at.offset + at.size && (off === at.offset || at.array)) return;
    if (off !== at.offset && !at.array) continue;
    refuse(
      `write access at off ${off} with size ${size} beyond the member of ${name} ended at ${at.offset + at.size}`,
      `The write ends behind ${path}.`,
    );
  }
  refuse(`no write support to ${name} at off ${off}`, 'The field is read only for these programs.');
}

/** Looks into structs that stand first, or have no name, for the first step of the path. */
function findMember(
  btf: Btf,
  id: number,
  path: readonly string[],
): { readonly offset: number; readonly size: number; readonly array: boolean } | undefined {
  const { type } = btf.resolve(id);
  if (type?.kind !== 'struct' && type?.kind !== 'union') return undefined;
  for (const member of type.members) {
    const offset = member.bitOffset / 8;
    if (member.name === path[0]) {
      if (path.length === 1)
        return { offset, size: btf.sizeOf(member.type), array: btf.resolve(member.type).type?.kind === 'array' };
      const inner = findMember(btf, member.type, path.slice(1));
      return inner === undefined ? undefined : { ...inner, offset: offset + inner.offset };
    }
    if (member.name === '' || offset === 0) {
      const inner = findMember(btf, member.type, path);
      if (inner !== undefined) return { ...inner, offset: offset + inner.offset };
    }
  }
  return undefined;
}

/** The register's struct is, or begins with, kernel struct `wanted`. */
export function isStruct(v: Verification, r: number, off: number, wanted: number, strict: boolean): boolean {
  const kernel = v.vmlinux;
  return kernel !== undefined && structMatches(btfOf(v, r), auxOf(r), off, kernel, wanted, strict);
}
