/** Kfuncs from C on both engines and in the kernel: every return value and packet agrees. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { judge } from '../src/cli/judge.ts';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import type { ArenaHandle, LoadedObject, RunInput } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const refusal = bpfRefusal();
const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const compile = (name: string) =>
  readObject(
    compileBpf(readFileSync(folder(`objects/${name}`), 'utf8'), {
      flags: ['-nostdinc', `-I${folder('../bpf/include')}`],
      ...(clangs[0] === undefined ? {} : { clang: clangs[0] }),
    }),
    name,
  );

const packets = [64, 100].map((length) => new Uint8Array(length).map((_, at) => at * 7 + length));
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;
const NOT_IN_A_TEST_RUN = new Set(['hints']);

/** What a program gives on each target: return values and packets, run by run. */
async function outcomes(spec: ObjectSpec, name: string, loads: readonly Load[]) {
  const type = spec.programs.get(name)!.type;
  const inputs: RunInput[] = type === 'syscall' ? [{}, {}] : packets.map((data) => ({ data }));
  const all = [];
  for (const each of loads) {
    const object = await each(spec, [name]);
    try {
      all.push(
        inputs.map((input) => {
          const { returnValue, data } = object.programs[name]!.run(input);
          return { returnValue, data: data && Buffer.from(data).toString('hex') };
        }),
      );
    } finally {
      object.close();
    }
  }
  return all;
}

type Load = (spec: ObjectSpec, programs: readonly string[]) => Promise<LoadedObject>;
const linux: Load = (spec, programs) => load(spec, { target: 'linux', programs });
const jit: Load = (spec, programs) => load(spec, { engine: 'jit', cpus: 2, programs });
const interpreter: Load = (spec, programs) => load(spec, { engine: 'interpreter', cpus: 2, programs });
const unverified = (['jit', 'interpreter'] as const).map(
  (engine): Load =>
    (spec, programs) =>
      load(spec, { engine, cpus: 2, programs, unverified: true }),
);

describe.skipIf(noClang !== '')(`kfuncs, from C${noClang}`, () => {
  const spec = noClang === '' ? compile('kfuncs.bpf.c') : undefined;

  it
    .skipIf(refusal !== undefined)
    .each([...(spec?.programs.keys() ?? [])].filter((name) => !NOT_IN_A_TEST_RUN.has(name)))(
    `%s as in the kernel${noKernel}`,
    async (name) => {
      const [there, ...here] = await outcomes(spec!, name, [linux, jit, interpreter]);
      for (const each of here) expect(each).toEqual(there);
      expect(there![0]!.returnValue).toBeGreaterThan(1);
    },
  );

  it.each(['jit', 'interpreter'] as const)('%s: hints of the frame', async (engine) => {
    const mix = (values: readonly (bigint | number)[]) =>
      values.reduce<number>((sum, value) => (Math.imul(sum, 31) + Number(BigInt.asUintN(32, BigInt(value)))) >>> 0, 1);
    const object = await load(spec!, { engine, programs: ['hints'] });
    const run = (input: Partial<RunInput>) => object.programs.hints!.run({ data: packets[0]!, ...input }).returnValue;
    expect(run({})).toBe(mix([-95, 0, -95, 0, -95, 0]));
    expect(run({ hints: {} })).toBe(mix([-61, 0, -61, 0, -61, 0]));
    const all = {
      timestampNs: 0x1_2345_6789n,
      hash: { value: 0xdeadbeef, type: 9 },
      vlan: { protocol: 0x8100, tci: 77 },
    };
    expect(run({ hints: all })).toBe(mix([0, 0x2345_6789, 0, 0xdeadbeef, 0, 77]));
    expect(run({})).toBe(mix([-95, 0, -95, 0, -95, 0]));
    object.close();
  });

  it('hints of the frame are judged alike by verify and load, and as by the kernel where no device is said', async () => {
    const program = spec!.programs.get('hints')!;
    const loaded = await load(spec!, { programs: ['hints'] });
    loaded.close();
    expect(judge(spec!, program)).toMatchObject({ verdict: 'accept', diagnostics: [] });
    const unbound = judge(spec!, program, { deviceBound: false });
    expect(unbound.verdict).toBe('reject');
    expect(unbound.diagnostics[0]!.problem).toBe('metadata kfuncs require device-bound program');
    if (refusal === undefined)
      await expect(load(spec!, { target: 'linux', programs: ['hints'] })).rejects.toThrow(
        unbound.diagnostics[0]!.problem,
      );
  });
});

describe.skipIf(noClang !== '')(`exceptions, from C${noClang}`, () => {
  const spec = noClang === '' ? compile('exceptions.bpf.c') : undefined;
  const common: readonly (readonly [string, readonly number[]])[] = [
    ['throw_always', [64, 64]],
    ['throw_of_long', [64, 100]],
    ['throw_from_subprogram', [1005, 103]],
    ['throw_with_callback', [104, 207]],
    ['throw_not', [77, 77]],
  ];

  it.skipIf(refusal !== undefined).each(common)(`%s as in the kernel${noKernel}`, async (name, values) => {
    for (const outcome of await outcomes(spec!, name, [linux, jit, interpreter]))
      expect(outcome.map(({ returnValue }) => returnValue)).toEqual(values);
  });

  // Linux refuses bpf_throw in callbacks, and so does our verifier.
  it.each([
    ['throw_from_loop', [5004, 20]],
    ['throw_from_map', [7004, 8]],
    ['throw_through_both', [5004, 8]],
    ['throw_through_both_ways', [7004, 3]],
  ])('%s: both engines unwind through callbacks', async (name, values) => {
    for (const outcome of await outcomes(spec!, name, unverified))
      expect(outcome.map(({ returnValue }) => returnValue)).toEqual(values);
  });

  it.each(['jit', 'interpreter'] as const)(
    '%s: what ran before the exception stays, and the next run is well',
    async (engine) => {
      const object = await load(spec!, { engine, programs: ['throw_from_subprogram', 'throw_with_callback'] });
      const counts = () => [...Array(5).keys()].map((at) => object.maps.counts!.get(at));
      for (const data of [packets[1]!, packets[1]!, packets[0]!]) object.programs.throw_from_subprogram!.run({ data });
      object.programs.throw_with_callback!.run({ data: packets[1]! });
      expect(counts()).toEqual([1n, 10n, 0n, 0n, 103n]);
      object.close();
    },
  );
});

const newClang = clangs.find((name) => ['clang-22', 'clang-19'].includes(name));
const noArena = newClang === undefined ? ' (skipped: no clang 19 or later)' : '';

describe.skipIf(noArena !== '')(`arenas, from C${noArena}`, () => {
  const spec = noArena === '' ? compile('arena.bpf.c') : undefined;

  it.skipIf(refusal !== undefined).each([...(spec?.programs.keys() ?? [])])(
    `%s as in the kernel${noKernel}`,
    async (name) => {
      const [there, ...here] = await outcomes(spec!, name, [linux, jit, interpreter]);
      for (const each of here) expect(each).toEqual(there);
      expect(there![0]!.returnValue).toBeGreaterThan(1);
    },
  );

  it.each(['jit', 'interpreter'] as const)(
    '%s: user space sees what programs wrote, and the other way round',
    async (engine) => {
      const object = await load(spec!, { engine });
      const arena = object.maps.arena! as ArenaHandle;
      const view = new DataView(arena.bytes().buffer, arena.bytes().byteOffset, arena.bytes().byteLength);
      const marks = [1, 2, 3, 0, 0];
      const at = [...Array(128).keys()].find((word) =>
        marks.every((mark, i) => view.getUint32((word + i) * 4, true) === mark),
      )!;
      expect(arena.pagesTaken).toBe(1);
      object.programs.variables!.run({});
      expect(view.getUint32((at + 4) * 4, true)).toBe(9);
      view.setUint32(at * 4, 77, true);
      const first = object.programs.variables!.run({}).returnValue;
      view.setUint32(at * 4, 78, true);
      expect(object.programs.variables!.run({}).returnValue).not.toBe(first);
      object.programs.list!.run({});
      expect(arena.pagesTaken).toBe(3);
      object.close();
    },
  );
});
