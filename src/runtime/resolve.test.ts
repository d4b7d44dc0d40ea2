import { describe, expect, it } from 'vitest';
import { xdp } from '../abi/programs/xdp.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { readObject } from '../object/index.ts';
import { writeObject } from '../object/write.ts';
import { resolveProgram } from './resolve.ts';

function resolve(text: string, exports: readonly string[]) {
  const { insns, functions } = assemble(`p:\n ${text}\n r0 = 0\n exit`, { syntax: 'llvm' });
  const spec = readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'made.o');
  const [program] = [...spec.programs.values()];
  return resolveProgram(program!, program!.insns, { maps: new Map(), declaration: xdp, exports: new Set(exports) });
}

/** What `text` throws. */
function refusal(text: string, exports: readonly string[] = []): unknown {
  try {
    resolve(text, exports);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('calls of helpers', () => {
  it('run if the plane has a body, or the engines expand them', () => {
    const { helpers } = resolve('call 5\n call 12', ['bpf_ktime_get_ns']);
    expect([...helpers.values()].map(({ name }) => name)).toEqual(['bpf_ktime_get_ns', 'bpf_tail_call']);
  });

  it('are unsupported, by name, if Linux allows them and nobody has a body', () => {
    const error = refusal('call 5');
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({ feature: 'helper bpf_ktime_get_ns' });
    expect(String(error)).toContain('does not have: it is not there yet');
  });

  it('are refused in the words of the kernel if the type may not call them, body or not', () => {
    const error = refusal('call 9', ['bpf_skb_store_bytes']);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: 'SLUICE_PROGRAM_REFUSED' });
    expect(String(error)).toContain('program of this type cannot use helper bpf_skb_store_bytes#9');
  });

  it('are refused if no Linux has the number', () => {
    const error = refusal('call 999');
    expect(error).toMatchObject({ code: 'SLUICE_PROGRAM_REFUSED' });
    expect(String(error)).toContain('invalid func unknown#999');
  });
});
