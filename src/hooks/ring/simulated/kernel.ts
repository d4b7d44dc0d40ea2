/** The simulated kernel of one ring: takes requests through their lives, from being issued to the CQE, with links, drains, faults and time. */
import { openFlags } from '../../../abi/io-uring/call-flags.ts';
import { opcodeName, opcodes } from '../../../abi/io-uring/opcodes.ts';
import { cqeFlags, sqeFlags, timeoutFlags } from '../../../abi/io-uring/request-flags.ts';
import type { Random } from '../../../net/random.ts';
import type { RingAddresses } from '../backend.ts';
import type { Clock } from './clock.ts';
import { CompletionQueue } from './completion-queue.ts';
import { EAGAIN, EALREADY, EBADF, ECANCELED, EINTR, EIO, ENOENT, ETIME } from './errno.ts';
import { type Faults, type Latency, mixedLatency, type Range } from './faults.ts';
import { History } from './history.ts';
import type { LinearMemory } from './memory.ts';
import { MAY_AGAIN, MAY_FAIL_IO, MAY_INTERRUPT, MAY_RESET, MAY_SHRINK, type Operation, PENDING } from './operation.ts';
import { operations } from './operations/index.ts';
import { isZeroCopy, OP_LINK_TIMEOUT, OP_TIMEOUT } from './operations/numbers.ts';
import type { Replay } from './replay.ts';
import {
  deadline,
  ENDED,
  PARKED,
  type Request,
  type RequestOwner,
  RUNNING,
  SCHEDULED,
  TIMING,
  type Waitable,
} from './request.ts';
import { Resources } from './resources.ts';
import { Submission } from './submission.ts';
import type { World, WorldRing } from './world/index.ts';
import type { MessageTarget, OpenFile } from './world/open-file.ts';

const INLINE: Range = { min: 0, max: 0, inline: 1 };
const OPCODES = 64;
const PROVIDES_BUFFERS: ReadonlySet<number> = new Set([opcodes.provide_buffers.number, opcodes.remove_buffers.number]);

export class Kernel implements RequestOwner, WorldRing, MessageTarget {
  readonly world: World;
  readonly clock: Clock;
  readonly memory: LinearMemory;
  readonly random: Random;
  readonly faults: Faults;
  readonly queue: CompletionQueue;
  readonly resources: Resources;
  readonly submission: Submission;
  readonly history: History;
  /** Descriptor of the ring itself, for MSG_RING. */
  readonly fd: number;
  /** Requests that have not ended, oldest first. */
  oldest: Request | undefined;
  #youngest: Request | undefined;
  live = 0;
  /** Zero-copy sends whose buffers are still in use. */
  notifications = 0;
  /** TIMEOUTs that have run out or were ended: each wakes who waits for completions, however many there are (io_should_wake). */
  timeouts = 0;
  /** TIMEOUTs that end after a number of completions. */
  readonly counting: Request[] = [];
  dead = false;
  /** Called with each completion. */
  onPost: (() => void) | undefined;
  /** Results come from a record, not from the world. */
  replay: Replay | undefined;
  readonly #times: readonly Range[];
  readonly #worker: Range;

  constructor(
    world: World,
    memory: LinearMemory,
    addresses: RingAddresses,
    random: Random,
    faults: Faults,
    latency: Latency,
  ) {
    this.world = world;
    this.clock = world.clock;
    this.memory = memory;
    this.random = random;
    this.faults = faults;
    this.queue = new CompletionQueue(memory, addresses);
    this.resources = new Resources(world, memory);
    this.submission = new Submission(this);
    this.history = new History(world.clock);
    this.#times = Array.from({ length: OPCODES }, (_, opcode) => {
      const name = opcodeName(opcode);
      const own = name in latency ? latency[name as keyof Latency] : undefined;
      return own ?? (operations[opcode]?.timed === undefined ? INLINE : (latency.other ?? INLINE));
    });
    this.#worker = latency.worker ?? mixedLatency.worker ?? INLINE;
    this.fd = world.attach(this, random, faults, latency);
  }

  // From submission to issue.

  /** The request counts from now on. */
  begin(request: Request): void {
    const youngest = this.#youngest;
    request.older = youngest;
    if (youngest === undefined) this.oldest = request;
    else youngest.younger = request;
    this.#youngest = request;
    this.live++;
  }

  /** `worker`: never while it is being submitted. */
  issue(request: Request, worker = false): void {
    if (this.dead) return;
    if (this.replay !== undefined) {
      request.state = RUNNING;
      // What the ring itself must know later happens; its result is the recorded one.
      if (PROVIDES_BUFFERS.has(request.opcode)) operations[request.opcode]!.execute(this, request);
      return;
    }
    const operation = operations[request.opcode]!;
    request.state = RUNNING;
    this.#armGuard(request);
    if (operation.file === true && !this.#takeFile(request)) {
      this.complete(request, -EBADF, true);
      return;
    }
    const delay = this.#delay(request, operation, worker);
    if (delay < 0) {
      this.#attempt(request, operation);
      return;
    }
    request.state = SCHEDULED;
    request.begins = this.clock.now + delay / 2;
    request.timer = this.clock.at(this.clock.now + delay, () => {
      request.timer = undefined;
      this.#attempt(request, operation);
    });
  }

  issueSoon(request: Request): void {
    this.clock.soon(() => this.issue(request));
  }

  retry(request: Request): void {
    if (request.state !== PARKED || this.dead) return;
    this.#attempt(request, operations[request.opcode]!);
  }

  /** Leaves the request with what it waits for. PENDING, or -EAGAIN for one that never waits. */
  park(request: Request, waitable: Waitable): number {
    const { file } = request;
    if (!request.multishot && (request.nowait || (file !== undefined && (file.flags & openFlags.NONBLOCK) !== 0)))
      return -EAGAIN;
    request.state = PARKED;
    request.waits = waitable;
    waitable.waiting.push(request);
    return PENDING;
  }

  // Ends.

  /** `fails`: as a failure whatever the result. */
  complete(request: Request, result: number, fails = false): void {
    const operation = operations[request.opcode];
    const breaks = operation?.breaks ?? 'error';
    if (fails || (breaks === 'short' ? result !== request.expected : breaks === 'error' && result < 0))
      this.setFailed(request);
    this.finish(request, result);
  }

  setFailed(request: Request): void {
    request.failed = true;
    if (!request.skip) return;
    request.skip = false;
    request.skipLinks = true;
  }

  /** Posts the CQE, and lets go of what the request held and held up. */
  finish(request: Request, result: number): void {
    if (request.state === ENDED) return;
    this.#end(request);
    this.#disarmGuard(request);
    this.#postFinal(request, result);
    const { next } = request;
    request.next = undefined;
    if (next !== undefined) {
      if (request.failed && (request.flags & sqeFlags.IO_HARDLINK) === 0) this.failLinks(next, request.skipLinks);
      else this.issueSoon(next);
    }
    this.submission.flushDeferred();
  }

  /** Ends a chain from `first` on, with the results that its members already have, or -ECANCELED. */
  failLinks(first: Request, silent: boolean): void {
    for (let each: Request | undefined = first; each !== undefined; each = each.next) each.skip = silent;
    this.clock.soon(() => {
      let each: Request | undefined = first;
      while (each !== undefined) {
        const { next } = each as Request;
        each.next = undefined;
        each.failed = true;
        this.#end(each);
        this.#postFinal(each, each.preparation !== 0 ? each.preparation : -ECANCELED);
        each = next;
      }
      this.submission.flushDeferred();
    });
  }

  /** A completion of a request that goes on; false: it must end with this one, as the CQ is full. */
  postMore(request: Request, result: number, flags: number): boolean {
    if (this.queue.overflown || this.happens(this.faults.overflow)) return false;
    this.#post(request.userLow, request.userHigh, result, flags | cqeFlags.MORE, request);
    return true;
  }

  /** A recorded completion, as it was. */
  serve(request: Request, result: number, flags: number, isLast: boolean): void {
    if (isLast) this.#end(request);
    this.#post(request.userLow, request.userHigh, result, flags, request);
  }

  /** A completion that no request of this ring stands behind. */
  message(userLow: number, userHigh: number, result: number, flags: number): boolean {
    if (this.dead) return false;
    this.#post(userLow, userHigh, result, flags, undefined);
    return true;
  }

  receive(file: OpenFile, index: number): number {
    return this.dead ? -EBADF : this.resources.installDirect(file, index);
  }

  /** The buffer of a zero-copy send is free again. */
  notify(request: Request, result: number): void {
    if (this.dead) return;
    this.notifications--;
    this.#post(request.userLow, request.userHigh, result, cqeFlags.NOTIF, request);
  }

  // Cancels.

  /** 0, -EALREADY for what has begun, -ENOENT for what cannot be found: that is behind a link or a drain, or being tried. */
  cancel(request: Request): number {
    if (request.opcode === OP_LINK_TIMEOUT) return -ENOENT;
    switch (request.state) {
      case SCHEDULED:
        if (this.clock.now > request.begins || this.happens(this.faults.lateCancel)) return -EALREADY;
        break;
      case PARKED:
      case TIMING:
        break;
      default:
        return -ENOENT;
    }
    this.#detach(request);
    request.state = RUNNING;
    this.clock.soon(() => this.complete(request, request.done > 0 ? request.done : -ECANCELED, true));
    return 0;
  }

  /** Ends a timeout early with a result. */
  endTimeout(request: Request, result: number): void {
    this.timeouts++;
    this.#detach(request);
    request.state = RUNNING;
    this.clock.soon(() => this.complete(request, result, result < 0));
  }

  /** Arms the timeout's timer at a moment. */
  arm(request: Request, time: number): void {
    if (request.timer !== undefined) request.timer.action = undefined;
    request.state = TIMING;
    request.timer = this.clock.at(time, () => this.#expire(request));
  }

  // Chance.

  happens(chance: number): boolean {
    return chance > 0 && this.random.u32() < chance * 0x1_0000_0000;
  }

  /** How much of a transfer is made, of what could be. */
  cut(length: number): number {
    return length > 1 && this.happens(this.faults.shortTransfer) ? 1 + this.random.below(length - 1) : length;
  }

  /** The ring's end: what is live ends without a CQE. */
  stop(): void {
    this.dead = true;
    for (let each = this.oldest; each !== undefined; each = each.younger) {
      this.#detach(each);
      each.state = ENDED;
      if (each.file !== undefined) this.world.release(each.file);
      each.file = undefined;
    }
    this.oldest = undefined;
    this.#youngest = undefined;
    this.live = 0;
    this.resources.clear();
    this.world.detach(this);
  }

  /** The machine stops: what a worker had begun may have been done. */
  crash(): void {
    for (let each = this.oldest; each !== undefined; each = each.younger) {
      if (each.state !== SCHEDULED || operations[each.opcode]?.timed === undefined) continue;
      if (each.begins <= this.clock.now && this.random.chance(1, 2)) operations[each.opcode]!.execute(this, each);
    }
    this.dead = true;
  }

  #attempt(request: Request, operation: Operation): void {
    if (this.dead) return;
    request.state = RUNNING;
    const fault = operation.faults === undefined ? 0 : this.#fault(request, operation.faults);
    const result = fault === 0 ? operation.execute(this, request) : fault;
    if (result === PENDING) return;
    this.complete(request, fault !== 0 && request.done > 0 ? request.done : result, fault !== 0);
  }

  #fault(request: Request, may: number): number {
    const { faults } = this;
    if ((may & MAY_INTERRUPT) !== 0 && this.happens(faults.interrupted)) return -EINTR;
    if ((may & MAY_AGAIN) !== 0 && this.happens(faults.again)) return -EAGAIN;
    const is = request.file?.is;
    if (is === undefined) return 0;
    if (is.kind === 'file') {
      if ((may & MAY_FAIL_IO) !== 0 && this.happens(faults.ioError)) return -EIO;
      if ((may & MAY_SHRINK) !== 0 && this.happens(faults.shrink))
        is.inode.content.truncate(this.random.below(is.inode.content.size + 1));
    } else if (is.kind === 'socket' && (may & MAY_RESET) !== 0 && this.happens(faults.reset)) {
      if (is.socket.state === 'connected') this.world.network.reset(is.socket);
    }
    return 0;
  }

  /** ns until it is done, -1: at once. */
  #delay(request: Request, operation: Operation, worker: boolean): number {
    const { opcode } = request;
    if (opcode === OP_TIMEOUT || opcode === OP_LINK_TIMEOUT) return -1;
    let delay = -1;
    if (operation.timed === 'always' || (operation.timed === 'files' && request.file?.is.kind === 'file')) {
      const range = this.#times[opcode]!;
      if (range.inline === undefined || (range.inline < 1 && !this.happens(range.inline))) delay = this.between(range);
    }
    if (
      worker ||
      (request.flags & sqeFlags.ASYNC) !== 0 ||
      (operation.inline !== true && this.happens(this.faults.punt))
    )
      delay = Math.max(0, delay) + this.between(this.#worker);
    if (delay > 0 && this.happens(this.faults.reorder)) delay *= 1 + this.random.below(20);
    return delay;
  }

  between({ min, max }: Range): number {
    return max > min ? min + this.random.below(max - min + 1) : min;
  }

  /** The file counts one user more until the request ends. */
  #takeFile(request: Request): boolean {
    const file =
      (request.flags & sqeFlags.FIXED_FILE) !== 0 ? this.resources.file(request.fd) : this.world.descriptor(request.fd);
    if (file === undefined) return false;
    file.users++;
    request.file = file;
    return true;
  }

  /** A LINK_TIMEOUT behind the request begins with it. */
  #armGuard(request: Request): void {
    const guard = request.next;
    if (guard?.opcode !== OP_LINK_TIMEOUT || guard.preparation !== 0) return;
    request.next = guard.next;
    guard.next = undefined;
    request.guard = guard;
    guard.guard = request;
    this.arm(guard, deadline(guard, this.clock.now));
  }

  #disarmGuard(request: Request): void {
    const { guard } = request;
    if (guard === undefined || request.opcode === OP_LINK_TIMEOUT) return;
    request.guard = undefined;
    guard.guard = undefined;
    this.#detach(guard);
    guard.state = RUNNING;
    this.clock.soon(() => this.finish(guard, -ECANCELED));
  }

  /** A timer has run out. */
  #expire(request: Request): void {
    request.timer = undefined;
    if (request.opcode === OP_LINK_TIMEOUT) {
      const target = request.guard;
      request.guard = undefined;
      request.state = RUNNING;
      let result = -ENOENT;
      if (target !== undefined) {
        target.guard = undefined;
        result = this.cancel(target);
      }
      this.complete(request, result === 0 ? -ETIME : result, true);
      return;
    }
    this.timeouts++;
    const repeats = request.multishot && (request.remaining === 0 || --request.remaining > 0);
    if (repeats && this.postMore(request, -ETIME, 0)) {
      this.arm(request, this.clock.now + request.interval);
      return;
    }
    this.#forgetCount(request);
    request.state = RUNNING;
    if ((request.opFlags & timeoutFlags.ETIME_SUCCESS) !== 0) this.finish(request, -ETIME);
    else this.complete(request, -ETIME);
  }

  #forgetCount(request: Request): void {
    const at = this.counting.indexOf(request);
    if (at >= 0) this.counting.splice(at, 1);
  }

  #detach(request: Request): void {
    const { timer, waits } = request;
    if (timer !== undefined) timer.action = undefined;
    request.timer = undefined;
    if (waits !== undefined) {
      const at = waits.waiting.indexOf(request);
      if (at >= 0) waits.waiting.splice(at, 1);
      request.waits = undefined;
    }
    if (request.opcode === OP_TIMEOUT) this.#forgetCount(request);
  }

  #end(request: Request): void {
    request.state = ENDED;
    this.live--;
    const { older, younger } = request;
    if (older === undefined) this.oldest = younger;
    else older.younger = younger;
    if (younger === undefined) this.#youngest = older;
    else younger.older = older;
    if (request.file !== undefined) {
      const { file } = request;
      request.file = undefined;
      this.world.release(file);
    }
  }

  #postFinal(request: Request, result: number): void {
    let flags = request.cqeFlags;
    if (isZeroCopy(request.opcode) && request.preparation === 0) {
      flags |= cqeFlags.MORE;
      if (!request.carried) {
        this.notifications++;
        this.clock.soon(() => this.notify(request, 0));
      }
    }
    if (request.skip) {
      this.history.completion(request, request.userLow, request.userHigh, result, flags, true);
      return;
    }
    this.#post(request.userLow, request.userHigh, result, flags, request);
  }

  #post(userLow: number, userHigh: number, result: number, flags: number, request: Request | undefined): void {
    this.history.completion(request, userLow, userHigh, result, flags, false);
    this.onPost?.();
    this.queue.post(userLow, userHigh, result, flags, this.happens(this.faults.overflow));
    if (request?.opcode === OP_TIMEOUT) return;
    this.queue.posted++;
    if (this.counting.length === 0) return;
    for (const timeout of this.counting.filter((each) => this.queue.posted >= each.remaining))
      this.endTimeout(timeout, 0);
  }
}
