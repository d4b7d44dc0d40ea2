/** Fields of map values that the kernel manages, and what their pointers point to. */
import { fieldsRefusal } from '../../abi/value-fields.ts';
import { type KptrKind, type SpecialField, valueFields } from '../../btf/special-fields.ts';
import type { MapSpec } from '../../object/spec.ts';
import { KERNEL_TYPES, PROGRAM_TYPES } from '../kinds.ts';
import type { Verification } from '../verification.ts';

const ofMaps = new WeakMap<MapSpec, readonly SpecialField[]>();

export function specialFields(v: Verification, map: MapSpec): readonly SpecialField[] {
  let fields = ofMaps.get(map);
  if (fields === undefined) {
    fields = v.btf === undefined || map.valueTypeId === 0 ? [] : valueFields(v.btf, map.valueTypeId);
    // Linux refuses such a map, and libbpf makes it without types: there are no fields then.
    if (fieldsRefusal(map.type, map.flags, fields) !== undefined) fields = [];
    ofMaps.set(map, fields);
  }
  return fields;
}

/** Structs of the kernel that fields may own: those that it knows how to give back (register_btf_id_dtor_kfuncs). */
const destructible = new Set([
  'bpf_cpumask',
  'bpf_crypto_ctx',
  'cgroup',
  'nf_conn',
  'prog_test_member',
  'prog_test_ref_kfunc',
  'sk_buff',
  'task_struct',
]);

/**
 * The struct that a kptr field holds: the kernel's of that name if there is one, otherwise the program's own, which bpf_obj_new makes
 * (btf_parse_kptr).
 */
export function kptrTarget(
  v: Verification,
  { target, how }: { readonly target: number; readonly how: KptrKind },
): { readonly types: number; readonly id: number; readonly name: string } {
  const type = v.btf!.type(target);
  const name = type?.name ?? '';
  if (type?.kind !== 'struct' && type?.kind !== 'union') return { types: PROGRAM_TYPES, id: target, name };
  if (v.vmlinux === undefined && (how === 'percpu' || (how === 'owned' && !destructible.has(name))))
    return { types: PROGRAM_TYPES, id: target, name };
  if (v.vmlinux === undefined) v.unfollowed("kptr fields without the kernel's types (a vmlinux BTF: --btf FILE)");
  const kernel = v.vmlinux.find(name, type.kind);
  return kernel === undefined ? { types: PROGRAM_TYPES, id: target, name } : { types: KERNEL_TYPES, id: kernel, name };
}
