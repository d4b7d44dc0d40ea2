/**
 * io_uring of this kernel: the backend that executes a ring's requests.
 *
 * io-uring-setup.ts: flags and refusals; io-uring-mapping.ts and io-uring-copying.ts: rings whose memory the kernel brings; io-uring-wakeup.ts: how the event loop learns of
 * completions; io-uring-features.ts: what the kernel offers, as data.
 */
import { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import {
  cqFlags,
  enterFlags,
  flagNames,
  OP_SUPPORTED,
  registerOpcodes,
  ringFeatures,
  ringLimits,
  setupFlags,
  sqFlags,
} from '../abi/io-uring/ring-flags.ts';
import { InputError } from '../errors.ts';
import { CQE_SIZE, SQE_SIZE } from '../plane/layout/sqe.ts';
import type { PlainCalls, RingAddresses, RingBackend } from '../runtime/ring-backend.ts';
import {
  addressOf,
  close,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  mmap,
  PROT_READ,
  PROT_WRITE,
  pageSize,
  pipe,
  ringEnter,
  syscall,
} from './ffi.ts';
import { CopiedRings } from './io-uring-copying.ts';
import { mapOver } from './io-uring-mapping.ts';
import { type RingSetup, requireFeatures, setupRing } from './io-uring-setup.ts';
import { RingWakeup } from './io-uring-wakeup.ts';
import { LinuxPlainCalls } from './plain-calls.ts';
import { SyscallError } from './syscall-error.ts';

/** The linear memory, as a Runtime has it. */
export interface RingMemory {
  bytes(): Uint8Array;
  allocatePages(size: number): number;
  freePages(address: number, size: number): void;
}

export interface LinuxRingOptions {
  /** Requests that one enter can take: 1 to 32768, rounded up to a power of two (default 256). */
  readonly entries?: number;
  /** Completions that wait to be collected without overflow: up to 65536, not fewer than `entries` (default 4 times as many, where that is allowed). */
  readonly cqEntries?: number;
  /**
   * What is not used even where the kernel has it: names of setup flags, `registered-ring`, `mapping` (of the kernel's pages over the linear memory).
   * For comparisons, and for tests of what older kernels get.
   */
  readonly without?: readonly string[];
  /** Reads and writes that would not wait are plain system calls while nothing else is under way (default true). */
  readonly plain?: boolean;
}

/** Page of ours in front of the rings: struct io_uring_getevents_arg, its timespec, argument of registrations. */
const WAIT_ARGUMENT = 0;
/** u32 min_wait_usec. */
const WAIT_LEAST = 12;
const WAIT_ARGUMENT_SIZE = 24;
const WAIT_TIME = 32;
const REGISTER_ARGUMENT = 64;
const PROBE = 128;
const PROBE_HEADER = 16;

const EBADF = 9;
/** 49 days, in ns: Infinity is no time for the kernel. */
const LONGEST_WAIT = 2 ** 32 * 1e6;
/** In this thread, which has modules of its own. */
let workersAllowed = false;

/**
 * A ring in the linear memory. It belongs to the thread that made it: the kernel refuses others (-EEXIST). Throws UnsupportedError that says what to
 * do where io_uring is missing or forbidden, InputError `SLUICE_RING_ENTRIES`, SyscallError.
 */
export class LinuxRing implements RingBackend {
  readonly name = 'linux';
  readonly plain: PlainCalls | undefined;
  readonly addresses: RingAddresses;
  readonly base: bigint;
  readonly features: ReadonlySet<string>;
  /** Descriptor of the ring, for msg_ring from other rings. */
  readonly fd: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly #memory: RingMemory;
  readonly #setup: RingSetup;
  readonly #pages: { readonly address: number; readonly size: number };
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #base: number;
  readonly #supported: ReadonlySet<number>;
  /** What enter names the ring by: its index among the thread's registered rings, or its descriptor. */
  readonly #enterFd: number;
  readonly #enterFlags: number;
  readonly #waitArgument: number;
  readonly #copies: CopiedRings | undefined;
  /** Kernel pages lie over ours. */
  readonly #mapped: boolean;
  #eventfd = -1;
  #wakeup: RingWakeup | undefined;
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #closed: Promise<void> | undefined;

  constructor(memory: RingMemory, options: LinuxRingOptions = {}) {
    const { entries, cqEntries } = checkedSizes(options);
    const without = new Set(options.without);
    const page = pageSize();
    const whole = (size: number) => Math.ceil(size / page) * page;
    // struct io_rings is smaller than a page; the index array comes last.
    const ringsSize = whole(page + cqEntries * CQE_SIZE + entries * 4);
    const sqesSize = whole(entries * SQE_SIZE);
    const size = page + ringsSize + sqesSize;
    const address = memory.allocatePages(size);
    const rings = address + page;
    const sqes = rings + ringsSize;
    this.plain = options.plain === false ? undefined : new LinuxPlainCalls();
    this.#memory = memory;
    this.#pages = { address, size };
    this.#base = addressOf(memory.bytes());
    this.base = BigInt(this.#base);
    // Growth of the memory leaves the addresses as they are, and these views valid.
    const { buffer } = memory.bytes();
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    let setup: RingSetup;
    try {
      setup = setupRing(entries, cqEntries, { rings: this.#base + rings, sqes: this.#base + sqes }, without);
    } catch (error) {
      memory.freePages(address, size);
      throw error;
    }
    this.#setup = setup;
    this.fd = setup.fd;
    this.sqEntries = setup.sqEntries;
    this.cqEntries = setup.cqEntries;
    const names = new Set<string>([...flagNames(setupFlags, setup.flags), ...flagNames(ringFeatures, setup.features)]);
    this.features = names;
    let mapped = false;
    try {
      requireFeatures(setup);
      if ((setup.flags & setupFlags.NO_MMAP) === 0) {
        mapped = !without.has('mapping') && mapOver(setup, this.#base + rings, this.#base + sqes);
        names.add(mapped ? 'mapping' : 'copying');
        if (!mapped) this.#copies = new CopiedRings(setup, this.#words, this.#view, rings, sqes);
        else if (setup.sqArray !== 0) this.#fillArray(rings + setup.sqArray);
      } else if (setup.sqArray !== 0) this.#fillArray(rings + setup.sqArray);
      this.#mapped = mapped;
      this.addresses = {
        sqHead: rings + setup.sqHead,
        sqTail: rings + setup.sqTail,
        sqFlags: rings + setup.sqFlags,
        sqArray: setup.sqArray === 0 || this.#copies !== undefined ? 0 : rings + setup.sqArray,
        sqes,
        sqMask: setup.sqEntries - 1,
        cqHead: rings + setup.cqHead,
        cqTail: rings + setup.cqTail,
        cqes: rings + setup.cqes,
        cqMask: setup.cqEntries - 1,
      };
      this.#supported = this.#probe();
      this.#cqFlags(cqFlags.EVENTFD_DISABLED);
      this.#waitArgument = this.#base + address + WAIT_ARGUMENT;
      this.#view.setBigUint64(address + WAIT_ARGUMENT + 16, BigInt(this.#base + address + WAIT_TIME), true);
      this.#allowWorkers();
      const index = without.has('registered-ring') ? -1 : this.#registerRing();
      this.#enterFd = index < 0 ? setup.fd : index;
      this.#enterFlags = enterFlags.GETEVENTS | (index < 0 ? 0 : enterFlags.REGISTERED_RING);
      if (index >= 0) names.add('registered-ring');
    } catch (error) {
      this.#copies?.rings.unmap();
      close(setup.fd);
      this.#giveBack(mapped);
      throw error;
    }
  }

  supports(opcode: number): boolean {
    return this.#supported.has(opcode);
  }

  addressOf(view: ArrayBufferView): number {
    return addressOf(view);
  }

  enter(submit: number, wait: number, timeoutNs?: number): number {
    if (this.#closed !== undefined) return -EBADF;
    this.#copies?.give();
    const result =
      timeoutNs === undefined || wait === 0
        ? ringEnter(this.#enterFd, submit, wait, this.#enterFlags)
        : this.#enterFor(submit, wait, timeoutNs);
    this.#copies?.take();
    return result;
  }

  enterGathering(submit: number, wait: number, timeoutNs: number | undefined, minNs: number): number {
    if (this.#closed !== undefined) return -EBADF;
    this.#copies?.give();
    const result = this.#enterFor(submit, wait, timeoutNs ?? LONGEST_WAIT, Math.min(minNs, LONGEST_WAIT));
    this.#copies?.take();
    return result;
  }

  #enterFor(submit: number, wait: number, timeoutNs: number, minNs = 0): number {
    const at = this.#pages.address + WAIT_TIME;
    const ns = Math.min(timeoutNs, LONGEST_WAIT);
    const seconds = Math.floor(ns / 1e9);
    this.#view.setUint32(at, seconds, true);
    this.#view.setUint32(at + 8, ns - seconds * 1e9, true);
    this.#view.setUint32(this.#pages.address + WAIT_LEAST, Math.min(Math.ceil(minNs / 1000), 0xffff_ffff), true);
    const flags = this.#enterFlags | enterFlags.EXT_ARG;
    return syscall('io_uring_enter', this.#enterFd, submit, wait, flags, this.#waitArgument, WAIT_ARGUMENT_SIZE);
  }

  /** Rejected with InputError `SLUICE_RING_EVENTFD` where the ring has an eventfd already, SyscallError. */
  async wait(): Promise<void> {
    if (this.#closed !== undefined) return;
    if (this.#waiting !== undefined) return this.#waiting.promise;
    if (this.#eventfd < 0) this.#openEventfd();
    this.#wakeup ??= new RingWakeup(this.#eventfd);
    this.#cqFlags(0);
    if (this.#isReady()) {
      this.#cqFlags(cqFlags.EVENTFD_DISABLED);
      return;
    }
    let resolve = () => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    this.#waiting = { promise, resolve };
    this.#wakeup.arm(() => this.#wake());
    return promise;
  }

  #wake(): void {
    this.#cqFlags(cqFlags.EVENTFD_DISABLED);
    this.#copies?.take();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve();
  }

  /** The kernel signals only what comes after the eventfd was enabled: what is there already is found here. */
  #isReady(): boolean {
    const { flags } = this.#setup;
    if ((flags & setupFlags.DEFER_TASKRUN) !== 0 && (flags & setupFlags.TASKRUN_FLAG) === 0) this.enter(0, 0);
    this.#copies?.take();
    const { sqFlags: at, cqHead, cqTail } = this.addresses;
    if ((Atomics.load(this.#words, at / 4) & (sqFlags.TASKRUN | sqFlags.CQ_OVERFLOW)) !== 0) return true;
    return Atomics.load(this.#words, cqTail / 4) !== this.#words[cqHead / 4];
  }

  #openEventfd(): void {
    // Not EFD_NONBLOCK: a read of the wakeup's ring is to wait.
    const fd = syscall('eventfd2', 0, EFD_CLOEXEC);
    if (fd < 0) throw new SyscallError('eventfd2', -fd);
    this.#view.setInt32(this.#pages.address + REGISTER_ARGUMENT, fd, true);
    const result = this.register(registerOpcodes.EVENTFD, this.#pages.address + REGISTER_ARGUMENT, 1);
    if (result === 0) {
      this.#eventfd = fd;
      return;
    }
    close(fd);
    if (result === -EBUSY)
      throw new InputError(
        'SLUICE_RING_EVENTFD',
        'the ring has an eventfd of yours: wait for that one, or unregister it before wait()',
      );
    throw new SyscallError('io_uring_register(IORING_REGISTER_EVENTFD)', -result);
  }

  register(opcode: number, argument: number, count: number): number {
    if (this.#closed !== undefined) return -EBADF;
    const address = argument === 0 ? 0 : this.#base + argument;
    return syscall('io_uring_register', this.fd, opcode, address, count);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#wakeup?.close();
    this.#wakeup = undefined;
    const { promise: gone, watched } = this.#watchEnd();
    if ((this.#enterFlags & enterFlags.REGISTERED_RING) !== 0) this.#unregisterRing();
    this.#copies?.rings.unmap();
    close(this.fd);
    if (this.#eventfd >= 0) close(this.#eventfd);
    waiting?.resolve();
    await gone;
    // If the end cannot be seen, the pages stay taken: the kernel may write there.
    if (watched || this.#mapped || this.#copies !== undefined) this.#giveBack(this.#mapped);
  }

  /**
   * Closing the descriptor only begins the end: requests of devices go on, and write to their memory and to the rings. What the kernel lets go of after the
   * last of them is the ring's files (io_ring_ctx_free): so its only file becomes one end of a pipe, and the other one sees it go.
   */
  #watchEnd(): { promise: Promise<void>; watched: boolean } {
    const at = this.#pages.address + REGISTER_ARGUMENT;
    const call = (opcode: number, address: number, count: number) =>
      syscall('io_uring_register', this.fd, opcode, address, count);
    call(registerOpcodes.UNFILES, 0, 0);
    let readEnd: number;
    let writeEnd: number;
    try {
      [readEnd, writeEnd] = pipe(O_NONBLOCK);
    } catch {
      return { promise: Promise.resolve(), watched: false };
    }
    this.#view.setInt32(at, writeEnd, true);
    const result = call(registerOpcodes.FILES, this.#base + at, 1);
    close(writeEnd);
    if (result < 0) {
      close(readEnd);
      return { promise: Promise.resolve(), watched: false };
    }
    const socket = new Socket({ fd: readEnd, readable: true, writable: false });
    socket.on('error', () => {});
    socket.resume();
    return { promise: new Promise((resolve) => socket.once('close', () => resolve())), watched: true };
  }

  #giveBack(mapped: boolean): void {
    const { address, size } = this.#pages;
    if (mapped)
      mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, this.#base + address);
    this.#memory.freePages(address, size);
  }

  #fillArray(address: number): void {
    for (let i = 0; i < this.sqEntries; i++) this.#words[address / 4 + i] = i;
  }

  #cqFlags(value: number): void {
    if (this.#copies !== undefined) this.#copies.setCqFlags(value);
    else Atomics.store(this.#words, (this.addresses.cqHead - this.#setup.cqHead + this.#setup.cqFlags) / 4, value);
  }

  #probe(): ReadonlySet<number> {
    const at = this.#pages.address + PROBE;
    const supported = new Set<number>();
    const result = syscall('io_uring_register', this.fd, registerOpcodes.PROBE, this.#base + at, 256);
    if (result < 0) throw new SyscallError('io_uring_register(IORING_REGISTER_PROBE)', -result);
    for (let i = 0; i < this.#view.getUint8(at + 1); i++) {
      const entry = at + PROBE_HEADER + i * 8;
      if ((this.#view.getUint16(entry + 2, true) & OP_SUPPORTED) !== 0) supported.add(this.#view.getUint8(entry));
    }
    return supported;
  }

  /**
   * Workers of the kernel are the thread's, and its first ring says how many may work on files at once: the smaller of its entries and 4 a CPU
   * (io_init_wq_offload). A small first ring must not slow those that come after it. Before Linux 5.15 it does.
   */
  #allowWorkers(): void {
    if (workersAllowed) return;
    workersAllowed = true;
    const at = this.#pages.address + REGISTER_ARGUMENT;
    const workers = 4 * availableParallelism();
    for (const bounded of [0, workers]) {
      // Zeros change nothing. What was in force is written back.
      this.#view.setUint32(at, bounded, true);
      this.#view.setUint32(at + 4, 0, true);
      const result = syscall('io_uring_register', this.fd, registerOpcodes.IOWQ_MAX_WORKERS, this.#base + at, 2);
      if (result < 0 || this.#view.getUint32(at, true) >= workers) return;
    }
  }

  /** Index among the thread's registered rings, or a negated errno: before Linux 5.18, or when the thread has 16. */
  #registerRing(): number {
    const at = this.#pages.address + REGISTER_ARGUMENT;
    this.#writeUpdate(at, 0xffff_ffff, this.fd);
    const result = syscall('io_uring_register', this.fd, registerOpcodes.RING_FDS, this.#base + at, 1);
    return result === 1 ? this.#view.getInt32(at, true) : Math.min(result, -1);
  }

  #unregisterRing(): void {
    const at = this.#pages.address + REGISTER_ARGUMENT;
    this.#writeUpdate(at, this.#enterFd, 0);
    syscall('io_uring_register', this.fd, registerOpcodes.UNRING_FDS, this.#base + at, 1);
  }

  /** struct io_uring_rsrc_update. */
  #writeUpdate(at: number, offset: number, data: number): void {
    this.#view.setUint32(at, offset, true);
    this.#view.setUint32(at + 4, 0, true);
    this.#view.setBigUint64(at + 8, BigInt(data), true);
  }
}

const EFD_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const EBUSY = 16;

function checkedSizes(options: LinuxRingOptions): { entries: number; cqEntries: number } {
  const entries = options.entries ?? 256;
  if (!Number.isInteger(entries) || entries < 1 || entries > ringLimits.entries)
    throw new InputError('SLUICE_RING_ENTRIES', `entries of a ring: 1 to ${ringLimits.entries}, not ${entries}`);
  const sq = powerOfTwo(entries);
  const cqEntries = options.cqEntries ?? Math.min(4 * sq, ringLimits.cqEntries);
  if (!Number.isInteger(cqEntries) || cqEntries < sq || cqEntries > ringLimits.cqEntries)
    throw new InputError(
      'SLUICE_RING_ENTRIES',
      `completion entries of a ring of ${sq}: ${sq} to ${ringLimits.cqEntries}, not ${cqEntries}`,
    );
  return { entries: sq, cqEntries: powerOfTwo(cqEntries) };
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
