import { describe, expect, it } from 'vitest';
import { programDeclarations } from '../abi/programs/index.ts';
import { UnsupportedError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';
import { admit } from './admission.ts';

function object(text: string): ObjectSpec {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  return readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'made.o');
}
const context = { declaration: programDeclarations.get('xdp')!, cpus: 1, kernelTypes: undefined };
const admitAgain = (spec: ObjectSpec, program: ProgramSpec = spec.programs.get('p')!) =>
  admit(spec, program, program.insns, context);

describe('admit', () => {
  it('asks the verifier once for the same program, and again for another', async () => {
    const text = 'p:\n r0 = 1\n exit';
    const first = await admitAgain(object(text));
    expect(first.verdict).toBe('accept');
    expect(await admitAgain(object(text))).toBe(first);
    expect(await admitAgain(object('p:\n r0 = 2\n exit'))).not.toBe(first);
    expect(await admitAgain({ ...object(text), license: 'MIT' })).not.toBe(first);
    const spec = object(text);
    expect(await admit(spec, spec.programs.get('p')!, spec.programs.get('p')!.insns, { ...context, cpus: 2 })).not.toBe(
      first,
    );
  });

  it('tells what no path leads to', async () => {
    const spec = object('p:\n r2 = 1\n if r2 == 0x1 goto end\n r0 = 5\n exit\nend:\n r0 = 2\n exit');
    expect((await admitAgain(spec)).reached).toEqual(Uint8Array.of(1, 1, 0, 0, 1, 1));
  });

  it('says of what the verifier does not follow how to run it all the same', async () => {
    const spec = object('p:\n r1 = 5 ll\n r0 = 0\n exit');
    const program = spec.programs.get('p')!;
    const references = new Map([[0, { kind: 'ksym', name: 'jiffies', weak: false, typed: true }]] as const);
    const insns = program.insns.map((insn, slot) => (slot === 0 ? { ...insn, src: 3, imm: 0 } : insn));
    const ask = () => admitAgain(spec, { ...program, insns, references });
    await expect(ask()).rejects.toThrow(UnsupportedError);
    await expect(ask()).rejects.toThrow(/ksym.*--unverified/);
  });
});
