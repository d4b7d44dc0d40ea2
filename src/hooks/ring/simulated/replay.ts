/** Serves a recorded run: each request gets the results, the bytes and the place among the others that it had. Nothing of the world is touched. */
import { opcodeName } from '../../../abi/io-uring/opcodes.ts';
import { CQE_BUFFER_SHIFT, cqeFlags, sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { InputError } from '../../../errors.ts';
import type { Kernel } from './kernel.ts';
import type { RecordedCompletion, RecordedRequest, RingRecord } from './record.ts';
import type { Request } from './request.ts';
import { valueOffset, writtenParts } from './written-memory.ts';

interface Served {
  readonly recorded: RecordedRequest;
  readonly completion: RecordedCompletion;
  readonly isLast: boolean;
}

export class Replay {
  readonly #kernel: Kernel;
  readonly #record: RingRecord;
  /** In the order in which they came. */
  readonly #completions: readonly Served[];
  readonly #requests = new Map<RecordedRequest, Request>();
  /** Requests of the record that are still to come. */
  readonly #left: RecordedRequest[];
  #next = 0;
  #registration = 0;

  constructor(kernel: Kernel, record: RingRecord) {
    this.#kernel = kernel;
    this.#record = record;
    this.#left = [...record.requests];
    this.#completions = record.requests
      .flatMap((recorded) =>
        recorded.completions.map((completion, index) => ({
          recorded,
          completion,
          isLast: index === recorded.completions.length - 1,
        })),
      )
      .sort((a, b) => a.completion.order - b.completion.order);
  }

  /** Everything that was recorded has been asked for and answered. */
  get isDone(): boolean {
    return this.#left.length === 0 && this.#next === this.#completions.length;
  }

  /** Finds what the request was in the recorded run. Throws InputError (SLUICE_RING_REPLAY) where it was never made. */
  begin(request: Request): void {
    const at = this.#left.findIndex((recorded) => isSame(recorded, request));
    if (at < 0) {
      const next = this.#left[0];
      const expected = next === undefined ? 'nothing more' : describe(next.opcode, next.fd, next.offset, next.length);
      const asked = describe(request.opcode, request.fd, valueOffset(request), request.len);
      const number = this.#record.requests.length - this.#left.length + 1;
      throw new InputError(
        'SLUICE_RING_REPLAY',
        `request ${number} of the replay differs: recorded ${expected}, now ${asked}`,
      );
    }
    const [recorded] = this.#left.splice(at, 1);
    this.#requests.set(recorded!, request);
  }

  /** Completes what had completed when the next request was made. */
  deliver(): void {
    const limit = this.#left[0]?.seen ?? Number.POSITIVE_INFINITY;
    while (this.#next < this.#completions.length && this.#completions[this.#next]!.completion.order < limit)
      if (!this.step()) return;
  }

  /** The next completion. False: there is none, or its request has not been made. */
  step(): boolean {
    const served = this.#completions[this.#next];
    const request = served === undefined ? undefined : this.#requests.get(served.recorded);
    if (served === undefined || request === undefined) return false;
    this.#next++;
    const { res, flags, data } = served.completion;
    if (data !== undefined) this.#write(request, res, flags, data);
    this.#kernel.serve(request, res, flags, served.isLast && (flags & cqeFlags.MORE) === 0);
    return true;
  }

  /** Result of the next registration that was recorded; undefined: there was none, or another one. */
  registration(opcode: number): number | undefined {
    const recorded = this.#record.registrations[this.#registration];
    if (recorded?.opcode !== opcode) return undefined;
    this.#registration++;
    return recorded.result;
  }

  #write(request: Request, res: number, flags: number, data: Uint8Array): void {
    const { memory, resources } = this.#kernel;
    if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0) {
      let done = 0;
      for (let id = flags >>> CQE_BUFFER_SHIFT; done < data.length; ) {
        const buffer = resources.takeById(request.bufIndex, id);
        if (buffer === undefined) break;
        const part = data.subarray(done, done + buffer.length);
        if (memory.has(0, buffer.address, part.length)) memory.bytes.set(part, buffer.address);
        done += part.length;
        id = resources.nextId(request.bufIndex);
      }
      return;
    }
    const parts = writtenParts(memory, 0n, request, res);
    let done = 0;
    for (let index = 0; index < parts.length; index += 2) {
      const part = data.subarray(done, done + parts[index + 1]!);
      memory.bytes.set(part, parts[index]!);
      done += part.length;
    }
  }
}

function isSame(recorded: RecordedRequest, request: Request): boolean {
  return (
    recorded.opcode === request.opcode &&
    recorded.flags === request.flags &&
    recorded.ioprio === request.ioprio &&
    recorded.fd === request.fd &&
    recorded.offset === valueOffset(request) &&
    recorded.length === request.len &&
    recorded.opFlags === request.opFlags
  );
}

function describe(opcode: number, fd: number, offset: number, length: number): string {
  return `${opcodeName(opcode)} fd ${fd} offset ${offset} length ${length}`;
}
