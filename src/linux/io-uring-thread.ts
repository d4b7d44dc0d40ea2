/** The thread of a ring: its kernel ring belongs to it, and it runs the turns of the plane between enters. Its owner is io-uring-worker.ts. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { InputError } from '../errors.ts';
import {
  QUEUE_TAIL,
  RING_BACKLOG,
  RING_CQ_HEAD,
  RING_CQ_TAIL,
  RING_IDLE,
  RING_ISSUED,
  RING_POSTED,
  RING_QUEUES,
  RING_RUNS_LEFT,
  RING_SETTLED,
  RING_SLEEPING,
  RING_SLOTS_USED,
  RING_SQ_FLAGS,
  RING_STAGE_HEAD,
  RING_STAGE_TAIL,
  RING_STATS,
  RING_WATCHED,
} from '../plane/layout/ring.ts';
import { WORKER_FUEL, WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import { CpuTimers } from '../runtime/cpu-timers.ts';
import { sentError } from '../runtime/cpus/sent-error.ts';
import { dropPrograms, instantiatePrograms } from '../runtime/jit-engine.ts';
import { createPlane, type PlaneInstance } from '../runtime/plane.ts';
import { close, syscall } from './ffi.ts';
import { LinuxRing } from './io-uring.ts';
import * as mail from './io-uring-mailbox.ts';
import { SyscallError } from './syscall-error.ts';

/** Functions of the plane, with u32 and i32. */
interface ThreadPlane {
  ring_turn(ring: number): number;
  ring_stopped(ring: number, exhausted: number): number;
  ring_watch(ring: number, eventfd: number): void;
  ring_queue_create(ring: number, entries: number, how: number): number;
  ring_cancel(ring: number, low: number, high: number): number;
  ring_close(ring: number): void;
  ring_cancel_all(ring: number): number;
  ring_forward(ring: number): number;
}

const EFD_CLOEXEC = 0o2000000;
const SQ_CQ_OVERFLOW = 2;
const EBUSY = -16;
const EAGAIN = -11;
const EINTR = -4;
const ETIME = -62;
const EINVAL = -22;
/** Rounds of one call, and how long a wait is at most: a thread in a system call cannot be ended. */
const ROUNDS = 256;
const LONGEST_NS = 1e9;
const CLOSING_NS = 20e6;

class RingLoop {
  readonly #data: mail.RingThreadData;
  readonly #mail: Int32Array;
  readonly #plane: PlaneInstance;
  readonly #calls: ThreadPlane;
  readonly #backend: LinuxRing;
  readonly #eventfd: number;
  readonly #timers: CpuTimers;
  /** The memory as it is when the ring begins, which lies in it. */
  #words: Int32Array;
  #view: DataView;
  #ring = 0;
  /** Address of the queue of promises. */
  #promises = 0;
  #answered = 0;
  #posted = 0;
  #enters = 0;

  constructor(data: mail.RingThreadData, plane: PlaneInstance, backend: LinuxRing, eventfd: number) {
    this.#data = data;
    this.#mail = data.mail;
    this.#plane = plane;
    this.#calls = plane.exports as unknown as ThreadPlane; // what the module exports is fixed by its sources
    this.#backend = backend;
    this.#eventfd = eventfd;
    this.#timers = new CpuTimers(plane, {
      onFault: ({ message }) => data.port.postMessage({ message: `of a timer: ${message}` } satisfies mail.RingFault),
      onPassed: () => post({ kind: 'timers' }),
    });
    this.#words = new Int32Array(data.memory.buffer);
    this.#view = new DataView(data.memory.buffer);
  }

  /** Until the owner ends the ring (true), or the process ends. */
  run(): boolean {
    while (this.#ring === 0) {
      Atomics.wait(this.#mail, mail.MAIL_ASKED, this.#answered);
      if (Atomics.load(this.#mail, mail.MAIL_STOP) !== 0) return false;
      if (!this.#isAsked()) continue;
      if (this.#mail[mail.MAIL_CALL] === mail.CALL_FINISH) return true;
      this.#answer();
    }
    // What was staged before is found by the first turn.
    for (;;) {
      const staged = this.#word(RING_STAGE_TAIL);
      const submit = this.#turn();
      if (Atomics.load(this.#mail, mail.MAIL_STOP) !== 0) return false;
      if (this.#isAsked()) {
        this.#goOn(submit);
        if (this.#mail[mail.MAIL_CALL] === mail.CALL_FINISH) {
          this.#finish();
          return true;
        }
        this.#answer();
      } else if (this.#hasMore()) this.#enter(submit, 0);
      else this.#sleep(submit, staged);
    }
  }

  #isAsked(): boolean {
    return Atomics.load(this.#mail, mail.MAIL_ASKED) !== this.#answered;
  }

  #answer(): void {
    this.#mail[mail.MAIL_RESULT] = this.#call(
      this.#mail[mail.MAIL_CALL]!,
      this.#mail[mail.MAIL_ARGUMENTS]! >>> 0,
      this.#mail[mail.MAIL_ARGUMENTS + 1]! >>> 0,
      this.#mail[mail.MAIL_ARGUMENTS + 2]! >>> 0,
    );
    this.#answered = (this.#answered + 1) | 0;
    Atomics.store(this.#mail, mail.MAIL_ANSWERED, this.#answered);
    Atomics.notify(this.#mail, mail.MAIL_ANSWERED);
  }

  #call(call: number, a: number, b: number, c: number): number {
    switch (call) {
      case mail.CALL_START: {
        this.#ring = a;
        const view = new DataView(this.#data.memory.buffer);
        this.#view = view;
        this.#words = new Int32Array(view.buffer);
        this.#promises = view.getUint32(view.getUint32(a + RING_QUEUES, true) + b * 4, true);
        return 0;
      }
      case mail.CALL_TURN:
        return 0;
      case mail.CALL_QUEUE:
        return this.#calls.ring_queue_create(this.#ring, a, b);
      case mail.CALL_CANCEL:
        return this.#calls.ring_cancel(this.#ring, a, b);
      case mail.CALL_REGISTER:
        return this.#backend.register(a, b, c);
      case mail.CALL_LOAD:
        this.#load();
        return 0;
      default:
        return EINVAL;
    }
  }

  #load(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#data.port);
      if (received === undefined) return;
      const { kind, module } = received.message as mail.RingModuleMessage; // what the owner sends
      if (kind === 'load') instantiatePrograms(this.#plane, module);
      else dropPrograms(this.#plane, module);
    }
  }

  /** Takes the ring as far as it goes without waiting. */
  #goOn(submit: number): void {
    let count = submit;
    for (let round = 0; round < ROUNDS && (count > 0 || this.#hasMore() || round === 0); round++) {
      this.#enter(count, 0);
      count = this.#turn();
    }
  }

  /** `staged`: up to where the last turn has seen what is staged. */
  #sleep(submit: number, staged: number): void {
    const sleeping = (this.#ring + RING_SLEEPING) / 4;
    if (this.#word(RING_WATCHED) === 0) {
      this.#enter(submit, 0);
      return;
    }
    this.#tellIdle();
    Atomics.store(this.#words, sleeping, 1);
    const isDue =
      this.#word(RING_STAGE_TAIL) !== staged || this.#isAsked() || Atomics.load(this.#mail, mail.MAIL_STOP) !== 0;
    // Whoever takes from a shared queue that was full wakes those that sleep.
    if (this.#word(RING_BACKLOG) !== 0) this.#calls.ring_forward(this.#ring);
    const ns = isDue ? 0 : this.#timers.fire();
    if (!isDue || submit > 0) this.#enter(submit, ns === 0 ? 0 : 1, Math.min(ns, LONGEST_NS));
    Atomics.store(this.#words, sleeping, 0);
  }

  #turn(): number {
    const { worker } = this.#plane;
    const view = this.#view;
    if (this.#word(RING_WATCHED) === 0) this.#calls.ring_watch(this.#ring, this.#eventfd);
    const stackTop = view.getUint32(worker + WORKER_STACK_TOP, true);
    for (;;) {
      try {
        const submit = this.#calls.ring_turn(this.#ring) >>> 0;
        this.#settle();
        return submit;
      } catch (error) {
        view.setUint32(worker + WORKER_STACK_TOP, stackTop, true);
        const trapped = error instanceof WebAssembly.RuntimeError;
        const exhausted = trapped && view.getUint32(worker + WORKER_FUEL, true) === 0;
        if (this.#calls.ring_stopped(this.#ring, exhausted ? 1 : 0) === 0) throw error;
        const fault: mail.RingFault = { message: error instanceof Error ? error.message : String(error) };
        this.#data.port.postMessage(fault);
      }
    }
  }

  /** Only what stands at the end of a turn is told: programs that answered have returned, and their memory may be given back. */
  #settle(): void {
    if (this.#word(RING_POSTED) !== this.#posted) this.#tell();
  }

  #tell(): void {
    const posted = (this.#ring + RING_POSTED) / 4;
    Atomics.store(this.#words, (this.#ring + RING_SETTLED) / 4, this.#words[(this.#promises + QUEUE_TAIL) / 4]!);
    this.#posted = (Atomics.add(this.#words, posted, 1) + 1) | 0;
    Atomics.notify(this.#words, posted);
  }

  /** The last requests may have ended without a completion, and the process waits for that. */
  #tellIdle(): void {
    const staged = this.#word(RING_STAGE_HEAD);
    if (staged === this.#word(RING_IDLE)) return;
    if (this.#word(RING_SLOTS_USED) !== 0 || staged !== this.#word(RING_STAGE_TAIL)) return;
    Atomics.store(this.#words, (this.#ring + RING_IDLE) / 4, staged);
    this.#tell();
  }

  #enter(submit: number, wait: number, ns = LONGEST_NS): void {
    this.#view.setBigUint64(this.#ring + RING_STATS + 48, BigInt(++this.#enters), true);
    const result = wait === 0 ? this.#backend.enter(submit, 0) : this.#backend.enter(submit, wait, ns);
    if (result >= 0 || result === ETIME || result === EINTR || result === EBUSY || result === EAGAIN) return;
    throw new SyscallError('io_uring_enter', -result);
  }

  #hasMore(): boolean {
    if (this.#word(RING_RUNS_LEFT) === 0) return true;
    const at = (offset: number) => Atomics.load(this.#words, this.#word(offset) / 4);
    return (at(RING_SQ_FLAGS) & SQ_CQ_OVERFLOW) !== 0 || at(RING_CQ_HEAD) !== at(RING_CQ_TAIL);
  }

  #finish(): void {
    this.#calls.ring_close(this.#ring);
    // The poll of the eventfd counts as armed: it is not to come back.
    let rounds = this.#calls.ring_cancel_all(this.#ring) !== 0 ? 0 : 1;
    const turn = () => {
      Atomics.store(this.#words, (this.#ring + RING_WATCHED) / 4, 1);
      return this.#turn();
    };
    for (;;) {
      this.#enter(turn(), 0);
      turn();
      if (this.#word(RING_ISSUED) === 0) break;
      if (rounds++ % 16 === 1) this.#calls.ring_cancel_all(this.#ring);
      this.#enter(turn(), 1, CLOSING_NS);
    }
    this.#tell();
  }

  #word(offset: number): number {
    return Atomics.load(this.#words, (this.#ring + offset) / 4);
  }
}

const post = (message: mail.RingThreadMessage) => parentPort?.postMessage(message);

async function main(data: mail.RingThreadData): Promise<void> {
  const { memory } = data;
  const offset = performance.timeOrigin - data.timeOrigin;
  const plane = createPlane(memory, {
    cpu: data.cpu,
    module: data.plane,
    now: () => (performance.now() + offset) * 1e6,
  });
  const pages = (size: number) => Math.ceil(size / 65536);
  let eventfd = -1;
  let backend: LinuxRing | undefined;
  let stopped = false;
  try {
    data.mail[mail.MAIL_THREAD] = syscall('gettid');
    eventfd = syscall('eventfd2', 0, EFD_CLOEXEC);
    if (eventfd < 0) throw new SyscallError('eventfd2', -eventfd);
    backend = new LinuxRing(
      {
        bytes: () => plane.bytes(),
        allocatePages(size) {
          const address = plane.exports.pages_alloc(pages(size)) >>> 0;
          if (address === 0) throw new InputError('SLUICE_MAP_ENOMEM', `no memory for a ring of ${size} bytes: ENOMEM`);
          return address;
        },
        freePages: (address, size) => plane.exports.pages_free(address, pages(size)),
      },
      data.options,
    );
    const ring = backend;
    post({
      kind: 'ready',
      addresses: ring.addresses,
      base: ring.base,
      features: [...ring.features],
      supported: Array.from({ length: 256 }, (_, i) => i).filter((opcode) => ring.supports(opcode)),
      fd: ring.fd,
      eventfd,
    });
    stopped = !new RingLoop(data, plane, ring, eventfd).run();
    if (!stopped) post({ kind: 'finished' });
  } catch (error) {
    post({ kind: 'failed', error: sentError(error) });
  }
  Atomics.store(data.mail, mail.MAIL_ENDED, 1);
  Atomics.notify(data.mail, mail.MAIL_ANSWERED);
  if (stopped) return;
  Atomics.store(data.mail, mail.MAIL_CLOSES, 1);
  await backend?.close();
  if (eventfd >= 0) close(eventfd);
}

await main(workerData as mail.RingThreadData); // what io-uring-worker.ts makes it with
