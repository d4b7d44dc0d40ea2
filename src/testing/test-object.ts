/** An object loaded to be tested: on one of our engines or in the kernel, behind one interface. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { InputError } from '../errors.ts';
import { type LoadOptions, load } from '../index.ts';
import { pinToCpu, possibleCpus } from '../linux/cpus.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { EngineName } from '../runtime/engine.ts';
import { isRingbuf, type LoadedObject, type RunInput, type RunResult, type Value } from '../runtime/handles.ts';
import { observeSteps, type StepObserver } from '../runtime/interpreter-engine.ts';
import { fillMaps, type MapInput } from '../runtime/json-value.ts';
import { type ContextValues, encodeContext } from './context-fields.ts';
import { verdictName } from './verdict.ts';

/** Where a test runs. */
export type TestEngine = EngineName | 'linux';

export interface TestLoadOptions
  extends Pick<
    LoadOptions,
    'seed' | 'clock' | 'cpu' | 'task' | 'network' | 'metadata' | 'helperResults' | 'kconfig' | 'unverified'
  > {
  /** Default: what SLUICE_ENGINE says, else `jit`. */
  readonly engine?: TestEngine;
  /** Program that `run` runs; needed where the object has several. The others that it tail-calls are loaded with it. */
  readonly program?: string;
  /** Contents of maps before the first run. */
  readonly maps?: MapInput;
  /** Called before each step in the interpreter; other engines have none. */
  readonly observe?: StepObserver;
}

/** A run with what can be said of it by name. */
export interface TestRun extends RunResult {
  readonly program: string;
  readonly programType: ProgramTypeName;
  /** `XDP_DROP`; the number where the value has no name. */
  readonly verdict: string;
  /** Packet that went in. */
  readonly input: Uint8Array | undefined;
}

export interface TestInput extends Pick<RunInput, 'repeat' | 'hints' | 'traits' | 'steering'> {
  readonly data?: Uint8Array;
  /** Fields by name, or bytes in the UAPI layout. */
  readonly context?: ContextValues | Uint8Array;
}

export interface TestObject {
  readonly engine: TestEngine;
  readonly spec: ObjectSpec;
  readonly maps: LoadedObject['maps'];
  readonly programs: LoadedObject['programs'];
  /** Runs the program over a packet, or over packet and context. Throws ProgramFault where the engine stops it. */
  run(input: Uint8Array | TestInput): TestRun;
  /** Takes the records of a ring buffer: decoded where its definition has a value type, else bytes. */
  events(map: string): readonly Value[];
  /** Takes the lines of bpf_trace_printk; undefined for the kernel, whose trace pipe is everybody's. */
  printk(): readonly string[] | undefined;
  close(): void;
}

/** @param object file, its bytes, or a spec. Throws as `load` does. */
export async function loadForTest(
  object: string | Uint8Array | ObjectSpec,
  options: TestLoadOptions = {},
): Promise<TestObject> {
  const spec =
    typeof object === 'string'
      ? readObject(readFileSync(object), basename(object))
      : object instanceof Uint8Array
        ? readObject(object, 'object')
        : object;
  const program = chooseProgram(spec, options.program);
  const engine = options.engine ?? engineOfEnvironment();
  const loaded = await loadOn(spec, program, engine, options);
  try {
    fillMaps(loaded.object, options.maps ?? {});
  } catch (error) {
    loaded.object.close();
    throw error;
  }
  const { object: handles, printk } = loaded;
  const handle = handles.programs[program.name]!; // the one that was loaded
  return {
    engine,
    spec,
    maps: handles.maps,
    programs: handles.programs,
    run(given) {
      const input: TestInput = given instanceof Uint8Array ? { data: given } : given;
      const context =
        input.context === undefined || input.context instanceof Uint8Array
          ? input.context
          : encodeContext(handle.type, input.context, input.data?.length ?? 0);
      const result = handle.run({
        ...(input.data === undefined ? {} : { data: input.data }),
        ...(input.repeat === undefined ? {} : { repeat: input.repeat }),
        ...(context === undefined ? {} : { context }),
        ...(input.hints === undefined ? {} : { hints: input.hints }),
        ...(input.traits === undefined ? {} : { traits: input.traits }),
        ...(input.steering === undefined ? {} : { steering: input.steering }),
      });
      return {
        ...result,
        program: program.name,
        programType: handle.type,
        verdict: verdictName(handle.type, result.returnValue),
        input: input.data?.slice(),
      };
    },
    events(name) {
      const map = handles.maps[name];
      if (map === undefined || !isRingbuf(map)) throw new InputError('SLUICE_NO_MAP', `no ring buffer ${name}`);
      const events: Value[] = [];
      map.consume((event) => events.push(event));
      return events;
    },
    printk,
    close: () => handles.close(),
  };
}

async function loadOn(spec: ObjectSpec, program: ProgramSpec, engine: TestEngine, options: TestLoadOptions) {
  const programs = withTailCallTargets(spec, program);
  if (engine === 'linux') {
    pinToCpu(options.cpu ?? 0);
    return { object: await load(spec, { target: 'linux', programs }), printk: () => undefined };
  }
  const {
    seed = 1n,
    clock,
    cpu,
    task,
    network,
    metadata,
    helperResults,
    kconfig,
    unverified = false,
    observe,
  } = options;
  const object = await load(spec, {
    engine,
    programs,
    unverified,
    seed,
    cpus: Math.max(possibleCpus(), (cpu ?? 0) + 1),
    ...(clock === undefined ? {} : { clock }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(task === undefined ? {} : { task }),
    ...(network === undefined ? {} : { network }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(helperResults === undefined ? {} : { helperResults }),
    ...(kconfig === undefined ? {} : { kconfig }),
  });
  if (observe !== undefined && engine === 'interpreter') observeSteps(object.runtime, observe);
  return { object, printk: () => object.runtime.printk().lines };
}

function chooseProgram(spec: ObjectSpec, name: string | undefined): ProgramSpec {
  const all = [...spec.programs.values()];
  const found = name === undefined && all.length === 1 ? all[0] : all.find((program) => program.name === name);
  if (found !== undefined) return found;
  const known = all.map((program) => program.name).join(', ') || 'none';
  throw new InputError(
    'SLUICE_NO_PROGRAM',
    `${name === undefined ? 'choose a program' : `no program ${name}`}; its programs: ${known}`,
    {
      input: spec.name,
    },
  );
}

/** The program and all that the object puts into prog arrays. */
export function withTailCallTargets(object: ObjectSpec, program: ProgramSpec): string[] {
  const names = new Set([program.name]);
  for (const { type, contents } of object.maps.values()) {
    if (type === 'prog_array' && contents.kind === 'references')
      for (const name of contents.targets.values()) names.add(name);
  }
  return [...names];
}

/** Throws InputError `SLUICE_ENGINE` for a name that is none. */
function engineOfEnvironment(): TestEngine {
  const name = process.env['SLUICE_ENGINE'] ?? 'jit';
  if (name === 'jit' || name === 'interpreter' || name === 'linux') return name;
  throw new InputError('SLUICE_ENGINE', `SLUICE_ENGINE is ${name}; there are jit, interpreter, linux`);
}
