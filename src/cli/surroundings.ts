/** Options for what programs see of the machine: clock, CPU, task, network. */
import { type Command, InvalidArgumentError } from 'commander';
import { possibleCpus } from '../linux/cpus.ts';
import { type HelperResults, parseHelperResult } from '../runtime/helper-results.ts';
import type { Network } from '../runtime/network.ts';
import { networkFromJson } from '../runtime/network-json.ts';
import type { RuntimeOptions } from '../runtime/runtime.ts';
import type { Clock, Task } from '../runtime/surroundings.ts';
import {
  type TraitFormat,
  type TraitLayout,
  type TraitPlacement,
  traitLayouts,
  traitPlacements,
} from '../runtime/traits.ts';
import { integerOption } from './options.ts';
import { addRegistry, type RegistryOptions, readRegistryFile } from './registry-option.ts';
import { readJson } from './selector.ts';

export interface SurroundingsOptions extends RegistryOptions {
  readonly clock?: Clock;
  readonly cpu?: number;
  readonly task?: Task;
  /** JSON file. */
  readonly network?: string;
  readonly helperResult?: HelperResults;
  readonly metadata?: Partial<TraitFormat>;
}

export type Surroundings = Pick<
  RuntimeOptions,
  'clock' | 'cpu' | 'cpus' | 'task' | 'network' | 'helperResults' | 'metadata'
>;

export function addSurroundings(command: Command): void {
  command
    .option(
      '--clock <ns[+step]>',
      'clock that programs see in user space: it stands, or each reading is a step later',
      clockOption,
    )
    .option('--cpu <n>', 'CPU that programs see in user space', integerOption(0, 63))
    .option('--task <pid[:comm]>', 'task that programs see in user space', taskOption)
    .option('--network <file>', 'interfaces, routes and neighbours that bpf_fib_lookup finds in user space, as JSON')
    .option(
      '--metadata <layout[:placement]>',
      `how packets keep their traits in user space (docs/metadata.md): ${Object.keys(traitLayouts).join(', ')}; ${Object.keys(traitPlacements).join(', ')}`,
      metadataOption,
    )
    .option(
      '--helper-result <name=v,…>',
      'what a helper returns in user space, call by call, the last one from then on; several times for several helpers',
      helperResultOption,
    );
  addRegistry(command);
}

/** @param repeatable without --clock, one that steps by 1 µs from now, because the machine's cannot be had again. */
export function surroundingsOf(options: SurroundingsOptions, repeatable: boolean): Surroundings {
  const { clock, cpu, task, network, helperResult, metadata, registry } = options;
  const set = clock ?? (repeatable ? { at: process.hrtime.bigint(), step: 1000 } : undefined);
  return {
    cpus: Math.max(possibleCpus(), (cpu ?? 0) + 1),
    ...(set === undefined ? {} : { clock: set }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(task === undefined ? {} : { task }),
    ...(network === undefined ? {} : { network: networkOf(network) }),
    ...(metadata === undefined && registry === undefined
      ? {}
      : { metadata: { ...metadata, ...(registry === undefined ? {} : { registry: readRegistryFile(registry) }) } }),
    ...(helperResult === undefined ? {} : { helperResults: helperResult }),
  };
}

function networkOf(path: string): Network {
  return networkFromJson(readJson(path), path);
}

function clockOption(text: string): Clock {
  const [, at, step] = /^(\d+)(?:\+(\d+))?$/.exec(text) ?? [];
  if (at === undefined || BigInt(at) < 1n || BigInt(at) >= 1n << 64n)
    throw new InvalidArgumentError('must be ns from 1 up, or ns+step.');
  return { at: BigInt(at), ...(step === undefined ? {} : { step: Number(step) }) };
}

export function metadataOption(text: string): Partial<TraitFormat> {
  const [layout = '', placement] = text.split(':');
  if (!Object.hasOwn(traitLayouts, layout) || (placement !== undefined && !Object.hasOwn(traitPlacements, placement)))
    throw new InvalidArgumentError(
      `must be out of ${Object.keys(traitLayouts).join(', ')}, and after a colon out of ${Object.keys(traitPlacements).join(', ')}.`,
    );
  return {
    layout: layout as TraitLayout, // as just asked
    ...(placement === undefined ? {} : { placement: placement as TraitPlacement }),
  };
}

function helperResultOption(text: string, before: HelperResults = {}): HelperResults {
  const [, name, list] = /^(\w+)=(.+)$/.exec(text) ?? [];
  const values = list?.split(',').map(parseHelperResult) ?? [];
  const numbers = values.filter((value) => value !== undefined);
  if (name === undefined || numbers.length !== values.length)
    throw new InvalidArgumentError('must be the name of a helper, =, and numbers with commas between them.');
  return { ...before, [name]: numbers };
}

function taskOption(text: string): Task {
  const [, pid, comm] = /^(\d{1,9})(?::(.*))?$/.exec(text) ?? [];
  if (pid === undefined) throw new InvalidArgumentError('must be a process id, or id:name.');
  return { pid: Number(pid), ...(comm === undefined ? {} : { comm }) };
}
