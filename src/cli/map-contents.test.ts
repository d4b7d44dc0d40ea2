import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load, readObject } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { mapContents } from './map-contents.ts';

const refusal = bpfRefusal();

describe('mapContents', () => {
  it.skipIf(refusal !== undefined)(
    `is equal here and in the kernel but for fields that it manages, which count as zeros${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    async () => {
      const spec = readObject(readFileSync('bpf/objects/mem/operations.bpf.o'), 'operations.bpf.o');
      const [here, linux] = [await load(spec), await load(spec, { target: 'linux' })];
      try {
        // A node into the list, which stays; one in and out, whose number goes into the sum.
        const steps = (number: number) => ({ data: new Uint8Array(64).fill(0x60).fill(number, 0, 34) });
        const contents = (btf: typeof spec.btf) =>
          [here, linux].map(({ maps }) => [...mapContents(maps['states']!, btf).values()].join());
        for (const each of [here, linux]) each.programs['run_operations']!.run(steps(1));
        const [own, kernels] = contents(spec.btf);
        expect(own).toBe(kernels);
        expect(own).not.toMatch(/^0{16}/);
        // Linux shows the list's addresses.
        const bare = contents(undefined);
        expect(bare[0]).toBe(own);
        expect(bare[1]).not.toBe(own);
        linux.programs['run_operations']!.run(steps(2));
        expect(contents(spec.btf)[1]).not.toBe(own);
      } finally {
        here.close();
        linux.close();
      }
    },
  );
});
