/** Where a map's values have fields that only helpers touch: bpf_spin_lock, bpf_timer, bpf_wq, bpf_task_work. */
import { fieldsRefusal } from '../../abi/value-fields.ts';
import { valueFields } from '../../btf/special-fields.ts';
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { Records } from '../records.ts';

const sizes = { bpf_spin_lock: 4, bpf_timer: 16, bpf_wq: 16, bpf_task_work: 8 } as const;
export type ValueField = keyof typeof sizes;

/**
 * Byte offset in a value of this BTF type, undefined if it has no such field. Structs in structs are searched, as by the kernel's
 * btf_parse_fields. Throws InputError `SLUICE_MAP_FIELD` for one that is not aligned or does not lie in the value.
 */
export function fieldOffset(btf: Btf, typeId: number, field: ValueField, valueSize: number): number | undefined {
  const offset = search(btf, typeId, field, new Set());
  if (offset === undefined) return undefined;
  const size = sizes[field];
  if (offset % Math.min(size, 8) !== 0 || offset + size > valueSize)
    throw new InputError('SLUICE_MAP_FIELD', `a ${field} lies at byte ${offset} of a value of ${valueSize} bytes`);
  return offset;
}

/** @param seen types that were looked into, each once: what a type has not, it has nowhere; and types may go round in hostile BTF. */
function search(btf: Btf, typeId: number, field: ValueField, seen: Set<number>): number | undefined {
  if (typeId === 0) return undefined;
  const { id, type } = btf.resolve(typeId);
  if (type?.kind !== 'struct' || seen.has(id)) return undefined;
  seen.add(id);
  for (const member of type.members) {
    const { type: inner } = btf.resolve(member.type);
    if (inner?.kind !== 'struct') continue;
    if (inner.name === field) return member.bitOffset / 8;
    const nested = search(btf, member.type, field, seen);
    if (nested !== undefined) return member.bitOffset / 8 + nested;
  }
  return undefined;
}

/** Address of the record of a map's values, 0 where they have no fields that Linux would let them have. */
export function recordOfValues(records: Records, { type, flags, valueTypeId, valueSize }: MapSpec): number {
  if (valueTypeId === 0) return 0;
  if (fieldsRefusal(type, flags, valueFields(records.btf, valueTypeId)) !== undefined) return 0;
  return records.ofValue(valueTypeId, valueSize);
}
