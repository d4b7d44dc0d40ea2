/** `sluice steer run --xdp OBJ[:P] --cpus N`: the program that runs over the packets of the queues, on threads. */
import { Cpus } from '../cpus.ts';
import { InputError } from '../errors.ts';
import { XdpAttachment } from '../hooks/xdp/index.ts';
import { load } from '../index.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { UsageError } from './exit.ts';
import { fillMaps, readMapInput } from './map-input.ts';
import { type ChangeOptions, changesOf } from './object-changes.ts';
import type { Output } from './output.ts';
import { selectOne } from './selector.ts';
import { withTailCallTargets } from './subjects.ts';

export interface SteerXdpOptions extends ChangeOptions {
  readonly xdp?: string;
  readonly cpus?: number;
  readonly xdpMaps?: string;
  readonly unverified?: boolean;
  readonly offloads?: readonly string[];
}

export interface SteerXdp {
  readonly program: string;
  readonly object: LoadedObject;
  readonly cpus: Cpus;
  readonly attachment: XdpAttachment;
  close(): Promise<void>;
}

/** CPUs of the runtime that such a run needs, this thread's counted. Throws UsageError for options that do not go together. */
export function cpusFor({ xdp, cpus, xdpMaps, offloads = [] }: SteerXdpOptions): number {
  if (xdp !== undefined && offloads.length > 0)
    throw new UsageError(
      '--xdp takes packets as they are on the wire, and --offloads leaves them unfinished: give one',
    );
  if (xdp !== undefined) return (cpus ?? 1) + 1;
  if ((cpus ?? xdpMaps) !== undefined)
    throw new UsageError('--cpus and --xdp-maps are for the program of --xdp OBJ[:P], which runs on the threads');
  return 1;
}

/** Threads of the runtime with the program that is wished; undefined: none is. */
export async function startXdp(
  runtime: Runtime,
  options: SteerXdpOptions,
  output: Output,
): Promise<SteerXdp | undefined> {
  if (options.xdp === undefined) return undefined;
  const { object: spec, program } = selectOne(options.xdp, changesOf(options));
  if (program.type !== 'xdp')
    throw new UsageError(`${options.xdp} is a program of type ${program.type ?? 'unknown'}: --xdp takes one of XDP`);
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const each of undo.reverse()) await each();
  };
  try {
    const programs = withTailCallTargets(spec, program);
    const object = await load(spec, { runtime, programs, unverified: options.unverified === true });
    undo.push(() => object.close());
    if (options.xdpMaps !== undefined) fillMaps(object, readMapInput(options.xdpMaps));
    const handle = object.programs[program.name];
    if (handle === undefined) throw new InputError('SLUICE_NO_PROGRAM', `no program ${program.name}`);
    let told = false;
    const cpus = await Cpus.start(runtime, {
      onFault: ({ message }) => {
        if (!told) output.note(`a program was stopped, and its packet with it: ${message}`);
        told = true;
      },
      onCrash: ({ cpu, error }) => output.note(`CPU ${cpu} has ended: ${error.message}`),
    });
    undo.push(() => cpus.close());
    const attachment = new XdpAttachment(runtime, handle, { follow: true });
    undo.push(() => attachment.close());
    return { program: program.name, object, cpus, attachment, close };
  } catch (error) {
    await close();
    throw error;
  }
}
