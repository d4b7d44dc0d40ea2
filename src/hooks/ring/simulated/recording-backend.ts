/** A backend that hands everything on to another one, and keeps what was asked and answered: a record that a simulated ring can replay. */
import { CQE_BUFFER_SHIFT, cqeFlags, sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA, SQE_SIZE } from '../../../plane/layout/sqe.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { RingAddresses, RingBackend } from '../backend.ts';
import { LinearMemory } from './memory.ts';
import { ProvidedBuffers } from './provided-buffers.ts';
import type { RecordedCompletion, RecordedRegistration, RecordedRequest, RingRecord } from './record.ts';
import { Request } from './request.ts';
import { valueOffset, writtenParts } from './written-memory.ts';

interface Open {
  readonly request: Request;
  readonly seen: number;
  readonly at: number;
  readonly completions: RecordedCompletion[];
}

/** A request is only read here. */
const nobody = { retry: () => {} };

export class RecordingBackend implements RingBackend {
  readonly #backend: RingBackend;
  readonly #memory: LinearMemory;
  readonly #now: () => number;
  readonly #start: number;
  readonly #requests: Open[] = [];
  readonly #registrations: RecordedRegistration[] = [];
  /** In flight, by user_data. */
  readonly #open = new Map<string, Open[]>();
  readonly #buffers: ProvidedBuffers;
  #cqSeen: number;
  #order = 0;

  /**
   * `now`: ns; default: of this machine's clock. What goes to memory outside of the runtime's is kept without its bytes.
   */
  constructor(runtime: Runtime, backend: RingBackend, options: { readonly now?: () => number } = {}) {
    this.#backend = backend;
    this.#memory = new LinearMemory(runtime.plane.memory);
    this.#now = options.now ?? (() => performance.now() * 1e6);
    this.#buffers = new ProvidedBuffers(this.#memory, backend.base);
    this.#start = this.#now();
    this.#cqSeen = this.#word(backend.addresses.cqTail);
  }

  get name(): RingBackend['name'] {
    return this.#backend.name;
  }

  get addresses(): RingAddresses {
    return this.#backend.addresses;
  }

  get fd(): number | undefined {
    return this.#backend.fd;
  }

  get base(): bigint {
    return this.#backend.base;
  }

  get features(): ReadonlySet<string> {
    return this.#backend.features;
  }

  /** What has happened so far. */
  get record(): RingRecord {
    this.#collect();
    return {
      requests: this.#requests.map(
        ({ request, seen, at, completions }): RecordedRequest => ({
          opcode: request.opcode,
          flags: request.flags,
          ioprio: request.ioprio,
          fd: request.fd,
          offset: valueOffset(request),
          length: request.len,
          opFlags: request.opFlags,
          seen,
          at,
          completions: [...completions],
        }),
      ),
      registrations: [...this.#registrations],
    };
  }

  supports(opcode: number): boolean {
    return this.#backend.supports(opcode);
  }

  enter(submit: number, wait: number, timeoutNs?: number): number {
    this.#collect();
    const { sqHead, sqTail, sqes, sqMask, sqArray } = this.addresses;
    const head = this.#word(sqHead);
    const staged = Math.min(submit, (this.#word(sqTail) - head) >>> 0);
    const requests: Request[] = [];
    for (let index = 0; index < staged; index++) {
      const slot = ((head + index) & sqMask) >>> 0;
      const entry = sqArray === 0 ? slot : this.#word(sqArray + slot * 4);
      requests.push(new Request(nobody, this.#memory.words, sqes + entry * SQE_SIZE));
    }
    const before = this.#order;
    for (const request of requests) this.#begin(request, before);
    const result = this.#backend.enter(submit, wait, timeoutNs);
    // What was not taken stays in the SQ, and is seen again.
    const taken = (this.#word(sqHead) - head) >>> 0;
    for (const request of requests.slice(taken)) this.#forget(request);
    this.#collect();
    return result;
  }

  async wait(): Promise<void> {
    await this.#backend.wait();
    this.#collect();
  }

  register(opcode: number, argument: number, count: number): number {
    const result = this.#backend.register(opcode, argument, count);
    this.#registrations.push({ opcode, result });
    if (result >= 0) this.#buffers.register(opcode, argument);
    return result;
  }

  close(): Promise<void> {
    this.#collect();
    return this.#backend.close();
  }

  #begin(request: Request, seen: number): void {
    const open: Open = { request, seen, at: this.#now() - this.#start, completions: [] };
    this.#requests.push(open);
    const name = key(request.userLow, request.userHigh);
    const same = this.#open.get(name);
    if (same === undefined) this.#open.set(name, [open]);
    else same.push(open);
  }

  #forget(request: Request): void {
    const at = this.#requests.findIndex((open) => open.request === request);
    if (at >= 0) this.#requests.splice(at, 1);
    const same = this.#open.get(key(request.userLow, request.userHigh));
    const place = same?.findIndex((open) => open.request === request) ?? -1;
    if (place >= 0) same!.splice(place, 1);
  }

  #collect(): void {
    this.#memory.refresh();
    const { cqTail, cqes, cqMask } = this.addresses;
    const tail = this.#word(cqTail);
    for (; this.#cqSeen !== tail; this.#cqSeen = (this.#cqSeen + 1) >>> 0) {
      const at = cqes + (this.#cqSeen & cqMask) * CQE_SIZE;
      this.#complete(
        key(this.#word(at + CQE_USER_DATA), this.#word(at + CQE_USER_DATA + 4)),
        this.#word(at + CQE_RES) | 0,
        this.#word(at + CQE_FLAGS),
      );
    }
  }

  #complete(name: string, res: number, flags: number): void {
    const order = this.#order++;
    const same = this.#open.get(name);
    const open = same?.[0];
    if (same === undefined || open === undefined) return;
    if (res >= 0) this.#buffers.provide(open.request);
    const data = this.#written(open.request, res, flags);
    open.completions.push({
      res,
      flags,
      order,
      at: this.#now() - this.#start,
      ...(data === undefined ? {} : { data }),
    });
    if ((flags & cqeFlags.MORE) !== 0) return;
    same.shift();
    if (same.length === 0) this.#open.delete(name);
  }

  #written(request: Request, res: number, flags: number): Uint8Array | undefined {
    const { bytes } = this.#memory;
    const selects = (request.flags & sqeFlags.BUFFER_SELECT) !== 0;
    if (selects && (flags & cqeFlags.BUFFER) === 0) return undefined;
    const parts = selects
      ? this.#buffers.parts(request.bufIndex, flags >>> CQE_BUFFER_SHIFT, res)
      : writtenParts(this.#memory, this.base, request, res);
    if (parts.length === 0) return undefined;
    const pieces: number[] = [];
    for (let index = 0; index < parts.length; index += 2)
      for (const byte of bytes.subarray(parts[index]!, parts[index]! + parts[index + 1]!)) pieces.push(byte);
    return Uint8Array.from(pieces);
  }

  #word(address: number): number {
    return Atomics.load(this.#memory.words, address >>> 2);
  }
}

function key(low: number, high: number): string {
  return `${high}:${low}`;
}
