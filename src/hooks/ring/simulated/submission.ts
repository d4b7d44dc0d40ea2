/** From the SQ to issued requests: preparation, chains of links, drains. Follows io_submit_sqe and io_drain_req (io_uring/io_uring.c). */
import { sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { ECANCELED, EINVAL, EOPNOTSUPP } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { operations } from './operations/index.ts';
import { Request } from './request.ts';

const LINKS = sqeFlags.IO_LINK | sqeFlags.IO_HARDLINK;
const KNOWN_FLAGS = 0x7f;

export class Submission {
  readonly #kernel: Kernel;
  #number = 0;
  /** The chain that is being put together. */
  #head: Request | undefined;
  #last: Request | undefined;
  /** What waits for older requests, or for those that do. */
  #deferred: Request[] = [];
  /** Members of their chains included. */
  #deferredRequests = 0;
  #drainActive = false;
  #drainNext = false;
  /** A request without a CQE has been seen: drains cannot count any more. */
  #drainDisabled = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** The last member of the chain that is being put together. */
  get last(): Request | undefined {
    return this.#last;
  }

  /** Takes the SQE at `address`. False: it was refused, and is no member of a chain that goes on. */
  submit(address: number): boolean {
    const kernel = this.#kernel;
    const request = new Request(kernel, kernel.memory.words, address);
    request.number = ++this.#number;
    request.skip = (request.flags & sqeFlags.CQE_SKIP_SUCCESS) !== 0;
    kernel.begin(request);
    kernel.history.request(request);
    if (kernel.replay !== undefined) {
      kernel.replay.begin(request);
      kernel.issue(request);
      return true;
    }
    const refused = this.#prepare(request);
    const head = this.#head;
    if (refused < 0) return this.#refuse(request, refused);
    if (head !== undefined) {
      this.#append(request);
      if ((request.flags & LINKS) !== 0) return true;
      this.#head = undefined;
      this.#last = undefined;
      if (head.failed || head.drain || (head.flags & sqeFlags.ASYNC) !== 0 || this.#drainActive) this.#fallback(head);
      else kernel.issue(head);
      return true;
    }
    if ((request.flags & LINKS) !== 0) {
      this.#head = request;
      this.#last = request;
    } else if (request.drain || this.#drainActive) this.#fallback(request);
    else kernel.issue(request);
    return true;
  }

  /** A chain that the submission ended in goes as it is, to a worker. */
  end(): void {
    const head = this.#head;
    this.#head = undefined;
    this.#last = undefined;
    if (head !== undefined) this.#fallback(head);
  }

  /** Lets go what no longer has to wait: the first, and what a drain begins, once nothing else is live (io_queue_deferred of Linux 6.18). */
  flushDeferred(): void {
    let drainSeen = false;
    let isFirst = true;
    while (this.#deferred.length > 0) {
      const first = this.#deferred[0]!;
      drainSeen ||= first.drain;
      if ((drainSeen || isFirst) && this.#kernel.live !== this.#deferredRequests) return;
      this.#deferred.shift();
      this.#deferredRequests -= chainLength(first);
      this.#kernel.issueSoon(first);
      isFirst = false;
    }
  }

  #prepare(request: Request): number {
    const operation = operations[request.opcode];
    const { flags } = request;
    if (operation === undefined || (flags & ~KNOWN_FLAGS) !== 0) return -EINVAL;
    if ((flags & sqeFlags.BUFFER_SELECT) !== 0 && operation.select !== true) return -EOPNOTSUPP;
    if (request.skip) this.#drainDisabled = true;
    if ((flags & sqeFlags.IO_DRAIN) !== 0) {
      if (this.#drainDisabled) return -EOPNOTSUPP;
      request.drain = true;
      this.#drainActive = true;
      if (this.#head !== undefined) {
        this.#head.drain = true;
        this.#drainNext = true;
      }
    }
    if (this.#drainNext && this.#head === undefined) {
      this.#drainNext = false;
      this.#drainActive = true;
      request.drain = true;
    }
    if (request.ioprio !== 0 && operation.ioprio !== true) return -EINVAL;
    if (request.personality !== 0) return -EINVAL;
    return operation.prepare?.(this.#kernel, request) ?? 0;
  }

  /** What failed before it began fails the chain that it is in, from the head on, once that is complete. */
  #refuse(request: Request, error: number): boolean {
    request.preparation = error;
    request.failed = true;
    const head = this.#head;
    if (head !== undefined && !head.failed) {
      head.failed = true;
      head.preparation = -ECANCELED;
    }
    if (head !== undefined) this.#append(request);
    if ((request.flags & LINKS) !== 0) {
      if (head === undefined) {
        this.#head = request;
        this.#last = request;
      }
      return true;
    }
    this.#head = undefined;
    this.#last = undefined;
    this.#fallback(head ?? request);
    return false;
  }

  #append(request: Request): void {
    this.#last!.next = request;
    this.#last = request;
  }

  #fallback(request: Request): void {
    const kernel = this.#kernel;
    if (request.failed) {
      const { next } = request;
      request.next = undefined;
      const { preparation } = request;
      kernel.setFailed(request);
      kernel.finish(request, preparation);
      if (next !== undefined) kernel.failLinks(next, request.skipLinks);
    } else if (this.#drainActive) this.#drain(request);
    else kernel.issue(request, true);
  }

  #drain(request: Request): void {
    this.#deferred.push(request);
    this.#deferredRequests += chainLength(request);
    this.flushDeferred();
    if (!request.drain && this.#deferred.length === 0) this.#drainActive = false;
  }
}

function chainLength(head: Request): number {
  let length = 0;
  for (let each: Request | undefined = head; each !== undefined; each = each.next) length++;
  return length;
}
