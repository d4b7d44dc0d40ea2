/** CPUs as the kernel counts them. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { InputError } from '../errors.ts';
import { addressOf, syscall } from './ffi.ts';

/** Number of CPUs in a list such as `0-3,8-11` (Documentation/admin-guide/cputopology.rst): the highest number plus one. */
export function cpuCount(list: string): number {
  const numbers = list.trim().split(/[,-]/);
  const last = Number(numbers.at(-1));
  if (!Number.isInteger(last) || numbers.at(-1) === '') throw new InputError('SLUICE_LINUX_CPUS', `CPU list "${list}"`);
  return last + 1;
}

let possible: number | undefined;

/** Possible CPUs: how many values an element of a per-CPU map has. Fixed at boot. Where it is not Linux: the CPUs that there are. */
export function possibleCpus(): number {
  possible ??=
    process.platform === 'linux' ? cpuCount(readFileSync('/sys/devices/system/cpu/possible', 'utf8')) : cpus().length;
  return possible;
}

export function onlineCpus(): number {
  return cpuCount(readFileSync('/sys/devices/system/cpu/online', 'utf8'));
}

/** Keeps the calling thread on one CPU (sched_setaffinity(2)), so that test runs of it use that CPU's per-CPU values. */
export function pinToCpu(cpu: number): void {
  const mask = new Uint8Array(128);
  mask[cpu >> 3] = 1 << (cpu & 7);
  const result = syscall('sched_setaffinity', 0, mask.length, addressOf(mask));
  if (result < 0)
    throw new InputError('SLUICE_LINUX_CPUS', `this thread cannot be put on CPU ${cpu} (errno ${-result})`);
}
