/** The verifier's facts of a program as policies are told them. */

import { objectKfuncs } from '../../abi/object-kfuncs.ts';
import type { Btf } from '../../btf/types.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../../object/spec.ts';
import type { Origin, OwnerField, Ownership } from '../../verifier/ownership.ts';
import type { AllocatorRef, Claim, Field, Flow, ProgramFacts, Site, Source } from './facts.ts';
import { memberAt, structKey } from './names.ts';

/** A map of the object as it is in the runtime. */
export interface PlacedMap {
  readonly id: number;
  readonly spec: MapSpec;
  /** Of a map of type `allocator`: that one. Else its own of the two, undefined where it has none. */
  readonly allocators: Readonly<Partial<Record<'map' | 'elem' | 'kptr', AllocatorRef | undefined>>>;
}

export interface FactsContext {
  readonly id: number;
  readonly spec: ObjectSpec;
  readonly maps: ReadonlyMap<string, PlacedMap>;
  readonly claims: readonly Claim[];
}

/** Field of a map's values, by the map's id; of a template with `inner`. */
export function mapField(
  id: number,
  offset: number,
  { name, valueTypeId }: Pick<MapSpec, 'name' | 'valueTypeId'>,
  btf: Btf | undefined,
  inner = false,
): Field {
  const map = `${inner ? 'template:' : ''}${id}`;
  const member = valueTypeId === 0 ? `byte ${offset}` : memberAt(btf, valueTypeId, offset);
  return { key: `${map}:${offset}`, text: `${inner ? `maps in ${name}, ` : `${name}.`}${member}`, map };
}

export function objectField(btf: Btf, struct: number, offset: number): Field {
  const name = btf.type(struct)?.name ?? '';
  return {
    key: `object:${structKey(btf, struct)}:${offset}`,
    text: `struct ${name}.${memberAt(btf, struct, offset)}`,
    map: undefined,
  };
}

export function programFacts(
  program: ProgramSpec,
  ownership: Ownership | undefined,
  context: FactsContext,
): ProgramFacts {
  const { id, spec, maps, claims } = context;
  const { btf } = spec;
  const fieldOf = (owner: OwnerField): Field => {
    if (owner.kind === 'object') return objectField(btf!, owner.struct, owner.offset);
    const map = maps.get(owner.map)!;
    const values = owner.inner ? { ...map.spec, valueTypeId: map.spec.inner?.valueTypeId ?? 0 } : map.spec;
    return mapField(map.id, owner.offset, values, btf, owner.inner);
  };
  const allocatorOf = (map: string, part: 'map' | 'elem' | 'kptr') => maps.get(map)?.allocators[part];
  const sourceOf = (origin: Origin): Source | undefined => {
    if (origin.kind === 'implicit') return origin;
    if (origin.kind === 'field') return { kind: 'field', slot: origin.slot, field: fieldOf(origin.field) };
    const allocator = allocatorOf(origin.map, origin.part);
    return allocator === undefined ? undefined : { kind: 'allocator', slot: origin.slot, allocator };
  };
  const sites: Site[] = [];
  const taken = new Map<string, Field>();
  for (const [slot, call] of ownership?.calls ?? []) {
    const kfunc = objectKfuncs.get(call.name);
    for (const origin of call.origins)
      if (origin.kind === 'field') {
        const field = fieldOf(origin.field);
        taken.set(field.key, field);
      }
    if (kfunc?.allocator === undefined) continue;
    const named = call.allocator === undefined ? undefined : allocatorOf(call.allocator.map, call.allocator.part);
    sites.push({ slot, allocator: named ?? (kfunc.from === true ? 'unknown' : 'implicit') });
  }
  const flows: Flow[] = [];
  for (const { slot, origin, into } of ownership?.edges ?? []) {
    const source = sourceOf(origin);
    if (source !== undefined) flows.push({ slot, source, into: fieldOf(into) });
  }
  return {
    id,
    program: program.name,
    object: spec.name,
    sites,
    flows,
    taken: [...taken.values()],
    claims,
    place: (slot) => {
      const line = program.lines.findLast((each) => each.slot <= slot);
      return line === undefined || line.line === 0 ? '' : `${line.file}:${line.line}`;
    },
  };
}
