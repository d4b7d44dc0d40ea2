/** Random sequences of what programs and user space do with objects, in both engines and in the kernel, held against a model after every step. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { noClang } from './clang.ts';
import { actions, compileOwnership, describeAction, perform, performOnModel } from './ownership.ts';
import { OwnershipModel } from './ownership-model.ts';

/** Sequences of each property; more by hand. */
const RUNS = Number(process.env['SLUICE_OWNERSHIP_RUNS'] ?? 30);
const SEED = Number(process.env['SLUICE_OWNERSHIP_SEED'] ?? 2022);
const refusal = bpfRefusal();
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;

describe.skipIf(noClang !== '')(`ownership of objects${noClang}`, () => {
  const spec = noClang === '' ? compileOwnership() : undefined;

  // Linux does not end what is stored into deleted elements before their memory goes back, and gives it to the next key.
  const kernelActions = actions((op) => op.startsWith('stale'));
  it.skipIf(refusal !== undefined)(`the model says what Linux does${noKernel}`, async () => {
    await fc.assert(
      fc.asyncProperty(kernelActions, async (sequence) => {
        const object = await load(spec!, { target: 'linux' });
        const model = new OwnershipModel('linux');
        try {
          for (const [i, action] of sequence.entries()) {
            const there = perform(object, action, i + 1);
            expect(there, `step ${i + 1}: ${describeAction(action)}`).toEqual(performOnModel(model, action, i + 1));
          }
        } finally {
          object.close();
        }
      }),
      { numRuns: Math.max(2, RUNS / 10), seed: SEED, endOnFailure: true },
    );
  });
});
