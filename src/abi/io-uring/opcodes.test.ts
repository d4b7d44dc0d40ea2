import { describe, expect, it } from 'vitest';
import { KERNEL_OPCODES, opcodeDeclaration, opcodeName, opcodes } from './opcodes.ts';
import { flagNames, setupFlagSince, setupFlags } from './ring-flags.ts';

describe('opcodes of io_uring', () => {
  it('have every number of Linux 6.18 once, and the program request', () => {
    const numbers = Object.values(opcodes).map((each) => each.number);
    expect(numbers).toEqual([...Array(KERNEL_OPCODES).keys(), 128]);
  });

  it('are found by number', () => {
    expect(opcodeName(22)).toBe('read');
    expect(opcodeName(99)).toBe('op 99');
    expect(opcodeDeclaration(30)).toBe(opcodes.splice);
    expect(opcodeDeclaration(99)).toBeUndefined();
  });

  it('keep addresses and references to requests apart', () => {
    for (const { addresses, requests } of Object.values(opcodes))
      expect(addresses.filter((word) => requests.includes(word))).toEqual([]);
  });
});

describe('flags of rings', () => {
  it('are named in the order of their bits', () => {
    expect(flagNames(setupFlags, setupFlags.NO_MMAP | setupFlags.CQSIZE)).toEqual(['CQSIZE', 'NO_MMAP']);
    expect(Object.keys(setupFlagSince)).toEqual(Object.keys(setupFlags));
  });
});
