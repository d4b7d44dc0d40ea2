/** What a program can learn of the machine and that is not in its input: clock, CPU and current task, set for runs that repeat exactly. */

import { InputError } from '../errors.ts';
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_CLOCK_OFFSET } from '../plane/layout/memory.ts';
import { GIVEN_ADDRESSES, GIVEN_KERNEL, GIVEN_USER, MAX_STACK } from '../plane/layout/stack-trace.ts';
import { WORKER_COMM, WORKER_PID_TGID, WORKER_STACK_TRACE, WORKER_UID_GID } from '../plane/layout/worker.ts';

/** A clock that does not follow the machine's. */
export interface Clock {
  /** What the first reading gives, in ns; at least 1. */
  readonly at: bigint;
  /** How much later each further reading is, in ns; 0 or absent: the clock stands. Readings of all programs and maps count. */
  readonly step?: number;
}

/** The current task, as bpf_get_current_pid_tgid, _uid_gid and _comm tell it. What is absent is 0 or empty. */
export interface Task {
  readonly pid?: number;
  /** Thread group: what user space calls the process id. Default: `pid`. */
  readonly tgid?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** At most 15 bytes count. */
  readonly comm?: string;
  /** Call stacks for bpf_get_stackid and bpf_get_stack: addresses, innermost first, at most 127 each. Default: none. */
  readonly stack?: { readonly kernel?: readonly bigint[]; readonly user?: readonly bigint[] };
}

/** The function that the plane reads the raw clock with, for a stepping clock; undefined for one that stands. */
export function steppingClock({ step }: Clock): (() => number) | undefined {
  if (step === undefined || step === 0) return undefined;
  let elapsed = -step;
  return () => {
    elapsed += step;
    return elapsed;
  };
}

/** Throws InputError `SLUICE_CLOCK` for a time that is none. */
export function setClock(memory: DataView, clock: Clock): void {
  if (clock.at < 1n || clock.at >= 1n << 64n)
    throw new InputError('SLUICE_CLOCK', `a clock starts at 1 ns or later, not ${clock.at}`);
  if (clock.step !== undefined && !(Number.isSafeInteger(clock.step) && clock.step >= 0))
    throw new InputError('SLUICE_CLOCK', `a clock steps by a whole number of ns, not ${clock.step}`);
  const steps = clock.step !== undefined && clock.step !== 0;
  memory.setBigUint64(ROOT + ROOT_CLOCK_OFFSET, steps ? clock.at : 0n, true);
  memory.setBigUint64(ROOT + ROOT_CLOCK_FROZEN, steps ? 0n : clock.at, true);
}

/** @param worker address of the worker block. */
export function setTask(memory: DataView, worker: number, task: Task): void {
  const { pid = 0, tgid = pid, uid = 0, gid = 0, comm = '' } = task;
  memory.setUint32(worker + WORKER_PID_TGID, pid, true);
  memory.setUint32(worker + WORKER_PID_TGID + 4, tgid, true);
  memory.setUint32(worker + WORKER_UID_GID, uid, true);
  memory.setUint32(worker + WORKER_UID_GID + 4, gid, true);
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(comm).subarray(0, 15));
  for (const [i, byte] of bytes.entries()) memory.setUint8(worker + WORKER_COMM + i, byte);
}

/** Gives the call stacks of a task to programs; `room` is memory for them that stays. Throws InputError `SLUICE_STACK` for one that is too deep. */
export function setStack(memory: DataView, worker: number, room: number, stack: NonNullable<Task['stack']>): void {
  const { kernel = [], user = [] } = stack;
  if (Math.max(kernel.length, user.length) > MAX_STACK)
    throw new InputError('SLUICE_STACK', `a call stack has at most ${MAX_STACK} addresses`);
  memory.setUint32(room + GIVEN_KERNEL, kernel.length, true);
  memory.setUint32(room + GIVEN_USER, user.length, true);
  for (const [i, address] of [...kernel, ...user].entries())
    memory.setBigUint64(room + GIVEN_ADDRESSES + i * 8, address, true);
  memory.setUint32(worker + WORKER_STACK_TRACE, room, true);
}
