/** `sluice test`: program tests, and conformance cases of the instruction set. */
import type { TestEngine } from '../testing/test-object.ts';
import { UsageError } from './exit.ts';
import { listOption } from './options.ts';
import { testConformance } from './test-conformance.ts';
import { testPrograms, watchPrograms } from './test-programs.ts';
import { type Reporter, reporters } from './test-report.ts';
import type { Verb } from './verb.ts';

interface TestOptions {
  readonly conformance?: string;
  readonly engine?: readonly TestEngine[];
  readonly target: readonly ('user' | 'linux')[];
  readonly reporter: readonly Reporter[];
  readonly watch?: boolean;
  readonly unverified?: boolean;
  readonly coverage?: string;
  readonly json?: boolean;
}

const engines: readonly TestEngine[] = ['jit', 'interpreter', 'linux'];

export const testVerb: Verb = (program, finish) => {
  program
    .command('test')
    .description('program tests (*.bpf.test.json) here and in the kernel; conformance cases (.data files)')
    .argument('[glob]', 'file, folder or pattern of program tests', '.')
    .option('--conformance <dir>', 'directory of .data files instead')
    .option('--target <list>', 'user, linux', listOption(['user', 'linux']), ['user'])
    .option('--engine <list>', 'jit, interpreter, linux (default: both engines; conformance: jit)', listOption(engines))
    .option('--reporter <name>', reporters.join(', '), listOption(reporters), ['text'])
    .option('--unverified', 'user space runs what the verifier refuses or does not follow')
    .option('--coverage <file>', 'what of the source ran in the interpreter, as lcov')
    .option('--watch', 'run again whenever a test comes or goes, or it, its object or its capture changes')
    .option('--json', 'result as JSON (sluice.test/1)')
    .action((glob: string, options: TestOptions) =>
      finish(options.json === true, (output) => {
        if (options.conformance !== undefined) {
          const chosen = options.engine ?? ['jit'];
          if (chosen.length !== 1) throw new UsageError('conformance cases run on one --engine at a time');
          return testConformance(options.conformance, chosen[0]!, output);
        }
        const reporter = options.reporter[0]!;
        if (options.reporter.length !== 1) throw new UsageError('give one --reporter');
        const chosen = new Set(
          options.target.flatMap((target): readonly TestEngine[] =>
            target === 'linux' ? ['linux'] : (options.engine ?? ['jit', 'interpreter']),
          ),
        );
        const run = options.watch === true ? watchPrograms : testPrograms;
        if (options.coverage !== undefined && !chosen.has('interpreter'))
          throw new UsageError('--coverage needs --engine interpreter');
        const { coverage } = options;
        return run(
          glob,
          {
            engines: [...chosen],
            reporter,
            unverified: options.unverified === true,
            ...(coverage === undefined ? {} : { coverage }),
          },
          output,
        );
      }),
    );
};
