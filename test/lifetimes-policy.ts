/** What policies say of a set of programs that live together, by following what may meet where until nothing changes: the reference of store and policies, without union-find. */
import type { Allocator, LifetimeModel, LiveProgram, Load, MapName, Maps, Thing } from './lifetimes-model.ts';

/** Fields of maps, and of objects. */
export type FieldName = 'slots.a' | 'slots.b' | 'slots.node' | 'table.nodes' | 'table.kept' | 'struct life_node.inside';

export interface Facts {
  /** What it allocates from, and the field that goes into. */
  readonly site?: 'first' | 'second' | 'implicit';
  readonly field?: 'a' | 'b' | 'node';
  /** Objects of one field go into another. */
  readonly moves?: readonly (readonly [FieldName, FieldName])[];
  /** Fields that it takes objects out of, and gives these back. */
  readonly taken?: readonly FieldName[];
}

export const programs = {
  first_in_a: { site: 'first', field: 'a' },
  second_in_a: { site: 'second', field: 'a' },
  second_in_b: { site: 'second', field: 'b' },
  first_node: { site: 'first', field: 'node' },
  new_in_b: { site: 'implicit', field: 'b' },
  move: { moves: [['slots.a', 'slots.b']] },
  empty: { taken: ['slots.a', 'slots.b', 'slots.node'] },
  keep: { moves: [['slots.b', 'table.kept']] },
  stale: { moves: [['slots.b', 'table.kept']] },
  share: { moves: [['slots.node', 'slots.node']] },
  push: { moves: [['slots.node', 'table.nodes']] },
  pop: { moves: [['table.nodes', 'slots.node']] },
  fill: {
    moves: [
      ['slots.node', 'slots.node'],
      ['slots.a', 'struct life_node.inside'],
    ],
  },
} as const satisfies Record<string, Facts>;
export type Program = keyof typeof programs;
export const programNames = Object.keys(programs) as readonly Program[]; // the keys of the record

export interface Judgement {
  readonly conflict: boolean;
  readonly merges: readonly (readonly [Allocator, Allocator])[];
  /** By program of the load: what it may be bound to; empty: it makes nothing. */
  readonly sources: ReadonlyMap<LiveProgram, ReadonlySet<Allocator>>;
  /** Fields that programs or objects speak of, as `MAPS FIELD`, and what they hold. */
  readonly fields: ReadonlyMap<string, ReadonlySet<Allocator>>;
}

/** Each field with live objects, once an object. */
export function* contents(model: LifetimeModel): Generator<readonly [Maps | undefined, FieldName, Thing]> {
  for (const maps of model.maps) {
    for (const { a, b, node } of maps.slots) {
      if (a !== undefined) yield [maps, 'slots.a', a];
      if (b !== undefined) yield [maps, 'slots.b', b];
      if (node !== undefined) yield [maps, 'slots.node', node];
    }
    for (const { kept, nodes } of maps.table.values()) {
      if (kept !== undefined) yield [maps, 'table.kept', kept];
      for (const node of nodes) yield [maps, 'table.nodes', node];
    }
    for (const each of maps.stale) yield [maps, 'table.kept', each];
  }
  for (const { inside } of model.live()) if (inside !== undefined) yield [undefined, 'struct life_node.inside', inside];
}

/**
 * The programs that live, with those of `load` where there is one (which names `names` for its maps), and the objects that are there.
 * @param merge allocators that are alike may be made one. @param alike some that will be.
 */
export function judge(
  model: LifetimeModel,
  load: Load | undefined,
  names: Partial<Record<MapName, Allocator>>,
  merge: boolean,
  alike: ReadonlySet<Allocator> = new Set(),
): Judgement {
  const { policy, global } = model;
  const loads = load === undefined ? model.loads : [...model.loads, load];
  const all = loads.flatMap((each) => each.programs);
  const isStatic = policy === 'per-field' || policy === 'per-map';
  const numbers = new Map([...new Set([...model.maps, ...loads.map(({ maps }) => maps)])].map((maps, i) => [maps, i]));
  const mapOf = (field: FieldName) => (field.startsWith('struct') ? undefined : (field.split('.')[0] as MapName)); // the part before the dot
  const namedBy = (maps: Maps, map: MapName) => (maps === load?.maps ? names[map] : maps.kptr[map]);

  /** Places that are one: edges between them, and what each is said to hold. */
  const edges: (readonly [string, string])[] = [];
  const labels = new Map<string, Set<Allocator>>();
  /** Places by field. */
  const entered = new Map<string, { readonly place: string; readonly maps: Maps; readonly map: MapName | undefined }>();
  const beside = new Set<string>();
  const label = (place: string, allocator: Allocator) =>
    (labels.get(place) ?? labels.set(place, new Set()).get(place)!).add(allocator);
  const enter = (maps: Maps, field: FieldName): string => {
    const map = mapOf(field);
    const key = map === undefined ? field : `${numbers.get(maps)} ${field}`;
    const known = entered.get(key);
    if (known !== undefined) return known.place;
    const place = policy === 'per-field' ? key : map === undefined ? 'struct life_node' : `${numbers.get(maps)} ${map}`;
    entered.set(key, { place, maps, map });
    if (map !== undefined) {
      const named = namedBy(maps, map);
      if (named !== undefined) label(place, named);
      else if (policy === 'per-map') label(place, global);
    }
    return place;
  };
  const put = (maps: Maps, field: FieldName, allocator: Allocator) => {
    const place = enter(maps, field);
    if (policy === 'per-field' && allocator.isGlobal)
      beside.add(field.startsWith('struct') ? field : `${numbers.get(maps)} ${field}`);
    else label(place, allocator);
  };
  const site = (program: LiveProgram) => `site ${all.indexOf(program)}`;
  if (isStatic) {
    for (const [maps, field, { from }] of contents(model)) put(maps ?? model.maps[0]!, field, from);
    for (const program of all) {
      const { maps, first, second } = program.load;
      const facts: Facts = programs[program.name];
      if (facts.field !== undefined) {
        const into = `slots.${facts.field}` as const;
        if (facts.site === 'implicit') {
          edges.push([enter(maps, into), site(program)]);
          if (program.from !== undefined && !program.from.isGlobal) put(maps, into, program.from);
        } else put(maps, into, facts.site === 'first' ? first : second);
      }
      for (const [from, into] of facts.moves ?? []) edges.push([enter(maps, into), enter(maps, from)]);
      for (const field of facts.taken ?? []) enter(maps, field);
    }
    for (const { maps, claims } of loads)
      for (const [map, allocator] of Object.entries(claims))
        for (const { place, maps: of, map: name } of [...entered.values()])
          if (of === maps && name === map) label(place, allocator);
  }

  const held = reach(edges, labels);
  const isOpen = (each: Allocator) => each.references > 0 || each === load?.first || each === load?.second;
  const fits = (a: Allocator, b: Allocator) =>
    a.merged === b.merged ||
    (alike.has(a) && alike.has(b)) ||
    (merge && !a.isGlobal && !b.isGlobal && isOpen(a) && isOpen(b) && a.quota === 0 && b.quota === 0);
  let conflict = false;
  const merges: (readonly [Allocator, Allocator])[] = [];
  for (const allocators of held.values()) {
    const [one, ...others] = allocators;
    for (const other of others) {
      merges.push([one!, other]);
      for (const each of allocators) if (!fits(each, other)) conflict = true;
    }
  }

  const sources = new Map<LiveProgram, ReadonlySet<Allocator>>();
  for (const program of load?.programs ?? []) {
    const facts: Facts = programs[program.name];
    if (facts.site === undefined) sources.set(program, new Set());
    else if (policy === 'global') sources.set(program, new Set([global]));
    else if (facts.site !== 'implicit') sources.set(program, new Set([load![facts.site]]));
    else if (policy === 'dynamic') sources.set(program, new Set([names.slots ?? global]));
    else sources.set(program, held.get(site(program))?.size ? held.get(site(program))! : new Set([global]));
  }
  const fields = new Map<string, ReadonlySet<Allocator>>();
  for (const [key, { place }] of entered) {
    const allocators = new Set(held.get(place) ?? []);
    if (beside.has(key)) allocators.add(global);
    if (allocators.size > 0) fields.set(key, allocators);
  }
  return { conflict, merges, sources, fields };
}

/** What each place holds once everything has gone along all edges, both ways. */
function reach(
  edges: readonly (readonly [string, string])[],
  labels: ReadonlyMap<string, ReadonlySet<Allocator>>,
): ReadonlyMap<string, ReadonlySet<Allocator>> {
  const held = new Map([...labels].map(([place, each]) => [place, new Set(each)]));
  const of = (place: string) => held.get(place) ?? held.set(place, new Set()).get(place)!;
  for (let changed = true; changed; ) {
    changed = false;
    for (const [x, y] of edges)
      for (const [from, to] of [
        [of(x), of(y)],
        [of(y), of(x)],
      ] as const)
        for (const each of [...from]) {
          if (to.has(each)) continue;
          to.add(each);
          changed = true;
        }
  }
  return held;
}
