/** cli/: the command line, one file a verb. This file: the verbs, and how errors become exit codes. */
import { Command, CommanderError } from 'commander';
import { version } from '../abi/stability/version.ts';
import { InternalError, SluiceError } from '../errors.ts';
import { asmVerb } from './asm.ts';
import { benchVerb } from './bench.ts';
import { diffVerb } from './diff.ts';
import { disasmVerb } from './disasm.ts';
import { type ExitCode, exitCode, exitCodeOf, UsageError } from './exit.ts';
import { featuresVerb } from './features.ts';
import { genVerb } from './gen.ts';
import { inspectVerb } from './inspect.ts';
import { memVerb } from './mem.ts';
import { createOutput, type Output } from './output.ts';
import { pluginVerb } from './plugin.ts';
import { replayVerb } from './replay.ts';
import { ringVerb } from './ring.ts';
import { runVerb } from './run.ts';
import { steerVerb } from './steer.ts';
import { stepVerb } from './step.ts';
import { testVerb } from './test.ts';
import { traitsVerb } from './traits.ts';
import type { Finish, Verb } from './verb.ts';
import { verifyVerb } from './verify.ts';
import { xdpVerb } from './xdp.ts';

const verbs: readonly Verb[] = [
  inspectVerb,
  disasmVerb,
  asmVerb,
  verifyVerb,
  runVerb,
  replayVerb,
  stepVerb,
  diffVerb,
  testVerb,
  benchVerb,
  genVerb,
  xdpVerb,
  traitsVerb,
  ringVerb,
  steerVerb,
  memVerb,
  featuresVerb,
  pluginVerb,
];

export async function main(args: readonly string[]): Promise<number> {
  let code: ExitCode = exitCode.yes;
  const program = new Command('sluice')
    .description('eBPF programs that steer I/O, in user space or in the Linux kernel, from one object file')
    .version(version)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const finish: Finish = async (json, verb) => {
    const output = createOutput(json);
    try {
      code = await verb(output);
    } catch (error) {
      code = report(error, output);
    }
  };
  for (const verb of verbs) verb(program, finish);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 || error.code === 'commander.help' ? exitCode.yes : exitCode.usage;
  }
  return code;
}

function report(error: unknown, output: Output): ExitCode {
  const code = exitCodeOf(error);
  if (error instanceof SluiceError && !(error instanceof InternalError)) {
    output.document({ error: { code: error.code, message: error.message } });
    output.note(`sluice: ${error.message}`);
  } else if (error instanceof UsageError) {
    output.document({ error: { code: 'SLUICE_USAGE', message: error.message } });
    output.note(`sluice: ${error.message}`);
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    output.document({ error: { code: 'SLUICE_INTERNAL', message: String(error) } });
    output.note(`sluice: internal error, please report it with the command that you ran\n${text}`);
  }
  return code;
}
