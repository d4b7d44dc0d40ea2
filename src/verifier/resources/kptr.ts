/** Pointers kept in map values and objects: loads and stores of such fields, and bpf_kptr_xchg, which passes ownership (check_map_kptr_access, process_kptr_func). */

import { recordFields, type SpecialField } from '../../btf/special-fields.ts';
import { CLASS, MODE } from '../../isa/opcodes.ts';
import * as k from '../kinds.ts';
import { ID } from '../layout.ts';
import { btfOf, makeBtfPointer, structName } from '../memory/btf-pointer.ts';
import { structMatches } from '../memory/btf-walk.ts';
import { kptrTarget } from '../memory/map-fields.ts';
import { checkPlain } from '../memory/memory.ts';
import {
  auxOf,
  constantOf,
  flagsOf,
  isConstant,
  isZero,
  kindOf,
  makePointer,
  offsetOf,
  set,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { originOf, setOrigin } from './provenance.ts';
import { fieldsOf } from './spin-lock.ts';

function refuse(v: Verification, problem: string, reason: string): never {
  v.refuse('kptr-access', 'Memory Safety', problem, reason);
}

/** The load or store of a kptr field of a map value that the instruction at hand is; its place was checked. @param number register loaded or stored, -1 for none. */
export function accessKptr(v: Verification, field: SpecialField, number: number): void {
  const { code, slot } = v;
  const opcode = code.op[slot]!;
  const kind = opcode & 7;
  const { how } = field.pointer!;
  if ((opcode & 0xe0) !== MODE.MEM)
    refuse(
      v,
      'kptr in map can only be accessed using BPF_MEM instruction mode',
      'Atomic instructions do not know about references.',
    );
  if (kind !== CLASS.LDX && (how === 'owned' || how === 'percpu'))
    refuse(v, 'store to referenced kptr disallowed', 'bpf_kptr_xchg exchanges it, so that no reference is lost.');
  if (kind !== CLASS.LDX && how === 'user') refuse(v, 'store to uptr disallowed', 'User space sets it.');
  const target = kptrTarget(v, field.pointer!);
  if (kind === CLASS.LDX) {
    if (number < 0) return;
    const r = v.register(number);
    if (how === 'user') {
      makePointer(r, k.MEM, k.MAYBE_NULL, v.btf!.sizeOf(field.pointer!.target));
      set(r, ID, v.newId());
      return;
    }
    const local = target.types === k.PROGRAM_TYPES;
    const origin = local ? originIn(v, v.register(code.src[slot]!), field) : 0;
    makeBtfPointer(v, r, target.id, loadedFlags(v, field), target.types);
    if (!local) return;
    setOrigin(r, origin);
    v.provenance.share(target.id);
    return;
  }
  if (kind === CLASS.ST) {
    if (code.imm[slot] !== 0)
      refuse(v, `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`, 'A number is no pointer.');
    return;
  }
  const r = v.register(number);
  if (kindOf(r) === k.SCALAR && isConstant(r) && isZero(r)) return;
  checkKptrType(v, field, number);
}

/** Origin of what is found in the field, which `pointer` points into. */
function originIn(v: Verification, pointer: number, field: SpecialField): number {
  return v.provenance.origin({ kind: 'field', slot: v.slot, field: v.provenance.owner(v, pointer, field) });
}

/** The exchange of the field that the instruction at hand is. Returns the origin of what comes out, 0 for an object of the kernel. */
export function recordExchange(v: Verification, field: SpecialField): number {
  const target = kptrTarget(v, field.pointer!);
  if (target.types !== k.PROGRAM_TYPES) return 0;
  const pointer = v.register(1);
  const origin = originOf(v.register(2));
  const percpu = field.pointer!.how === 'percpu';
  v.provenance.call(v, { name: 'bpf_kptr_xchg', struct: target.id, node: 0, percpu, origin });
  v.provenance.edge(v, origin, target.id, v.provenance.owner(v, pointer, field));
  return originIn(v, pointer, field);
}

const protectedStructs = new Set(['prog_test_ref_kfunc', 'cgroup', 'bpf_cpumask', 'task_struct', 'bpf_crypto_ctx']);

function loadedFlags(v: Verification, field: SpecialField): number {
  const { how } = field.pointer!;
  const target = kptrTarget(v, field.pointer!);
  const local = target.types === k.PROGRAM_TYPES;
  const safe = how === 'percpu' || (how === 'owned' && (local || protectedStructs.has(target.name)));
  if (!safe || !v.inRcu()) return k.MAYBE_NULL | k.UNTRUSTED;
  const flags = k.MAYBE_NULL | k.RCU | (how === 'percpu' ? k.PERCPU : local ? k.ALLOC : 0);
  const linked =
    local && recordFields(v.btf!, target.id).some(({ kind }) => kind === 'bpf_list_node' || kind === 'bpf_rb_node');
  return linked ? flags | k.NON_OWNING : flags;
}

/** The register may be stored in the field (map_kptr_match_type). */
export function checkKptrType(v: Verification, field: SpecialField, number: number): void {
  const r = v.register(number);
  const { how } = field.pointer!;
  const target = kptrTarget(v, field.pointer!);
  const flags = flagsOf(r);
  const isPointer = kindOf(r) === k.BTF_ID;
  const kernel = isPointer && btfOf(v, r) === v.vmlinux;
  const permitted = kernel
    ? k.MAYBE_NULL | k.TRUSTED | k.RCU | (how === 'plain' ? k.UNTRUSTED : 0)
    : k.MAYBE_NULL | k.ALLOC | (how === 'percpu' ? k.PERCPU : 0);
  let name = '';
  if (isPointer && (flags & ~permitted) === 0) {
    name = structName(v, r);
    checkPlain(v, number, r, true);
    const wanted = target.types === k.KERNEL_TYPES ? v.vmlinux! : v.btf!;
    if (structMatches(btfOf(v, r), auxOf(r), offsetOf(r), wanted, target.id, how !== 'plain')) return;
  }
  const or = how === 'plain' ? ` or untrusted_ptr_${target.name}` : '';
  v.refuse(
    'kptr-type',
    'Call Type Safety',
    `invalid kptr access, R${number} type=${k.kindName(kindOf(r), flags)}${name} expected=ptr_${target.name}${or}`,
    `The field holds pointers to struct ${target.name}.`,
  );
}

/** Field that argument 1 of bpf_kptr_xchg points to. */
export function exchangedField(v: Verification): SpecialField {
  const r = v.register(1);
  if (kindOf(r) === k.MAP_VALUE) {
    const map = v.code.maps[auxOf(r)]!;
    if (v.btf === undefined || map.valueTypeId === 0)
      refuse(v, `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`, 'The field is found by its type.');
  }
  if (!isConstant(r))
    refuse(
      v,
      "R1 doesn't have constant offset. kptr has to be at the constant offset",
      'Which field the pointer means must be known.',
    );
  const kptrs = fieldsOf(v, r).filter(({ kind }) => kind === 'kptr' || kind === 'percpu_kptr');
  if (kptrs.length === 0) refuse(v, 'R1 has no valid kptr', 'There is no such field.');
  const at = offsetOf(r) + constantOf(r);
  const field = kptrs.find(({ offset }) => offset === at);
  if (field === undefined)
    refuse(v, `off=${at} doesn't point to kptr`, 'The pointer must be that of the field itself.');
  if (field.pointer!.how === 'plain')
    refuse(v, `off=${at} kptr isn't referenced kptr`, 'Only fields that own what they point to are exchanged.');
  return field;
}
