/** `sluice disasm OBJ[:P]`: instructions in LLVM's syntax, with source lines where the object has them. */

import { helperNameFor } from '../abi/programs/index.ts';
import { disassemble } from '../isa/disassembler.ts';
import type { ProgramSpec, Reference } from '../object/spec.ts';
import { exitCode } from './exit.ts';
import { select } from './selector.ts';
import type { Verb } from './verb.ts';

interface DisasmOptions {
  readonly source: boolean;
  readonly bytes?: boolean;
  readonly labels?: boolean;
  readonly json?: boolean;
}

export const disasmVerb: Verb = (program, finish) => {
  program
    .command('disasm')
    .description("instructions in LLVM's syntax, with source lines from BTF")
    .argument('<obj>', 'object file, optionally with :program')
    .option('--no-source', 'without source lines')
    .option('--bytes', 'with the bytes of each instruction')
    .option('--labels', 'labels in place of distances; the output can be assembled again')
    .option('--json', 'result as JSON')
    .action((selector: string, options: DisasmOptions) =>
      finish(options.json === true, (output) => {
        const { programs } = select(selector);
        const texts = programs.map((each) => ({
          program: each.name,
          section: each.section,
          text: listing(each, options),
        }));
        for (const { program: name, section, text } of texts) {
          if (options.labels !== true) output.line(output.colors.bold(`${name} (section ${section}):`));
          output.line(text.trimEnd());
        }
        output.document({ schema: 'sluice.disasm/1', programs: texts });
        return exitCode.yes;
      }),
    );
};

function listing(program: ProgramSpec, options: DisasmOptions): string {
  return disassemble(program.insns, {
    targets: options.labels === true ? 'labels' : 'plain',
    slots: options.labels !== true,
    bytes: options.bytes === true,
    names: new Map(program.functions.map(({ start, name }) => [start, name])),
    references: options.labels === true ? new Map() : references(program),
    ...(options.source ? { sources: program.lines } : {}),
  });
}

function references(program: ProgramSpec): Map<number, string> {
  const texts = new Map<number, string>();
  for (const [slot, reference] of program.references) texts.set(slot, describe(reference));
  for (const [slot, insn] of program.insns.entries()) {
    if (insn.opcode === 0x85 && insn.src === 0)
      texts.set(slot, helperNameFor(program.type, insn.imm) ?? `helper ${insn.imm}`);
  }
  return texts;
}

function describe(reference: Reference): string {
  switch (reference.kind) {
    case 'map':
      return `map ${reference.map}`;
    case 'map-allocator':
      return `map ${reference.map}.${reference.part}_allocator`;
    case 'map-value':
      return `${reference.map}+${reference.offset}`;
    case 'trait':
      return `trait ${reference.name}`;
    default:
      return reference.name;
  }
}
