// The kernel's own selftests: our verdict on every program that is tagged with one, beside this machine's kernel. Nothing of them is here:
// they are compiled from the distribution's kernel sources into a cache.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileSelftests, selftestsRefusal } from '../scripts/selftests.mjs';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import { KernelVerdicts } from './selftests/kernel-verdicts.ts';
import { expectationsOf } from './selftests/tags.ts';
import { compareVerdicts } from './selftests/verdicts.ts';

const missing = selftestsRefusal() ?? bpfRefusal();

describe.skipIf(missing !== undefined)(
  `selftests of Linux${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const found: Record<'agree' | 'stricter' | 'laxer' | 'unsupported' | 'said' | 'unsaid', string[]> = {
      agree: [],
      stricter: [],
      laxer: [],
      unsupported: [],
      said: [],
      unsaid: [],
    };

    beforeAll(async () => {
      const { objects, built } = await compileSelftests([], { tagged: true });
      const kernel = new KernelVerdicts(undefined);
      for (const file of built) {
        const object = readObject(readFileSync(join(objects, file)), file);
        for (const [name, expectation] of expectationsOf(object)) {
          const { kind, said } = compareVerdicts(kernel, object, object.programs.get(name)!, expectation);
          found[kind].push(`${file}:${name}`);
          if (said !== undefined) found[said ? 'said' : 'unsaid'].push(`${file}:${name}`);
        }
      }
    }, 400_000);

    it('are there', () => expect(found.agree.length).toBeGreaterThan(1500));
    it('none is accepted that the kernel refuses', () => expect(found.laxer).toEqual([]));
    it('none is refused that the kernel accepts', () => expect(found.stricter).toEqual([]));
    it('96 in 100 get the verdict of the kernel', () => {
      const all = found.agree.length + found.stricter.length + found.laxer.length + found.unsupported.length;
      expect(found.agree.length / all).toBeGreaterThanOrEqual(0.96);
    });
    it('80 in 100 refusals are in its words', () =>
      expect(found.said.length / (found.said.length + found.unsaid.length)).toBeGreaterThanOrEqual(0.8));
  },
);
