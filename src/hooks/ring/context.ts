/** What a function on a ring is given: the context of programs, and the calls that programs make, by the same functions of the plane. */
import {
  RING_CTX_CHAIN,
  RING_CTX_FLAGS,
  RING_CTX_OPCODE,
  RING_CTX_QUEUE,
  RING_CTX_REQUEST,
  RING_CTX_RES,
  RING_CTX_USER_DATA,
  RING_CTX_WAIT_IDX,
  RING_CTX_WAIT_NR,
} from '../../plane/layout/ring.ts';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, SQE_SIZE } from '../../plane/layout/sqe.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Completion } from './completion.ts';

/** Returns what a program would: bits RING_WAIT, RING_POST, RING_BREAK, RING_AGAIN; nothing is 0. Must not wait: it runs in the ring's turn. */
export type RingCallback = (context: RingContext) => number | undefined;

type Call = (...args: bigint[]) => bigint;

/** Good during the call alone. Results are 0, a count, or a negated errno, as programs see them. */
export class RingContext {
  readonly #runtime: Runtime;
  #address = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** For the ring alone. */
  at(address: number): this {
    this.#address = address;
    return this;
  }

  get userData(): bigint {
    return this.#view().getBigUint64(this.#address + RING_CTX_USER_DATA, true);
  }

  get res(): number {
    return this.#view().getInt32(this.#address + RING_CTX_RES, true);
  }

  get flags(): number {
    return this.#word(RING_CTX_FLAGS);
  }

  get opcode(): number {
    return this.#word(RING_CTX_OPCODE);
  }

  /** Requests of the chain that have ended, this one included. */
  get chain(): number {
    return this.#word(RING_CTX_CHAIN);
  }

  get queue(): number {
    return this.#word(RING_CTX_QUEUE);
  }

  get request(): bigint {
    return this.#view().getBigUint64(this.#address + RING_CTX_REQUEST, true);
  }

  /** Arms the program request again, to run when queue `index` holds `count` completions. */
  wait(count: number, index: number): void {
    this.#view().setUint32(this.#address + RING_CTX_WAIT_NR, count, true);
    this.#view().setUint32(this.#address + RING_CTX_WAIT_IDX, index, true);
  }

  /** Emits a request: `write` as for Ring.stage. Its handle, or a negated errno. */
  submit(write: (view: DataView, at: number) => void): bigint {
    const at = this.#sqe(write);
    return this.#call('bpf_ring_submit', BigInt(at), BigInt(SQE_SIZE));
  }

  emit(queue: number, userData: bigint, res: number, flags = 0): number {
    return Number(this.#call('bpf_ring_emit', BigInt(queue), userData, BigInt(res), BigInt(flags)));
  }

  /** The oldest completion of a queue, undefined if there is none. */
  reap(queue: number): Completion | undefined {
    const at = this.#scratch;
    return this.#call('bpf_ring_reap', BigInt(queue), BigInt(at), BigInt(CQE_SIZE)) === 0n ? this.#cqe(at) : undefined;
  }

  link(from: bigint, to: bigint, policy: number): number {
    return Number(this.#call('bpf_ring_link', from, to, BigInt(policy)));
  }

  unlink(from: bigint, to: bigint): number {
    return Number(this.#call('bpf_ring_unlink', from, to));
  }

  drop(request: bigint, flags = 0): number {
    return Number(this.#call('bpf_ring_drop', request, BigInt(flags)));
  }

  cancel(request: bigint): number {
    return Number(this.#call('bpf_ring_cancel', request));
  }

  /** Completion of a request of the chain: from 0, or from -1 back from this one. */
  chainCompletion(index: number): Completion | undefined {
    const at = this.#scratch;
    const got = this.#call('bpf_ring_chain_cqe', BigInt(index), BigInt(at), BigInt(CQE_SIZE));
    return got === 0n ? this.#cqe(at) : undefined;
  }

  /** A copy of the SQE of a request of the chain. */
  chainRequest(index: number): Uint8Array | undefined {
    const at = this.#scratch;
    const got = this.#call('bpf_ring_chain_sqe', BigInt(index), BigInt(at), BigInt(SQE_SIZE));
    return got === 0n ? this.#runtime.bytes().slice(at, at + SQE_SIZE) : undefined;
  }

  /** Another SQE for a request that has not been issued, or for this one (then return RING_AGAIN). */
  change(request: bigint, write: (view: DataView, at: number) => void): number {
    const at = this.#sqe(write);
    return Number(this.#call('bpf_ring_change', request, BigInt(at), BigInt(SQE_SIZE)));
  }

  createQueue(entries: number): number {
    return Number(this.#call('bpf_ring_queue_create', BigInt(entries)));
  }

  destroyQueue(queue: number): number {
    return Number(this.#call('bpf_ring_queue_destroy', BigInt(queue)));
  }

  queueReady(queue: number): number {
    return Number(this.#call('bpf_ring_queue_ready', BigInt(queue)));
  }

  /** Copy of memory that is shared with programs; undefined where it is not. */
  read(address: number, length: number): Uint8Array | undefined {
    const to = this.#runtime.plane.scratch(length);
    const got = this.#call('bpf_ring_read', BigInt(address), BigInt(to), BigInt(length));
    return got === 0n ? this.#runtime.bytes().slice(to, to + length) : undefined;
  }

  write(address: number, bytes: Uint8Array): number {
    const from = this.#runtime.plane.scratch(bytes.length);
    this.#runtime.bytes().set(bytes, from);
    return Number(this.#call('bpf_ring_write', BigInt(address), BigInt(from), BigInt(bytes.length)));
  }

  escalate(reason: number): void {
    this.#call('bpf_ring_escalate', BigInt(reason));
  }

  #sqe(write: (view: DataView, at: number) => void): number {
    const at = this.#scratch;
    this.#runtime.bytes().fill(0, at, at + SQE_SIZE);
    write(this.#view(), at);
    return at;
  }

  #cqe(at: number): Completion {
    const view = this.#view();
    return new Completion(
      view.getUint32(at, true),
      view.getUint32(at + 4, true),
      view.getInt32(at + CQE_RES, true),
      view.getUint32(at + CQE_FLAGS, true),
    );
  }

  #call(name: string, ...args: bigint[]): bigint {
    const call = this.#runtime.plane.exports[name] as unknown as Call; // kfuncs take and return i64
    return call(BigInt(this.#address), ...args);
  }

  get #scratch(): number {
    return this.#runtime.plane.scratch(SQE_SIZE);
  }

  #view(): DataView {
    return this.#runtime.view();
  }

  #word(offset: number): number {
    return this.#view().getUint32(this.#address + offset, true);
  }
}
