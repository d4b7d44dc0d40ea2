/**
 * Random lives of allocators: made, shared, merged, set apart from and let go of, by programs that are loaded and unloaded in any order, while objects of theirs are made,
 * moved and freed; under each policy, in both engines and with checks of memory. After every action a model says what is there, and all invariants hold.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PolicyName, policyNames } from '../src/runtime/allocators/policy.ts';
import { checkInvariants } from './lifetimes-invariants.ts';
import { Allocator, LifetimeModel, type LiveProgram, Load, Maps, type Rule, SLOTS } from './lifetimes-model.ts';
import { type Facts, type Program, programNames, programs } from './lifetimes-policy.ts';
import { Side, type SideName } from './lifetimes-side.ts';

/** Sequences of each policy; more by hand. */
const RUNS = Number(process.env.SLUICE_LIFETIME_RUNS ?? 3);
const SEED = Number(process.env.SLUICE_LIFETIME_SEED ?? 2022);
/** More keys than the table takes. */
const KEYS = 6;
const sideNames: readonly SideName[] = ['jit', 'interpreter', 'checked'];

const n = fc.nat(9);
/** It allocates. */
const isSite = (name: Program) => 'site' in programs[name];
const action = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      op: fc.constant('load' as const),
      programs: fc
        .tuple(
          fc.subarray(programNames.filter((name) => !isSite(name))),
          fc.subarray(programNames.filter(isSite), { minLength: 1, maxLength: 2 }),
        )
        .map((both) => both.flat()),
      /** 0: maps of its own. */
      maps: fc.nat(6),
      /** From 7 on: one of its own. */
      first: n,
      second: n,
      quota: fc.constantFrom(0, 0, 0, 2),
      merge: fc.boolean(),
      rule: fc.constantFrom<Rule>('equal', 'equal', 'merge', 'migrate'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unload' as const), which: n }) },
  {
    weight: 30,
    arbitrary: fc.record({
      op: fc.constant('run' as const),
      which: n,
      program: fc.constantFrom(...programNames, 'push' as const, 'fill' as const, 'first_node' as const),
      a: fc.nat(SLOTS - 1),
      b: fc.nat(2),
      times: fc.nat(3),
      ready: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('prefill' as const),
      which: n,
      program: fc.constantFrom(...programNames.filter(isSite)),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('update' as const), maps: n, key: fc.oneof(fc.nat(2), fc.nat(KEYS - 1)) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('remove' as const, 'clear' as const), maps: n, key: fc.nat(KEYS - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('create' as const), quota: fc.constantFrom(0, 0, 2, 3) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('close' as const), which: n }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('merge' as const), a: n, b: n }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const expected = { accept: undefined, conflict: 'SLUICE_ALLOCATOR_CONFLICT', unlike: 'SLUICE_MAP_ALLOCATOR' };
const at = <T>(all: readonly T[], index: number): T | undefined => all[index % Math.max(1, all.length)];

class Life {
  readonly model: LifetimeModel;
  readonly sides: readonly Side[];
  /** The last that was refused for what others say. */
  refused: Load | undefined;
  #made = 0;

  static async begin(policy: PolicyName, mapped: boolean, names: readonly SideName[]): Promise<Life> {
    const model = new LifetimeModel(policy, mapped);
    return new Life(model, await Promise.all(names.map((name) => Side.open(name, model))));
  }

  private constructor(model: LifetimeModel, sides: readonly Side[]) {
    this.model = model;
    this.sides = sides;
  }

  /** Allocators that somebody has a handle of. */
  get #open(): Allocator[] {
    return this.model.allocators.filter(({ handle, loads }) => handle || loads.size > 0);
  }

  async do(each: Action, id: number): Promise<void> {
    const { model, sides } = this;
    /** The same on all sides as in the model. */
    const compare = <T>(wanted: T, of: (side: Side) => T) => {
      for (const side of sides) expect(of(side), side.name).toEqual(wanted);
    };
    switch (each.op) {
      case 'load': {
        if (model.loads.length >= 7) return;
        const maps = each.maps === 0 && model.maps.length < 3 ? undefined : at(model.maps, each.maps);
        const open = this.#open;
        const choose = (index: number) =>
          (index < 7 ? at(open, index) : undefined) ?? new Allocator(`own ${++this.#made}`, each.quota);
        await this.load(
          new Load(maps ?? new Maps(), choose(each.first), choose(each.second), each.programs),
          each.merge,
          each.rule,
        );
        return;
      }
      case 'unload': {
        const load = at(model.loads, each.which);
        if (load === undefined) return;
        for (const side of sides) side.unload(load);
        model.unload(load);
        return;
      }
      case 'run':
      case 'prefill': {
        const all = model.loads.flatMap(({ programs }) => programs);
        const wanted = all.filter(({ name }) => name === each.program);
        // What is set apart is worth most where there is a quota.
        const limited = wanted.filter(({ from }) => each.op === 'prefill' && from !== undefined && from.quota !== 0);
        const program = at([limited, wanted, all].find((some) => some.length > 0) ?? [], each.which);
        if (program === undefined) return;
        if (each.op === 'prefill') {
          this.#run(program, 0, 0, id * 8, each.count);
          return;
        }
        for (let i = 0; i <= each.times; i++) {
          if (each.ready) this.#prepare(program, each.a, each.b, id * 8 + i);
          // A second reference to what goes into a list, which is refused there.
          const share =
            each.ready &&
            program.name === 'push' &&
            all.find((other) => other.name === 'share' && other.load.maps === program.load.maps);
          const next = (each.a + 1) % SLOTS;
          if (share) this.#run(share, each.a, next, id * 8, 0);
          this.#run(program, each.a, each.b, id * 8 + 4 + i, 0);
          if (share) this.#run(program, next, each.b, id * 8, 0);
        }
        return;
      }
      case 'update':
      case 'clear': {
        const maps = at(model.maps, each.maps);
        if (maps === undefined) return;
        if (each.op === 'clear') {
          compare(undefined, (side) => side.update(maps, 'slots', each.key % SLOTS));
          model.updateSlot(maps, each.key % SLOTS);
        } else {
          // I13: no room only where it is full.
          const wanted = model.updateEntry(maps, each.key) ? undefined : 'SLUICE_MAP_E2BIG';
          compare(wanted, (side) => side.update(maps, 'table', each.key));
        }
        return;
      }
      case 'remove': {
        const maps = at(model.maps, each.maps);
        if (maps !== undefined) compare(model.removeEntry(maps, each.key), (side) => side.remove(maps, each.key));
        return;
      }
      case 'create': {
        if (model.allocators.filter(({ handle }) => handle).length >= 5) return;
        await this.create(`made ${++this.#made}`, each.quota);
        return;
      }
      case 'close': {
        const own = at(
          model.allocators.filter(({ handle }) => handle),
          each.which,
        );
        if (own === undefined) return;
        for (const side of sides) side.closeHandle(own);
        model.closeHandle(own);
        return;
      }
      case 'merge': {
        const [a, b] = [at(this.#open, each.a), at(this.#open, each.b)];
        if (a === undefined || b === undefined) return;
        compare(model.merge(a, b) ? undefined : 'SLUICE_MAP_EINVAL', (side) => side.merge(a, b));
      }
    }
  }

  #run(program: LiveProgram, a: number, b: number, id: number, count: number): void {
    const words = [a, /keep|stale|push|pop/.test(program.name) ? b : b % SLOTS, id, count] as const;
    if (this.model.maps.some(({ stale }) => stale.length > 0)) this.model.settleStale(this.sides[0]!.isLive());
    const wanted = this.model.run(program, ...words);
    for (const side of this.sides) expect(side.run(program, words), `${program.name}, ${side.name}`).toBe(wanted);
  }

  /** What the program takes is there, if some program makes it. */
  #prepare({ name, load: { maps } }: LiveProgram, a: number, b: number, id: number): void {
    const { model, sides } = this;
    if (/keep|stale|push|pop/.test(name) && !maps.table.has(b) && model.updateEntry(maps, b))
      for (const side of sides) expect(side.update(maps, 'table', b)).toBe(undefined);
    const needs = (
      { move: ['a'], fill: ['a', 'node'], keep: ['b'], stale: ['b'], share: ['node'], push: ['node'] } as const
    )[
      name as 'move' // undefined for those that need nothing
    ] as readonly string[] | undefined;
    for (const [i, field] of (needs ?? []).entries()) {
      const makes = model.loads
        .flatMap(({ programs: own }) => own)
        .find((each) => each.load.maps === maps && (programs[each.name] as Facts).field === field);
      if (makes !== undefined) this.#run(makes, i === 0 ? a : b % SLOTS, 0, id + 100_000 * (i + 1), 0);
    }
  }

  /** An allocator of nobody's but a handle. */
  async create(name: string, quota: number): Promise<Allocator> {
    const made = this.model.create(name, quota);
    for (const side of this.sides) await side.create(made);
    return made;
  }

  /** Whether it was accepted: by the model, and on all sides. */
  async load(load: Load, merge: boolean, rule: Rule): Promise<boolean> {
    const { model, sides } = this;
    const before = sides.map((side) => side.trace());
    const codes: (string | undefined)[] = [];
    for (const side of sides) codes.push(await side.load(load, { merge, rule }));
    const judgement = model.load(load, { merge, rule });
    const verdict = judgement === 'unlike' ? judgement : judgement.conflict ? 'conflict' : 'accept';
    expect(codes, 'verdict').toEqual(sides.map(() => expected[verdict]));
    // I15: what was refused has left nothing.
    if (judgement === 'unlike' || verdict !== 'accept') {
      if (verdict === 'conflict') this.refused = load;
      for (const [i, side] of sides.entries()) expect(side.trace(), `I15 ${side.name}`).toBe(before[i]);
      return false;
    }
    for (const program of load.programs) {
      const allowed = [...judgement.sources.get(program)!];
      const bound = sides.map((side) => {
        const id = side.boundTo(program)?.id;
        return id === undefined ? undefined : allowed.find((each) => side.known(each).id === id);
      });
      expect(
        bound.every((each) => each === bound[0] && (each !== undefined || allowed.length === 0)),
        `what ${program.name} is bound to`,
      ).toBe(true);
      model.bind(program, bound[0]);
    }
    return true;
  }

  check(): void {
    for (const side of this.sides) checkInvariants(this.model, side);
    // I14: both engines take the same memory, in the same order. (Checks keep what is freed from use for a while.)
    const [one, other] = this.sides.filter(({ name }) => name !== 'checked');
    if (other !== undefined) expect(other.reuse, 'I14: addresses').toEqual(one!.reuse);
  }

  /** Everybody lets go, in any order: nothing is left (I2, I5, I9). */
  async end(): Promise<void> {
    const { model } = this;
    for (let i = 0; model.loads.length > 0 || model.allocators.some(({ handle }) => handle); i++) {
      await this.do({ op: i % 2 === 0 ? 'close' : 'unload', which: i }, 0);
      this.check();
    }
    for (const side of this.sides) {
      expect(side.objects().live.size).toBe(0);
      expect(side.store.programs).toEqual([]);
      expect(
        side.store.all().filter(({ global, name }) => !global && !name.includes('elements')),
        side.name,
      ).toEqual([]);
    }
  }
}

/**
 * Whether a set of loads may live together does not depend on the order in which they come (I7): those that do, and those with one that was refused. Nobody's objects are
 * there, and what is alike is made one.
 */
async function permute({ model, refused }: Life, seed: number): Promise<void> {
  const sets = [model.loads, ...(refused === undefined ? [] : [[...model.loads, refused]])];
  for (const set of sets) {
    const verdicts: boolean[] = [];
    for (const order of [set, [...set].reverse(), shuffled(set, seed)]) {
      const life = await Life.begin(model.policy, model.mapped, ['jit']);
      const maps = new Map<Maps, Maps>();
      const allocators = new Map<Allocator, Allocator>();
      for (const each of new Set(order.flatMap(({ first, second }) => [first, second])))
        allocators.set(each, await life.create(each.name, each.quota));
      let fits = true;
      for (const { maps: of, first, second, programs } of order) {
        if (!maps.has(of)) maps.set(of, new Maps());
        const names = programs.map(({ name }) => name);
        const load = new Load(maps.get(of)!, allocators.get(first)!, allocators.get(second)!, names);
        fits = (await life.load(load, true, 'equal')) && fits;
        life.check();
      }
      verdicts.push(fits);
      await life.end();
    }
    expect(new Set(verdicts).size, `I7: ${verdicts} by order`).toBeLessThanOrEqual(1);
    if (set === model.loads && verdicts.length > 0) expect(verdicts[0], 'I7: who lives together may').toBe(true);
  }
}

function shuffled<T>(all: readonly T[], seed: number): T[] {
  const rest = [...all];
  let random = seed >>> 0;
  return all.map(() => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return rest.splice((random >>> 8) % rest.length, 1)[0]!;
  });
}

async function play(life: Life, actions: readonly Action[]): Promise<void> {
  for (const [i, each] of actions.entries()) {
    try {
      await life.do(each, i + 1);
      life.check();
    } catch (error) {
      if (error instanceof Error) error.message = `action ${i + 1}, ${JSON.stringify(each)}: ${error.message}`;
      throw error;
    }
  }
}

describe('lives of allocators', () => {
  it.each(policyNames)(
    'are as in the model, with all invariants after every action: %s',
    async (policy) => {
      await fc.assert(
        fc.asyncProperty(
          fc.boolean(),
          fc.array(action, { minLength: 20, maxLength: 60, size: 'max' }),
          async (mapped, actions) => {
            const life = await Life.begin(policy, mapped, sideNames);
            await play(life, actions);
            await permute(life, actions.length);
            await life.end();
          },
        ),
        { numRuns: RUNS, seed: SEED, endOnFailure: true },
      );
    },
    120_000,
  );

  it('leave no pages behind, however often (I2)', async () => {
    const [actions] = fc.sample(fc.array(action, { minLength: 60, maxLength: 60, size: 'max' }), {
      seed: SEED,
      numRuns: 1,
    });
    const life = await Life.begin('dynamic', true, ['jit']);
    const pages: number[] = [];
    for (let i = 0; i < 5; i++) {
      await play(life, actions!);
      await life.end();
      pages.push(life.sides[0]!.pages());
    }
    // Pools of the runtime keep what they once had.
    expect(pages.slice(2)).toEqual(pages.slice(2).map(() => pages[1]));
  }, 60_000);
});
