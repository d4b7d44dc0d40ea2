import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkInsns } from '../../src/isa/check.ts';
import { type ConformanceCase, parseConformanceCase } from '../../src/isa/conformance.ts';
import { encodeInsns } from '../../src/isa/encode.ts';
import type { Insn } from '../../src/isa/insn.ts';
import { describeInsn } from '../../src/isa/operation-decode.ts';
import { loadProgram } from '../../src/linux/bpf.ts';
import { runConformanceCase } from '../../src/linux/conformance.ts';
import { bpfRefusal } from '../../src/linux/features.ts';
import { close } from '../../src/linux/ffi.ts';
import { ProgramRefusedError } from '../../src/linux/syscall-error.ts';
import { everyForm } from '../insn-arbitrary.ts';

function casesIn(directory: URL): ConformanceCase[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.data'));
  return files.map((name) => parseConformanceCase(name, readFileSync(new URL(name, directory), 'utf8')));
}

const positive = casesIn(new URL('./', import.meta.url));
const negative = casesIn(new URL('./negative/', import.meta.url));

describe('our conformance cases', () => {
  it('are programs that checkInsns takes', () => {
    expect(positive.length).toBeGreaterThan(200);
    for (const { name, insns, expected } of positive) {
      expect({ name, problem: checkInsns(insns) }).toEqual({ name, problem: undefined });
      expect(expected, name).toBeTypeOf('bigint');
    }
  });

  it('are refused for the reason they give, if they are to be refused', () => {
    expect(negative.length).toBeGreaterThan(300);
    for (const { name, insns, error } of negative)
      expect(`${name}: ${checkInsns(insns)?.problem}`).toContain(error ?? 'no reason given');
  });

  it('have every form of instruction that needs no helper', () => {
    const seen = new Set<string>();
    for (const { insns } of positive)
      insns.forEach((insn, slot) => {
        const operation = describeInsn(insn, insns[slot + 1]);
        if (operation !== undefined) seen.add(formOf(operation));
      });
    // Calls of helpers, kfuncs and registers, and constants that stand for maps, need a runtime around them.
    const missing = new Set(
      everyForm()
        .map(formOf)
        .filter((form) => !seen.has(form)),
    );
    expect([...missing].filter((form) => !/^call (helper|kfunc)|^call-register|^lddw [1-6]/.test(form))).toEqual([]);
  });
});

function formOf(operation: object): string {
  const { kind, op, target, source, width, size, bits, from, to, signed, fetch, long, mode } = operation as Readonly<
    Record<string, unknown>
  >;
  const parts = [kind, op, target, source, width, size, bits, from, to, signed, fetch, long, mode];
  return parts.filter((part) => part !== undefined).join(' ');
}

const refusal = bpfRefusal();

/** What the kernel's verifier refuses although RFC 9669 gives it a meaning, and what 6.18 does not have yet. */
const kernelRefuses =
  /(-masked-imm|-by-zero-imm)\.data: .*(invalid shift|div by zero)|^addr-space-cast.data: .*associated arena|^gotox-.*insn_array/;

describe.skipIf(refusal !== undefined)(`our cases in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  it('give the results that they expect', () => {
    let passed = 0;
    for (const each of positive) {
      const outcome = runConformanceCase(each);
      if (outcome.status === 'passed') passed++;
      else expect(`${each.name}: ${outcome.status}: ${outcome.reason}`).toMatch(kernelRefuses);
    }
    expect(passed).toBeGreaterThan(200);
  });

  it('are refused for the reason they give', () => {
    for (const { name, insns, error } of negative) {
      const log = refusalLog(insns);
      if (name === 'exit-off.data')
        expect(log).toBeUndefined(); // the kernel overlooks it
      // gotox came after Linux 6.18; of an LDDW at the end the kernel says something else first.
      else if (!/^gotox-|^lddw-cut-off/.test(name) || log === undefined) expect(`${name}: ${log}`).toContain(error);
    }
  });
});

/** The verifier's log, or undefined if the kernel takes the program. */
function refusalLog(insns: readonly Insn[]): string | undefined {
  try {
    close(loadProgram({ type: 'socket_filter', insns: encodeInsns(insns), license: 'GPL', logLevel: 1 }).fd);
    return undefined;
  } catch (error) {
    if (error instanceof ProgramRefusedError) return error.log;
    throw error;
  }
}
