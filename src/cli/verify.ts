/** `sluice verify OBJ…`: until there is a verifier, the structural checks, and the statement that they are no verdict. */

import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import { checkStructure } from '../verifier/structure.ts';
import { exitCode } from './exit.ts';
import { select } from './selector.ts';
import type { Verb } from './verb.ts';

interface Checked {
  readonly object: string;
  readonly program: string;
  /** `reject`: the structure alone is enough to refuse it. `unsupported`: nothing wrong was found, and no verdict is given. */
  readonly verdict: 'reject' | 'unsupported';
  readonly diagnostics: readonly Diagnostic[];
  readonly stats: { readonly insns: number; readonly states: number; readonly time_us: number };
}

export const verifyVerb: Verb = (program, finish) => {
  program
    .command('verify')
    .description('structural checks; a verdict on memory and types is not there yet')
    .argument('<obj...>', 'object files, optionally with :program')
    .option('--json', 'result as JSON (sluice.verify/1)')
    .action((selectors: string[], options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        const checked = selectors.flatMap((selector) => {
          const { object, programs } = select(selector);
          return programs.map((each) => check(object, each));
        });
        for (const { object, program: name, verdict, diagnostics, stats } of checked) {
          const { red, yellow } = output.colors;
          output.line(
            `${verdict === 'reject' ? red('reject') : yellow('no verdict')}  ${object}:${name}  ${stats.insns} insns`,
          );
          for (const each of diagnostics) {
            output.line(`  Verification failed: ${each.category}: ${each.problem}`);
            if (each.slot !== undefined) output.line(`  At: insn ${each.slot}`);
            output.line(`  Reason: ${each.reason}`);
          }
        }
        const rejected = checked.filter((each) => each.verdict === 'reject').length;
        output.document({ schema: 'sluice.verify/1', programs: checked });
        output.note(
          'checked: instructions, registers, jump targets, reachability, call depth. Not checked: memory accesses, types, loops; ' +
            'the sandbox bounds them in the JIT, and the interpreter checks each as it happens.',
        );
        output.line(`0 passed, ${rejected} failed, ${checked.length - rejected} skipped`);
        return rejected > 0 ? exitCode.no : exitCode.missing;
      }),
    );
};

function check(object: ObjectSpec, program: ProgramSpec): Checked {
  const start = performance.now();
  const jumpTables = [...object.maps.values()].flatMap(({ contents }) =>
    contents.kind === 'jump-table' && contents.program === program.name ? [{ slots: contents.slots }] : [],
  );
  const diagnostics = checkStructure({ ...program, jumpTables }, { kernel: true });
  return {
    object: object.name,
    program: program.name,
    verdict: diagnostics.length > 0 ? 'reject' : 'unsupported',
    diagnostics,
    stats: { insns: program.insns.length, states: 0, time_us: Math.round((performance.now() - start) * 1000) },
  };
}
