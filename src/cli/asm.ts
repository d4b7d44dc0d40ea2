/** `sluice asm FILE.s -o OBJ`: LLVM's BPF syntax to an object. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { checkInsns } from '../isa/check.ts';
import { writeObject } from '../object/write.ts';
import { exitCode } from './exit.ts';
import { readInput } from './selector.ts';
import type { Verb } from './verb.ts';

interface AsmOptions {
  readonly out: string;
  readonly section: string;
  readonly license: string;
  readonly syntax: string;
  readonly json?: boolean;
}

export const asmVerb: Verb = (program, finish) => {
  program
    .command('asm')
    .description("assemble LLVM's BPF syntax (what disasm and llvm-objdump print) into an object with one program")
    .argument('<file>', 'assembler text; - is standard input')
    .requiredOption('-o, --out <obj>', 'object to write')
    .option('--section <name>', "the program's section, which tells its type", 'xdp')
    .option('--license <text>', 'license section', 'Dual MIT/GPL')
    .option('--syntax <name>', 'llvm or conformance', 'llvm')
    .option('--json', 'result as JSON')
    .action((path: string, options: AsmOptions) =>
      finish(options.json === true, (output) => {
        const syntax = options.syntax === 'conformance' ? 'conformance' : 'llvm';
        const text = new TextDecoder().decode(readInput(path));
        const { insns, functions, lines } = assemble(text, { syntax, input: path });
        const wrong = checkInsns(insns);
        if (wrong !== undefined) {
          throw new InputError('SLUICE_ASM_INSN', `line ${lines[wrong.slot]}: ${wrong.problem}`, { input: path });
        }
        // A name for a program whose text has no label at its start.
        const fallback = basename(path).replace(/\W.*$/, '') || 'program';
        const named = functions.map((fn) => (fn.name === 'entry' ? { ...fn, name: fallback } : fn));
        const object = writeObject({ section: options.section, license: options.license, insns, functions: named });
        writeFileSync(options.out, object);
        output.line(`${options.out}: ${named[0]!.name}, ${insns.length} insns, ${object.length} bytes`);
        output.document({ schema: 'sluice.asm/1', file: options.out, program: named[0]!.name, insns: insns.length });
        return exitCode.yes;
      }),
    );
};
