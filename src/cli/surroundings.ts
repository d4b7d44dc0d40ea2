/** Options for what programs see of the machine: clock, CPU, task, network. */
import { type Command, InvalidArgumentError } from 'commander';
import { possibleCpus } from '../linux/cpus.ts';
import type { Network } from '../runtime/network.ts';
import { networkFromJson } from '../runtime/network-json.ts';
import type { RuntimeOptions } from '../runtime/runtime.ts';
import type { Clock, Task } from '../runtime/surroundings.ts';
import { integerOption } from './options.ts';
import { readJson } from './selector.ts';

export interface SurroundingsOptions {
  readonly clock?: Clock;
  readonly cpu?: number;
  readonly task?: Task;
  /** JSON file. */
  readonly network?: string;
}

export type Surroundings = Pick<RuntimeOptions, 'clock' | 'cpu' | 'cpus' | 'task' | 'network'>;

export function addSurroundings(command: Command): void {
  command
    .option(
      '--clock <ns[+step]>',
      'clock that programs see in user space: it stands, or each reading is a step later',
      clockOption,
    )
    .option('--cpu <n>', 'CPU that programs see in user space', integerOption(0, 63))
    .option('--task <pid[:comm]>', 'task that programs see in user space', taskOption)
    .option('--network <file>', 'interfaces, routes and neighbours that bpf_fib_lookup finds in user space, as JSON');
}

/** @param repeatable without --clock, one that steps by 1 µs from now, because the machine's cannot be had again. */
export function surroundingsOf({ clock, cpu, task, network }: SurroundingsOptions, repeatable: boolean): Surroundings {
  const set = clock ?? (repeatable ? { at: process.hrtime.bigint(), step: 1000 } : undefined);
  return {
    cpus: Math.max(possibleCpus(), (cpu ?? 0) + 1),
    ...(set === undefined ? {} : { clock: set }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(task === undefined ? {} : { task }),
    ...(network === undefined ? {} : { network: networkOf(network) }),
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

function taskOption(text: string): Task {
  const [, pid, comm] = /^(\d{1,9})(?::(.*))?$/.exec(text) ?? [];
  if (pid === undefined) throw new InvalidArgumentError('must be a process id, or id:name.');
  return { pid: Number(pid), ...(comm === undefined ? {} : { comm }) };
}
