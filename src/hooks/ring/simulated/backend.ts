/**
 * A ring without a kernel: the same queues in the linear memory, and behind them a virtual world that runs from one seed. The same programs see the
 * same requests complete, with short transfers, errors, reordering and cancellation races on demand, and every run can be repeated.
 */
import { InputError } from '../../../errors.ts';
import { random } from '../../../net/random.ts';
import { CQE_SIZE, SQE_SIZE } from '../../../plane/layout/sqe.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { RingAddresses, RingBackend } from '../backend.ts';
import { later } from '../later.ts';
import { EBADF, EINTR, ETIME } from './errno.ts';
import { type Faults, type Latency, mixedLatency, noFaults } from './faults.ts';
import type { History } from './history.ts';
import { Kernel } from './kernel.ts';
import { LinearMemory } from './memory.ts';
import { operations } from './operations/index.ts';
import type { RingRecord } from './record.ts';
import { register } from './registration.ts';
import { Replay } from './replay.ts';
import { World } from './world/index.ts';

export interface SimulationOptions {
  /** Any integer; its lower 32 bits count. Default 0. */
  readonly seed?: number;
  /** SQ entries, a power of two up to 32768; default 128. */
  readonly entries?: number;
  /** CQ entries, a power of two; default twice as many. */
  readonly cqEntries?: number;
  /** Default: an empty one of its own. */
  readonly world?: World;
  /** Default: none. `chaos` has them all. */
  readonly faults?: Partial<Faults>;
  readonly latency?: Latency;
  /** A recorded run (RecordingBackend): requests get the results that they had then, and the world stays as it is. */
  readonly replay?: RingRecord;
  /** IORING_SETUP_SUBMIT_ALL: a request that is refused does not end the submission. Default true. */
  readonly submitAll?: boolean;
}

const FEATURES = [
  'SINGLE_ISSUER',
  'DEFER_TASKRUN',
  'NO_SQARRAY',
  'NO_MMAP',
  'CQSIZE',
  'NODROP',
  'SUBMIT_STABLE',
  'RW_CUR_POS',
] as const;
const MORE_FEATURES = ['FAST_POLL', 'EXT_ARG', 'CQE_SKIP', 'LINKED_FILE', 'RECVSEND_BUNDLE'] as const;
const NO_TIME = { min: 0, max: 0 } as const;
/** The kernel's words: SQ head, tail, flags, CQ head, tail. */
const WORDS = 64;

export class SimulatedBackend implements RingBackend {
  readonly name = 'simulated';
  readonly addresses: RingAddresses;
  readonly base = 0n;
  readonly features: ReadonlySet<string>;
  readonly world: World;
  readonly seed: number;
  readonly #runtime: Runtime;
  readonly #memory: LinearMemory;
  readonly #kernel: Kernel;
  readonly #latency: Latency;
  readonly #submitAll: boolean;
  readonly #pages: { readonly address: number; readonly size: number };
  #waiters: (() => void)[] = [];
  #pumping = false;
  /** Enters that handed something over. */
  #submissions = 0;
  #closed = false;
  readonly #tell = () => this.#changed();

  /** Throws InputError (SLUICE_RING_ENTRIES) for queue sizes that are no powers of two in range. */
  constructor(runtime: Runtime, options: SimulationOptions = {}) {
    const entries = options.entries ?? 128;
    const cqEntries = options.cqEntries ?? 2 * entries;
    checkEntries(entries, 32768);
    checkEntries(cqEntries, 65536);
    this.#runtime = runtime;
    this.world = options.world ?? new World();
    this.seed = options.seed ?? 0;
    this.#submitAll = options.submitAll ?? true;
    this.#latency = options.latency ?? mixedLatency;
    const size = WORDS + cqEntries * CQE_SIZE + entries * SQE_SIZE;
    const address = runtime.allocatePages(size);
    this.#pages = { address, size };
    this.addresses = {
      sqHead: address,
      sqTail: address + 4,
      sqFlags: address + 8,
      cqHead: address + 12,
      cqTail: address + 16,
      sqArray: 0,
      sqes: address + WORDS,
      cqes: address + WORDS + entries * SQE_SIZE,
      sqMask: entries - 1,
      cqMask: cqEntries - 1,
    };
    this.features = new Set<string>([...FEATURES, ...MORE_FEATURES, ...(this.#submitAll ? ['SUBMIT_ALL'] : [])]);
    this.#memory = new LinearMemory(runtime.plane.memory);
    const faults = { ...noFaults, ...options.faults };
    this.#kernel = new Kernel(this.world, this.#memory, this.addresses, random(this.seed), faults, this.#latency);
    if (options.replay !== undefined) this.#kernel.replay = new Replay(this.#kernel, options.replay);
    this.world.clock.onChange.add(this.#tell);
    // By another ring of the world, or as that one takes the world on.
    this.#kernel.onPost = this.#tell;
  }

  /** ns of virtual time since the world began. */
  get now(): number {
    return this.world.clock.now;
  }

  /** What was asked and answered so far. */
  get history(): History {
    return this.#kernel.history;
  }

  /** Descriptor of the ring, for MSG_RING. */
  get fd(): number {
    return this.#kernel.fd;
  }

  /** Requests that have not ended, and zero-copy sends whose buffers are in use. */
  get inFlight(): number {
    return this.#kernel.live + this.#kernel.notifications;
  }

  /** A replay has served all of its record. */
  get isReplayed(): boolean {
    return this.#kernel.replay?.isDone ?? false;
  }

  /** Direct descriptors that are in use. */
  get directDescriptors(): number[] {
    const { files } = this.#kernel.resources;
    return [...(files ?? []).keys()].filter((slot) => files![slot] !== undefined);
  }

  supports(opcode: number): boolean {
    return operations[opcode] !== undefined;
  }

  /** Throws InputError (SLUICE_RING_STALLED) where it would wait for ever: nothing in the world will happen any more. */
  enter(submit: number, wait: number, timeoutNs?: number): number {
    if (this.#closed || this.#kernel.dead) return -EBADF;
    this.#memory.refresh();
    const { clock } = this.world;
    const submitted = this.#submit(submit);
    clock.runWork();
    // A call that hands nothing over takes no time: how often somebody looks must not change what happens.
    clock.runUntil(clock.now + (submitted > 0 ? this.#kernel.between(this.#latency.enter ?? NO_TIME) : 0));
    const { queue, replay } = this.#kernel;
    replay?.deliver();
    queue.flush();
    let result = 0;
    if (wait > 0) {
      if (this.#kernel.happens(this.#kernel.faults.interrupted) && queue.ready < wait)
        return submitted > 0 ? submitted : -EINTR;
      result = this.#waitFor(Math.min(wait, this.addresses.cqMask + 1), timeoutNs);
    }
    return submitted > 0 ? submitted : result;
  }

  /** Lets virtual time pass. */
  advance(ns: number): void {
    this.#memory.refresh();
    this.world.clock.runUntil(this.world.clock.now + ns);
    this.#kernel.queue.flush();
    this.#release();
  }

  /** Virtual time goes on once JavaScript has nothing else to do: what it does first must not depend on how fast it is. */
  wait(): Promise<void> {
    if (this.#kernel.queue.ready > 0 || this.#closed || this.#kernel.dead) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#changed();
    });
  }

  register(opcode: number, argument: number, count: number): number {
    if (this.#closed || this.#kernel.dead) return -EBADF;
    this.#memory.refresh();
    const recorded = this.#kernel.replay?.registration(opcode);
    const result = register(this.#kernel, opcode, argument, count);
    this.world.clock.runWork();
    return recorded ?? result;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#kernel.stop();
    this.world.clock.onChange.delete(this.#tell);
    this.#runtime.freePages(this.#pages.address, this.#pages.size);
    this.#release();
  }

  #submit(submit: number): number {
    const { words } = this.#memory;
    const { sqHead, sqTail, sqes, sqMask } = this.addresses;
    const { submission } = this.#kernel;
    let head = words[sqHead >>> 2]!;
    const count = Math.min(submit, (words[sqTail >>> 2]! - head) >>> 0, sqMask + 1);
    let taken = 0;
    while (taken < count) {
      taken++;
      const accepted = submission.submit(sqes + (head & sqMask) * SQE_SIZE);
      head = (head + 1) >>> 0;
      if (!accepted && !this.#submitAll) break;
    }
    if (count > 0) {
      submission.end();
      this.#submissions++;
    }
    words[sqHead >>> 2] = head;
    return taken;
  }

  #waitFor(wait: number, timeoutNs: number | undefined): number {
    const { clock } = this.world;
    const { queue } = this.#kernel;
    const deadline = timeoutNs === undefined ? Number.POSITIVE_INFINITY : clock.now + timeoutNs;
    const { timeouts } = this.#kernel;
    while (queue.ready < wait && this.#kernel.timeouts === timeouts) {
      if (this.#kernel.replay?.step() === true) {
        queue.flush();
        continue;
      }
      const next = clock.next();
      if (next > deadline || next === Number.POSITIVE_INFINITY) {
        if (deadline === Number.POSITIVE_INFINITY) {
          const text = `${this.#kernel.live} requests wait for what never happens in the simulated world (seed ${this.seed})`;
          throw new InputError('SLUICE_RING_STALLED', `${text}; the last of its history:\n${this.history.text(20)}`);
        }
        clock.runUntil(deadline);
        return -ETIME;
      }
      clock.step();
      queue.flush();
      if (this.#kernel.dead) return -EBADF;
    }
    clock.runUntil(clock.now);
    return 0;
  }

  /** Something is due: who sleeps may have something to wake for. */
  #changed(): void {
    if (this.#waiters.length === 0 || this.#pumping) return;
    this.#pumping = true;
    const submissions = this.#submissions;
    // Twice: what runs later now may ask to run later again.
    later(() =>
      later(() => {
        const isIdle = this.#submissions === submissions;
        if (isIdle && this.#waiters.length > 0) this.#pump();
        this.#pumping = false;
        if (!isIdle) this.#changed();
        else if (this.#kernel.queue.ready > 0) this.#release();
      }),
    );
  }

  /** Runs the world until there is a completion, or nothing left to happen. */
  #pump(): void {
    if (this.#closed || this.#kernel.dead) return;
    this.#memory.refresh();
    const { clock } = this.world;
    const { queue } = this.#kernel;
    clock.runWork();
    queue.flush();
    const { replay } = this.#kernel;
    while (queue.ready === 0 && (replay?.step() === true || clock.step())) queue.flush();
  }

  #release(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

function checkEntries(entries: number, most: number): void {
  if (Number.isInteger(entries) && entries >= 1 && entries <= most && (entries & (entries - 1)) === 0) return;
  throw new InputError(
    'SLUICE_RING_ENTRIES',
    `a queue of a ring has a power of two entries, 1 to ${most}, not ${entries}`,
  );
}
