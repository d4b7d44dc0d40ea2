/** `sluice replay FILE`: runs a recording again and compares everything that came out. */
import { InputError } from '../errors.ts';
import { changeObject } from '../object/changes.ts';
import { readObject } from '../object/index.ts';
import { helperResultsFromJson } from '../runtime/helper-results.ts';
import { mapInputFromJson } from '../runtime/json-value.ts';
import { readRegistry } from '../traits/registry-file.ts';
import { exitCode } from './exit.ts';
import { listOption } from './options.ts';
import { contentsOf, type Recording, readRecording, runRecorded } from './recording.ts';
import { createSubject, type Subject } from './subjects.ts';
import type { Verb } from './verb.ts';

interface Difference {
  /** `run 3`, `map flows, key 0a…`, `printk`. */
  readonly place: string;
  readonly recorded: string;
  readonly found: string;
}

interface ReplayOptions {
  readonly engine?: readonly ('jit' | 'interpreter')[];
  readonly unverified?: boolean;
  readonly json?: boolean;
}

export const replayVerb: Verb = (program, finish) => {
  program
    .command('replay')
    .description('run a recording (run --record) again, and compare return values, packets, maps and traces exactly')
    .argument('<file>', 'recording')
    .option('--engine <name>', 'jit, interpreter; by default that of the recording', listOption(['jit', 'interpreter']))
    .option('--unverified', 'user space runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.replay/1)')
    .action((path: string, options: ReplayOptions) =>
      finish(options.json === true, async (output) => {
        const recording = readRecording(path);
        const engine = options.engine?.[0] ?? recording.engine;
        const subject = await subjectOf(recording, path, engine, options.unverified === true);
        try {
          const differences = compare(recording, subject);
          for (const { place, recorded, found } of differences.slice(0, 10))
            output.line(output.colors.red(`${place}: recorded ${recorded}, found ${found}`));
          const entries = Object.values(recording.contents).reduce((sum, map) => sum + Object.keys(map).length, 0);
          const what = `${recording.runs.length} runs, ${entries} map entries, ${recording.printk.length} lines of trace (${engine})`;
          output.line(differences.length === 0 ? `the same: ${what}` : `${differences.length} differences: ${what}`);
          output.document({ schema: 'sluice.replay/1', engine, runs: recording.runs.length, entries, differences });
          return differences.length === 0 ? exitCode.yes : exitCode.no;
        } finally {
          subject.close();
        }
      }),
    );
};

/** The program of a recording, loaded with its maps filled. `path` is for messages. */
export function subjectOf(
  recording: Recording,
  path: string,
  engine: 'jit' | 'interpreter',
  unverified: boolean,
): Promise<Subject> {
  const { object: file, surroundings, seed } = recording;
  const object = changeObject(readObject(Buffer.from(file.base64, 'base64'), file.name), recording.changes ?? {});
  const spec = object.programs.get(recording.program);
  if (spec === undefined)
    throw new InputError('SLUICE_RECORDING', `has no program ${recording.program}`, { input: path });
  const { clock, helperResults, metadata, registry, ...rest } = surroundings;
  return createSubject(object, spec, engine, {
    seed: BigInt(seed),
    maps: mapInputFromJson(recording.maps, path),
    unverified: unverified || recording.unverified === true,
    ...(recording.budget === undefined ? {} : { budget: recording.budget }),
    surroundings: {
      ...rest,
      ...(metadata === undefined && registry === undefined
        ? {}
        : {
            metadata: {
              ...metadata,
              ...(registry === undefined ? {} : { registry: readRegistry(JSON.stringify(registry), path) }),
            },
          }),
      ...(clock === undefined ? {} : { clock: { ...clock, at: BigInt(clock.at) } }),
      ...(helperResults === undefined ? {} : { helperResults: helperResultsFromJson(helperResults, path) }),
    },
  });
}

function compare(recording: Recording, subject: Subject): Difference[] {
  const differences: Difference[] = [];
  const hold = (place: string, recorded: string, found: string) => {
    if (recorded !== found) differences.push({ place, recorded, found });
  };
  for (const [i, { input, outcome }] of recording.runs.entries())
    hold(`run ${i}`, JSON.stringify(outcome), JSON.stringify(runRecorded(subject.program, input)));
  hold('printk', JSON.stringify(recording.printk), JSON.stringify(subject.trace()));
  const contents = contentsOf(subject);
  for (const name of new Set([...Object.keys(recording.contents), ...Object.keys(contents)])) {
    const before = recording.contents[name] ?? {};
    const now = contents[name] ?? {};
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)]))
      hold(`map ${name}, key ${key}`, before[key] ?? 'nothing', now[key] ?? 'nothing');
  }
  return differences;
}
