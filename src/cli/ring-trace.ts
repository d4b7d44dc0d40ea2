/** `sluice ring trace FILE`: what a recorded run asked of the kernel, request by request. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { exitCode } from './exit.ts';
import { table } from './output.ts';
import { chromeTrace, opcodeName, resultText } from './ring-chrome-trace.ts';
import { readRecord } from './ring-session.ts';
import type { Finish } from './verb.ts';

export function addRingTrace(ring: Command, finish: Finish): void {
  ring
    .command('trace')
    .description('show a run that was recorded with --record')
    .argument('<file>', 'record')
    .option('--chrome <file>', 'write it as a trace for chrome://tracing and Perfetto')
    .option('--json', 'result as JSON')
    .action((file: string, options: { chrome?: string; json?: boolean }) =>
      finish(options.json === true, (output) => {
        const record = readRecord(file);
        if (options.chrome !== undefined) writeFileSync(options.chrome, chromeTrace(record));
        const requests = record.requests.map(({ opcode, fd, offset, length, at, completions }, index) => ({
          request: index,
          opcode: opcodeName(opcode),
          fd,
          offset,
          length,
          at,
          results: completions.map(({ res }) => res),
          ns: (completions.at(-1)?.at ?? at) - at,
        }));
        const rows = requests.map(({ request, opcode, fd, offset, length, at, results, ns }) => [
          String(request),
          (at / 1000).toFixed(1),
          opcode,
          String(fd),
          String(offset),
          String(length),
          results.map(resultText).join(' '),
          (ns / 1000).toFixed(1),
        ]);
        for (const row of table([
          ['REQUEST', 'AT us', 'OPCODE', 'FD', 'OFFSET', 'LENGTH', 'RESULT', 'TOOK us'],
          ...rows,
        ]))
          output.line(row);
        output.document({ schema: 'sluice.ring-trace/1', file, requests });
        return exitCode.yes;
      }),
    );
}
