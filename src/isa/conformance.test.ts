import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkInsns } from './check.ts';
import { parseConformanceCase } from './conformance.ts';

const shared = new URL('../../../shared/conformance/tests/', import.meta.url);
const absent = !existsSync(shared);

describe.skipIf(absent)(`bpf_conformance${absent ? ' (skipped: ../shared/conformance is not there)' : ''}`, () => {
  const files = absent ? [] : readdirSync(shared).filter((name) => name.endsWith('.data'));

  it('parses, assembles and checks all of its cases', () => {
    expect(files.length).toBe(313);
    const versions = [0, 0, 0, 0, 0];
    for (const file of files) {
      const parsed = parseConformanceCase(file, readFileSync(new URL(file, shared), 'utf8'));
      expect(parsed.expected, file).toBeTypeOf('bigint');
      expect(checkInsns(parsed.insns, { callx: true }), file).toBeUndefined();
      if (!parsed.groups.has('callx')) versions[parsed.cpuVersion]!++;
    }
    // What bpf_conformance itself counts for v3 and v4.
    expect(versions[1]! + versions[2]! + versions[3]!).toBe(253);
    expect(versions[1]! + versions[2]! + versions[3]! + versions[4]!).toBe(312);
  });
});
