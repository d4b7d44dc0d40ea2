// What the verifier accepts runs without a fault: random programs in the checked interpreter, over random packets and map contents.
import { describe, expect, it } from 'vitest';
import { UnsupportedError } from '../src/errors.ts';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { verify } from '../src/verifier/verify.ts';
import { randomMaps, randomNumbers, randomProgram, specOf } from './verifier-programs.ts';

const seed = Number(process.env['SLUICE_SEED'] ?? 1);
const count = Number(process.env['SLUICE_RUNS'] ?? 80);

describe('accepted programs in the interpreter', () => {
  it(`${count} random programs from seed ${seed}: no fault`, async () => {
    const runtime = new Runtime({ seed: 1n });
    const random = randomNumbers(seed);
    let ran = 0;
    for (let i = 0; i < count; i++) {
      const number = seed * 7_000_003 + i;
      const program = randomProgram(number);
      if (program.type !== 'xdp') continue;
      const spec = specOf(program);
      if (verify({ program: spec, maps: randomMaps, license: 'GPL', btf: undefined }).verdict !== 'accept') continue;
      const object: ObjectSpec = {
        name: `random ${number}`,
        license: 'GPL',
        kernelVersion: 0,
        btf: undefined,
        programs: new Map([[spec.name, spec]]),
        maps: randomMaps,
        externs: new Map(),
        traits: [],
        sections: [],
      };
      let loaded: Awaited<ReturnType<typeof loadUser>>;
      try {
        loaded = await loadUser(runtime, [xdpHook], object, { engine: 'interpreter' });
      } catch (error) {
        if (error instanceof UnsupportedError) continue;
        throw error;
      }
      try {
        for (let run = 0; run < 6; run++) {
          const data = Uint8Array.from({ length: [14, 15, 20, 34, 60, 128][run]! }, () => random(256));
          const keys = [new Uint8Array(8), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)];
          for (const key of keys)
            if (random(2) === 0)
              loaded.maps['table']!.raw.update(
                key,
                Uint8Array.from({ length: 48 }, () => random(256)),
              );
          let fault: unknown;
          try {
            loaded.programs[spec.name]!.run({ data });
          } catch (error) {
            fault = error;
          }
          expect([number, fault]).toEqual([number, undefined]);
        }
        ran++;
      } finally {
        loaded.close();
      }
    }
    expect(ran).toBeGreaterThan(count / 20);
  });
});
