/** A ring driven by hand, without the plane: SQEs in, CQEs out. What the backend's own tests use, and whoever wants to see a request alone. */
import { type OpcodeName, opcodes } from '../../../abi/io-uring/opcodes.ts';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA, SQE_SIZE } from '../../../plane/layout/sqe.ts';
import type { RingBackend } from '../backend.ts';

const EINTR = 4;

/** Words of an SQE by the names of struct io_uring_sqe; what is not given is 0. */
export interface RawRequest {
  readonly flags?: number;
  readonly ioprio?: number;
  readonly fd?: number;
  readonly off?: bigint | number;
  readonly addr?: bigint | number;
  readonly len?: number;
  readonly opFlags?: number;
  readonly user?: bigint | number;
  readonly bufIndex?: number;
  readonly fileIndex?: number;
  readonly addr3?: bigint | number;
}

export interface RawCompletion {
  readonly user: number;
  readonly res: number;
  readonly flags: number;
}

export class RawRing {
  readonly backend: RingBackend;
  readonly #memory: WebAssembly.Memory;
  #queued = 0;

  constructor(backend: RingBackend, memory: WebAssembly.Memory) {
    this.backend = backend;
    this.#memory = memory;
  }

  /** Writes an SQE; `submit` or `run` hands it over. */
  push(opcode: OpcodeName | number, words: RawRequest = {}): void {
    const view = new DataView(this.#memory.buffer);
    const { sqTail, sqes, sqMask } = this.backend.addresses;
    const tail = view.getUint32(sqTail, true);
    const at = sqes + (tail & sqMask) * SQE_SIZE;
    new Uint8Array(this.#memory.buffer, at, SQE_SIZE).fill(0);
    view.setUint8(at, typeof opcode === 'number' ? opcode : opcodes[opcode].number);
    view.setUint8(at + 1, words.flags ?? 0);
    view.setUint16(at + 2, words.ioprio ?? 0, true);
    view.setInt32(at + 4, words.fd ?? 0, true);
    view.setBigInt64(at + 8, BigInt(words.off ?? 0), true);
    view.setBigInt64(at + 16, BigInt.asIntN(64, BigInt(words.addr ?? 0)), true);
    view.setUint32(at + 24, words.len ?? 0, true);
    view.setUint32(at + 28, words.opFlags ?? 0, true);
    view.setBigUint64(at + 32, BigInt.asUintN(64, BigInt(words.user ?? 0)), true);
    view.setUint16(at + 40, words.bufIndex ?? 0, true);
    view.setUint32(at + 44, words.fileIndex ?? 0, true);
    view.setBigInt64(at + 48, BigInt(words.addr3 ?? 0), true);
    view.setUint32(sqTail, tail + 1, true);
    this.#queued++;
  }

  submit(wait = 0, timeoutNs?: number): number {
    const queued = this.#queued;
    this.#queued = 0;
    return this.backend.enter(queued, wait, timeoutNs);
  }

  /** Takes all CQEs that are there. */
  take(): RawCompletion[] {
    const view = new DataView(this.#memory.buffer);
    const { cqHead, cqTail, cqes, cqMask } = this.backend.addresses;
    const taken: RawCompletion[] = [];
    let head = view.getUint32(cqHead, true);
    for (; head !== view.getUint32(cqTail, true); head = (head + 1) >>> 0) {
      const at = cqes + (head & cqMask) * CQE_SIZE;
      taken.push({
        user: Number(view.getBigUint64(at + CQE_USER_DATA, true)),
        res: view.getInt32(at + CQE_RES, true),
        flags: view.getUint32(at + CQE_FLAGS, true),
      });
    }
    view.setUint32(cqHead, head, true);
    return taken;
  }

  /** Submits what was pushed, waits for `count` CQEs or more, however often that is interrupted, and takes them. */
  run(count: number): RawCompletion[] {
    let result = this.submit(count);
    const taken = this.take();
    while (taken.length < count && (result >= 0 || result === -EINTR)) {
      result = this.backend.enter(0, count - taken.length);
      taken.push(...this.take());
    }
    return taken;
  }

  /** One request by itself: its result. */
  one(opcode: OpcodeName | number, words: RawRequest = {}): number {
    this.push(opcode, words);
    return this.run(1)[0]!.res;
  }
}
