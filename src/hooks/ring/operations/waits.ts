/** Operations that wait, and those that are about requests and rings themselves. */
import { FUTEX_BITSET_MATCH_ANY, futexFlags, waitIdTypes, waitOptions } from '../../../abi/io-uring/call-flags.ts';
import { InputError } from '../../../errors.ts';
import { RING_TO_RING } from '../../../plane/layout/ring.ts';
import type { Completion } from '../completion.ts';
import type { RingCore } from '../core.ts';
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

function descriptorOf(ring: number | RingCore, options: prep.RingMessageOptions): number {
  if (
    options.program !== undefined ||
    options.toQueue !== undefined ||
    options.cancels === true ||
    options.flags !== undefined
  )
    throw new InputError(
      'SLUICE_RING_RUNTIME',
      'a message for a program or a queue goes to a ring of the same runtime: Ring.create({ runtime: ring.runtime })',
    );
  const fd = typeof ring === 'number' ? ring : ring.backend.fd;
  if (fd === undefined) throw new InputError('SLUICE_RING_FD', 'the ring has no descriptor that messages could go to');
  return fd;
}

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

  /**
   * A message to a ring: it runs a program there, or is posted to one of its queues (default: 0) with `data` as user_data and `result` as result. Settles once it is
   * on its way; messages from one ring to another arrive once each, in order. A ring of another runtime, or a descriptor of one (`backend.fd`), takes messages for
   * queue 0 alone, with 63 bits of data. Rejects with EBADF where the ring is closed.
   */
  message(
    ring: number | RingCore,
    result: number,
    data: prep.Word64,
    options: OperationOptions & prep.RingMessageOptions = {},
  ): Promise<number> {
    return this.request(
      'msg_ring',
      typeof ring === 'object' && ring.runtime === this.runtime
        ? (view, at) => prep.messageToRing(view, at, ring.number, result, data, options)
        : (view, at) => prep.messageData(view, at, descriptorOf(ring, options), result, data, undefined, options),
      options,
    );
  }

  /**
   * The file in `slot` of this ring's registered files becomes that of a slot of the other ring's as well (default: any that is free there): the number of that one.
   * That ring is told, by its program for messages or its queue 0, with the number as result and `data` (63 bits) as user_data, unless `silent`.
   */
  async passFile(
    ring: RingCore,
    slot: number,
    options: OperationOptions &
      prep.RequestOptions & { readonly to?: prep.Slot; readonly data?: prep.Word64; readonly silent?: boolean } = {},
  ): Promise<number> {
    const { to = 'alloc', data = 0 } = options;
    const own = ring.runtime === this.runtime;
    const target = own ? ring.number : descriptorOf(ring, {});
    const how = own ? { ...options, extra: (options.extra ?? 0) | RING_TO_RING } : options;
    const got = await this.request(
      'msg_ring',
      (view, at) => prep.messageFile(view, at, target, slot, to, data, how),
      options,
    );
    return to === 'alloc' ? got : to;
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
