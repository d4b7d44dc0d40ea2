/** Operations that wait, and those that are about requests and rings themselves. */
import { FUTEX_BITSET_MATCH_ANY, futexFlags, waitIdTypes, waitOptions } from '../../../abi/io-uring/call-flags.ts';
import type { Completion } from '../completion.ts';
import * as prep from '../prep/index.ts';
import { RequestError } from '../request-error.ts';
import type { OperationOptions } from './lending.ts';
import { SocketRing } from './sockets.ts';

const TIMESPEC_SIZE = 16;
const SIGINFO_SIZE = 128;
/** siginfo_t of SIGCHLD on 64-bit Linux: si_code at 8, then the union at 16: si_pid, si_uid, si_status. */
const SI_CODE = 8;
const SI_PID = 16;
const SI_STATUS = 24;
const ETIME = -62;

export interface ChildEnd {
  readonly pid: number;
  /** CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3, … */
  readonly code: number;
  /** Exit status, or the signal. */
  readonly status: number;
}

export class WaitRing extends SocketRing {
  nop(options: OperationOptions & { readonly result?: number } = {}): Promise<number> {
    return this.request('nop', (view, at) => prep.nop(view, at, options), options);
  }

  /** Resolves after `ns`, on the kernel's clock. */
  async delay(ns: prep.Word64, options: OperationOptions & prep.ClockOptions = {}): Promise<void> {
    const time = this.allocate(TIMESPEC_SIZE);
    prep.writeTimespec(new DataView(time.bytes.buffer), time.address, ns);
    try {
      await this.using('timeout', time, (view, at) => prep.timeout(view, at, time.address, options), options);
    } catch (error) {
      // That the time is over is what was asked for.
      if (!(error instanceof RequestError && error.res === ETIME)) throw error;
    }
  }

  /** Bounds the request before it, which is called with `link` in the same turn of JavaScript. Rejects with ETIME if it had to end it, with ECANCELED if not. */
  linkTimeout(ns: prep.Word64, options: OperationOptions & prep.ClockOptions = {}): Promise<number> {
    const time = this.allocate(TIMESPEC_SIZE);
    prep.writeTimespec(new DataView(time.bytes.buffer), time.address, ns);
    return this.using('link_timeout', time, (view, at) => prep.linkTimeout(view, at, time.address, options), options);
  }

  /** Which of the events (pollEvents) there are, once there is one. */
  poll(fd: number, events: number, options: OperationOptions = {}): Promise<number> {
    return this.request('poll_add', (view, at) => prep.pollAdd(view, at, fd, events, options), options);
  }

  /** Each time that there are events: `res` says which. */
  polled(fd: number, events: number, options: OperationOptions = {}): AsyncIterableIterator<Completion> {
    return this.stream(
      'poll_add',
      (view, at) => prep.pollAdd(view, at, fd, events, { ...options, multishot: true }),
      options,
    );
  }

  /** Cancels requests of a descriptor, of an opcode, or all; how many. For one of your own: its AbortSignal, or `cancel(userData)`. */
  cancelMatching(target: prep.CancelTarget, options: OperationOptions = {}): Promise<number> {
    return this.request('async_cancel', (view, at) => prep.cancel(view, at, target, options), options);
  }

  /** A completion for the user of another ring: `data` (63 bits) as its user_data, `result` as its result. */
  message(ring: number, result: number, data: prep.Word64, options: OperationOptions = {}): Promise<number> {
    return this.request(
      'msg_ring',
      (view, at) => prep.messageData(view, at, ring, result, data, undefined, options),
      options,
    );
  }

  /** Waits while the u32 at `address` of the ring's memory is `value`: for wakeups by `futexWake` or futex(2), not by Atomics. */
  futexWait(address: number, value: number, options: OperationOptions = {}): Promise<number> {
    return this.request(
      'futex_wait',
      (view, at) =>
        prep.futexWait(
          view,
          at,
          address,
          value,
          FUTEX_BITSET_MATCH_ANY,
          futexFlags.SIZE_U32 | futexFlags.PRIVATE,
          options,
        ),
      options,
    );
  }

  /** Wakes up to `count`; how many. */
  futexWake(address: number, count: number, options: OperationOptions = {}): Promise<number> {
    return this.request(
      'futex_wake',
      (view, at) =>
        prep.futexWake(
          view,
          at,
          address,
          count,
          FUTEX_BITSET_MATCH_ANY,
          futexFlags.SIZE_U32 | futexFlags.PRIVATE,
          options,
        ),
      options,
    );
  }

  /** Waits for a child process to end. It stays Node's too: `keep` leaves it to be waited for again. */
  async waitChild(pid: number, options: OperationOptions & { readonly keep?: boolean } = {}): Promise<ChildEnd> {
    const info = this.allocate(SIGINFO_SIZE);
    const what = waitOptions.EXITED | (options.keep === true ? waitOptions.NOWAIT : 0);
    try {
      await this.request(
        'waitid',
        (view, at) => prep.waitid(view, at, waitIdTypes.PID, pid, info.address, what, options),
        options,
      );
      const view = new DataView(info.bytes.buffer, info.address);
      return {
        pid: view.getInt32(SI_PID, true),
        code: view.getInt32(SI_CODE, true),
        status: view.getInt32(SI_STATUS, true),
      };
    } finally {
      info.free();
    }
  }
}
