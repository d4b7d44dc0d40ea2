/** What chooses queues for `steer run`: the device's own computation, a program here, or a program in the kernel. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, UnsupportedError } from '../errors.ts';
import { Steering, type SteeringOptions } from '../hooks/steering/index.ts';
import { fillRssMaps, RSS_CONFIG_MAP } from '../hooks/steering/rss-maps.ts';
import { load, Runtime } from '../index.ts';
import { kernelAnswer } from '../linux/kernel-interfaces.ts';
import { loadLinux } from '../linux/load.ts';
import { ProgramRefusedError } from '../linux/syscall-error.ts';
import type { TunProgram } from '../linux/tun.ts';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import { needsOf } from '../object/needs.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { EngineName } from '../runtime/engine.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { UsageError } from './exit.ts';
import { fillMaps, type MapInput, readMapInput } from './map-input.ts';
import { type ChangeOptions, changesOf } from './object-changes.ts';
import { selectOne } from './selector.ts';
import { type ContextOptions, contextsOf, readRssConfiguration } from './steer-rss.ts';
import { withTailCallTargets } from './subjects.ts';

/** Beside the built command: dist/cli/ -> bpf/. */
const RSS_PROGRAM = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  'bpf',
  'objects',
  'steering',
  'rss_socket.bpf.o',
);

export interface SteerEngineOptions extends ChangeOptions, ContextOptions {
  readonly queues: number;
  readonly program?: string;
  readonly rss?: string;
  readonly kernel?: boolean;
  readonly engine: EngineName;
  readonly maps?: string;
  readonly fallback?: boolean;
  readonly unverified?: boolean;
}

export interface SteerEngine {
  readonly runtime: Runtime;
  /** Undefined: the kernel steers. */
  readonly steering: Steering | undefined;
  /** The program of the kernel, where it has one. */
  readonly kernelProgram: TunProgram | undefined;
  /** How, in words. */
  readonly how: string;
  readonly program: string | undefined;
  readonly object: LoadedObject | undefined;
  close(): void;
}

/** `cpus`: of its runtime. */
export async function createSteerEngine(options: SteerEngineOptions, cpus = 1): Promise<SteerEngine> {
  if (options.program === undefined && options.rss === undefined && options.kernel !== true)
    throw new UsageError(
      'say what steers: --program OBJ[:P], --rss CONFIG.json, or both for a program that asks for the hash',
    );
  if (options.kernel === true && (options.rule ?? options.context) !== undefined)
    throw new UsageError('--rule and --context choose here, and --kernel leaves the choice to the kernel');
  const maps = options.maps === undefined ? {} : readMapInput(options.maps);
  return options.kernel === true ? inKernel(options, maps, cpus) : await here(options, maps, cpus);
}

function inKernel(options: SteerEngineOptions, maps: MapInput, cpus: number): SteerEngine {
  const runtime = new Runtime({ cpus });
  if (options.program === undefined && options.rss === undefined)
    return {
      runtime,
      steering: undefined,
      kernelProgram: undefined,
      how: 'in the kernel, without a program: by flow',
      program: undefined,
      object: undefined,
      close() {},
    };
  // The kernel has no receive-side scaling of its own (TUNSETVNETHASH was not merged): a program does it.
  const selector = options.program ?? RSS_PROGRAM;
  const { object, program } = selectOne(selector, changesOf(options));
  if (program.type !== 'socket_filter')
    throw new UsageError(
      `${selector} is a program of type ${program.type ?? 'unknown'}: the kernel steers TAPs by socket filters (SEC("socket"))`,
    );
  const loaded = loadInKernel(object, program);
  try {
    fillRss(loaded, options.rss === undefined ? undefined : readRssConfiguration(options.rss, options.queues));
    fillMaps(loaded, maps);
  } catch (error) {
    loaded.close();
    throw error;
  }
  return {
    runtime,
    steering: undefined,
    kernelProgram: loaded.programs[program.name]!,
    how: `in the kernel (TUNSETSTEERINGEBPF) by ${program.name}`,
    program: program.name,
    object: loaded,
    close: () => loaded.close(),
  };
}

/** What the verifier says of a call that the kernel does not have is a number; a program may also test for it, and do without. */
function loadInKernel(object: ObjectSpec, program: ProgramSpec): ReturnType<typeof loadLinux> {
  try {
    return loadLinux(object, { programs: withTailCallTargets(object, program) });
  } catch (error) {
    const missing = needsOf(object, [program]).filter(
      (need) => need.kind === 'kfunc' && kernelAnswer(need, object) === 'no',
    );
    if (!(error instanceof ProgramRefusedError) || missing.length === 0) throw error;
    throw new UnsupportedError(
      `kfunc ${missing[0]!.name}`,
      `${program.name} calls ${missing.map(({ name }) => name).join(', ')}, which this kernel does not have (sluice inspect says what it has): run it here, without --kernel`,
      undefined,
      { cause: error },
    );
  }
}

/** A program that does receive-side scaling itself has its configuration in maps. */
function fillRss(object: LoadedObject, configuration: RssConfiguration | undefined): void {
  if (configuration !== undefined && object.maps[RSS_CONFIG_MAP] !== undefined) fillRssMaps(object.maps, configuration);
}

async function here(options: SteerEngineOptions, maps: MapInput, cpus: number): Promise<SteerEngine> {
  const { device, close, ...rest } = await steeringOf(options, maps, cpus);
  try {
    const steering = new Steering({ ...device, queues: options.queues });
    return {
      ...rest,
      runtime: device.runtime,
      steering,
      kernelProgram: undefined,
      close() {
        steering.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** What a device here is made with, by --rss and --program. */
export interface SteeringSetup {
  readonly device: Omit<SteeringOptions, 'queues'> & { readonly runtime: Runtime };
  readonly how: string;
  readonly program: string | undefined;
  readonly object: LoadedObject | undefined;
  /** Of the program's object, once the device is closed. */
  close(): void;
}

/** `cpus`: of its runtime. */
export async function steeringOf(options: SteerEngineOptions, maps: MapInput, cpus = 1): Promise<SteeringSetup> {
  const { queues } = options;
  const configuration = options.rss === undefined ? undefined : readRssConfiguration(options.rss, queues);
  const runtime = new Runtime({ cpus });
  const device = {
    runtime,
    ...contextsOf(options, queues),
    ...(configuration === undefined ? {} : { configuration }),
  };
  if (options.program === undefined)
    return {
      device,
      how: `here, ${configuration?.automatic === true ? 'by flow' : 'by receive-side scaling'}`,
      program: undefined,
      object: undefined,
      close() {},
    };
  const { object, program } = selectOne(options.program, changesOf(options));
  const loaded = await load(object, {
    runtime,
    engine: options.engine,
    programs: withTailCallTargets(object, program),
    unverified: options.unverified === true,
  });
  try {
    fillRss(loaded, configuration);
    fillMaps(loaded, maps);
    const handle = loaded.programs[program.name];
    if (handle === undefined) throw new InputError('SLUICE_NO_PROGRAM', `no program ${program.name}`);
    return {
      device: { ...device, program: handle, fallback: options.fallback === true },
      how: `here (${options.engine}) by ${program.name}, a program of type ${program.type}`,
      program: program.name,
      object: loaded,
      close: () => loaded.close(),
    };
  } catch (error) {
    loaded.close();
    throw error;
  }
}
