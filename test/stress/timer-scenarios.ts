/** Timers and work on several CPUs at once: what threads do, and what must hold. Each throws where a promise is broken. */
import { MAP_STRIDE, MAP_VALUES } from '../../src/plane/layout/map.ts';
import { ROOT, ROOT_POOL_SMALL } from '../../src/plane/layout/memory.ts';
import { WORKER_TIMER_LIST, WORKER_TIMER_WAITING } from '../../src/plane/layout/worker.ts';
import type { PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { timerModel } from './models/timer.ts';
import { type Scenario, same, type Variant } from './scenario.ts';
import { expectLinearizable, stress } from './stress.ts';
import type { StressWorker } from './workers.ts';

const VALUE_SIZE = 64;
/** A mutation may make threads wait for each other for ever. */
const timeout = (variant: Variant) => variant.timeout ?? 30_000;

/** All that programs do with timers, on a few of them; callbacks do it too. */
function mixed({
  call,
  callback,
  view,
  map,
  rounds,
  random,
  pause,
  meet,
  stamp,
  note,
  parameters: { keys, valuesAt, strideAt, work },
}: StressWorker<{ keys: number; valuesAt: number; strideAt: number; work: number }>) {
  const values = view.getUint32(map + valuesAt, true);
  const stride = view.getUint32(map + strideAt, true);
  const field = (key: number) => BigInt(values + key * stride);
  /** Stamp since which a callback may begin; since which the last one may have ended, and whose it was. */
  let since = 0;
  let left = 0;
  let of = -1;
  const ended = () => {
    if (of >= 0) note(5, of, 0, 0, 0, left, stamp());
    of = -1;
  };
  const operate = (what: number, key: number) => {
    const start = stamp();
    let result = 0;
    if (what === 1)
      result =
        work === 1
          ? call('bpf_wq_set_callback_impl', field(key), 1n, 0n, 0n)
          : call('bpf_timer_set_callback', field(key), 1n);
    else if (what === 2)
      result = work === 1 ? call('bpf_wq_start', field(key), 0n) : call('bpf_timer_start', field(key), 0n, 0n);
    else result = call('bpf_timer_cancel', field(key));
    note(what, key, 0, result >>> 0, 0, start, stamp());
  };
  callback((keyAt, value) => {
    ended();
    const key = view.getUint32(keyAt, true);
    note(4, key, 0, 0, 0, since, stamp());
    if (value !== values + key * stride) throw new Error(`the value of key ${key} is at ${value}`);
    pause();
    const what = random(10);
    if (what < 3) operate(2, key);
    else if (what < 5) operate(2, random(keys));
    else if (what < 8 && work === 0) operate(3, random(keys));
    pause();
    since = stamp();
    left = since;
    of = key;
  });
  call('timers_begin');
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    const what = random(12);
    call('epoch_enter');
    if (what < 3) operate(1, random(keys));
    else if (what < 7) operate(2, random(keys));
    else if (what < 9 && work === 0) operate(3, random(keys));
    else {
      since = stamp();
      call('timers_run', 0x7fff_ffff_ffff_ffffn, 1 + random(3), 0, 1000);
      ended();
    }
    call('epoch_exit');
    pause();
  }
}

/** Values come and go, with their timers. */
function churn({
  call,
  callback,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  parameters: { keys },
}: StressWorker<{ keys: number }>) {
  const key = scratch;
  const value = scratch + 64;
  let fired = 0;
  const init = (at: number) => {
    call('bpf_timer_init', BigInt(at), BigInt(map), 1n);
    call('bpf_timer_set_callback', BigInt(at), 1n);
    call('bpf_timer_start', BigInt(at), 0n, 0n);
  };
  callback((keyAt, at) => {
    fired++;
    if (view.getUint32(keyAt, true) >= keys) throw new Error('a key that never was');
    pause();
    const what = random(6);
    view.setUint32(key, random(keys), true);
    if (what === 0) call('hash_delete', map, keyAt);
    else if (what === 1) call('bpf_timer_start', BigInt(at), 0n, 0n);
    else if (what === 2) init(at);
    else if (what === 3) {
      const other = call('hash_lookup', map, key);
      if (other !== 0) call('bpf_timer_cancel', BigInt(other));
    }
    pause();
  });
  call('timers_begin');
  for (let i = 0; i < rounds; i++) {
    view.setUint32(key, random(keys), true);
    view.setUint32(value + 32, (cpu << 24) | i, true);
    const what = random(10);
    call('epoch_enter');
    const at = call('hash_lookup', map, key) >>> 0;
    if (what < 2 || at === 0) call('hash_update', map, key, value, 0n);
    else if (what === 2) call('hash_delete', map, key);
    else if (what < 6) init(at);
    else if (what === 6) call('bpf_timer_cancel', BigInt(at));
    else call('timers_run', 0x7fff_ffff_ffff_ffffn, 4, 0, 1000);
    call('epoch_exit');
    pause();
  }
  return fired;
}

/** Race of all CPUs to initialise one timer, then to start it: one does, and it fires once. */
function race({
  call,
  callback,
  view,
  map,
  scratch,
  rounds,
  meet,
  cpu,
  parameters: { valuesAt },
}: StressWorker<{ valuesAt: number }>) {
  const value = view.getUint32(map + valuesAt, true);
  const counts = new Int32Array(view.buffer, value + 32, 2);
  callback((_key, at) => Atomics.add(new Int32Array(view.buffer, at + 32, 2), 1, 1));
  call('timers_begin');
  for (let i = 0; i < rounds; i++) {
    meet();
    call('epoch_enter');
    if (call('bpf_timer_init', BigInt(value), BigInt(map), 1n) === 0) {
      Atomics.add(counts, 0, 1);
      call('bpf_timer_set_callback', BigInt(value), 1n);
      call('bpf_timer_start', BigInt(value), 0n, 0n);
    }
    call('epoch_exit');
    meet();
    call('epoch_enter');
    call('timers_run', 0x7fff_ffff_ffff_ffffn, 4, 0, 1000);
    call('epoch_exit');
    meet();
    if (counts[0] !== 1 || counts[1] !== 1) throw new Error(`initialised ${counts[0]} times, fired ${counts[1]} times`);
    meet();
    // Zeros over the value, which end the timer.
    if (cpu === 1) call('array_update', map, scratch, scratch + 64, 0n);
  }
}

/** Callbacks of all CPUs, each of which cancels the timer of the next one while all of them run. How many were told that they would wait for each other. */
function ring({
  call,
  callback,
  view,
  map,
  rounds,
  meet,
  cpu,
  workers,
  parameters: { valuesAt, strideAt },
}: StressWorker<{ valuesAt: number; strideAt: number }>) {
  const at = (of: number) => BigInt(view.getUint32(map + valuesAt, true) + of * view.getUint32(map + strideAt, true));
  const inside = new Int32Array(view.buffer, Number(at(0)) + 32, 1);
  let refused = 0;
  let all = 0;
  callback(() => {
    Atomics.add(inside, 0, 1);
    for (let now = Atomics.load(inside, 0); now < all; now = Atomics.load(inside, 0))
      Atomics.wait(inside, 0, now, 0.05);
    const result = call('bpf_timer_cancel', at((cpu % workers) + 1));
    if (result === -35) refused++;
    else if (result !== 0) throw new Error(`a cancellation of a callback says ${result}`);
  });
  call('timers_begin');
  call('bpf_timer_init', at(cpu), BigInt(map), 1n);
  for (let i = 0; i < rounds; i++) {
    all = (i + 1) * workers;
    meet();
    call('epoch_enter');
    call('bpf_timer_set_callback', at(cpu), 1n);
    call('bpf_timer_start', at(cpu), 0n, 0n);
    call('timers_run', 0x7fff_ffff_ffff_ffffn, 1, 0, 1000);
    call('epoch_exit');
    meet();
  }
  return refused;
}

/** User space lets go of the map and takes it up again, on one CPU, while programs of the others begin timers in it. */
function left({
  call,
  callback,
  view,
  map,
  rounds,
  random,
  pause,
  meet,
  cpu,
  parameters: { keys, valuesAt, strideAt },
}: StressWorker<{ keys: number; valuesAt: number; strideAt: number }>) {
  const at = (of: number) => BigInt(view.getUint32(map + valuesAt, true) + of * view.getUint32(map + strideAt, true));
  const outcomes = [0, 0];
  const init = (field: bigint) => {
    const result = call('bpf_timer_init', field, BigInt(map), 1n);
    if (result === 0) outcomes[0]!++;
    else if (result === -1) outcomes[1]!++;
    else if (result !== -16) throw new Error(`bpf_timer_init says ${result}`);
    const set = call('bpf_timer_set_callback', field, 1n);
    if (![0, -1, -22].includes(set)) throw new Error(`bpf_timer_set_callback says ${set}`);
    call('bpf_timer_start', field, 0n, 0n);
  };
  callback((_key, value) => {
    pause();
    call('bpf_timer_start', BigInt(value), 0n, 0n);
  });
  call('timers_begin');
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    call('epoch_enter');
    if (cpu === 1) {
      call('map_hold_user', map);
      pause();
      call('map_leave_user', map);
      call('map_destroy', map);
    } else if (random(3) < 2) init(at(random(keys)));
    else call('timers_run', 0x7fff_ffff_ffff_ffffn, 1 + random(3), 0, 1000);
    call('epoch_exit');
    pause();
  }
  return outcomes[0]! * 65536 + outcomes[1]!;
}

/** Blocks of the pool that are free. */
function freeBlocks(plane: PlaneInstance): number {
  const view = plane.view();
  let count = 0;
  for (let block = view.getUint32(ROOT + ROOT_POOL_SMALL, true); block !== 0; block = view.getUint32(block, true))
    count++;
  return count;
}

function timersOf(plane: PlaneInstance, cpus: number): string {
  const view = plane.view();
  return Array.from({ length: cpus }, (_, cpu) => {
    const worker = workerAddress(cpu);
    return `${view.getUint32(worker + WORKER_TIMER_WAITING, true)}/${view.getUint32(worker + WORKER_TIMER_LIST, true)}`;
  }).join(' ');
}

/** All timers have ended, and their blocks are free again, of which there were `before` free ones. */
function noneLeft(plane: PlaneInstance, workers: number, before: number): void {
  const none = Array(workers + 1).fill('0/0');
  same('timers that are left (waiting/list of each CPU)', timersOf(plane, workers + 1), none.join(' '));
  same('blocks that are not in whole pages', (freeBlocks(plane) - before) % 1024, 0);
}

function withTimers(init: 'bpf_timer_init' | 'bpf_wq_init' | undefined, keys = 0) {
  return (map: PlaneMap, plane: PlaneInstance) => {
    const work = init === 'bpf_wq_init';
    plane.exports.map_set_timers(map.address, work ? 0 : 1, work ? 1 : 0, 0);
    const view = plane.view();
    const values = view.getUint32(map.address + MAP_VALUES, true);
    for (let key = 0; init !== undefined && key < keys; key++) {
      const field = BigInt(values + key * view.getUint32(map.address + MAP_STRIDE, true));
      const call = plane.exports[init] as unknown as (field: bigint, map: bigint, flags: bigint) => bigint;
      same(init, call(field, BigInt(map.address), work ? 0n : 1n), 0n);
    }
  };
}

const array = { type: 'array', keySize: 4, valueSize: VALUE_SIZE, maxEntries: 4 } as const;

function linearizable(work: boolean, workers: number, rounds: number): Scenario {
  return {
    name: `${work ? 'work' : 'timers'} of ${workers} CPUs: what each operation says, and when callbacks run, is one order`,
    async run(variant: Variant) {
      const keys = 3;
      const result = await stress({
        ...variant,
        map: array,
        workers,
        rounds,
        records: rounds * 40,
        parameters: { keys, valuesAt: MAP_VALUES, strideAt: MAP_STRIDE, work: work ? 1 : 0 },
        before: withTimers(work ? 'bpf_wq_init' : 'bpf_timer_init', keys),
        timeout: timeout(variant),
        body: mixed,
      });
      expectLinearizable(timerModel, result);
      if (!result.history.some(({ kind }) => kind === 4)) throw new Error('nothing has fired');
    },
  };
}

function conserved(flags: number): Scenario {
  return {
    name: `values come and go with their timers, flags ${flags}: no block is lost, and none is used twice`,
    async run(variant: Variant) {
      const workers = 3;
      let before = 0;
      const { map, plane, results } = await stress({
        ...variant,
        map: { type: 'hash', keySize: 4, valueSize: VALUE_SIZE, maxEntries: 16, flags },
        workers,
        rounds: 800,
        parameters: { keys: 6 },
        before: (each, at) => {
          withTimers(undefined)(each, at);
          before = freeBlocks(at);
        },
        timeout: timeout(variant),
        body: churn,
      });
      map.close();
      noneLeft(plane, workers, before);
      if (results.every((fired) => fired === 0)) throw new Error('nothing has fired');
    },
  };
}

export const timerScenarios: readonly Scenario[] = [
  linearizable(false, 4, 250),
  linearizable(true, 3, 300),
  conserved(0),
  conserved(1),
  {
    name: 'of CPUs that initialise one timer at the same time one does, and it fires once',
    async run(variant: Variant) {
      await stress({
        ...variant,
        map: array,
        workers: 3,
        rounds: 200,
        parameters: { valuesAt: MAP_VALUES },
        before: withTimers(undefined),
        timeout: timeout(variant),
        body: race,
      });
    },
  },
  {
    name: 'when user space has let go of a map none of its timers is left, whatever programs begin',
    async run(variant: Variant) {
      const workers = 3;
      let before = 0;
      const { plane, results } = await stress({
        ...variant,
        map: array,
        workers,
        rounds: 1500,
        parameters: { keys: 4, valuesAt: MAP_VALUES, strideAt: MAP_STRIDE },
        before: (map, at) => {
          withTimers(undefined)(map, at);
          before = freeBlocks(at);
          at.exports.map_leave_user(map.address);
        },
        timeout: timeout(variant),
        body: left,
      });
      noneLeft(plane, workers, before);
      const total = results.reduce((sum, each) => sum + each, 0);
      if (total < 65536 || total % 65536 === 0) throw new Error(`began, refused: ${results}`);
    },
  },
  {
    name: 'callbacks that cancel each other in a ring do not wait for each other',
    async run(variant: Variant) {
      const rounds = 30;
      const { results } = await stress({
        ...variant,
        map: array,
        workers: 3,
        rounds,
        parameters: { valuesAt: MAP_VALUES, strideAt: MAP_STRIDE },
        before: withTimers(undefined),
        timeout: timeout(variant),
        body: ring,
      });
      const refused = results.reduce((sum, each) => sum + each, 0);
      if (refused < rounds) throw new Error(`${refused} cancellations were refused in ${rounds} rounds`);
    },
  },
];
