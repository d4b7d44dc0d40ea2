/** `sluice mem OBJ[:P]`: an object, or steps with its programs, under each policy of allocators: verdicts, memory, who keeps what. */
import { writeFileSync } from 'node:fs';
import { type PolicyName, policyNames } from '../runtime/allocators/policy.ts';
import { exitCode, UsageError } from './exit.ts';
import { heapMap } from './mem-heap-map.ts';
import { type PolicyReport, printReports, reportOf } from './mem-report.ts';
import { doSteps, parseSteps, type Step } from './mem-steps.ts';
import { choiceOption, integerOption } from './options.ts';
import { Progress } from './progress.ts';
import { readInput, select } from './selector.ts';
import type { Verb } from './verb.ts';

interface MemOptions {
  readonly policy: PolicyName | 'all';
  readonly merge?: boolean;
  readonly engine: 'jit' | 'interpreter';
  readonly dataIn?: string;
  readonly ctxIn?: string;
  readonly repeat: number;
  readonly steps?: string;
  readonly seed: number;
  readonly heapMap?: string;
  readonly json?: boolean;
}

/** What programs get where nothing is given: a packet of the least length. */
const PACKET = new Uint8Array(64);

export const memVerb: Verb = (program, finish) => {
  program
    .command('mem')
    .description('memory of objects that programs allocate, under each policy of allocators (docs/allocators.md)')
    .argument('<obj>', 'object file, optionally with :program')
    .option(
      '--policy <policy>',
      `${policyNames.join(', ')}, all`,
      choiceOption([...policyNames, 'all']),
      'all' as const,
    )
    .option('--merge', 'makes allocators that are alike one where they meet')
    .option('--engine <engine>', 'jit, interpreter', choiceOption(['jit', 'interpreter']), 'jit' as const)
    .option('--data-in <file>', 'packet for each program, as raw bytes (default: 64 zero bytes)')
    .option('--ctx-in <file>', 'context for each program, in its UAPI layout')
    .option('--repeat <n>', 'runs of each program', integerOption(1, 0xffff_ffff), 1)
    .option('--steps <file>', 'what to do, one JSON object a line: {"load": P}, {"run": P, "data": HEX}, {"unload": P}')
    .option('--seed <n>', 'of the random numbers that programs see', integerOption(0, 0xffff_ffff), 1)
    .option('--heap-map <file>', 'slabs and their objects by allocator: .svg or .json; with one policy')
    .option('--json', 'result as JSON (sluice.mem/1)')
    .action((selector: string, options: MemOptions) =>
      finish(options.json === true, async (output) => {
        const { object, programs } = select(selector);
        const policies = options.policy === 'all' ? policyNames : [options.policy];
        if (options.heapMap !== undefined) {
          if (policies.length > 1) throw new UsageError('--heap-map shows one memory: choose a --policy');
          if (!/\.(svg|json)$/.test(options.heapMap)) throw new UsageError('--heap-map writes FILE.svg or FILE.json');
        }
        const steps =
          options.steps === undefined
            ? each(
                programs.filter(({ autoload }) => autoload || programs.length === 1).map(({ name }) => name),
                options,
              )
            : parseSteps(new TextDecoder().decode(readInput(options.steps)), options.steps);
        const progress = new Progress('mem', steps.length);
        const reports: PolicyReport[] = [];
        for (const policy of policies) {
          const outcome = await doSteps(object, steps, {
            policy,
            merge: options.merge === true,
            engine: options.engine,
            seed: BigInt(options.seed),
            progress,
          });
          try {
            reports.push(reportOf(outcome));
            if (options.heapMap !== undefined)
              writeFileSync(options.heapMap, heapMap(outcome.runtime, options.heapMap));
          } finally {
            outcome.close();
          }
        }
        progress.end();
        printReports(reports, output);
        output.document({ schema: 'sluice.mem/1', object: object.name, policies: reports });
        return reports.some(({ verdict }) => verdict === 'accept') ? exitCode.yes : exitCode.no;
      }),
    );
};

function each(names: readonly string[], { dataIn, ctxIn, repeat }: MemOptions): Step[] {
  const context = ctxIn === undefined ? undefined : readInput(ctxIn);
  const data = dataIn === undefined ? (context === undefined ? PACKET : undefined) : readInput(dataIn);
  return [
    { kind: 'load', program: names.join() },
    ...names.map((program): Step => ({ kind: 'run', program, data, context, repeat })),
  ];
}
