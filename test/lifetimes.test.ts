/**
 * Random lives of allocators: made, shared, merged, set apart from and let go of, by programs that are loaded and unloaded in any order, while objects of theirs are made,
 * moved and freed; under each policy, in both engines and with checks of memory. After every action a model says what is there, and all invariants hold.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PolicyName, policyNames } from '../src/runtime/allocators/policy.ts';
import { checkInvariants } from './lifetimes-invariants.ts';
import { Allocator, LifetimeModel, Load, Maps, type Rule, SLOTS } from './lifetimes-model.ts';
import { programNames } from './lifetimes-policy.ts';
import { Side, type SideName } from './lifetimes-side.ts';

/** Sequences of each policy; more by hand. */
const RUNS = Number(process.env.SLUICE_LIFETIME_RUNS ?? 6);
const SEED = Number(process.env.SLUICE_LIFETIME_SEED ?? 2022);
/** More keys than the table takes. */
const KEYS = 6;
const sideNames: readonly SideName[] = ['jit', 'interpreter', 'checked'];

const n = fc.nat(9);
const action = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      op: fc.constant('load' as const),
      programs: fc.uniqueArray(fc.constantFrom(...programNames), { minLength: 1, maxLength: 3 }),
      /** 0: maps of its own. */
      maps: fc.nat(4),
      /** Beyond what there is: one of its own. */
      first: n,
      second: n,
      quota: fc.constantFrom(0, 0, 0, 4),
      merge: fc.boolean(),
      rule: fc.constantFrom<Rule>('equal', 'equal', 'merge', 'migrate'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unload' as const), which: n }) },
  {
    weight: 24,
    arbitrary: fc.record({
      op: fc.constant('run' as const),
      which: fc.nat(29),
      a: fc.nat(SLOTS - 1),
      b: fc.nat(KEYS - 1),
      times: fc.nat(2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('prefill' as const),
      which: fc.nat(29),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('update' as const), maps: n, key: fc.nat(KEYS - 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('remove' as const, 'clear' as const), maps: n, key: fc.nat(KEYS - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('create' as const), quota: fc.constantFrom(0, 0, 0, 3, 5) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('close' as const), which: n }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('merge' as const), a: n, b: n }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const expected = { accept: undefined, conflict: 'SLUICE_ALLOCATOR_CONFLICT', unlike: 'SLUICE_MAP_ALLOCATOR' };
const at = <T>(all: readonly T[], index: number): T | undefined => all[index % Math.max(1, all.length)];

class Life {
  readonly model: LifetimeModel;
  readonly sides: readonly Side[];
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
        const choose = (index: number) => open[index] ?? new Allocator(`own ${++this.#made}`, each.quota);
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
        const program = at(all, each.which);
        if (program === undefined) return;
        const [a, b, times] = each.op === 'run' ? [each.a, each.b, each.times + 1] : [0, 0, 1];
        const other = /keep|stale|push|pop/.test(program.name) ? b : b % SLOTS;
        for (let i = 0; i < times; i++) {
          const words = [a, other, id * 4 + i, each.op === 'run' ? 0 : each.count] as const;
          compare(model.run(program, ...words), (side) => side.run(program, words));
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
        const made = model.create(`made ${++this.#made}`, each.quota);
        for (const side of sides) await side.create(made);
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
  await life.end();
}

describe('lives of allocators', () => {
  it.each(policyNames)(
    'are as in the model, with all invariants after every action: %s',
    async (policy) => {
      await fc.assert(
        fc.asyncProperty(
          fc.boolean(),
          fc.array(action, { minLength: 20, maxLength: 60, size: 'max' }),
          async (mapped, actions) => play(await Life.begin(policy, mapped, sideNames), actions),
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
    for (let i = 0; i < 6; i++) {
      await play(life, actions!);
      pages.push(life.sides[0]!.pages());
    }
    // Pools of the runtime keep what they once had.
    expect(pages.slice(2)).toEqual(pages.slice(2).map(() => pages[1]));
  }, 60_000);
});
