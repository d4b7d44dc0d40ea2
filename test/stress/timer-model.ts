/** Timers of several CPUs step by step on one thread, held against a model: which fires, when, where, and what each operation says. */
import fc from 'fast-check';
import { MAP_STRIDE, MAP_VALUES } from '../../src/plane/layout/map.ts';
import { ROOT, ROOT_CLOCK_FROZEN } from '../../src/plane/layout/memory.ts';
import { TIMERS_FOLLOW } from '../../src/plane/layout/timer.ts';
import { createMap } from '../../src/runtime/maps/plane-map.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { addCallback } from './callback.ts';
import { call, planesOf, type Scenario, same, type Variant } from './scenario.ts';

const CPUS = 3;
const KEYS = 6;

type Step =
  | { readonly kind: 'set' | 'cancel' | 'again'; readonly cpu: number; readonly key: number; readonly delay?: never }
  | { readonly kind: 'start'; readonly cpu: number; readonly key: number; readonly delay: number }
  | { readonly kind: 'run'; readonly cpu: number; readonly most: number }
  | { readonly kind: 'clock'; readonly by: number }
  | { readonly kind: 'gone'; readonly cpu: number };

const cpu = fc.integer({ min: 0, max: CPUS - 1 });
const key = fc.integer({ min: 0, max: KEYS - 1 });
const delay = fc.integer({ min: 0, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('set'), cpu, key }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('start'), cpu, key, delay }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cancel', 'again'), cpu, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('run'), cpu, most: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('clock'), by: delay }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('gone'), cpu }) },
);

interface Modelled {
  hasCallback: boolean;
  /** CPU that it waits for, since when, until when. */
  waits: { cpu: number; order: number; at: number } | undefined;
  /** What its callback does when it next runs: another CPU starts it anew. */
  again: number | undefined;
}

function play(variant: Variant, steps: readonly Step[]): void {
  const planes = planesOf(variant, CPUS);
  const first = planes[0]!;
  const map = createMap(first, { type: 'array', keySize: 4, valueSize: 32, maxEntries: KEYS });
  first.exports.map_set_timers(map.address, 1, 0, 0);
  const view = first.view();
  const values = view.getUint32(map.address + MAP_VALUES, true);
  const stride = view.getUint32(map.address + MAP_STRIDE, true);
  const field = (of: number) => BigInt(values + of * stride);
  let now = 1000;
  const setNow = () => view.setBigUint64(ROOT + ROOT_CLOCK_FROZEN, BigInt(now), true);
  setNow();
  const timers: Modelled[] = Array.from({ length: KEYS }, () => ({
    hasCallback: false,
    waits: undefined,
    again: undefined,
  }));
  const fires = Array.from({ length: CPUS }, () => true);
  let order = 0;
  const seen: string[] = [];
  const expected: string[] = [];
  const startOf = (plane: PlaneInstance, of: number, after: number) =>
    call(plane, 'bpf_timer_start', field(of), BigInt(after), 0n);
  const indices = planes.map((plane, at) =>
    addCallback(plane.table, (keyAt) => {
      const fired = view.getUint32(keyAt, true);
      seen.push(`${fired} on ${at}`);
      const by = timers[fired]!.again;
      if (by !== undefined) {
        same('a start while the callback runs', startOf(planes[by]!, fired, 3), 0);
        same('a cancellation from its own callback', call(plane, 'bpf_timer_cancel', field(fired)), -35);
      }
    }),
  );
  for (const plane of planes) plane.exports.timers_begin();
  for (let of = 0; of < KEYS; of++)
    same('init', call(planes[of % CPUS]!, 'bpf_timer_init', field(of), BigInt(map.address), 1n), 0);
  const waitFor = (timer: Modelled, on: number, at: number) => {
    timer.waits = { cpu: on, order: order++, at };
  };
  const fire = (of: number, on: number) => {
    const timer = timers[of]!;
    expected.push(`${of} on ${on}`);
    timer.waits = undefined;
    // It stays where its callback runs.
    if (timer.again !== undefined) waitFor(timer, on, now + 3);
  };
  const next = (on: number | undefined, until: number) => {
    let found = -1;
    for (const [of, { waits }] of timers.entries()) {
      if (waits === undefined || waits.at > until || (on !== undefined && waits.cpu !== on)) continue;
      const best = timers[found]?.waits;
      if (best === undefined || waits.at < best.at || (waits.at === best.at && waits.order < best.order)) found = of;
    }
    return found;
  };
  for (const each of steps) {
    seen.length = 0;
    expected.length = 0;
    if (each.kind === 'clock') {
      // As the owner of a clock that stands does it, here in the place of the others.
      const until = now + each.by;
      for (let on = next(undefined, until); on >= 0; on = next(undefined, until)) {
        const at = timers[on]!.waits!;
        now = Math.max(now, at.at);
        same('CPU of the first', call(first, 'timers_first', BigInt(until)), at.cpu + 1);
        same('fired', call(planes[at.cpu]!, 'timers_run', BigInt(until), 1, TIMERS_FOLLOW, 1000), 1);
        same('clock', Number(view.getBigUint64(ROOT + ROOT_CLOCK_FROZEN, true)), now);
        fire(on, at.cpu);
      }
      same('first', call(first, 'timers_first', BigInt(until)), 0);
      now = until;
      setNow();
    } else if (each.kind === 'run') {
      let fired = 0;
      for (let of = next(each.cpu, now); of >= 0 && fired < each.most; of = next(each.cpu, now)) {
        fire(of, each.cpu);
        fired++;
      }
      same('fired', call(planes[each.cpu]!, 'timers_run', BigInt(now), each.most, 0, 1000), fired);
    } else if (each.kind === 'gone') {
      // Its thread ends: CPU 0 has its timers. Another thread follows.
      first.exports.timers_move(each.cpu);
      for (const { waits } of timers) if (waits?.cpu === each.cpu) waits.cpu = 0;
      fires[each.cpu] = !fires[each.cpu];
      if (fires[each.cpu]) planes[each.cpu]!.exports.timers_begin();
    } else {
      const plane = planes[each.cpu]!;
      const timer = timers[each.key]!;
      if (each.kind === 'again') timer.again = timer.again === undefined ? each.cpu : undefined;
      else if (each.kind === 'set') {
        same('set', call(plane, 'bpf_timer_set_callback', field(each.key), BigInt(indices[each.cpu]!)), 0);
        timer.hasCallback = true;
      } else if (each.kind === 'cancel') {
        same('cancel', call(plane, 'bpf_timer_cancel', field(each.key)), timer.waits === undefined ? 0 : 1);
        timer.hasCallback = false;
        timer.waits = undefined;
      } else {
        same('start', startOf(plane, each.key, each.delay ?? 0), timer.hasCallback ? 0 : -22);
        if (timer.hasCallback) waitFor(timer, fires[each.cpu] ? each.cpu : 0, now + (each.delay ?? 0));
      }
    }
    same('fired', seen.join(', '), expected.join(', '));
    for (const [at, plane] of planes.entries()) {
      const earliest = Math.min(
        ...timers.map(({ waits }) => (waits?.cpu === at ? waits.at : Number.POSITIVE_INFINITY)),
      );
      const told = BigInt.asUintN(64, plane.exports.timers_next());
      same('next', told === (1n << 64n) - 1n ? Number.POSITIVE_INFINITY : Number(told), earliest);
    }
  }
  map.close();
}

/** A program may begin a timer in a value that was deleted a moment ago: who takes the element into use ends it. */
export const staleScenario: Scenario = {
  name: 'a timer that is begun in a value that was deleted goes with the next use of the element',
  run(variant: Variant) {
    const [plane] = planesOf(variant, 1) as [PlaneInstance];
    const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 32, maxEntries: 1 });
    plane.exports.map_set_timers(map.address, 1, 0, 0);
    const at = plane.scratch(128);
    let fired = 0;
    const callback = addCallback(plane.table, () => fired++);
    const fresh = () => {
      call(plane, 'hash_update', map.address, at, at + 64, 0n);
      return call(plane, 'hash_lookup', map.address, at);
    };
    const value = fresh();
    call(plane, 'hash_delete', map.address, at);
    same('init', call(plane, 'bpf_timer_init', BigInt(value), BigInt(map.address), 1n), 0);
    call(plane, 'bpf_timer_set_callback', BigInt(value), BigInt(callback));
    same('start', call(plane, 'bpf_timer_start', BigInt(value), 0n, 0n), 0);
    let uses = 0;
    while (fresh() !== value && uses++ < 10) call(plane, 'hash_delete', map.address, at);
    if (uses > 10) throw new Error('the element is not used again');
    same('cancel', call(plane, 'bpf_timer_cancel', BigInt(value)), -22);
    same('timers_run', call(plane, 'timers_run', 0x7fff_ffff_ffff_ffffn, 4, 0, 1000), 0);
    same('fired', fired, 0);
    map.close();
  },
};

export const timerModelScenario: Scenario = {
  name: 'step by step: which fires, when, on which CPU, and what operations say',
  run(variant: Variant) {
    const mutated = variant.prepare !== undefined;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => play(variant, steps)),
      { numRuns: mutated ? 40 : 100, endOnFailure: mutated },
    );
  },
};
