import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conflictError } from './conflict.ts';
import type { AllocatorRef, Field, Flow, ProgramFacts, Source, Surroundings } from './facts.ts';
import { type Binding, type Conflict, isConflict, type PolicyName, policies, policyNames } from './policy.ts';

const ref = (id: number, name: string, isGlobal = false): AllocatorRef => ({ id, name, global: isGlobal });
const global = ref(1, 'the global allocator', true);
const [a, b] = [ref(2, 'a'), ref(3, 'b')];

const field = (map: string, offset = 0): Field => ({ key: `${map}:${offset}`, text: `${map}.f${offset}`, map });
const inObject = (struct: string, offset = 0): Field => ({
  key: `object:${struct}:${offset}`,
  text: `struct ${struct}.f${offset}`,
  map: undefined,
});
const [m1, m2] = [field('m1'), field('m2')];

let ids = 0;
/** [from, into] pairs: an allocator, `new` for bpf_obj_new, or a field. */
function program(
  name: string,
  ...moves: readonly (readonly [AllocatorRef | 'new' | Field, Field | undefined])[]
): ProgramFacts {
  const flows: Flow[] = [];
  const sites: ProgramFacts['sites'][number][] = [];
  const taken: Field[] = [];
  for (const [slot, [from, into]] of moves.entries()) {
    let source: Source;
    if (from === 'new') source = { kind: 'implicit', slot };
    else if ('key' in from) source = { kind: 'field', slot, field: from };
    else source = { kind: 'allocator', slot, allocator: from };
    if (source.kind === 'field') taken.push(source.field);
    else sites.push({ slot, allocator: source.kind === 'implicit' ? 'implicit' : source.allocator });
    if (into !== undefined) flows.push({ slot, source, into });
  }
  return { id: ++ids, program: name, object: `${name}.bpf.o`, sites, flows, taken, claims: [] };
}

const nothing: Surroundings = {
  contents: [],
  maps: new Map(),
  inner: [],
  global,
  bound: () => undefined,
  canMerge: () => false,
};
const merging: Surroundings = { ...nothing, canMerge: () => true };
const withMaps = (of: Record<string, AllocatorRef>): Surroundings => ({
  ...nothing,
  maps: new Map(Object.entries(of).map(([name, allocator]) => [name, { name, allocator }])),
});

function verdicts(programs: readonly ProgramFacts[], surroundings = nothing): string {
  return policyNames.map((name) => (isConflict(policies[name].bind(programs, surroundings)) ? 'R' : 'A')).join('/');
}
function accepted(policy: PolicyName, programs: readonly ProgramFacts[], surroundings = nothing): Binding {
  const result = policies[policy].bind(programs, surroundings);
  if (isConflict(result)) throw conflictError(policy, result, () => undefined);
  return result;
}
function refused(policy: PolicyName, programs: readonly ProgramFacts[], surroundings = nothing): Conflict {
  const result = policies[policy].bind(programs, surroundings);
  if (!isConflict(result)) throw new Error('accepted');
  return result;
}
function permutations<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]];
  return all.flatMap((one, i) => permutations([...all.slice(0, i), ...all.slice(i + 1)]).map((rest) => [one, ...rest]));
}

// Columns: global, dynamic, per-field, per-map.
describe('policies', () => {
  const put = program('put', [a, m1]);
  const move = program('move', [m1, m2]);
  const take = program('take', [m2, undefined]);

  it('take one program that keeps and frees its objects (S1)', () => {
    expect(verdicts([program('one', [a, m1], [m1, undefined])], withMaps({ m1: a }))).toBe('A/A/A/A');
    expect(verdicts([program('one', ['new', m1], [m1, undefined])])).toBe('A/A/A/A');
  });

  it('take three programs that pass objects on, in all orders (S2, F10)', () => {
    for (const order of permutations([put, move, take])) {
      expect(verdicts(order, withMaps({ m1: a, m2: a }))).toBe('A/A/A/A');
      expect(verdicts(order)).toBe('A/A/A/R');
      // What is there already is a function of the set too: each beginning of the order.
      for (let i = 1; i < 3; i++) expect(verdicts(order.slice(0, i), withMaps({ m1: a, m2: a }))).toBe('A/A/A/A');
    }
  });

  it('do not let two programs put different objects into a field (S3, F6, F8)', () => {
    const other = program('other', [b, m1]);
    for (const order of permutations([put, other])) expect(verdicts(order, withMaps({ m1: a }))).toBe('A/A/R/R');
    expect(verdicts([put, other, move, take], withMaps({ m1: a, m2: a }))).toBe('A/A/R/R');
  });

  it('see through moves, however far', () => {
    const chain = Array.from({ length: 30 }, (_, i) => program(`p${i}`, [field('m', i), field('m', i + 1)]));
    const ends = [program('first', [a, field('m', 0)]), program('last', [b, field('m', 30)])];
    expect(verdicts([...chain, ...ends])).toBe('A/A/R/R');
    expect(verdicts([...chain.slice(0, 15), ...chain.slice(16), ...ends]).slice(0, 5)).toBe('A/A/A');
  });

  it('take two allocators in two fields of one value, but for per-map (S4, F7)', () => {
    const two = [program('x', [a, field('m', 0)]), program('y', [b, field('m', 8)])];
    expect(verdicts(two, withMaps({ m: a }))).toBe('A/A/R/R');
    // The map's attribute says it of both fields; without one per-field infers.
    expect(verdicts(two)).toBe('A/A/A/R');
  });

  it('let objects of the global allocator be anywhere (S16, F20)', () => {
    const makes = program('makes', ['new', m1], ['new', m2], [m1, m2], ['new', inObject('foo')]);
    expect(verdicts([makes, move, take])).toBe('A/A/A/A');
    for (const name of policyNames)
      expect([...accepted(name, [makes]).programs.get(makes.id)!.makes.values()]).toEqual([global, global, global]);
  });

  it('bind bpf_obj_new to what its destination holds (F2)', () => {
    const makes = program('makes', ['new', m1]);
    expect(accepted('global', [makes, put]).programs.get(makes.id)!.makes.get(0)).toBe(global);
    expect(accepted('dynamic', [makes, put]).programs.get(makes.id)!.makes.get(0)).toBe(global);
    expect(
      accepted('dynamic', [makes], withMaps({ m1: a }))
        .programs.get(makes.id)!
        .makes.get(0),
    ).toBe(a);
    expect(accepted('per-field', [makes, put]).programs.get(makes.id)!.makes.get(0)).toBe(a);
    expect(
      accepted('per-map', [makes], withMaps({ m1: b }))
        .programs.get(makes.id)!
        .makes.get(0),
    ).toBe(b);
    expect(accepted('dynamic', [program('both', ['new', m1])], withMaps({ m2: a })).programs.size).toBe(1);
  });

  it('take explicit allocators as they are named, but for global (F1)', () => {
    const on = withMaps({ m1: a });
    expect(policyNames.map((name) => accepted(name, [put], on).programs.get(put.id)!.makes.get(0)!.name)).toEqual([
      'the global allocator',
      'a',
      'a',
      'a',
    ]);
  });

  it('have a map’s attribute seed its fields (F4)', () => {
    expect(verdicts([program('other', [b, m1])], withMaps({ m1: a }))).toBe('A/A/R/R');
    expect(refused('per-field', [program('other', [b, m1])], withMaps({ m1: a })).first.text).toContain(
      'kptr_allocator',
    );
  });

  it('keep a field bound while objects live in it, and no longer (S5, S7, F9)', () => {
    const full = { ...nothing, contents: [{ field: m1, allocators: [a] }] };
    const other = program('other', [b, m1]);
    expect(verdicts([other], full)).toBe('A/A/R/R');
    expect(refused('per-field', [other], full).first.text).toBe('it holds live objects of a');
    expect(verdicts([other])).toBe('A/A/A/R');
    expect(verdicts([program('consumer', [m1, undefined])], { ...full, maps: withMaps({ m1: a }).maps })).toBe(
      'A/A/A/A',
    );
    // Only what is connected.
    expect(verdicts([program('elsewhere', [b, m2])], full).slice(0, 5)).toBe('A/A/A');
    expect(
      isConflict(policies['per-field'].bind([other], { ...nothing, contents: [{ field: m1, allocators: [global] }] })),
    ).toBe(false);
  });

  it('unify allocators that may be merged (S6, F12, F17)', () => {
    const again = program('again', [b, m1]);
    expect(verdicts([put, again], { ...withMaps({ m1: a }), canMerge: () => true })).toBe('A/A/A/A');
    expect(accepted('per-field', [put, again], merging).merges).toEqual([[a, b]]);
    expect(accepted('per-field', [put, again], merging).fields.get('m1:0')!.allocators).toEqual([a, b]);
    const third = program('third', [ref(4, 'c'), m1]);
    const onlyAB = { ...nothing, canMerge: (x: AllocatorRef, y: AllocatorRef) => x.id + y.id === 5 };
    expect(isConflict(policies['per-field'].bind([put, again, third], onlyAB))).toBe(true);
  });

  it('hold maps of a map of maps to its template (S13, F19)', () => {
    const template: Field = { key: 'template:o:0', text: 'maps in o.f0', map: 'template:o' };
    const use = program('use', [a, template]);
    const on = (allocator: AllocatorRef): Surroundings => ({ ...withMaps({ m1: allocator }), inner: [[m1, template]] });
    expect(verdicts([use], on(a))).toBe('A/A/A/A');
    expect(verdicts([use], on(b))).toBe('A/A/R/R');
    expect(verdicts([use], { ...nothing, inner: [[m1, template]] })).toBe('A/A/A/R');
    const direct = program('direct', [b, m1]);
    expect(verdicts([use, direct], { ...nothing, inner: [[m1, template]] })).toBe('A/A/R/R');
  });

  it('follow fields of objects by struct', () => {
    const nest = program('nest', [a, inObject('foo')]);
    const out = program('out', [inObject('foo'), m1]);
    expect(verdicts([nest, out, program('other', [b, m1])])).toBe('A/A/R/R');
    expect(verdicts([nest, out], withMaps({ m1: a }))).toBe('A/A/A/A');
  });

  it('count what bpf_obj_new was bound to when its program was loaded', () => {
    const makes = program('makes', ['new', m1]);
    const bound = { ...nothing, bound: (id: number) => (id === makes.id ? a : undefined) };
    expect(verdicts([makes, program('other', [b, m1])], bound)).toBe('A/A/R/R');
    const open = { ...nothing, bound: (id: number) => (id === makes.id ? global : undefined) };
    expect(verdicts([makes, program('other', [b, m1])], open)).toBe('A/A/A/R');
  });

  it('explain a conflict with both programs, the field and the allocators, and what to do', () => {
    const conflict = refused('per-field', [put, program('other', [b, m1])]);
    const { message, code } = conflictError('per-field', conflict, () => 'quota 8 and none');
    expect(code).toBe('SLUICE_ALLOCATOR_CONFLICT');
    for (const text of [
      'm1.f0',
      'program put of put.bpf.o',
      'program other of other.bpf.o',
      'objects of a ',
      'objects of b ',
      'unload program put',
      'quota 8',
      '--policy dynamic',
    ])
      expect(message).toContain(text);
  });
});

describe('random programs', () => {
  const allocators = [a, b, ref(4, 'c')];
  const places = [m1, m2, field('m1', 8), inObject('foo'), inObject('foo', 8), inObject('bar')];
  const anyMove = fc.tuple(
    fc.oneof(fc.constantFrom(...allocators), fc.constant('new' as const), fc.constantFrom(...places)),
    fc.constantFrom(...places),
  );
  const anyPrograms = fc.array(fc.array(anyMove, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 });
  const anyMaps = fc.dictionary(fc.constantFrom('m1', 'm2'), fc.constantFrom(...allocators));

  /** What a field may hold, by following every flow until nothing changes: no union-find. */
  function reference(
    programs: readonly ProgramFacts[],
    seeds: Record<string, AllocatorRef>,
    policy: 'per-field' | 'per-map',
  ): boolean {
    const key = ({ key: own, map }: Field) =>
      policy === 'per-field' ? own : (map ?? own.slice(0, own.lastIndexOf(':')));
    const seen = new Map<string, Set<string>>();
    const of = (at: string) => seen.get(at) ?? seen.set(at, new Set()).get(at)!;
    for (const { flows } of programs)
      for (const { source, into } of flows)
        for (const one of [into, ...(source.kind === 'field' ? [source.field] : [])])
          if (one.map !== undefined) {
            const says = seeds[one.map] ?? (policy === 'per-map' ? global : undefined);
            if (says !== undefined) of(key(one)).add(says.name);
          }
    for (let changed = true; changed; ) {
      changed = false;
      for (const { id, flows } of programs)
        for (const { source, into } of flows) {
          const to = of(key(into));
          const from =
            source.kind === 'allocator'
              ? new Set([source.allocator.name])
              : of(source.kind === 'field' ? key(source.field) : `site ${id} ${source.slot}`);
          const before = to.size + from.size;
          for (const name of [...from]) to.add(name);
          if (source.kind !== 'allocator') for (const name of [...to]) from.add(name);
          changed ||= to.size + from.size !== before;
        }
    }
    return [...seen.values()].every((names) => names.size <= 1);
  }

  it('get the verdict of a fixed point, in any order and history of the same set (I7)', () => {
    fc.assert(
      fc.property(
        anyPrograms,
        anyMaps,
        fc.constantFrom('per-field' as const, 'per-map' as const),
        fc.infiniteStream(fc.nat()),
        (moves, seeds, policy, numbers) => {
          const programs = moves.map((each, i) => program(`p${i}`, ...each));
          const surroundings = withMaps(seeds);
          const fits = !isConflict(policies[policy].bind(programs, surroundings));
          expect(fits).toBe(reference(programs, seeds, policy));
          const shuffled = programs
            .map((each) => [numbers.next().value, each] as const)
            .sort(([x], [y]) => x - y)
            .map(([, each]) => each);
          expect(!isConflict(policies[policy].bind(shuffled, surroundings))).toBe(fits);
          // A set that fits has no beginning that does not: no order of loading is refused.
          if (fits)
            for (let i = 1; i < shuffled.length; i++)
              expect(isConflict(policies[policy].bind(shuffled.slice(0, i), surroundings))).toBe(false);
          for (const name of ['global', 'dynamic'] as const)
            expect(isConflict(policies[name].bind(shuffled, surroundings))).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });
});
