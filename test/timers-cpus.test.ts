/** Timers of programs on CPUs that are threads: they fire where they were started, in time, or as the clock is moved; and where the thread has ended, here. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, type RuntimeOptions, type UserObject } from '../src/index.ts';
import { readObject } from '../src/object/index.ts';
import { WORKER_TIMER_WAITING } from '../src/plane/layout/worker.ts';
import { workerAddress } from '../src/runtime/memory.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MS = 1_000_000n;

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: RuntimeOptions, programs: string[]) {
  const source = readFileSync(folder('objects/timers.bpf.c'), 'utf8');
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
  const spec = readObject(compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }), 't');
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
});
