/** Locks that programs take: what is written under one is seen whole, one CPU has it at a time, and more CPUs than processors all come to it. */
import { MAP_VALUES } from '../../src/plane/layout/map.ts';
import { call, type Scenario, same } from './scenario.ts';
import { stress, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const BPF_F_LOCK = 4;

/**
 * A value is its lock, a counter, and 14 words that are equal. Programs count in three steps and write the words one by one; user space copies whole values in and out.
 * @returns how often this CPU has counted.
 */
function lockBody({
  call,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  parameters,
}: StressWorker<readonly number[]>) {
  const [values, resilient, locking] = parameters as [number, number, number];
  const out = scratch + 128;
  let counted = 0;
  const words = (at: number) => {
    const first = view.getUint32(at + 8, true);
    for (let i = 12; i < 64; i += 4) if (view.getUint32(at + i, true) !== first) throw new Error('a torn value');
  };
  for (let i = 0; i < rounds; i++) {
    const key = random(2);
    const value = values + key * 64;
    const what = resilient ? 0 : random(4);
    view.setUint32(scratch, key, true);
    if (what < 2) {
      call('epoch_enter');
      const taken = call(resilient ? 'bpf_res_spin_lock' : 'bpf_spin_lock', BigInt(value));
      if (taken !== 0) throw new Error(`lock: ${taken}`);
      words(value);
      const count = view.getUint32(value + 4, true);
      const stamp = (cpu << 24) | i;
      for (let at = 8; at < 64; at += 4) {
        view.setUint32(value + at, stamp, true);
        if (at === 32) pause();
      }
      view.setUint32(value + 4, count + 1, true);
      call(resilient ? 'bpf_res_spin_unlock' : 'bpf_spin_unlock', BigInt(value));
      call('epoch_exit');
      counted++;
    } else {
      if (call('map_lookup_user', map, scratch, out, locking) !== 0) throw new Error('lookup');
      words(out);
    }
  }
  return counted;
}

function locks(resilient: boolean, workers: number): Scenario {
  return {
    name: `${resilient ? 'resilient' : 'spin'} locks: one CPU at a time, values whole, ${workers} CPUs`,
    async run(variant) {
      const parameters: number[] = [];
      const { results, seed, plane } = await stress({
        ...variant,
        map: { type: 'array', keySize: 4, valueSize: 64, maxEntries: 2, ...(resilient ? {} : { spinLock: 0 }) },
        workers,
        rounds: 1500,
        parameters,
        before: (map, plane) =>
          parameters.push(plane.view().getUint32(map.address + MAP_VALUES, true), Number(resilient), BPF_F_LOCK),
        body: lockBody,
      });
      await withSeed(seed, () => {
        const view = plane.view();
        const [values] = parameters as [number];
        same(
          'counts',
          view.getUint32(values + 4, true) + view.getUint32(values + 68, true),
          results.reduce((sum, each) => sum + each, 0),
        );
      });
    },
  };
}

/** Two locks in both orders: who cannot have the second one is told, and lets the first one go. */
function crossedBody({ call, view, map, cpu, rounds, meet, parameters }: StressWorker<readonly number[]>) {
  const [locks] = parameters as [number];
  const [first, second] = cpu === 1 ? [locks, locks + 8] : [locks + 8, locks];
  const took: number[] = [];
  for (let i = 0; i < rounds; i++) {
    if (call('bpf_res_spin_lock', BigInt(first)) !== 0) throw new Error('the first lock is free');
    // A second time: the CPU's own fault.
    const again = call('bpf_res_spin_lock', BigInt(first));
    if (again !== -35) throw new Error(`a lock that the CPU holds: ${again}, and not -EDEADLK`);
    meet();
    const result = call('bpf_res_spin_lock', BigInt(second));
    took.push(result);
    if (result === 0) call('bpf_res_spin_unlock', BigInt(second));
    else if (result !== -35) throw new Error(`${result}, and not -EDEADLK`);
    call('bpf_res_spin_unlock', BigInt(first));
    meet();
  }
  // Nobody waits for the other: it is held for too long.
  if (cpu === 1) call('bpf_res_spin_lock', BigInt(locks));
  meet();
  const late = cpu === 1 ? -110 : call('bpf_res_spin_lock', BigInt(locks));
  if (late !== -110) throw new Error(`a lock that stays held: ${late}, and not -ETIMEDOUT`);
  meet();
  if (cpu === 1) call('bpf_res_spin_unlock', BigInt(locks));
  view.setUint32(locks + 16 * cpu, map, true);
  return took.filter((result) => result !== 0).length;
}

const crossed: Scenario = {
  name: 'resilient locks: taken in both orders, one CPU is told; one that stays held is given up',
  async run(variant) {
    const parameters: number[] = [];
    const { results, seed } = await stress({
      ...variant,
      map: { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 },
      workers: 2,
      rounds: 10,
      parameters,
      before: (_, plane) => parameters.push(call(plane, 'pages_alloc', 1)),
      body: crossedBody,
    });
    await withSeed(seed, () => {
      if (results[0]! + results[1]! === 0) throw new Error('both had both locks');
    });
  },
};

export const lockScenarios: readonly Scenario[] = [locks(false, 3), locks(false, 7), locks(true, 5), crossed];
