import { describe, expect, it } from 'vitest';
import { assemble } from '../isa/assembler.ts';
import { readObject } from './index.ts';
import { writeObject } from './write.ts';

describe('writeObject', () => {
  it('is read back with the same instructions, functions and license', () => {
    const { insns, functions } = assemble(
      `main:
  r1 = 7
  call twice
  exit
twice:
  r0 = r1
  r0 += r1
  exit`,
      { syntax: 'llvm' },
    );
    const object = readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'written.o');
    expect(object.license).toBe('GPL');
    const program = object.programs.get('main')!;
    expect(program.type).toBe('xdp');
    expect(program.insns).toEqual(insns);
    expect(program.functions.map(({ name, start, length }) => ({ name, start, length }))).toEqual([
      { name: 'main', start: 0, length: 3 },
      { name: 'twice', start: 3, length: 3 },
    ]);
  });
});
