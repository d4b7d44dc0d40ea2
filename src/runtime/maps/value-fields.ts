/** Where a map's values have fields that only helpers touch: bpf_spin_lock, bpf_timer, bpf_wq. */
import type { Btf } from '../../btf/types.ts';

/** Byte offset in a value of this BTF type, undefined if it has no such field. Structs in structs are searched, as by the kernel's btf_parse_fields. */
export function fieldOffset(
  btf: Btf,
  typeId: number,
  field: 'bpf_spin_lock' | 'bpf_timer' | 'bpf_wq',
): number | undefined {
  if (typeId === 0) return undefined;
  const { type } = btf.resolve(typeId);
  if (type?.kind !== 'struct') return undefined;
  for (const member of type.members) {
    const { type: inner } = btf.resolve(member.type);
    if (inner?.kind !== 'struct') continue;
    if (inner.name === field) return member.bitOffset / 8;
    const nested = fieldOffset(btf, member.type, field);
    if (nested !== undefined) return member.bitOffset / 8 + nested;
  }
  return undefined;
}
