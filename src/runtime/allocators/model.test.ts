import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALLOCATOR_MERGE } from '../../plane/layout/allocator.ts';
import { HEAP, ROOT, ROOT_FREE_RUNS, ROOT_HEAP_TOP, ROOT_MEMORY_CHECKS } from '../../plane/layout/memory.ts';
import { createMemory } from '../memory.ts';
import { createPlane, type PlaneInstance } from '../plane.ts';
import { allocatorAddresses } from './allocator.ts';
import { readHeap } from './heap.ts';
import { readStats } from './stats.ts';

interface Live {
  readonly at: number;
  readonly bytes: number;
  readonly mark: number;
  /** What it was taken from that is set apart; undefined: from what all may have. */
  reserved: Reservation | undefined;
}

interface Reservation {
  readonly bytes: number;
  readonly holder: number;
  count: number;
  out: number;
}

/** What allocators are to do, in as many words. */
class Model {
  readonly live: Live[] = [];
  /** With the CPUs that were at work when it was freed, and have been since. */
  readonly waiting: { readonly object: Live; readonly cpu: number; readonly seen: Set<number> }[] = [];
  reservations: Reservation[] = [];
  isOpen = true;
  readonly address: number;
  readonly quota: number;

  constructor(address: number, quota: number) {
    this.address = address;
    this.quota = quota;
  }

  get charged(): number {
    const normal = [...this.live, ...this.waiting.map(({ object }) => object)].filter(
      (each) => each.reserved === undefined,
    );
    return (
      normal.reduce((sum, each) => sum + each.bytes, 0) +
      this.reservations.reduce((sum, each) => sum + each.count * each.bytes, 0)
    );
  }

  /** From where an object comes; 'none': from nowhere. */
  source(bytes: number, holder: number): Reservation | 'all' | 'none' {
    if (this.quota === 0 || this.charged + bytes <= this.quota) return 'all';
    const has = (of: number) => this.reservations.find((r) => r.bytes === bytes && r.holder === of && r.out < r.count);
    return has(holder) ?? has(0) ?? 'none';
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('alloc' as const),
      of: fc.nat(9),
      cpu: fc.nat(1),
      size: fc.integer({ min: 1, max: 700 }),
      holder: fc.nat(2),
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('free' as const, 'later' as const),
      of: fc.nat(9),
      cpu: fc.nat(1),
      which: fc.nat(),
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('large' as const),
      of: fc.nat(9),
      cpu: fc.nat(1),
      size: fc.integer({ min: 4000, max: 400_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('prefill' as const),
      of: fc.nat(9),
      size: fc.integer({ min: 1, max: 300 }),
      holder: fc.nat(2),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unreserve' as const), of: fc.nat(9), holder: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('merge' as const), of: fc.nat(9), other: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      merge: fc.boolean(),
      quota: fc.constantFrom(0, 0, 3000, 20_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), of: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('enter' as const, 'exit' as const), cpu: fc.nat(1) }) },
);

/** Pages that the page allocator has given out. */
function usedPages(plane: PlaneInstance): number {
  const view = plane.view();
  let free = 0;
  for (let run = view.getUint32(ROOT + ROOT_FREE_RUNS, true); run !== 0; run = view.getUint32(run, true))
    free += view.getUint32(run + 4, true);
  return (view.getUint32(ROOT + ROOT_HEAP_TOP, true) - HEAP) / 65536 - free;
}

function play(
  cpus: number,
  checks: boolean,
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
): void {
  const memory = createMemory(cpus, 1n);
  const planes = Array.from({ length: cpus }, (_, cpu) => createPlane(memory, { cpu }));
  const plane = planes[0]!;
  if (checks) plane.view().setUint32(ROOT + ROOT_MEMORY_CHECKS, 1, true);
  const rounded = (size: number) => plane.exports.allocator_rounded(size);
  // Makes what is made once for all, such as the room for heads of caches; and what allocators need themselves is given back with one that ends.
  const settle = () => {
    const allocator = plane.exports.allocator_create(0, 0);
    plane.exports.allocator_free(plane.exports.allocator_alloc(allocator, 16, 0));
    plane.exports.allocator_release(allocator);
  };
  settle();
  const before = usedPages(plane);
  const models: Model[] = [];
  const depths = planes.map(() => 0);
  let marks = 0;

  const create = (quota: number, flags: number) =>
    models.push(new Model(plane.exports.allocator_create_in(quota, 0, flags, 0) >>> 0, quota));
  create(0, 0);
  create(6000, 0);
  const take = (model: Model, cpu: number, size: number, holder: number) => {
    const bytes = rounded(size);
    const source = model.source(bytes, holder);
    const at = planes[cpu]!.exports.allocator_alloc(model.address, size, holder) >>> 0;
    expect(at === 0 ? 'none' : 'some').toBe(source === 'none' ? 'none' : 'some');
    if (at === 0) return;
    expect(at % 8).toBe(0);
    marks = (marks + 1) & 0xff;
    const mark = marks;
    plane.bytes().fill(mark, at, at + bytes);
    const reserved = typeof source === 'string' ? undefined : source;
    if (reserved !== undefined) reserved.out++;
    model.live.push({ at, bytes, mark, reserved });
  };
  const drop = (model: Model, index: number): Live => {
    const [object] = model.live.splice(index, 1);
    const { at, bytes, mark } = object!;
    expect(
      plane
        .bytes()
        .subarray(at, at + bytes)
        .every((byte) => byte === mark),
    ).toBe(true);
    expect(plane.exports.allocator_of(at) >>> 0).toBe(model.address);
    return object!;
  };
  const gone = ({ reserved }: Live) => {
    if (reserved !== undefined) reserved.out--;
  };
  const enter = (cpu: number) => {
    planes[cpu]!.exports.epoch_enter();
    depths[cpu]!++;
  };
  const exit = (cpu: number) => {
    planes[cpu]!.exports.epoch_exit();
    depths[cpu]!--;
    if (depths[cpu] !== 0) return;
    for (const model of models) {
      for (const { seen } of model.waiting) seen.delete(cpu);
      const own = model.waiting.filter((waits) => waits.cpu === cpu);
      if (own.length === 0) continue;
      // The oldest go first, none that another CPU can see, and all if no other is at work.
      const isGone = !allocatorAddresses(plane).includes(model.address);
      const left = isGone ? 0 : readStats(plane, model.address).waiting;
      const freed = own.slice(0, model.waiting.length - left);
      expect(freed.filter(({ seen }) => seen.size > 0)).toEqual([]);
      if (depths.every((depth) => depth === 0)) expect(freed).toHaveLength(own.length);
      for (const each of freed) {
        gone(each.object);
        model.waiting.splice(model.waiting.indexOf(each), 1);
      }
    }
  };
  const isThere = (model: Model) => model.isOpen || model.live.length + model.waiting.length > 0;

  for (const each of steps) {
    const there = models.filter(isThere);
    const open = models.filter((model) => model.isOpen);
    const cpu = 'cpu' in each ? each.cpu % cpus : 0;
    if (each.kind === 'create') {
      if (models.length < 8) create(each.quota, each.merge ? ALLOCATOR_MERGE : 0);
    } else if (each.kind === 'enter' || each.kind === 'exit') {
      if (each.kind === 'enter') enter(cpu);
      else if (depths[cpu]! > 0) exit(cpu);
    } else if (each.kind === 'free' || each.kind === 'later') {
      const model = there[each.of % Math.max(1, there.length)];
      for (let i = 0; model !== undefined && i < each.count && model.live.length > 0; i++) {
        if (each.kind === 'free') {
          const object = drop(model, each.which % model.live.length);
          planes[cpu]!.exports.allocator_free(object.at);
          gone(object);
        } else if (depths[cpu]! > 0) {
          const object = drop(model, each.which % model.live.length);
          planes[cpu]!.exports.allocator_free_later(object.at);
          model.waiting.push({ object, cpu, seen: new Set([...planes.keys()].filter((each) => depths[each]! > 0)) });
        }
      }
    } else {
      const model = open.length === 0 || !('of' in each) ? undefined : open[each.of % open.length];
      if (model === undefined) continue;
      if (each.kind === 'alloc') for (let i = 0; i < each.count; i++) take(model, cpu, each.size, each.holder);
      else if (each.kind === 'large') take(model, cpu, each.size, 0);
      else if (each.kind === 'prefill') {
        const bytes = rounded(each.size);
        const fits = model.quota === 0 || model.charged + bytes * each.count <= model.quota;
        // What is cached counts until it is asked for: with a quota all is given back first.
        const done = plane.exports.allocator_prefill(model.address, each.size, each.count, each.holder) === 0;
        expect(done).toBe(fits);
        if (!done) continue;
        const known = model.reservations.find((r) => r.bytes === bytes && r.holder === each.holder);
        if (known === undefined) model.reservations.push({ bytes, holder: each.holder, count: each.count, out: 0 });
        else known.count += each.count;
      } else if (each.kind === 'unreserve') {
        plane.exports.allocator_unreserve(model.address, each.holder);
        end(model, (r) => r.holder === each.holder);
      } else if (each.kind === 'merge') {
        const other = open[each.other % open.length]!;
        if (depths.slice(1).some((depth) => depth !== 0)) continue;
        const result = plane.exports.allocator_merge(model.address, other.address);
        const may = model.quota === 0 && other.quota === 0;
        if (model !== other) expect(result).toBe(may ? 0 : -22);
      } else if (each.kind === 'release') {
        plane.exports.allocator_release(model.address);
        model.isOpen = false;
        end(model, () => true);
      }
    }
    plane.exports.allocators_settle();
    for (const model of models.filter(isThere)) {
      expect(readStats(plane, model.address)).toMatchObject({
        state: model.isOpen ? 'open' : 'draining',
        live: model.live.length,
        liveBytes: model.live.reduce((sum, { bytes }) => sum + bytes, 0),
        waiting: model.waiting.length,
        reserved: model.reservations.reduce((sum, { count }) => sum + count, 0),
      });
    }
  }
  expect(readHeap(plane).reduce((sum, { live }) => sum + live.filter((id) => id !== 0).length, 0)).toBe(
    models.reduce((sum, { live }) => sum + live.length, 0),
  );
  const ranges = models.flatMap(({ live }) => live.map(({ at, bytes }) => [at, at + bytes] as const));
  ranges.sort((a, b) => a[0] - b[0]);
  for (let i = 1; i < ranges.length; i++) expect(ranges[i]![0]).toBeGreaterThanOrEqual(ranges[i - 1]![1]);
  if (checks) expect(plane.exports.allocator_check()).toBe(0);
  for (const model of models) while (model.live.length > 0) plane.exports.allocator_free(drop(model, 0).at);
  for (const [cpu, depth] of depths.entries()) for (let i = 0; i < depth; i++) planes[cpu]!.exports.epoch_exit();
  for (const each of [...planes, ...planes]) {
    each.exports.epoch_enter();
    each.exports.epoch_exit();
  }
  for (const model of models) if (model.isOpen) plane.exports.allocator_release(model.address);
  expect(readHeap(plane)).toEqual([]);
  settle();
  expect(usedPages(plane)).toBeLessThanOrEqual(before);

  function end(model: Model, which: (reservation: Reservation) => boolean): void {
    const ended = model.reservations.filter(which);
    model.reservations = model.reservations.filter((r) => !which(r));
    for (const object of [...model.live, ...model.waiting.map((waits) => waits.object)])
      if (object.reserved !== undefined && ended.includes(object.reserved)) object.reserved = undefined;
  }
}

describe('allocators do what the model does', () => {
  it.each([
    { cpus: 1, checks: false },
    { cpus: 2, checks: false },
    { cpus: 1, checks: true },
  ])(
    '$cpus CPUs, checks: $checks',
    ({ cpus, checks }) => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (steps) =>
          play(cpus, checks, steps),
        ),
        { numRuns: Number(process.env.SLUICE_MODEL_RUNS ?? 25) },
      );
    },
    60_000,
  );
});
