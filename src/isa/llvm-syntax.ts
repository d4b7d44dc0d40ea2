/** Statements of LLVM's BPF assembler. */
import { UnsupportedError } from '../errors.ts';
import type { AsmOutput } from './asm-output.ts';
import type { SourceLine } from './source-line.ts';

export function parseLlvmLine(_line: SourceLine, _output: AsmOutput): void {
  throw new UnsupportedError('LLVM assembler syntax', 'not there yet');
}
