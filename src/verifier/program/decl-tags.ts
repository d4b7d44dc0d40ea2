/** Declaration tags, by what they are on. */
import type { Btf } from '../../btf/types.ts';

export interface DeclTag {
  readonly name: string;
  /** Parameter or member that it is on; -1 for the whole. */
  readonly component: number;
}

const known = new WeakMap<Btf, ReadonlyMap<number, readonly DeclTag[]>>();

/** Tags of type `id` of the object. */
export function declTags(btf: Btf, id: number): readonly DeclTag[] {
  let found = known.get(btf);
  if (found === undefined) {
    const byType = new Map<number, DeclTag[]>();
    for (let each = 1; each < btf.typeCount; each++) {
      const type = btf.type(each);
      if (type?.kind !== 'decl_tag') continue;
      const before = byType.get(type.type);
      if (before === undefined) byType.set(type.type, [type]);
      else before.push(type);
    }
    found = byType;
    known.set(btf, found);
  }
  return found.get(id) ?? [];
}
