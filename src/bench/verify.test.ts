import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { verify } from '../verifier/verify.ts';
import { benchVerify, slopeOf, verifyInProcess } from './verify.ts';
import { grownObject, growthShapes } from './verify-programs.ts';

const script = fileURLToPath(new URL('../../dist/bench/verify-once.js', import.meta.url));
const built = existsSync(script);

describe('bench verify', () => {
  it('measures the slope of growth', () => {
    const points = (power: number) => [10, 100, 1000].map((size) => ({ size, ns: 7 * size ** power }));
    expect(slopeOf(points(1))).toBeCloseTo(1);
    expect(slopeOf(points(2))).toBeCloseTo(2);
  });

  it.each(growthShapes)('%s: the verifier follows as many instructions as the size says, and takes them', (shape) => {
    const counts = [2000, 8000].map((size) => {
      const spec = grownObject(shape, size);
      const program = spec.programs.get('grown')!;
      const { verdict, stats } = verify({ program, maps: spec.maps, license: spec.license, btf: spec.btf });
      expect(verdict).toBe('accept');
      expect(stats.insns).toBeGreaterThan(size * 0.9);
      return stats.insns;
    });
    expect(counts[1]! / counts[0]!).toBeLessThan(4.2);
  });

  it('names our time, the first time, the instructions and the kernel where there is one', async () => {
    const object = fileURLToPath(new URL('../../bpf/objects/bench/filter5.bpf.o', import.meta.url));
    const result = await benchVerify({ objects: [object], rounds: 2, sizes: [], progress: () => {} });
    expect(result).toMatchObject({ schema: 'sluice.bench/1', suite: 'verify', cases: [{ case: 'filter5:filter5' }] });
    const [row] = result.cases;
    expect(row!.cold).toBeGreaterThanOrEqual(row!.ours);
    expect(row!.insns).toBeGreaterThan(5);
  });

  it.skipIf(!built)(
    `100,000 verified instructions fit in 512 MB${built ? '' : ' (skipped: dist/ is not built)'}`,
    () => {
      const { insns, peakMb } = verifyInProcess('joined branches:60000', script);
      expect(insns).toBeGreaterThan(100_000);
      expect(peakMb).toBeGreaterThan(20);
      expect(peakMb).toBeLessThan(512);
    },
  );
});
