/** Recordings of runs (`sluice run --record`, `sluice replay`): everything that went in, and everything that came out. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError, InternalError, SluiceError } from '../errors.ts';
import type { ObjectChanges } from '../object/changes.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { ProgramHandle, RunInput } from '../runtime/handles.ts';
import { helperResultsToJson } from '../runtime/helper-results.ts';
import { hintsFromJson, hintsToJson } from '../runtime/hints.ts';
import type { Network } from '../runtime/network.ts';
import type { TraitFormat } from '../runtime/traits.ts';
import { exportRegistry, type RegistryFile } from '../traits/registry-file.ts';
import { UsageError } from './exit.ts';
import { mapContents } from './map-contents.ts';
import { type Output, toHex, toJson } from './output.ts';
import { readJson, select } from './selector.ts';
import type { Subject } from './subjects.ts';
import type { Surroundings } from './surroundings.ts';
import { writeText } from './text-file.ts';

export const RECORDING = 'sluice.recording/1';

/** Bytes are hex, in and out. */
export interface RecordedRun {
  readonly input: {
    readonly data?: string;
    readonly context?: string;
    readonly repeat?: number;
    /** As runtime/hints.ts has them. */
    readonly hints?: Readonly<Record<string, number | string>>;
  };
  /** What came out; of a run that was refused or stopped, the code of the error. */
  readonly outcome:
    | { readonly r0: string; readonly data?: string; readonly context?: string }
    | { readonly error: string };
}

export interface Recording {
  readonly schema: typeof RECORDING;
  readonly object: { readonly name: string; readonly base64: string };
  /** What was changed in the object before it was loaded. */
  readonly changes?: ObjectChanges;
  readonly program: string;
  readonly engine: 'jit' | 'interpreter';
  readonly seed: number;
  /** The program ran without the verifier's leave: it is replayed so as well. */
  readonly unverified?: boolean;
  /** Steps after which a run was stopped, where it was not the default. */
  readonly budget?: number;
  readonly surroundings: {
    readonly cpus: number;
    readonly cpu?: number;
    readonly clock?: { readonly at: string; readonly step?: number };
    readonly task?: { readonly pid?: number; readonly comm?: string };
    readonly network?: Network;
    readonly metadata?: Partial<TraitFormat>;
    /** Names of packets' traits, before the object's own came to them. */
    readonly registry?: RegistryFile;
    readonly helperResults?: Readonly<Record<string, readonly string[]>>;
  };
  /** Content of the --maps file. */
  readonly maps: unknown;
  readonly runs: readonly RecordedRun[];
  /** Contents of maps at the end: hex of the value by hex of the key. */
  readonly contents: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly printk: readonly string[];
}

function metadataToJson(metadata: Surroundings['metadata']): Pick<Recording['surroundings'], 'metadata' | 'registry'> {
  if (metadata === undefined) return {};
  const { registry, ...format } = metadata;
  return { metadata: format, ...(registry === undefined ? {} : { registry: exportRegistry(registry) }) };
}

export interface RecordedInputs {
  readonly selector: string;
  readonly program: string;
  readonly seed: number;
  readonly surroundings: Surroundings;
  readonly unverified: boolean;
  /** The --maps file. */
  readonly maps: string | undefined;
  readonly changes: ObjectChanges | undefined;
}

/** Records the one subject. Throws UsageError where there are several, or it is the kernel. */
export function recordSubject(
  subjects: Subject[],
  path: string,
): { finish(inputs: RecordedInputs, output: Output): void } {
  const subject = subjects[0];
  if (subject === undefined || subjects.length !== 1 || subject.name === 'linux')
    throw new UsageError(
      '--record takes one engine in user space: the kernel cannot be made to run again the same way',
    );
  const engine = subject.name;
  const runs: RecordedRun[] = [];
  const printk: string[] = [];
  subjects[0] = {
    ...subject,
    program: recordingProgram(subject.program, runs),
    trace() {
      const lines = subject.trace();
      printk.push(...lines);
      return lines;
    },
  };
  return {
    finish({ selector, program, seed, surroundings, unverified, maps, changes }, output) {
      const { path: objectPath } = select(selector);
      printk.push(...subject.trace());
      const { clock } = surroundings;
      const recording: Recording = {
        schema: RECORDING,
        object: { name: basename(objectPath), base64: readFileSync(objectPath).toString('base64') },
        ...(changes === undefined ? {} : { changes }),
        program,
        engine,
        seed,
        ...(unverified ? { unverified } : {}),
        surroundings: {
          cpus: surroundings.cpus ?? 1,
          ...(surroundings.cpu === undefined ? {} : { cpu: surroundings.cpu }),
          ...(clock === undefined
            ? {}
            : { clock: { at: String(clock.at), ...(clock.step === undefined ? {} : { step: clock.step }) } }),
          ...(surroundings.task === undefined ? {} : { task: surroundings.task }),
          ...(surroundings.network === undefined ? {} : { network: surroundings.network }),
          ...metadataToJson(surroundings.metadata),
          ...(surroundings.helperResults === undefined
            ? {}
            : { helperResults: helperResultsToJson(surroundings.helperResults) }),
        },
        maps: maps === undefined ? {} : readJson(maps),
        runs,
        contents: contentsOf(subject),
        printk,
      };
      writeText(path, `${toJson(recording)}\n`, output);
      output.line(`written to ${path}: ${runs.length} runs`);
    },
  };
}

function recordingProgram(program: ProgramHandle, runs: RecordedRun[]): ProgramHandle {
  return {
    name: program.name,
    type: program.type,
    target: program.target,
    spec: program.spec,
    run(input) {
      const recorded = recordedInput(input);
      try {
        const result = program.run(input);
        runs.push({ input: recorded, outcome: outcomeOf(result) });
        return result;
      } catch (error) {
        runs.push({ input: recorded, outcome: errorOf(error) });
        throw error;
      }
    },
    close: () => program.close(),
  };
}

function recordedInput({ data, context, repeat, hints }: RunInput): RecordedRun['input'] {
  return {
    ...(data === undefined ? {} : { data: toHex(data) }),
    ...(context === undefined ? {} : { context: toHex(context) }),
    ...(repeat === undefined ? {} : { repeat }),
    ...(hints === undefined ? {} : { hints: hintsToJson(hints) }),
  };
}

function outcomeOf(result: ReturnType<ProgramHandle['run']>): RecordedRun['outcome'] {
  return {
    r0: String(result.r0 ?? result.returnValue),
    ...(result.data === undefined ? {} : { data: toHex(result.data) }),
    ...(result.context === undefined ? {} : { context: toHex(result.context) }),
  };
}

function errorOf(error: unknown): RecordedRun['outcome'] {
  if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
  return { error: error instanceof ProgramFault ? 'fault' : error.code };
}

/** Runs an input of a recording; what a program may do wrong is an outcome. */
export function runRecorded(program: ProgramHandle, input: RecordedRun['input']): RecordedRun['outcome'] {
  try {
    return outcomeOf(
      program.run({ ...bytesOf(input), ...(input.repeat === undefined ? {} : { repeat: input.repeat }) }),
    );
  } catch (error) {
    return errorOf(error);
  }
}

/** Packet, context and hints of a recorded input. */
export function bytesOf({ data, context, hints }: RecordedRun['input']): RunInput {
  return {
    ...(data === undefined ? {} : { data: Buffer.from(data, 'hex') }),
    ...(context === undefined ? {} : { context: Buffer.from(context, 'hex') }),
    ...(hints === undefined ? {} : { hints: hintsFromJson(hints, 'recording') }),
  };
}

export function contentsOf(subject: Subject): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.values(subject.object.maps).map((map) => [map.name, Object.fromEntries(mapContents(map))]),
  );
}

/** Throws InputError `SLUICE_RECORDING` for a file that is none. */
export function readRecording(path: string): Recording {
  const json = readJson(path);
  const is = (value: unknown, kind: string) => typeof value === kind;
  const found = (json ?? {}) as Partial<Recording>; // checked member by member
  if (
    found.schema !== RECORDING ||
    !is(found.object?.base64, 'string') ||
    !is(found.program, 'string') ||
    (found.engine !== 'jit' && found.engine !== 'interpreter') ||
    !Number.isSafeInteger(found.seed) ||
    !Number.isInteger(found.surroundings?.cpus) ||
    !Array.isArray(found.runs) ||
    !found.runs.every((run: Partial<RecordedRun>) => is(run?.input, 'object') && is(run?.outcome, 'object')) ||
    !is(found.contents, 'object') ||
    !Array.isArray(found.printk)
  )
    throw new InputError('SLUICE_RECORDING', `is not a recording of ${RECORDING}`, { input: path });
  return found as Recording; // as checked
}
