/**
 * Wakes Node's event loop when a ring has completions, without a thread that waits.
 *
 * Nothing in Node watches an arbitrary descriptor, and a thread of the pool that waits is one less for node:fs. So a second, small ring waits: it
 * reads the eventfd of the first one, and writes a byte into a pipe whose other end is a socket of Node. The kernel does both while this thread sleeps
 * in its event loop. The ring's own descriptor would not do: with IORING_SETUP_DEFER_TASKRUN polling it sleeps on when requests are done
 * (io_req_local_work_add wakes the eventfd alone).
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { opcodes } from '../abi/io-uring/opcodes.ts';
import { cancelFlags, sqeFlags } from '../abi/io-uring/request-flags.ts';
import { enterFlags } from '../abi/io-uring/ring-flags.ts';
import {
  SQE_ADDR,
  SQE_FD,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_SIZE,
} from '../plane/layout/sqe.ts';
import { addressOf, close, pipe, ringEnter } from './ffi.ts';
import { KernelRings } from './io-uring-mapping.ts';
import { type RingSetup, setupRing } from './io-uring-setup.ts';

const O_NONBLOCK = 0o4000;
/** Requests are few: a read and a write, and at the end what cancels them. */
const ENTRIES = 4;

export class RingWakeup {
  readonly #setup: RingSetup;
  readonly #rings: KernelRings;
  readonly #view: DataView;
  readonly #eventfd: number;
  readonly #writeEnd: number;
  readonly #socket: Socket;
  /** What the eventfd counted, and the byte for the pipe. The kernel writes there while a read is armed. */
  readonly #buffer = new BigUint64Array(2);
  readonly #address: number;
  #armed = false;
  #wake: (() => void) | undefined;

  constructor(eventfd: number) {
    this.#eventfd = eventfd;
    this.#address = addressOf(this.#buffer);
    // No flag that defers work: requests of this ring must go on by themselves.
    const none = { rings: 0, sqes: 0 };
    this.#setup = setupRing(ENTRIES, 0, none, plain);
    let rings: KernelRings | undefined;
    let readEnd: number;
    try {
      rings = new KernelRings(this.#setup);
      [readEnd, this.#writeEnd] = pipe(O_NONBLOCK);
    } catch (error) {
      rings?.unmap();
      close(this.#setup.fd);
      throw error;
    }
    this.#rings = rings;
    this.#view = new DataView(rings.sqes.buffer);
    // `onread` saves a buffer and a stream event for each wakeup; the typings have it for connections alone.
    const options: SocketConstructorOpts & { onread: object } = {
      fd: readEnd,
      readable: true,
      writable: false,
      onread: { buffer: new Uint8Array(16), callback: () => this.#woken() },
    };
    this.#socket = new Socket(options);
    this.#socket.on('error', () => {});
    this.#socket.unref();
  }

  /** Calls `wake` once when the eventfd has been signalled. It keeps the process alive until then. */
  arm(wake: () => void): void {
    this.#wake = wake;
    this.#socket.ref();
    if (this.#armed) return;
    this.#armed = true;
    this.#push(opcodes.read.number, this.#eventfd, this.#address, 8, sqeFlags.IO_LINK);
    this.#push(opcodes.write.number, this.#writeEnd, this.#address + 8, 1, 0);
    ringEnter(this.#setup.fd, 2, 0, 0);
  }

  /** Nobody waits: the process may end. A wakeup that is armed stays so. */
  disarm(): void {
    this.#wake = undefined;
    this.#socket.unref();
  }

  #woken(): boolean {
    this.#armed = false;
    this.#discardCompletions();
    const wake = this.#wake;
    this.disarm();
    wake?.();
    return true;
  }

  #push(opcode: number, fd: number, address: number, length: number, flags: number): void {
    const { words, sqes } = this.#rings;
    const tail = words[this.#setup.sqTail / 4]!;
    const at = (tail & (this.#setup.sqEntries - 1)) * SQE_SIZE;
    sqes.fill(0, at, at + SQE_SIZE);
    const view = this.#view;
    view.setUint8(at + SQE_OPCODE, opcode);
    view.setUint8(at + SQE_FLAGS, flags);
    view.setInt32(at + SQE_FD, fd, true);
    // As read(2) and write(2): no position.
    view.setBigInt64(at + SQE_OFF, opcode === opcodes.async_cancel.number ? 0n : -1n, true);
    view.setBigUint64(at + SQE_ADDR, BigInt(address), true);
    view.setUint32(at + SQE_LEN, length, true);
    if (opcode === opcodes.async_cancel.number)
      view.setUint32(at + SQE_OP_FLAGS, cancelFlags.ANY | cancelFlags.ALL, true);
    Atomics.store(words, this.#setup.sqTail / 4, (tail + 1) | 0);
  }

  #completions(): number {
    const { words } = this.#rings;
    return (Atomics.load(words, this.#setup.cqTail / 4) - words[this.#setup.cqHead / 4]!) | 0;
  }

  #discardCompletions(): void {
    const { words } = this.#rings;
    Atomics.store(words, this.#setup.cqHead / 4, Atomics.load(words, this.#setup.cqTail / 4));
  }

  /** Ends it once the kernel reads into the buffer no more. The eventfd stays the caller's. */
  close(): void {
    if (this.#armed) {
      this.#push(opcodes.async_cancel.number, -1, 0, 0, 0);
      // The read and the write that is linked to it, cancelled or not, and the cancellation itself. A signal may end the wait early.
      let submit = 1;
      while (this.#completions() < 3) {
        ringEnter(this.#setup.fd, submit, 3, enterFlags.GETEVENTS);
        submit = 0;
      }
      this.#armed = false;
    }
    this.disarm();
    this.#socket.destroy();
    close(this.#writeEnd);
    this.#rings.unmap();
    close(this.#setup.fd);
  }
}

const plain: ReadonlySet<string> = new Set([
  'NO_SQARRAY',
  'NO_MMAP',
  'DEFER_TASKRUN',
  'SINGLE_ISSUER',
  'TASKRUN_FLAG',
  'COOP_TASKRUN',
  'CQSIZE',
]);
