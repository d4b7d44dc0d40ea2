/** Fields of map values that the kernel manages, and what their pointers point to. */
import { type SpecialField, valueFields } from '../../btf/special-fields.ts';
import type { MapSpec } from '../../object/spec.ts';
import { KERNEL_TYPES, PROGRAM_TYPES } from '../kinds.ts';
import type { Verification } from '../verification.ts';

const ofMaps = new WeakMap<MapSpec, readonly SpecialField[]>();

export function specialFields(v: Verification, map: MapSpec): readonly SpecialField[] {
  let fields = ofMaps.get(map);
  if (fields === undefined) {
    fields = v.btf === undefined || map.valueTypeId === 0 ? [] : valueFields(v.btf, map.valueTypeId);
    ofMaps.set(map, fields);
  }
  return fields;
}

/**
 * The struct that a kptr field holds: the kernel's of that name if there is one, otherwise the program's own, which bpf_obj_new makes
 * (btf_parse_kptr).
 */
export function kptrTarget(
  v: Verification,
  { target }: { readonly target: number },
): { readonly types: number; readonly id: number; readonly name: string } {
  const type = v.btf!.type(target);
  const name = type?.name ?? '';
  if (type?.kind !== 'struct' && type?.kind !== 'union') return { types: PROGRAM_TYPES, id: target, name };
  if (v.vmlinux === undefined) v.unfollowed("kptr fields without the kernel's types (a vmlinux BTF: --btf FILE)");
  const kernel = v.vmlinux.find(name, type.kind);
  return kernel === undefined ? { types: PROGRAM_TYPES, id: target, name } : { types: KERNEL_TYPES, id: kernel, name };
}
