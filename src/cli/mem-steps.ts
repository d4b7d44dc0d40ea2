/** What `sluice mem` does with an object under a policy: steps of a file, one JSON object a line, or each program once. */

import { InputError } from '../errors.ts';
import { load, Runtime } from '../index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { PolicyName } from '../runtime/allocators/policy.ts';
import { allocatorsOf } from '../runtime/allocators/store.ts';
import type { EngineName } from '../runtime/engine.ts';
import type { UserObject } from '../runtime/load.ts';
import type { Progress } from './progress.ts';

/**
 * `{"load": "put"}` loads programs beside what is there (maps that are pinned by name are shared, others are new), `{"unload": "put"}` closes that load again,
 * `{"run": "put", "data": "05", "repeat": 100}` runs a program over a packet or context (hex); short packets are filled with zeros to 64 bytes.
 */
export type Step =
  | { readonly kind: 'load'; readonly program: string }
  | { readonly kind: 'unload'; readonly program: string }
  | {
      readonly kind: 'run';
      readonly program: string;
      readonly data: Uint8Array | undefined;
      readonly context: Uint8Array | undefined;
      readonly repeat: number;
    };

export interface StepOptions {
  readonly policy: PolicyName;
  readonly merge: boolean;
  readonly engine: EngineName;
  readonly seed: bigint;
  readonly progress: Progress;
}

export interface Outcome {
  readonly runtime: Runtime;
  readonly policy: PolicyName;
  /** Why a step was refused; undefined: all were done. */
  readonly refused: InputError | undefined;
  readonly runs: number;
  /** Mean of all runs. */
  readonly nsPerRun: number;
  /** Return values by program, the last of each. */
  readonly returned: ReadonlyMap<string, number>;
  close(): void;
}

/** Throws InputError `SLUICE_MEM_STEPS` with the line. */
export function parseSteps(text: string, file: string): Step[] {
  return text.split('\n').flatMap((line, i): Step[] => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const bad = (why: string) => new InputError('SLUICE_MEM_STEPS', `line ${i + 1}: ${why}`, { input: file });
    let step: unknown;
    try {
      step = JSON.parse(line);
    } catch {
      throw bad(
        'is no JSON object; write {"load": "PROGRAM"}, {"unload": "PROGRAM"} or {"run": "PROGRAM", "data": "HEX"}',
      );
    }
    if (typeof step !== 'object' || step === null) throw bad('is no JSON object');
    const of: Readonly<Record<string, unknown>> = { ...step };
    const kind = (['load', 'unload', 'run'] as const).find((each) => typeof of[each] === 'string');
    if (kind === undefined) throw bad('names no program to load, unload or run');
    const program = String(of[kind]);
    const extra = Object.keys(of).filter((key) => key !== kind && !['data', 'context', 'repeat'].includes(key));
    if (extra.length > 0) throw bad(`${extra.join(', ')} is not known; there are data, context, repeat`);
    if (kind === 'load' || kind === 'unload') return [{ kind, program }];
    const { repeat = 1 } = of;
    if (typeof repeat !== 'number' || !Number.isInteger(repeat) || repeat < 1) throw bad('repeat is a number from 1');
    const bytes = (key: 'data' | 'context') => {
      const hex = of[key];
      if (hex === undefined) return undefined;
      if (typeof hex !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(hex))
        throw bad(`${key} is not hex, two digits a byte`);
      return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
    };
    return [{ kind, program, data: bytes('data'), context: bytes('context'), repeat }];
  });
}

/** Shorter ones are no Ethernet frames. */
const PACKET_BYTES = 64;

function atLeast(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const filled = new Uint8Array(length);
  filled.set(bytes);
  return filled;
}

/** Conflicts are part of the outcome; other refusals of the object are thrown. */
export async function doSteps(object: ObjectSpec, steps: readonly Step[], options: StepOptions): Promise<Outcome> {
  const { policy, merge, engine, seed, progress } = options;
  const runtime = new Runtime({ seed });
  const loaded = new Map<string, UserObject>();
  const returned = new Map<string, number>();
  let refused: InputError | undefined;
  let [runs, ns] = [0, 0];
  const close = () => {
    for (const each of new Set(loaded.values())) each.close();
  };
  const loadAll = async (programs: readonly string[]) => {
    const one = await load(object, { runtime, policy, merge, engine, programs });
    for (const program of programs) loaded.set(program, one);
  };
  try {
    for (const [i, step] of steps.entries()) {
      progress.update(i, policy);
      const { program } = step;
      if (step.kind === 'unload') {
        const there = loaded.get(program);
        if (there === undefined)
          throw new InputError('SLUICE_MEM_STEPS', `program ${program} is not loaded: load it first`);
        there.close();
        for (const [name, each] of loaded) if (each === there) loaded.delete(name);
        continue;
      }
      if (step.kind === 'load') {
        await loadAll(program.split(',').map((each) => each.trim()));
        continue;
      }
      if (!loaded.has(program))
        throw new InputError('SLUICE_MEM_STEPS', `program ${program} is not loaded: load it first`);
      const result = loaded.get(program)!.programs[program]!.run({
        repeat: step.repeat,
        ...(step.data === undefined ? {} : { data: atLeast(step.data, PACKET_BYTES) }),
        ...(step.context === undefined ? {} : { context: step.context }),
      });
      runs += step.repeat;
      ns += result.durationNs * step.repeat;
      returned.set(program, result.returnValue);
    }
  } catch (error) {
    const isConflict = error instanceof InputError && error.code.startsWith('SLUICE_ALLOCATOR_');
    if (!isConflict) {
      close();
      throw error;
    }
    refused = error;
  }
  runtime.plane.exports.allocators_settle();
  allocatorsOf(runtime.plane).all();
  return { runtime, policy, refused, runs, nsPerRun: runs === 0 ? 0 : ns / runs, returned, close };
}
