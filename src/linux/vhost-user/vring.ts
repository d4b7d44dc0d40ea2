/** One ring of a vhost-user device: what the front end has said of it, and the virtqueue that runs once it has said enough. */
import { InputError } from '../../errors.ts';
import type { GuestMemory } from '../../runtime/virtio/guest-memory.ts';
import { Virtqueue, type VirtqueueSetup } from '../../runtime/virtio/virtqueue.ts';
import { addressOf, close, syscall } from '../ffi.ts';
import type { VringAddresses } from './protocol.ts';

const one = new Uint8Array(BigUint64Array.of(1n).buffer);

export class Vring {
  readonly index: number;
  readonly queue: Virtqueue;
  entries = 0;
  base = 0;
  addresses: VringAddresses | undefined;
  enabled = false;
  /** Event descriptors, owned: of kicks (undefined: there are none yet, or the queue is polled), of signals, of errors. */
  #kick: number | undefined;
  #call: number | undefined;
  #error: number | undefined;
  /** A kick message came, with or without a descriptor: the ring may start. */
  #kicked = false;
  #told = false;

  constructor(index: number, memory: GuestMemory) {
    this.index = index;
    this.queue = new Virtqueue(memory);
  }

  get kick(): number | undefined {
    return this.#kick;
  }

  setKick(fd: number | undefined): void {
    if (this.#kick !== undefined) close(this.#kick);
    this.#kick = fd;
    this.#kicked = true;
  }

  setCall(fd: number | undefined): void {
    if (this.#call !== undefined) close(this.#call);
    this.#call = fd;
  }

  setError(fd: number | undefined): void {
    if (this.#error !== undefined) close(this.#error);
    this.#error = fd;
  }

  /** Starts the queue if it has all that it needs and does not run. Throws InputError for rings that cannot be. */
  start(setup: Pick<VirtqueueSetup, 'header' | 'mergeable' | 'eventIndex'>): void {
    if (this.queue.running || !this.enabled || !this.#kicked || this.addresses === undefined || this.entries === 0)
      return;
    this.queue.start({ ...setup, ...this.addresses, entries: this.entries, base: this.base });
    this.#told = false;
  }

  /** Where to go on. */
  stop(): number {
    if (this.queue.running) this.base = this.queue.stop();
    return this.base;
  }

  /** As GET_VRING_BASE: what was said of kicks is forgotten. */
  end(): number {
    const base = this.stop();
    this.setKick(undefined);
    this.#kicked = false;
    this.setCall(undefined);
    return base;
  }

  /** Signals what was given back, if the driver wants to know. What the driver did wrong, the first time that it is seen. */
  signal(): string | undefined {
    if (!this.queue.running) return undefined;
    if (this.queue.signalDue()) raise(this.#call);
    const { problem } = this.queue;
    if (problem === undefined || this.#told) return undefined;
    this.#told = true;
    raise(this.#error);
    return problem;
  }

  close(): void {
    this.end();
    this.setError(undefined);
    this.queue.free();
  }
}

/** Adds 1 to an eventfd; one that is full, or gone, is as good as signalled. */
function raise(fd: number | undefined): void {
  if (fd !== undefined) syscall('write', fd, addressOf(one), one.length);
}

/** Throws InputError `SLUICE_VHOST_MESSAGE`. */
export function ringAt(rings: readonly Vring[], index: number): Vring {
  const ring = rings[index];
  if (ring === undefined)
    throw new InputError('SLUICE_VHOST_MESSAGE', `vhost-user message: ring ${index} of ${rings.length}`);
  return ring;
}
