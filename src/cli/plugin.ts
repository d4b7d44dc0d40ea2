/** `sluice plugin`: the protocol of the bpf_conformance runner: memory as base16 argument, program as base16 on stdin, r0 in hex on stdout. */
import { readFileSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { decodeInsns } from '../isa/decode.ts';
import { functionsOf } from '../isa/functions.ts';
import { readObject } from '../object/index.ts';
import { runRaw } from '../runtime/raw.ts';
import { Runtime } from '../runtime/runtime.ts';
import { exitCode, UsageError } from './exit.ts';
import type { Verb } from './verb.ts';

interface PluginOptions {
  readonly engine: string;
  readonly elf?: boolean;
}

export const pluginVerb: Verb = (program, finish) => {
  program
    .command('plugin')
    .description('the bpf_conformance plugin protocol: program as base16 on stdin, r0 in hex on stdout')
    .argument('[memory]', 'base16 bytes that r1 points to')
    .option('--engine <name>', 'jit or interpreter', 'jit')
    .option('--elf', 'stdin is an ELF object, as base16')
    .action((memory: string | undefined, options: PluginOptions) =>
      finish(false, async (output) => {
        if (options.engine !== 'jit' && options.engine !== 'interpreter')
          throw new UsageError(`no engine ${options.engine}`);
        const bytes = base16(readFileSync(0, 'latin1'), 'stdin');
        const code = options.elf === true ? firstProgram(bytes) : decodeInsns(bytes);
        const functions = functionsOf(code).map((range) => ({ name: `function_${range.start}`, ...range }));
        const r0 = await runRaw(
          new Runtime(),
          options.engine,
          { name: 'plugin', insns: code, functions },
          memory === undefined || memory === '' ? undefined : base16(memory, 'memory'),
        );
        output.line(r0.toString(16));
        return exitCode.yes;
      }),
    );
};

function firstProgram(bytes: Uint8Array) {
  const [first] = readObject(bytes, 'stdin').programs.values();
  if (first === undefined) throw new InputError('SLUICE_NO_PROGRAM', 'has no programs', { input: 'stdin' });
  return first.insns;
}

function base16(text: string, input: string): Uint8Array {
  const digits = text.replace(/\s+/g, '');
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new InputError('SLUICE_BASE16', 'is not base16', { input });
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
