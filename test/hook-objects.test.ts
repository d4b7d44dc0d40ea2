/** A C object with a program for every type of hook: loaded here on both engines, and in the kernel; everything that comes out agrees. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { generateInputs } from '../src/cli/inputs.ts';
import { InputError } from '../src/errors.ts';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject, RunResult } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const refusal = bpfRefusal();
const why = noClang || (refusal ? ` (skipped: ${refusal})` : '');
const INPUTS = 300;

/** What comes out, or that the target does not take the input. */
function observe(run: () => RunResult) {
  try {
    const { returnValue, data, context } = run();
    // Hex: vitest compares byte arrays element by element.
    const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
    return { returnValue, data: hex(data), context: hex(context) };
  } catch (error) {
    if (error instanceof InputError) return { refused: true };
    throw error;
  }
}

describe.skipIf(why !== '')(`programs of every hook, from C${why}`, () => {
  const source = readFileSync(fileURLToPath(new URL('objects/hooks.bpf.c', import.meta.url)), 'utf8');

  it.each(clangs)('%s: return values, packets, contexts and maps agree with the kernel', async (clang) => {
    const spec = readObject(compileBpf(prelude + source, { clang }), 'hooks.bpf.o');
    const targets: Record<string, LoadedObject> = {
      linux: await load(spec, { target: 'linux' }),
      jit: await load(spec, { engine: 'jit', seed: 1n }),
      interpreter: await load(spec, { engine: 'interpreter', seed: 1n }),
    };
    try {
      expect(Object.keys(targets.jit!.programs)).toHaveLength(10);
      for (const { name, type } of Object.values(targets.linux!.programs)) {
        for (const [index, input] of [...generateInputs(type, 1, INPUTS)].entries()) {
          const [first, ...others] = Object.entries(targets).map(([target, object]) => {
            return { target, outcome: { name, index, ...observe(() => object.programs[name]!.run(input)) } };
          });
          for (const other of others) expect(other.outcome, other.target).toEqual(first!.outcome);
        }
      }
      const [counted, ...others] = Object.values(targets).map(({ maps }) => new Map(maps.sources!));
      expect(counted!.size).toBeGreaterThan(10);
      for (const other of others) expect(other).toEqual(counted);
    } finally {
      for (const object of Object.values(targets)) object.close();
    }
  });
});
