/** Timers of programs on CPUs that are threads: they fire where they were started, in time, or as the clock is moved; and where the thread has ended, here. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, type RuntimeOptions, type UserObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import { WORKER_TIMER_WAITING } from '../src/plane/layout/worker.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { workerAddress } from '../src/runtime/memory.ts';
import type { UserProgram } from '../src/runtime/program.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MS = 1_000_000n;

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function compile(name: string) {
  const source = readFileSync(folder(`objects/${name}.bpf.c`), 'utf8');
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
  return readObject(compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }), name);
}

async function start(options: RuntimeOptions, programs: string[], name = 'timers') {
  const spec = compile(name);
  const runtime = new Runtime({ cpus: 3, ...options });
  const object = await load(spec, { runtime, programs });
  open.push(() => object.close());
  const cpus = await Cpus.start(runtime);
  open.push(() => cpus.close());
  const waiting = () =>
    [0, 1, 2].map((cpu) => runtime.view().getUint32(workerAddress(cpu) + WORKER_TIMER_WAITING, true));
  return { runtime, object, cpus, waiting };
}

const calls = (object: UserObject) => Number((object.maps['.bss']!.get(0) as { calls: bigint }).calls);

describe.skipIf(noClang !== '')(`timers of CPUs with threads${noClang}`, () => {
  it('wait for the CPU that started them, and fire there in time while this thread is busy', async () => {
    const { object, cpus, waiting } = await start({}, ['fire_again', 'work']);
    await cpus.run(object.programs['fire_again']!, {}, 1);
    await cpus.run(object.programs['work']!, {}, 2);
    // Nothing of JavaScript has its turn here.
    for (const end = performance.now() + 5000; calls(object) < 5 && performance.now() < end; );
    expect(calls(object)).toBe(5);
    expect(waiting()).toEqual([0, 0, 0]);
  });

  it('fire in order as the clock is moved, each on its CPU', async () => {
    const { runtime, object, cpus, waiting } = await start({ clock: { at: MS } }, ['fire_in_order', 'fire_again']);
    await cpus.run(object.programs['fire_in_order']!, {}, 2);
    await cpus.run(object.programs['fire_again']!, {}, 1);
    expect(waiting()).toEqual([0, 1, 3]);
    // The one of CPU 1 at 1, 2, 3 and 4 ms; those of CPU 2 at 3, 11 and 21 ms.
    expect([runtime.setClock(2n * MS), runtime.setClock(4n * MS), waiting()]).toEqual([2, 3, [0, 0, 2]]);
    const { lines } = object.maps['.bss']!.get(0) as { lines: bigint[] };
    expect(lines.slice(0, 5)).toEqual([9n, 9n, (5n << 32n) | (6n << 16n) | 50n, 9n, 9n]);
    expect([runtime.setClock(30n * MS), waiting()]).toEqual([2, [0, 0, 0]]);
  });

  it('of a thread that has ended fire on this one', async () => {
    const { runtime, object, cpus, waiting } = await start({ clock: { at: MS } }, ['fire_in_order']);
    await cpus.run(object.programs['fire_in_order']!, {}, 2);
    await cpus.close();
    expect(waiting()).toEqual([3, 0, 0]);
    expect([runtime.setClock(30n * MS), calls(object)]).toEqual([3, 3]);
  });

  it('that all CPUs begin, start, cancel and write over at once say what they may, and end with the value', async () => {
    const { runtime, object, cpus } = await start({}, ['race'], 'timer-races');
    const race = object.programs['race']!;
    for (let round = 0; round < 60; round++) {
      const runs = await Promise.all([1, 2].flatMap((cpu) => [cpus.run(race, {}, cpu), cpus.run(race, {}, cpu)]));
      expect([...runs, race.run({})].map(({ returnValue }) => returnValue)).toEqual(Array(5).fill(0));
    }
    object.maps['one']!.set(0, object.maps['one']!.get(0)!);
    expect(runtime.timers.waiting).toBe(0);
  });

  it('of an inner map end when user space lets go of it, and none begin', async () => {
    const outcomes = [];
    for (const target of bpfRefusal() === undefined ? ['linux', 'user'] : ['user']) {
      const here = target === 'user' ? await start({}, ['arm_inner'], 'timer-races') : undefined;
      const object: LoadedObject =
        here?.object ?? (await load(compile('timer-races'), { target: 'linux', programs: ['arm_inner'] }));
      const program = object.programs['arm_inner']!;
      const run = async () => (await (here?.cpus.run(program as UserProgram, {}, 2) ?? program.run({}))).returnValue;
      const ticks = () => (object.maps['.bss']!.get(0) as { ticks: bigint }).ticks;
      const armed = await run();
      for (let i = 0; i < 5000 && ticks() < 3n; i++) await sleep(1);
      const ticked = ticks() >= 3n;
      object.maps['inner']!.close();
      // A callback that was under way may still end.
      await sleep(5);
      const last = ticks();
      await sleep(10);
      outcomes.push({ armed, ticked, stands: ticks() === last, again: await run() });
      object.close();
    }
    expect(outcomes).toEqual(outcomes.map(() => ({ armed: 5, ticked: true, stands: true, again: 3 })));
  });

  it.each(['stands', 'runs'])(
    'whose callbacks are the interpreter’s wait for the CPU that started them, and run on this thread; the clock %s',
    async (clock) => {
      const options = clock === 'stands' ? { clock: { at: MS } } : {};
      const spec = compile('timer-lives');
      const { runtime, object: other, cpus } = await start(options, ['start_again'], 'timer-lives');
      const keep = other.maps['keep']!;
      const own = await load(spec, { runtime, engine: 'interpreter', programs: ['prepare'], maps: { keep } });
      open.push(() => own.close());
      own.programs['prepare']!.run({});
      const fired = () => (keep.get(1) as { fired: bigint }).fired;
      for (const [round, cpu] of [1, 2].entries()) {
        await cpus.run(other.programs['start_again']!, {}, cpu);
        if (clock === 'stands') expect(runtime.setClock(BigInt(round + 2) * 5n * MS)).toBe(2);
        const expected = BigInt(round + 1) * 1001n;
        for (let i = 0; i < 5000 && fired() < expected; i++) await sleep(1);
        expect(fired()).toBe(expected);
      }
    },
  );

  it('copies of an object by CPU, and the node, are those of the CPU that asks', async () => {
    const names = ['make_counters', 'count_here', 'counts'];
    const { object, cpus } = await start({}, names, 'timer-races');
    const data = new Uint8Array(64);
    const { make_counters, count_here, counts } = object.programs;
    expect(make_counters!.run({ data }).returnValue).toBe(1);
    const here = await Promise.all([
      cpus.run(count_here!, { data, repeat: 5 }, 1),
      cpus.run(count_here!, { data, repeat: 7 }, 2),
      count_here!.run({ data, repeat: 3 }),
    ]);
    expect(here.map(({ returnValue }) => returnValue)).toEqual([1, 1, 1]);
    // There is no fourth CPU.
    const all = [counts!.run({ data }), await cpus.run(counts!, { data }, 1), await cpus.run(counts!, { data }, 2)];
    expect(all.map(({ returnValue }) => returnValue >>> 0)).toEqual(Array(3).fill(0x030507ff));
  });
});
