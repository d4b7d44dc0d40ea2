/** Kfuncs from C on both engines and in the kernel: every return value and packet agrees. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject, RunInput } from '../src/runtime/handles.ts';
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
const NOT_IN_A_TEST_RUN = new Set(['hints']);

describe.skipIf(noClang !== '')(`kfuncs, from C${noClang}`, () => {
  const spec = noClang === '' ? compile('kfuncs.bpf.c') : undefined;

  it
    .skipIf(refusal !== undefined)
    .each([...(spec?.programs.values() ?? [])].filter(({ name }) => !NOT_IN_A_TEST_RUN.has(name)))(
    `$name as in the kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    async ({ name, type }) => {
      const outcomes = [];
      const programs = [name];
      const loads: (() => Promise<LoadedObject>)[] = [
        () => load(spec!, { target: 'linux', programs }),
        () => load(spec!, { engine: 'jit', cpus: 2, programs }),
        () => load(spec!, { engine: 'interpreter', cpus: 2, programs }),
      ];
      for (const each of loads) {
        const object = await each();
        try {
          const inputs: RunInput[] = type === 'syscall' ? [{}] : packets.map((data) => ({ data }));
          outcomes.push(
            inputs.map((input) => {
              const { returnValue, data } = object.programs[name]!.run(input);
              return { returnValue, data: data && Buffer.from(data).toString('hex') };
            }),
          );
        } finally {
          object.close();
        }
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
      expect(outcomes[2]).toEqual(outcomes[0]);
      expect(outcomes[0]![0]!.returnValue).toBeGreaterThan(1);
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
});
