/** Where a map's values have their bpf_spin_lock. */
import type { Btf } from '../../btf/types.ts';

/** Byte offset in a value of this BTF type, undefined if it has no lock. Structs in structs are searched, as by the kernel's btf_parse_fields. */
export function spinLockOffset(btf: Btf, typeId: number): number | undefined {
  if (typeId === 0) return undefined;
  const { type } = btf.resolve(typeId);
  if (type?.kind !== 'struct') return undefined;
  for (const member of type.members) {
    const { type: inner } = btf.resolve(member.type);
    if (inner?.kind !== 'struct') continue;
    if (inner.name === 'bpf_spin_lock') return member.bitOffset / 8;
    const nested = spinLockOffset(btf, member.type);
    if (nested !== undefined) return member.bitOffset / 8 + nested;
  }
  return undefined;
}
