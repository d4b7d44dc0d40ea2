import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConformanceCase } from '../isa/conformance.ts';
import { runConformanceCase } from './conformance.ts';
import { bpfRefusal } from './features.ts';

const directory = new URL('../../../shared/conformance/tests', import.meta.url).pathname;
const refusal = bpfRefusal();
const missing = refusal ?? (existsSync(directory) ? undefined : 'no ../shared/conformance beside the checkout');

describe.skipIf(refusal !== undefined)(
  `a conformance case in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`,
  () => {
    it('compares all 64 bits of r0', () => {
      const text = (result: string) => `-- asm\nlddw %r0, 0x1122334455667788\nexit\n-- result\n${result}\n`;
      expect(runConformanceCase(parseConformanceCase('wide', text('0x1122334455667788')))).toEqual({
        status: 'passed',
      });
      expect(runConformanceCase(parseConformanceCase('wide', text('0x55667788')))).toEqual({
        status: 'failed',
        reason: 'r0 = 0x1122334455667788, expected 0x55667788',
      });
    });

    it('skips what the verifier refuses, with its words', () => {
      const test = parseConformanceCase('bad', '-- asm\nmov32 %r0, 1\nlsh32 %r0, 32\nexit\n-- result\n0\n');
      expect(runConformanceCase(test)).toEqual({
        status: 'skipped',
        reason: expect.stringContaining('invalid shift 32'),
      });
    });

    it('calls functions across the epilogue', () => {
      const asm = 'mov %r1, 5\ncall local f\nadd %r0, 1\nexit\nf:\nmov %r0, %r1\nexit';
      const test = parseConformanceCase('call', `-- asm\n${asm}\n-- result\n6\n`);
      expect(runConformanceCase(test)).toEqual({ status: 'passed' });
    });
  },
);

describe.skipIf(missing !== undefined)(
  `bpf_conformance in the kernel${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    it('agrees on all but the shifts and the indirect call that its verifier refuses', () => {
      const skipped: string[] = [];
      let passed = 0;
      for (const file of readdirSync(directory).filter((name) => name.endsWith('.data'))) {
        const outcome = runConformanceCase(parseConformanceCase(file, readFileSync(join(directory, file), 'utf8')));
        expect(outcome.status === 'failed' ? `${file}: ${outcome.reason}` : '').toBe('');
        if (outcome.status === 'passed') passed++;
        else if (outcome.status === 'skipped') skipped.push(outcome.reason);
      }
      expect(passed).toBeGreaterThanOrEqual(300);
      for (const reason of skipped) expect(reason).toMatch(/invalid shift|unknown opcode 8d/);
    });
  },
);
