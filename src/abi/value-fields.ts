/** Which fields that the kernel manages the values of a map may have. */
import type { SpecialField } from '../btf/special-fields.ts';
import { type MapFieldKind, type MapRule, mapFlags, mapRules } from './map-rules.ts';
import type { MapTypeName } from './map-types.ts';

const fieldKinds: Readonly<Record<string, MapFieldKind>> = {
  bpf_spin_lock: 'spin_lock',
  bpf_res_spin_lock: 'spin_lock',
  bpf_timer: 'timer',
  bpf_wq: 'timer',
  bpf_task_work: 'timer',
  kptr: 'kptr',
  percpu_kptr: 'kptr',
  bpf_refcount: 'kptr',
  uptr: 'uptr',
  bpf_list_head: 'graph',
  bpf_rb_root: 'graph',
};

/**
 * What Linux answers to a map whose value type has these fields: EACCES where programs may not read or write, EOPNOTSUPP where the type of the map does not
 * take one of them; undefined: nothing (map_check_btf, kernel/bpf/syscall.c). libbpf then creates the map without types, and its values have no fields.
 */
export function fieldsRefusal(
  type: MapTypeName,
  flags: number,
  fields: readonly SpecialField[],
): 'EACCES' | 'EOPNOTSUPP' | undefined {
  if (fields.length === 0) return undefined;
  if ((flags & (mapFlags.rdonly_prog | mapFlags.wronly_prog)) !== 0) return 'EACCES';
  const rules: Partial<Record<MapTypeName, MapRule>> = mapRules;
  const allowed = rules[type]?.fields ?? [];
  // Nodes in a value are bytes like others.
  const kinds = fields.map(({ kind }) => fieldKinds[kind]).filter((kind) => kind !== undefined);
  return kinds.every((kind) => allowed.includes(kind)) ? undefined : 'EOPNOTSUPP';
}
