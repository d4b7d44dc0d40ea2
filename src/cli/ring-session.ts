/** What the verbs of `sluice ring` share: a ring for the run, recorded or replayed on request. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SimulatedBackend } from '../hooks/ring/simulated/backend.ts';
import { recordFromJson, recordToJson } from '../hooks/ring/simulated/record.ts';
import { RecordingBackend } from '../hooks/ring/simulated/recording-backend.ts';
import { LinuxRing } from '../linux/io-uring.ts';
import { Ring } from '../ring.ts';
import { Runtime } from '../runtime/runtime.ts';
import { chromeTrace } from './ring-chrome-trace.ts';
import { readInput } from './selector.ts';

export interface SessionOptions {
  readonly record?: string;
  readonly chrome?: string;
  readonly replay?: string;
  readonly json?: boolean;
}

export function addSessionOptions(command: Command): Command {
  return command
    .option('--record <file>', 'keep what was asked of the kernel, and its answers (sluice.ring-record/1)')
    .option('--chrome <file>', 'the same as a trace for chrome://tracing and Perfetto')
    .option('--replay <file>', 'serve the answers of a record, instead of asking the kernel')
    .option('--json', 'result as JSON');
}

/** Runs `use` with a ring, which is closed afterwards, and writes what was recorded, even of a run that failed. */
export async function withRing<T>(options: SessionOptions, use: (ring: Ring) => Promise<T>): Promise<T> {
  const runtime = new Runtime();
  const linux =
    options.replay === undefined
      ? new LinuxRing(runtime)
      : new SimulatedBackend(runtime, { replay: recordFromJson(new TextDecoder().decode(readInput(options.replay))) });
  const recording =
    options.record === undefined && options.chrome === undefined ? undefined : new RecordingBackend(runtime, linux);
  const ring = await Ring.create({ runtime, backend: recording ?? linux });
  try {
    return await use(ring);
  } finally {
    await ring.close();
    if (recording !== undefined) {
      if (options.record !== undefined) writeFileSync(options.record, recordToJson(recording.record));
      if (options.chrome !== undefined) writeFileSync(options.chrome, chromeTrace(recording.record));
    }
  }
}

/** A record from a file. */
export function readRecord(path: string) {
  return recordFromJson(readFileSync(path, 'utf8'));
}
