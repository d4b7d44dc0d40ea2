/** What a policy says of the programs of one object, as if they were loaded together into a runtime where nothing else is: from the verifier's facts, without loading anything. */
import type { InputError } from '../../errors.ts';
import type { AllocatorPart, MapAllocator, MapSpec, ObjectSpec, ProgramSpec } from '../../object/spec.ts';
import type { Ownership } from '../../verifier/ownership.ts';
import { conflictError } from './conflict.ts';
import type { AllocatorRef, Field, ProgramFacts } from './facts.ts';
import { isConflict, type PolicyName, policies } from './policy.ts';
import { mapField, type PlacedMap, programFacts } from './program-facts.ts';

export interface JudgedOwnership {
  readonly program: ProgramSpec;
  readonly ownership: Ownership | undefined;
}

/** Undefined: they may live together; else the SLUICE_ALLOCATOR_CONFLICT that a load would throw. `merge`: as that option of `load`. */
export function policyProblem(
  spec: ObjectSpec,
  programs: readonly JudgedOwnership[],
  policy: PolicyName,
  merge = false,
): InputError | undefined {
  const global: AllocatorRef = { id: 1, name: 'the global allocator', global: true };
  const limits = new Map<AllocatorRef, string>();
  const make = (name: string, { maxEntries, mapExtra, valueSize }: MapSpec): AllocatorRef => {
    const made = { id: limits.size + 2, name, global: false };
    const limited = mapExtra !== 0n || maxEntries !== 0;
    limits.set(made, limited ? `${maxEntries} objects of ${valueSize} bytes, ${mapExtra} bytes` : '');
    return made;
  };
  const own = new Map<string, AllocatorRef>();
  for (const map of spec.maps.values()) if (map.type === 'allocator') own.set(map.name, make(map.name, map));
  const partOf = (map: MapSpec, part: AllocatorPart, named: MapAllocator | undefined) =>
    named === undefined
      ? undefined
      : named.kind === 'map'
        ? own.get(named.map)
        : make(`${map.name}.${part}_allocator`, named.definition);
  const placed = new Map<string, PlacedMap>();
  for (const [name, map] of spec.maps) {
    const allocators =
      map.type === 'allocator'
        ? { map: own.get(name) }
        : { elem: partOf(map, 'elem', map.allocators?.elem), kptr: partOf(map, 'kptr', map.allocators?.kptr) };
    placed.set(name, { id: placed.size + 1, spec: map, allocators });
  }
  const facts = programs.map(({ program, ownership }, i) =>
    programFacts(program, ownership, { id: i + 1, spec, maps: placed, claims: [] }),
  );
  const differs = (a: AllocatorRef, b: AllocatorRef): string | undefined => {
    if (a.id === b.id) return undefined;
    if (a.global || b.global) return 'the global one is everybody’s';
    const [one, other] = [limits.get(a), limits.get(b)];
    return one === '' && other === '' ? undefined : 'a quota each';
  };
  const maps = [...placed].flatMap(([name, { id, allocators }]) =>
    allocators.kptr === undefined ? [] : [[String(id), { name, allocator: allocators.kptr }] as const],
  );
  const result = policies[policy].bind(facts, {
    contents: [],
    maps: new Map(maps),
    inner: innerFields(spec, placed, facts),
    global,
    bound: () => undefined,
    canMerge: (a, b) => a.id === b.id || (merge && differs(a, b) === undefined),
  });
  return isConflict(result) ? conflictError(policy, result, differs) : undefined;
}

/** Fields of the maps that maps of maps begin with, each with the template's that programs speak of. */
function innerFields(
  spec: ObjectSpec,
  placed: ReadonlyMap<string, PlacedMap>,
  facts: readonly ProgramFacts[],
): (readonly [Field, Field])[] {
  const templates = new Map<string, Field>();
  for (const { flows, taken } of facts)
    for (const field of [
      ...taken,
      ...flows.flatMap(({ source, into }) => ('field' in source ? [into, source.field] : [into])),
    ])
      if (field.map?.startsWith('template:')) templates.set(field.key, field);
  return [...templates.values()].flatMap((template) => {
    const outer = [...placed.values()].find(({ id }) => template.map === `template:${id}`);
    if (outer?.spec.contents.kind !== 'references') return [];
    const offset = Number(template.key.slice(template.map!.length + 1));
    return [...new Set(outer.spec.contents.targets.values())].flatMap((name) => {
      const inner = placed.get(name);
      return inner === undefined ? [] : [[mapField(inner.id, offset, inner.spec, spec.btf), template] as const];
    });
  });
}
