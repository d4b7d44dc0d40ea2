/** Timers and work from C, on both engines and in the kernel: what the helpers return, and which callbacks run, when, with what. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load, Runtime } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const refusal = bpfRefusal();
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;
const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MS = 1_000_000n;

function compile() {
  const source = readFileSync(folder('objects/timers.bpf.c'), 'utf8');
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
  return readObject(compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }), 'timers');
}

function seen(object: LoadedObject): { readonly calls: bigint; readonly lines: readonly bigint[] } {
  const globals = object.maps['.bss']!.get(0) as { calls: bigint; lines: bigint[] };
  return { calls: globals.calls, lines: globals.lines.slice(0, Number(globals.calls)) };
}

describe.skipIf(noClang !== '')(`timers, from C${noClang}`, () => {
  const spec = noClang === '' ? compile() : undefined;
  const programs = [...(spec?.programs.keys() ?? [])];

  it.skipIf(refusal !== undefined).each(programs)(`%s as in the kernel${noKernel}`, async (name) => {
    const there = await load(spec!, { target: 'linux', programs: [name] });
    const expected = { returnValue: there.programs[name]!.run({}).returnValue };
    await sleep(60);
    Object.assign(expected, seen(there));
    there.close();
    for (const engine of ['jit', 'interpreter'] as const) {
      const runtime = new Runtime({ clock: { at: MS } });
      const here = await load(spec!, { engine, runtime, programs: [name] });
      const { returnValue } = here.programs[name]!.run({});
      runtime.setClock(61n * MS);
      expect({ engine, returnValue, ...seen(here) }).toEqual({ engine, ...expected });
      here.close();
    }
    expect(expected.returnValue).not.toBe(0);
  });

  it.skipIf(refusal !== undefined)(`user space sees no timer, and ends one by writing${noKernel}`, async () => {
    const outcomes = [];
    for (const target of ['linux', 'user'] as const) {
      const runtime = new Runtime({ clock: { at: MS } });
      const programs = ['fire_in_order'];
      const object: LoadedObject =
        target === 'linux' ? await load(spec!, { target, programs }) : await load(spec!, { runtime, programs });
      object.programs.fire_in_order!.run({});
      const before = object.maps.array!.get(3)!;
      object.maps.array!.set(3, before);
      if (target === 'linux') await sleep(60);
      else runtime.setClock(61n * MS);
      outcomes.push({ before, after: object.maps.array!.get(3), ...seen(object) });
      object.close();
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]!.calls).toBe(2n);
  });

  it.each(['jit', 'interpreter'] as const)('%s: each fires at its own time, as the clock is moved', async (engine) => {
    const runtime = new Runtime({ clock: { at: MS } });
    const object = await load(spec!, { engine, runtime, programs: ['fire_in_order', 'fire_again'] });
    object.programs.fire_in_order!.run({});
    expect(runtime.timers.waiting).toBe(3);
    expect([runtime.setClock(2n * MS), runtime.setClock(3n * MS), runtime.setClock(20n * MS)]).toEqual([0, 1, 1]);
    expect([runtime.timers.waiting, runtime.setClock(21n * MS), runtime.timers.waiting]).toEqual([1, 1, 0]);
    expect(() => runtime.setClock(20n * MS)).toThrow(/the clock is at 21000000 ns/);
    // Starts itself 1 ms later three times: what a callback starts fires within the same move.
    object.programs.fire_again!.run({});
    expect([runtime.setClock(23n * MS), runtime.setClock(40n * MS)]).toEqual([3, 1]);
    object.close();
  });

  it.each(['jit', 'interpreter'] as const)('%s: while the clock runs, they fire by themselves', async (engine) => {
    const object = await load(spec!, { engine, programs: ['fire_again', 'work'] });
    object.programs.fire_again!.run({});
    object.programs.work!.run({});
    expect(seen(object).calls).toBe(0n);
    for (let i = 0; i < 100 && seen(object).calls < 5n; i++) await sleep(10);
    expect([...seen(object).lines].sort()).toEqual([9n, 9n, 9n, 9n, (7n << 32n) | 70n].sort());
    object.close();
  });

  it.each(['jit', 'interpreter'] as const)('%s: what is closed does not fire', async (engine) => {
    const runtime = new Runtime({ clock: { at: MS } });
    const object = await load(spec!, { engine, runtime, programs: ['fire_in_order', 'wide_key', 'work'] });
    for (const program of Object.values(object.programs)) program.run({});
    expect(runtime.timers.waiting).toBe(5);
    object.close();
    expect([runtime.timers.waiting, runtime.setClock(100n * MS)]).toEqual([0, 0]);
  });

  it('a timer goes with the element that an LRU map evicts', async () => {
    const runtime = new Runtime({ clock: { at: MS } });
    const object = await load(spec!, { runtime, programs: ['fire_again'] });
    object.programs.fire_again!.run({});
    const value = object.maps.lru!.get(9)!;
    // Written twice, each is as recently used as the one with the timer.
    for (let key = 100; key < 1100; key++) for (let i = 0; i < 2; i++) object.maps.lru!.set(key, value);
    expect(object.maps.lru!.get(9)).toBeUndefined();
    expect([runtime.timers.waiting, runtime.setClock(100n * MS), seen(object).calls]).toEqual([0, 0, 0n]);
    object.close();
  });
});
