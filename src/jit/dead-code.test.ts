// Code that the verifier has proven dead: not compiled, never refused, and a trap if it is reached all the same.
import { describe, expect, it } from 'vitest';
import { assemble } from '../isa/assembler.ts';
import { compileModule } from './index.ts';
import { rawProgram, Testbed } from './testbed.ts';

const insns = assemble(
  `
    jeq %r1, 7, dead
    mov %r0, 1
    exit
  dead:
    mov %r0, %r2
    mul %r0, %r2
    div %r0, %r1
    div %r0, %r3
    mod %r0, %r4
    sdiv %r0, %r5
    smod %r0, %r1
    sdiv32 %r0, %r2
    smod32 %r0, %r3
    mov %r10, %r0
    exit`,
  { syntax: 'conformance' },
).insns;
const reached = Uint8Array.from(insns, (_, slot) => (slot < 3 ? 1 : 0));
const dead = rawProgram(insns, { reached });

describe('dead code', () => {
  it('is not compiled', () => {
    const live = insns.map((insn, slot) => (slot === insns.length - 2 ? { ...insn, dst: 0 } : insn));
    const sizeOf = (program: typeof dead) =>
      compileModule([program], { fuel: false, planeExports: new Set() }).bytes.length;
    expect(sizeOf(rawProgram(live, { reached }))).toBeLessThan(sizeOf(rawProgram(live)));
  });

  it('is not refused, and traps if it is reached', () => {
    const { entry } = new Testbed().load([dead]);
    expect(entry!(8n, 3n)).toBe(1n);
    expect(() => entry!(7n, 3n)).toThrow(WebAssembly.RuntimeError);
  });
});
