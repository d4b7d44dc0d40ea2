/** `sluice ring features`: what this kernel's io_uring offers, and what rings here use of it. */
import type { Command } from 'commander';
import { opcodes } from '../abi/io-uring/opcodes.ts';
import { setupFlags } from '../abi/io-uring/ring-flags.ts';
import { kernelRingFeatures, ringRefusal } from '../linux/io-uring-features.ts';
import { exitCode } from './exit.ts';
import { wrapped } from './features.ts';
import type { Finish } from './verb.ts';

const memories = {
  NO_MMAP: 'pages of the linear memory',
  mapping: 'mapped over pages of the linear memory',
  copying: 'elsewhere: requests and completions are copied',
} as const;

export function addRingFeatures(ring: Command, finish: Finish): void {
  ring
    .command('features')
    .description("what this kernel's io_uring offers, and what rings use of it")
    .option('--require <opcode>', 'exit 4 unless the kernel has this request: read, pipe, …')
    .option('--json', 'result as JSON')
    .action((options: { require?: string; json?: boolean }) =>
      finish(options.json === true, (output) => {
        const refusal = ringRefusal();
        if (refusal !== undefined) {
          output.note(refusal);
          output.document({ schema: 'sluice.ring-features/1', linux: null, refusal });
          return exitCode.missing;
        }
        const linux = kernelRingFeatures();
        const wanted = options.require;
        if (wanted !== undefined) {
          const there = linux.opcodes.some((name) => name === wanted);
          if (!there) output.note(`this kernel has no request '${wanted}'`);
          return there ? exitCode.yes : exitCode.missing;
        }
        output.document({ schema: 'sluice.ring-features/1', linux });
        output.line(output.colors.bold(`io_uring of Linux ${linux.release}`));
        output.line(wrapped('rings use', linux.inForce));
        output.line(`  rings are: ${memories[linux.memory]}`);
        const lacking = (all: readonly string[], there: readonly string[]) => {
          const missing = all.filter((name) => !there.includes(name));
          if (missing.length > 0) output.line(wrapped('  not there', missing));
        };
        output.line(wrapped('requests', linux.opcodes));
        lacking(
          Object.keys(opcodes).filter((name) => name !== 'bpf'),
          linux.opcodes,
        );
        output.line(wrapped('setup flags', linux.setupFlags));
        lacking(Object.keys(setupFlags), linux.setupFlags);
        output.line(wrapped('features', linux.features));
        if (linux.registerOpcodes !== undefined) output.line(wrapped('registrations', linux.registerOpcodes));
        const { limits } = linux;
        const bytes = (value: number | undefined) => (value === undefined ? 'unlimited' : `${value} bytes`);
        output.line('  limits');
        output.line(`    entries ${limits.entries}, completions ${limits.cqEntries}`);
        output.line(
          `    registered files ${Math.min(limits.files, limits.openFiles ?? limits.files)}, buffers ${limits.buffers}`,
        );
        output.line(`    locked memory ${bytes(limits.lockedMemory)}`);
        output.line(`    kernel workers ${limits.workers[0]} for files, ${limits.workers[1]} for others`);
        return exitCode.yes;
      }),
    );
}
