import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load, readObject } from '../../index.ts';
import { verify } from '../../verifier/verify.ts';
import { Runtime } from '../runtime.ts';
import { policyProblem } from './object-verdict.ts';
import { policyNames } from './policy.ts';

const objects = ['declared', 'inner', 'lifetimes', 'lifetimes_mapped', 'moves', 'moves_shared', 'nested', 'two'];

describe('a policy’s verdict without a load', () => {
  it.each(objects)('is that of a load, in the same words: %s', async (name) => {
    const spec = readObject(readFileSync(`bpf/objects/mem/${name}.bpf.o`), `${name}.bpf.o`);
    const { maps, license, btf } = spec;
    const all = [...spec.programs.values()];
    const judged = all.map((program) => ({ program, ownership: verify({ program, maps, license, btf }).ownership }));
    // All of them, each alone, and each two that follow each other.
    const sets = [judged, ...judged.map((each) => [each]), ...judged.slice(1).map((each, i) => [judged[i]!, each])];
    const verdicts = new Set<boolean>();
    for (const policy of policyNames)
      for (const merge of [false, true])
        for (const set of sets) {
          const programs = set.map(({ program }) => program.name);
          const there = await load(spec, { runtime: new Runtime(), policy, merge, programs }).then(
            (object) => void object.close(),
            (error: Error & { code?: string }) => error,
          );
          const here = policyProblem(spec, set, policy, merge);
          expect([here?.code, here?.message.split('\n')[0]], `${policy} ${programs}`).toEqual([
            there?.code,
            there?.message.split('\n')[0],
          ]);
          verdicts.add(here === undefined);
        }
    expect(verdicts.has(true)).toBe(true);
  });
});
