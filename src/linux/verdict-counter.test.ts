import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readObject } from '../object/index.ts';
import { bpfRefusal } from './features.ts';
import { loadLinux } from './load.ts';
import { readVerdicts, withVerdictCounter } from './verdict-counter.ts';

const missing = bpfRefusal();

describe.skipIf(missing !== undefined)(
  `counting verdicts in the kernel${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const data = new Uint8Array(64);

    it.each(readdirSync('bpf/objects').filter((name) => /^xdp_.*\.o$/.test(name)))('leaves %s as it is', (file) => {
      const object = readObject(readFileSync(`bpf/objects/${file}`), file);
      const plain = loadLinux(object);
      const [name] = Object.keys(plain.programs);
      const counting = loadLinux(withVerdictCounter(object, name!));
      const expected = plain.programs[name!]!.run({ data });
      const result = counting.programs[name!]!.run({ data, repeat: 5 });
      expect(result).toMatchObject({ returnValue: expected.returnValue, data: expected.data });
      const counts = readVerdicts(counting.maps);
      // A program that changes its packet finds it changed in the next round.
      expect(counts[expected.returnValue]).toMatchObject({ packets: 5 });
      expect(counts[expected.returnValue]!.bytes).toBeGreaterThanOrEqual(data.length);
      expect(counts.reduce((sum, { packets }) => sum + packets, 0)).toBe(5);
      expect(() => readVerdicts(plain.maps)).toThrow('without a verdict counter');
      plain.close();
      counting.close();
    });
  },
);
