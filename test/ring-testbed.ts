/** Rings of this kernel for tests: files, pipes and sockets to work on, and the proof that everything goes back where it was. */
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openFlags, socketTypes } from '../src/abi/io-uring/call-flags.ts';
import { opcodes, type SqeWord } from '../src/abi/io-uring/opcodes.ts';
import { UnsupportedError } from '../src/errors.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { addressOf, close, pipe, syscall, syscallByNumber } from '../src/linux/ffi.ts';
import { LinuxRing } from '../src/linux/io-uring.ts';
import { ROOT, ROOT_FREE_RUNS, ROOT_HEAP_TOP, WASM_PAGE } from '../src/plane/layout/memory.ts';
import { ADDRESS_OF_PROCESS, CQE_SIZE, SQE_CQ, SQE_SIZE, SQE_USER_DATA } from '../src/plane/layout/sqe.ts';
import { Ring, type RingOptions } from '../src/ring.ts';
import { createMap } from '../src/runtime/maps/plane-map.ts';
import { Runtime } from '../src/runtime/runtime.ts';

/** Why there are no rings here; undefined: there are. */
export const noRing: string | undefined = await unavailable();
/** For titles of tests that are skipped then. */
export const skipped = noRing === undefined ? '' : ` (skipped: ${noRing})`;

async function unavailable(): Promise<string | undefined> {
  try {
    await (await Ring.create({ entries: 4 })).close();
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

/** Errnos as completions have them. */
export const E = {
  PERM: -1,
  NOENT: -2,
  INTR: -4,
  IO: -5,
  NXIO: -6,
  BADF: -9,
  AGAIN: -11,
  FAULT: -14,
  BUSY: -16,
  INVAL: -22,
  NOSPC: -28,
  SPIPE: -29,
  PIPE: -32,
  OPNOTSUPP: -95,
  CONNRESET: -104,
  NOBUFS: -105,
  TIME: -62,
  CONNREFUSED: -111,
  ALREADY: -114,
  CANCELED: -125,
  OVERFLOW: -75,
  TWOBIG: -7,
  LOOP: -40,
} as const;

export type Writer = (view: DataView, at: number) => void;

const functions = { ...prep };
type Prep = typeof functions;
type Arguments<F> = F extends (view: DataView, at: number, ...rest: infer R) => void ? R : never;

/** A request by the name of its prep function. */
export function sqe<K extends keyof Prep>(name: K, ...rest: Arguments<Prep[K]>): Writer {
  const write = functions[name] as unknown as (view: DataView, at: number, ...rest: unknown[]) => void; // one signature for all
  return (view, at) => write(view, at, ...rest);
}

/** Any opcode, as a kernel that is newer than this one might have it. */
export function raw(opcode: number, flags = 0): Writer {
  return (view, at) => {
    view.setUint8(at, opcode);
    view.setUint8(at + 1, flags);
  };
}

export interface Cqe {
  readonly userData: number;
  readonly res: number;
  readonly flags: number;
}

/** Pairs of user_data and result, as tables of expected completions have them. */
export const pairs = (cqes: readonly Cqe[]): [number, number][] => cqes.map(({ userData, res }) => [userData, res]);

/** Where there is no order. */
export const sorted = (cqes: readonly Cqe[]): [number, number][] =>
  pairs(cqes).sort((a, b) => a[0] - b[0] || a[1] - b[1]);

export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Pages of the linear memory that somebody has. */
export function usedPages(runtime: Runtime): number {
  const view = runtime.view();
  let pages = view.getUint32(ROOT + ROOT_HEAP_TOP, true) / WASM_PAGE;
  for (let run = view.getUint32(ROOT + ROOT_FREE_RUNS, true); run !== 0; run = view.getUint32(run, true))
    pages -= view.getUint32(run + 4, true);
  return pages;
}

const SOCKETPAIR = { x64: 53, arm64: 199 } as const;

/** A map has come and gone: the page stays in which it waited for the end of an epoch. */
function usedOnce(runtime: Runtime): Runtime {
  createMap(runtime.plane, { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 }).close();
  return runtime;
}

/** What is open while a test runs. */
export abstract class Testbed {
  readonly runtime = usedOnce(new Runtime());
  readonly #before = descriptors();
  readonly #pages = usedPages(this.runtime);
  readonly #open = new Set<number>();
  readonly #memory: number;
  #top: number;
  #folder: string | undefined;

  constructor() {
    this.#memory = this.runtime.allocatePages(4 * WASM_PAGE);
    this.#top = this.#memory;
  }

  /** Zeroed memory until the end of the test. */
  allocate(length: number): number {
    const at = this.#top;
    this.#top += Math.ceil(length / 64) * 64;
    if (this.#top > this.#memory + 4 * WASM_PAGE) throw new Error('the testbed has 256 KiB');
    return at;
  }

  bytes(address: number, length: number): Uint8Array {
    return Uint8Array.from(this.runtime.bytes().subarray(address, address + length));
  }

  text(address: number, length: number): string {
    return new TextDecoder().decode(this.bytes(address, length));
  }

  /** Bytes of a string, without an end. */
  put(text: string): number {
    const bytes = new TextEncoder().encode(text);
    const at = this.allocate(bytes.length + 1);
    this.runtime.bytes().set(bytes, at);
    return at;
  }

  timespec(ns: number | bigint): number {
    const at = this.allocate(prep.TIMESPEC_SIZE);
    prep.writeTimespec(this.runtime.view(), at, ns);
    return at;
  }

  /** Words of 32 bits. */
  words(...values: readonly number[]): number {
    const at = this.allocate(values.length * 4);
    values.forEach((value, i) => {
      this.runtime.view().setInt32(at + i * 4, value, true);
    });
    return at;
  }

  /** struct iovec. */
  vector(at: number, address: number, length: number): void {
    prep.writeIovec(this.runtime.view(), at, this.base, address, length);
  }

  word(at: number): number {
    return this.runtime.view().getInt32(at, true);
  }

  get folder(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'sluice-ring-'));
    return this.#folder;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A file with this content, open for both. */
  file(name: string, content: string | Uint8Array): number {
    writeFileSync(this.path(name), content);
    return this.keep(openSync(this.path(name), 'r+'));
  }

  content(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  pipe(flags = 0): [read: number, write: number] {
    const [read, write] = pipe(flags);
    return [this.keep(read), this.keep(write)];
  }

  /** Two sockets of AF_UNIX that are connected with each other. */
  sockets(type: number = socketTypes.STREAM): [number, number] {
    const ends = new Int32Array(2);
    const number = SOCKETPAIR[process.arch as keyof typeof SOCKETPAIR];
    const result = syscallByNumber(number, 1, type | socketTypes.CLOEXEC, 0, addressOf(ends));
    if (result < 0) throw new Error(`socketpair: ${result}`);
    return [this.keep(ends[0]!), this.keep(ends[1]!)];
  }

  /** A listening socket of TCP on the loopback interface, and its port. */
  listener(): { fd: number; port: number; address: number; length: number } {
    const fd = this.keep(syscall('socket', 2, socketTypes.STREAM | socketTypes.CLOEXEC, 0));
    const name = new Uint8Array(16);
    name[0] = 2;
    name.set([127, 0, 0, 1], 4);
    expect(syscall('bind', fd, addressOf(name), 16)).toBe(0);
    expect(syscallByNumber(process.arch === 'x64' ? 50 : 201, fd, 16)).toBe(0);
    const length = Uint32Array.of(16);
    expect(syscallByNumber(process.arch === 'x64' ? 51 : 204, fd, addressOf(name), addressOf(length))).toBe(0);
    const address = this.allocate(16);
    this.runtime.bytes().set(name, address);
    return { fd, port: new DataView(name.buffer).getUint16(2), address, length: 16 };
  }

  socket(): number {
    return this.keep(syscall('socket', 2, socketTypes.STREAM | socketTypes.CLOEXEC, 0));
  }

  /** Closes the descriptor with the test, unless that has done it. */
  keep(fd: number): number {
    if (fd < 0) throw new Error(`no descriptor: ${fd}`);
    this.#open.add(fd);
    return fd;
  }

  /** The test or its ring has closed it. */
  forget(fd: number): void {
    this.#open.delete(fd);
  }

  shut(fd: number): void {
    this.#open.delete(fd);
    close(fd);
  }

  /** Plain write(2) and read(2), for the other side. */
  write(fd: number, text: string): void {
    const bytes = new TextEncoder().encode(text);
    expect(syscallByNumber(process.arch === 'x64' ? 1 : 64, fd, addressOf(bytes), bytes.length)).toBe(bytes.length);
  }

  read(fd: number, length: number): string {
    const bytes = new Uint8Array(length);
    const got = syscallByNumber(process.arch === 'x64' ? 0 : 63, fd, addressOf(bytes), length);
    if (got < 0) throw new Error(`read: ${got}`);
    return new TextDecoder().decode(bytes.subarray(0, got));
  }

  /** Address of the linear memory in the process. */
  get base(): number {
    return addressOf(this.runtime.bytes());
  }

  abstract closeRing(): Promise<void>;

  /** Ends the test: descriptors and pages are as many as before. */
  async close(): Promise<void> {
    await this.closeRing();
    for (const fd of this.#open) close(fd);
    this.#open.clear();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true });
    this.runtime.freePages(this.#memory, 4 * WASM_PAGE);
    // Node closes what it has opened itself a little later.
    for (let i = 0; i < 100 && descriptors() !== this.#before; i++) await new Promise((done) => setTimeout(done, 5));
    expect(descriptors(), 'descriptors that are open').toBe(this.#before);
    expect(usedPages(this.runtime), 'pages in use').toBe(this.#pages);
  }
}

/** Requests as they are, with the links and flags of the kernel. */
export class KernelBed extends Testbed {
  readonly backend: LinuxRing;

  constructor(entries = 32) {
    super();
    this.backend = new LinuxRing(this.runtime, { entries });
  }

  push(write: Writer, userData?: number): void {
    const { sqTail, sqMask, sqes } = this.backend.addresses;
    const view = this.runtime.view();
    const tail = view.getUint32(sqTail, true);
    const at = sqes + (tail & sqMask) * SQE_SIZE;
    this.runtime.bytes().fill(0, at, at + SQE_SIZE);
    write(view, at);
    if (userData !== undefined) view.setUint32(at + SQE_USER_DATA, userData, true);
    // What is the ring's own.
    view.setBigUint64(at + SQE_CQ, 0n, true);
    toProcess(view, at, this.backend.base);
    Atomics.store(new Uint32Array(view.buffer), sqTail / 4, tail + 1);
  }

  enter(submit: number, wait: number, timeoutNs = 2e9): number {
    return this.backend.enter(submit, wait, timeoutNs);
  }

  reap(): Cqe[] {
    const { cqHead, cqTail, cqMask, cqes } = this.backend.addresses;
    const view = this.runtime.view();
    const taken: Cqe[] = [];
    let head = view.getUint32(cqHead, true);
    const tail = Atomics.load(new Uint32Array(view.buffer), cqTail / 4);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const at = cqes + (head & cqMask) * CQE_SIZE;
      taken.push({
        userData: view.getUint32(at, true),
        res: view.getInt32(at + 8, true),
        flags: view.getUint32(at + 12, true),
      });
    }
    Atomics.store(new Uint32Array(view.buffer), cqHead / 4, head);
    return taken;
  }

  closeRing(): Promise<void> {
    return this.backend.close();
  }
}

const WORDS: Record<SqeWord, number> = { off: 8, addr: 16, addr3: 48 };

/** Offsets in the linear memory become addresses of the process, as the plane does it. */
function toProcess(view: DataView, at: number, base: bigint): void {
  const number = view.getUint8(at);
  for (const declaration of Object.values(opcodes)) {
    if (declaration.number !== number) continue;
    for (const word of declaration.addresses) {
      const value = view.getBigUint64(at + WORDS[word], true);
      const mark = BigInt(ADDRESS_OF_PROCESS) << 32n;
      if (value !== 0n) view.setBigUint64(at + WORDS[word], (value & mark) === 0n ? value + base : value & ~mark, true);
    }
  }
}

/** A ring of ours over this kernel. */
export class RingBed extends Testbed {
  readonly ring: Ring;
  readonly backend: LinuxRing;

  private constructor(create: (runtime: Runtime) => Ring) {
    super();
    this.ring = create(this.runtime);
    if (!(this.ring.backend instanceof LinuxRing)) throw new Error('the ring is not of this kernel');
    this.backend = this.ring.backend;
  }

  static open(options: RingOptions = {}): RingBed {
    return new RingBed((runtime) => new Ring(runtime, new LinuxRing(runtime, { entries: 32, ...options }), options));
  }

  /** Stages requests, whose user_data are 1, 2, … unless they say otherwise. */
  stage(...writers: readonly Writer[]): void {
    writers.forEach((write, i) => {
      this.ring.stage((view, at) => {
        write(view, at);
        if (view.getBigUint64(at + SQE_USER_DATA, true) === 0n) view.setUint32(at + SQE_USER_DATA, i + 1, true);
      });
    });
  }

  /** Waits for so many completions of queue 0, 2 s at most, and takes all that are there. */
  take(wait: number, timeoutNs = 2e9): Cqe[] {
    this.ring.submitAndWait(wait, timeoutNs);
    const taken: Cqe[] = [];
    this.ring.completions.take((low, _high, res, flags) => {
      taken.push({ userData: low, res, flags });
    });
    return taken;
  }

  /** Stages these requests, and waits for so many completions. */
  collect(count: number, ...writers: readonly Writer[]): Cqe[] {
    this.stage(...writers);
    return this.take(count);
  }

  /** Both: what these requests end with. */
  run(...writers: readonly Writer[]): Cqe[] {
    this.stage(...writers);
    return this.take(writers.length);
  }

  /** A table of registered files; -1: an empty slot. */
  registerFiles(...fds: readonly number[]): void {
    expect(this.backend.register(2, this.words(...fds), fds.length)).toBe(0);
  }

  /** Nothing is under way any more. */
  expectIdle(): void {
    this.ring.submit();
    expect({ issued: this.ring.issued, live: this.ring.live }).toEqual({ issued: 0, live: 0 });
    expect(this.ring.completions.length, 'completions that the test has not looked at').toBe(0);
  }

  closeRing(): Promise<void> {
    return this.ring.close();
  }

  override async close(): Promise<void> {
    this.expectIdle();
    await super.close();
  }

  /** For tests that close it with requests under way. */
  closeBusy(): Promise<void> {
    return super.close();
  }
}

export { openFlags };
