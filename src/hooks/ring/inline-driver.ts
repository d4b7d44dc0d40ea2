/** A ring that JavaScript's own thread takes on: turns of the plane, and enters of the backend between them. */
import { InputError, SluiceError } from '../../errors.ts';
import { RING_ISSUED, RING_READY_FIRST, RING_RUNS_LEFT, RING_STAGE_TAIL, RING_STATS } from '../../plane/layout/ring.ts';
import { SQE_ADDR, SQE_BUF_INDEX, SQE_FD, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_SIZE } from '../../plane/layout/sqe.ts';
import { WORKER_FUEL, WORKER_STACK_TOP } from '../../plane/layout/worker.ts';
import type { PlainCalls, RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RingDriver, RingDriverHost } from './driver.ts';
import { later } from './later.ts';
import { type RingPlane, ringPlane } from './plane.ts';
import { RequestError } from './request-error.ts';

/** Counter of completions that were posted, in RING_STATS: what tells is its lower half. */
const POSTED = 24;
const ETIME = -62;
const EINTR = -4;
const EBUSY = -16;
const EAGAIN = -11;
const SQ_CQ_OVERFLOW = 2;
/** Turns and enters in a row before JavaScript gets its turn (or ms); for how long a ring is polled before somebody waits for it, ms. */
const ROUNDS = 256;
const ROUNDS_MS = 2;
const CLOCK_ROUNDS = 16;
/** IORING_OP_READ. */
const READ = 22;
/** Plain calls in a row before the kernel's ring gets its turn; most requests in a row that none is tried for. */
const PLAIN_STREAK = 64;
const MOST_DECLINED = 1024;
const POLL_MS = 0.1;
/** How long closing blocks at once, or waits before it asks for cancellations again, ns. */
const CLOSING_NS = 20e6;

export class InlineDriver implements RingDriver {
  lastFault: unknown;
  isTurning = false;
  readonly #runtime: Runtime;
  readonly #backend: RingBackend;
  readonly #plane: RingPlane;
  /** Of the plane: its exports are an object that V8 looks up in each time. */
  readonly #ringTurn: RingPlane['ring_turn'];
  readonly #ringAnswer: RingPlane['ring_answer'];
  readonly #host: RingDriverHost;
  readonly #words: Int32Array;
  readonly #address: number;
  /** Places in `#words` that each turn looks at. */
  readonly #at: {
    readonly stageTail: number;
    readonly issued: number;
    readonly ready: number;
    readonly runsLeft: number;
    readonly stackTop: number;
    readonly sqFlags: number;
    readonly sqHead: number;
    readonly cqHead: number;
    readonly cqTail: number;
  };
  readonly #plain: PlainCalls | undefined;
  /** Requests for which no plain call is tried, as the last ones would have waited; how many it will be the next time. */
  #declined = 0;
  #declining = 1;
  #waiting = false;
  #lastProgress = 0;
  #enters = 0;
  #posted = 0;

  constructor(runtime: Runtime, backend: RingBackend, host: RingDriverHost) {
    this.#runtime = runtime;
    this.#backend = backend;
    this.#plain = backend.plain;
    this.#plane = ringPlane(runtime);
    this.#ringTurn = this.#plane.ring_turn;
    this.#ringAnswer = this.#plane.ring_answer;
    this.#host = host;
    this.#words = host.words;
    this.#address = host.address;
    const { sqFlags, sqHead, cqHead, cqTail } = backend.addresses;
    this.#at = {
      stageTail: (host.address + RING_STAGE_TAIL) / 4,
      issued: (host.address + RING_ISSUED) / 4,
      ready: (host.address + RING_READY_FIRST) / 4,
      runsLeft: (host.address + RING_RUNS_LEFT) / 4,
      stackTop: (runtime.plane.worker + WORKER_STACK_TOP) / 4,
      sqFlags: sqFlags / 4,
      sqHead: sqHead / 4,
      cqHead: cqHead / 4,
      cqTail: cqTail / 4,
    };
  }

  get enters(): bigint {
    return BigInt(this.#enters);
  }

  createQueue(entries: number, how: number): number {
    return this.#plane.ring_queue_create(this.#address, entries, how);
  }

  drive(): void {
    if (this.isTurning) {
      this.#host.schedule();
      return;
    }
    let start = 0;
    for (let round = 0; ; round++) {
      const pending = this.#advance();
      const more = this.#moreToDo();
      // Messages of other rings are work that is done in an enter.
      const expects = this.#issued > 0 || this.#host.awaited;
      if (pending === 0 && !more && (round > 0 || !expects)) break;
      if (pending > 0 || expects) this.#enter(pending, 0);
      if (!this.#arrived() && !more && !this.#isKeptBack()) break;
      // The clock costs as much as a round.
      if (round % CLOCK_ROUNDS === 0 && start === 0) start = performance.now();
      if (round >= ROUNDS || (round % CLOCK_ROUNDS === 0 && performance.now() - start > ROUNDS_MS)) {
        // Promises that settle now must not bring the next such drive before timers and other sources have had their turn.
        this.#host.schedule(true);
        break;
      }
    }
    if (this.#turn() > 0) this.#host.schedule();
    if (this.#deliver()) this.#lastProgress = performance.now();
    this.#runtime.timers.arm();
    this.#await();
  }

  /** Who waits for completions is woken if there is something new. */
  #deliver(): boolean {
    const posted = this.#words[(this.#address + RING_STATS + POSTED) / 4]!;
    const come = posted !== this.#posted;
    this.#posted = posted;
    return this.#host.deliver(undefined, come);
  }

  makeRoom(): void {
    this.drive();
  }

  wait(count: number, timeoutNs?: number, minNs?: number): void {
    if (this.isTurning)
      throw new InputError('SLUICE_RING_IN_TURN', 'a function on completions must not wait for completions');
    const isTimed = timeoutNs !== undefined || minNs !== undefined;
    const start = isTimed ? performance.now() : 0;
    let asked = false;
    for (;;) {
      const pending = this.#advance();
      const passed = isTimed ? (performance.now() - start) * 1e6 : 0;
      const isGathering = minNs !== undefined && passed < minNs;
      const missing = (minNs === undefined || isGathering ? count : Math.min(count, 1)) - this.#host.ready();
      const more = this.#moreToDo();
      if (pending === 0 && missing <= 0) break;
      if (pending === 0 && this.#issued === 0 && !more) {
        // Messages of other rings are work that is done in an enter.
        if (asked) break;
        asked = true;
        this.#enter(0, 0);
        continue;
      }
      const left = timeoutNs === undefined ? undefined : timeoutNs - passed;
      if (left !== undefined && left <= 0) {
        if (pending > 0) this.#enter(pending, 0);
        break;
      }
      let entered: number;
      if (missing <= 0 || more) entered = this.#enter(pending, 0);
      else if (isGathering) entered = this.#gather(pending, missing, left, minNs - passed);
      else entered = this.#enter(pending, 1, left);
      if (entered === ETIME && pending === 0 && !isGathering) break;
    }
    this.#deliver();
    if (this.#moreToDo()) this.#host.schedule();
  }

  /** Waits for several, for a time in which one is not enough. */
  #gather(submit: number, wait: number, timeoutNs: number | undefined, minNs: number): number {
    const backend = this.#backend;
    // The kernel counts what it still has: where one is there already, the time is all that there is to wait for.
    if (backend.enterGathering === undefined || !backend.features.has('MIN_TIMEOUT') || this.#host.ready() > 0)
      return this.#enter(submit, wait, Math.min(minNs, timeoutNs ?? minNs));
    this.#enters++;
    return checked(backend.enterGathering(submit, wait, timeoutNs, minNs));
  }

  cancel(low: number, high: number): number {
    if (!this.isTurning) this.#turn();
    return this.#plane.ring_cancel(this.#address, low, high);
  }

  async finish(): Promise<void> {
    // Asked for by a function on completions: once the plane has returned.
    if (this.isTurning) await Promise.resolve();
    this.#plane.ring_close(this.#address);
    const asked = this.#plane.ring_cancel_all(this.#address) !== 0;
    let rounds = asked ? 0 : 1;
    for (;;) {
      this.#enter(this.#turn(), 0);
      this.#turn();
      this.#deliver();
      if (this.#issued === 0) break;
      // What could not be cancelled at first, as it was about to be started by a worker of the kernel, can be later.
      if (rounds++ % 16 === 1) this.#plane.ring_cancel_all(this.#address);
      // Where nobody can be woken, this thread waits itself.
      const woken = this.#backend.wait().catch(() => this.#enter(0, 1, CLOSING_NS));
      if (await soonerThan(woken)) continue;
      this.#plane.ring_cancel_all(this.#address);
    }
  }

  /** Has somebody wait for what is under way. */
  #await(): void {
    if (this.#waiting || this.#host.refuses || (this.#issued === 0 && !this.#host.awaited)) return;
    this.#waiting = true;
    const again = () => {
      this.#waiting = false;
      if (!this.#host.ended) this.drive();
    };
    // What answers soon is met by polling; waiting costs more than that. A simulation answers when it is waited for.
    if (this.#backend.name === 'linux' && performance.now() - this.#lastProgress < POLL_MS) later(again);
    else
      this.#backend.wait().then(
        () => {
          this.#lastProgress = performance.now();
          again();
        },
        (error) => {
          // The kernel goes on with them, and their memory stays its own until `close`.
          this.#waiting = false;
          this.lastFault = error;
          this.#host.fail(error);
        },
      );
  }

  /** A turn; while it leaves one request alone that a plain call does for less, that and another turn. How many an enter would submit. */
  #advance(): number {
    let pending = this.#turn();
    if (this.#plain === undefined) return pending;
    for (let streak = 0; streak < PLAIN_STREAK && pending === 1 && this.#issued === 1; streak++) {
      const result = this.#plainResult(this.#plain);
      if (result === undefined) break;
      pending = this.#turn(result);
    }
    return pending;
  }

  /** Of the one request that is pending; undefined: the ring is to do it. */
  #plainResult(plain: PlainCalls): number | undefined {
    const words = this.#words;
    const { sqes, sqMask } = this.#backend.addresses;
    const at = (sqes + (words[this.#at.sqHead]! & sqMask) * SQE_SIZE) / 4;
    // No flags, no priority; no flags of the transfer, no personality.
    if (words[at] !== READ || words[at + SQE_OP_FLAGS / 4] !== 0 || words[at + SQE_BUF_INDEX / 4] !== 0)
      return undefined;
    if (this.#declined > 0) {
      this.#declined--;
      return undefined;
    }
    const high = words[at + SQE_OFF / 4 + 1]!;
    // -1: the file's own position.
    if (high < 0 || high >= 2 ** 20) return undefined;
    const offset = high * 2 ** 32 + (words[at + SQE_OFF / 4]! >>> 0);
    const address = words[at + SQE_ADDR / 4 + 1]! * 2 ** 32 + (words[at + SQE_ADDR / 4]! >>> 0);
    const result = plain.read(words[at + SQE_FD / 4]!, address, words[at + SQE_LEN / 4]! >>> 0, offset);
    if (result !== undefined && result >= 0) {
      this.#declining = 1;
      return result;
    }
    // It asks less and less often.
    this.#declined = this.#declining;
    this.#declining = Math.min(this.#declining * 2, MOST_DECLINED);
    return undefined;
  }

  /** `answered`: result of the one request that was pending. */
  #turn(answered?: number): number {
    const words = this.#words;
    // On this thread alone: nothing needs to be atomic.
    words[this.#at.stageTail] = this.#host.tail();
    const stackTop = words[this.#at.stackTop]!;
    let result = answered;
    for (;;) {
      try {
        this.isTurning = true;
        if (result === undefined) return this.#ringTurn(this.#address) >>> 0;
        return this.#ringAnswer(this.#address, result) >>> 0;
      } catch (error) {
        result = undefined;
        words[this.#at.stackTop] = stackTop;
        const trapped = error instanceof WebAssembly.RuntimeError;
        // The interpreter counts by itself (`budget` of load), and says so.
        const counted = error instanceof SluiceError && error.code === 'SLUICE_FAULT_BUDGET';
        const exhausted = counted || (trapped && words[(this.#runtime.plane.worker + WORKER_FUEL) / 4] === 0);
        if (this.#plane.ring_stopped(this.#address, exhausted ? 1 : 0) === 0) throw error;
        this.lastFault = error;
      } finally {
        this.isTurning = false;
      }
    }
  }

  #enter(submit: number, wait: number, timeoutNs?: number): number {
    this.#enters++;
    return checked(this.#backend.enter(submit, wait, timeoutNs));
  }

  get #issued(): number {
    return this.#words[this.#at.issued]!;
  }

  /** The plane stopped for its budget, or the kernel keeps completions that found no room. */
  #moreToDo(): boolean {
    if (this.#words[this.#at.runsLeft] === 0) return true;
    return (this.#words[this.#at.sqFlags]! & SQ_CQ_OVERFLOW) !== 0 || this.#arrived();
  }

  /** Requests are ready that found no place in the kernel's queue. */
  #isKeptBack(): boolean {
    return this.#words[this.#at.ready] !== 0;
  }

  #arrived(): boolean {
    // The kernel writes its tail in enters of this thread, or is asked again.
    return this.#words[this.#at.cqHead] !== this.#words[this.#at.cqTail];
  }
}

function checked(result: number): number {
  if (result >= 0 || result === ETIME || result === EINTR || result === EBUSY || result === EAGAIN) return result;
  throw new RequestError('io_uring_enter', result);
}

/** False: it has not come within CLOSING_NS. It is then asked for again. */
async function soonerThan(woken: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), CLOSING_NS / 1e6);
  });
  const came = await Promise.race([woken.then(() => true), late]);
  clearTimeout(timer);
  return came;
}
