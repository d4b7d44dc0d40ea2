/** One object, loaded several times: by engine in user space and in the kernel. What `run` and `diff` hold against each other. */
import type { Btf } from '../btf/types.ts';
import { load } from '../index.ts';
import { pinToCpu, possibleCpus } from '../linux/cpus.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { PolicyName } from '../runtime/allocators/policy.ts';
import type { EngineName } from '../runtime/engine.ts';
import type { LoadedObject, ProgramHandle } from '../runtime/handles.ts';
import { fillMaps, type MapInput } from '../runtime/json-value.ts';
import type { KconfigValues } from '../runtime/kconfig.ts';
import type { Runtime, RuntimeOptions } from '../runtime/runtime.ts';
import { withTailCallTargets } from '../testing/test-object.ts';

export type SubjectName = EngineName | 'linux';

export interface Subject {
  readonly name: SubjectName;
  readonly object: LoadedObject;
  /** Types of the object. */
  readonly btf: Btf | undefined;
  readonly program: ProgramHandle;
  /** Lines that the program traced (bpf_trace_printk) since the last call; the kernel's go to its own trace pipe. */
  trace(): readonly string[];
  /** Undefined for the kernel. */
  readonly runtime?: Runtime;
  close(): void;
}

export interface SubjectOptions {
  /** Of the random numbers that programs see in user space. */
  readonly seed: bigint;
  /** Initial contents of maps. */
  readonly maps: MapInput;
  /** Folder of maps that are pinned by name. */
  readonly pinPath?: string;
  /** User space runs what the verifier refuses or does not follow. */
  readonly unverified?: boolean | undefined;
  /** Clock, CPU, task, network and results of helpers that programs see in user space; by default the machine's clock and CPU 0. */
  readonly surroundings?: Pick<
    RuntimeOptions,
    'clock' | 'cpu' | 'cpus' | 'task' | 'network' | 'helperResults' | 'metadata'
  >;
  /** Which allocators objects come from, and whether those that are alike may be made one. */
  readonly policy?: PolicyName | undefined;
  readonly merge?: boolean | undefined;
  /** Kernel options for `.kconfig` externs in user space. */
  readonly kconfig?: KconfigValues;
  /** Instructions (JIT: back edges and calls) after which a run is stopped. */
  readonly budget?: number;
}

/**
 * Loads `program` with its object once more. In user space as many CPUs are modelled as the machine has, and this thread stays on CPU 0,
 * so that per-CPU values can be compared one by one.
 */
export async function createSubject(
  object: ObjectSpec,
  program: ProgramSpec,
  name: SubjectName,
  options: SubjectOptions,
): Promise<Subject> {
  const subject = await loadSubject(object, program, name, options);
  try {
    fillMaps(subject.object, options.maps);
  } catch (error) {
    subject.close();
    throw error;
  }
  return subject;
}

async function loadSubject(
  object: ObjectSpec,
  program: ProgramSpec,
  name: SubjectName,
  options: SubjectOptions,
): Promise<Subject> {
  const programs = withTailCallTargets(object, program);
  const pins = options.pinPath === undefined ? {} : { pinFolder: options.pinPath };
  if (name === 'linux') {
    pinToCpu(0);
    const loaded = await load(object, { target: 'linux', programs, ...pins, ...registryOf(options) });
    return {
      name,
      object: loaded,
      btf: object.btf,
      program: loaded.programs[program.name]!,
      trace: () => [],
      close: () => loaded.close(),
    };
  }
  const loaded = await load(object, {
    engine: name,
    programs,
    unverified: options.unverified === true,
    seed: options.seed,
    cpus: possibleCpus(),
    ...options.surroundings,
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    merge: options.merge === true,
    ...pins,
    ...(options.kconfig === undefined ? {} : { kconfig: options.kconfig }),
    ...(options.budget === undefined ? {} : { budget: options.budget }),
  });
  return {
    name,
    object: loaded,
    btf: object.btf,
    program: loaded.programs[program.name]!,
    trace: () => loaded.runtime.printk().lines,
    runtime: loaded.runtime,
    close: () => loaded.close(),
  };
}

/** Names of traits are those of the other subjects. */
function registryOf({ surroundings }: SubjectOptions): Pick<RuntimeOptions, 'metadata'> {
  const registry = surroundings?.metadata?.registry;
  return registry === undefined ? {} : { metadata: { registry } };
}

export { withTailCallTargets };
