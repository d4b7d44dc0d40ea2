/**
 * linux/: the kernel target and the devices: bpf(2), links, ring buffers, what the machine offers.
 *
 * This file: system calls and memory of this process. The only file that knows koffi, which is loaded at the first call, so that
 * importing Sluice works on every platform; elsewhere the first call throws UnsupportedError.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { LibraryHandle } from 'koffi';
import { InputError, UnsupportedError } from '../errors.ts';
import { SyscallError } from './syscall-error.ts';

/** An argument in a register: integers and addresses. Addresses stay below 2^53, so that a number holds them. */
export type Register = number | bigint;

interface Native {
  readonly syscall: (number: number, ...args: readonly Register[]) => Register;
  /** io_uring_enter(2) without its last argument, which is of the one before: NULL, as a register that nobody has written is none. */
  readonly enter: (number: number, fd: number, submit: number, wait: number, flags: number, signals: number) => number;
  /** preadv2(2) of one vector; undefined: the C library has none. */
  readonly readVector:
    | ((fd: number, vector: number, count: number, offset: number, flags: number) => number)
    | undefined;
  /** `syscall` on another thread. */
  readonly later: (number: number, args: readonly Register[]) => Promise<Register>;
  readonly errno: () => number;
  readonly address: (view: ArrayBufferView) => bigint;
  readonly view: (address: bigint, length: number) => ArrayBuffer;
}

/** System call numbers by architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const numbers = {
  x64: {
    mmap: 9,
    pread64: 17,
    pwrite64: 18,
    preadv2: 327,
    fstatfs: 138,
    statx: 332,
    munmap: 11,
    ioctl: 16,
    read: 0,
    write: 1,
    fstat: 5,
    socket: 41,
    sendmsg: 46,
    recvmsg: 47,
    connect: 42,
    listen: 50,
    accept4: 288,
    sendto: 44,
    recvfrom: 45,
    bind: 49,
    setsockopt: 54,
    getsockopt: 55,
    ppoll: 271,
    close: 3,
    epoll_ctl: 233,
    epoll_pwait: 281,
    eventfd2: 290,
    gettid: 186,
    epoll_create1: 291,
    pipe2: 293,
    sched_setaffinity: 203,
    perf_event_open: 298,
    sendmmsg: 307,
    setns: 308,
    memfd_create: 319,
    bpf: 321,
    io_uring_setup: 425,
    io_uring_enter: 426,
    io_uring_register: 427,
  },
  arm64: {
    mmap: 222,
    pread64: 67,
    pwrite64: 68,
    preadv2: 286,
    fstatfs: 44,
    statx: 291,
    munmap: 215,
    ioctl: 29,
    read: 63,
    write: 64,
    fstat: 80,
    socket: 198,
    sendmsg: 211,
    recvmsg: 212,
    connect: 203,
    listen: 201,
    accept4: 242,
    sendto: 206,
    recvfrom: 207,
    bind: 200,
    setsockopt: 208,
    getsockopt: 209,
    ppoll: 73,
    close: 57,
    epoll_ctl: 21,
    epoll_pwait: 22,
    eventfd2: 19,
    gettid: 178,
    epoll_create1: 20,
    pipe2: 59,
    sched_setaffinity: 122,
    perf_event_open: 241,
    sendmmsg: 269,
    setns: 268,
    memfd_create: 279,
    bpf: 280,
    io_uring_setup: 425,
    io_uring_enter: 426,
    io_uring_register: 427,
  },
} as const;

export type SyscallName = keyof (typeof numbers)['x64'];

let native: Native | undefined;
let table: Readonly<Record<SyscallName, number>> | undefined;

function load(): Native {
  if (native !== undefined) return native;
  if (process.platform !== 'linux')
    throw new UnsupportedError('system calls', `this is ${process.platform}: the kernel target needs Linux`);
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    throw new UnsupportedError('system calls', `no system call numbers for ${process.arch}`);
  table = numbers[process.arch];
  const koffi = loadKoffi();
  const libc: LibraryHandle = koffi.load(null);
  // Variadic in C; on both architectures the arguments travel as those of a plain function.
  const call = libc.func(
    'int64_t syscall(int64_t n, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)',
  );
  const readVector = (): Native['readVector'] => {
    try {
      return libc.func('int64_t preadv2(int fd, int64_t vector, int count, int64_t offset, int flags)');
    } catch {
      return undefined;
    }
  };
  native = {
    syscall: call,
    enter: libc.func('int syscall(int n, int fd, int submit, int wait, int flags, int64_t signals)'),
    readVector: readVector(),
    later: (number, args) =>
      new Promise((resolve, reject) => {
        call.async(number, ...args, (error: unknown, result: Register) =>
          error === null || error === undefined ? resolve(result) : reject(error),
        );
      }),
    errno: () => koffi.errno(),
    address: (view) => koffi.address(view),
    view: (address, length) => koffi.view(address, length),
  };
  return native;
}

function loadKoffi(): typeof import('koffi') {
  try {
    return createRequire(import.meta.url)('koffi') as typeof import('koffi'); // require() gives any
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UnsupportedError('system calls', `koffi cannot be loaded: ${why}`, undefined, { cause: error });
  }
}

/** Result of the system call, or the negative errno. Blocks the thread for as long as the call does. */
export function syscall(
  name: SyscallName,
  a: Register = 0,
  b: Register = 0,
  c: Register = 0,
  d: Register = 0,
  e: Register = 0,
  f: Register = 0,
): number {
  const { syscall, errno } = native ?? load();
  const result = Number(syscall(table![name], a, b, c, d, e, f));
  return result === -1 ? -errno() : result;
}

/** io_uring_enter(2) without an argument for its wait. Result or negated errno. Blocks the thread for as long as it waits. */
export function ringEnter(fd: number, submit: number, wait: number, flags: number): number {
  const { enter, errno } = native ?? load();
  // The number is the same on every architecture (asm-generic/unistd.h).
  const result = enter(426, fd, submit, wait, flags, 0);
  return result === -1 ? -errno() : result;
}

/** preadv2(2) of one vector at `vector`. Result or negated errno. Up to six arguments cost less than the seven of `syscall`. */
export function readVector(fd: number, vector: number, offset: number, flags: number): number {
  const { readVector: call, errno } = native ?? load();
  if (call === undefined) {
    const low = offset % 2 ** 32;
    return syscall('preadv2', fd, vector, 1, offset, (offset - low) / 2 ** 32, flags);
  }
  const result = call(fd, vector, 1, offset, flags);
  return result === -1 ? -errno() : result;
}

/** As `syscall`, for a call that the table does not name. */
export function syscallByNumber(
  number: number,
  a: Register = 0,
  b: Register = 0,
  c: Register = 0,
  d: Register = 0,
  e: Register = 0,
  f: Register = 0,
): number {
  const { syscall, errno } = native ?? load();
  const result = Number(syscall(number, a, b, c, d, e, f));
  return result === -1 ? -errno() : result;
}

/**
 * A system call that waits, on a thread of its own, so that this one goes on. Result, or -1 for any errno. What it points to must
 * stay where it is, and descriptors open, until the promise is settled.
 */
export async function syscallLater(
  name: SyscallName,
  a: Register = 0,
  b: Register = 0,
  c: Register = 0,
  d: Register = 0,
  e: Register = 0,
  f: Register = 0,
): Promise<number> {
  const { later } = native ?? load();
  return Number(await later(table![name], [a, b, c, d, e, f]));
}

/**
 * Address of a view's first byte. Its memory leaves V8's moving heap by this call and stays where it is for as long as the
 * view's buffer lives: keep a reference for as long as the kernel may use the address.
 */
export function addressOf(view: ArrayBufferView): number {
  return Number((native ?? load()).address(view));
}

/** An ArrayBuffer over memory that this process has mapped. Not owned: using it after munmap is a fault of the process. */
export function memoryAt(address: number, length: number): ArrayBuffer {
  return (native ?? load()).view(BigInt(address), length);
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
/** As MAP_FIXED, but EEXIST if something is mapped there. */
export const MAP_FIXED_NOREPLACE = 0x100000;

export interface Mapping {
  readonly address: number;
  readonly length: number;
}

/** mmap(2). `address` with MAP_FIXED replaces what was mapped there. Throws SyscallError. */
export function mmap(
  length: number,
  protection: number,
  flags: number,
  fd = -1,
  offset: Register = 0,
  address: Register = 0,
): Mapping {
  if (!Number.isSafeInteger(length) || length <= 0) throw new InputError('SLUICE_LINUX_MMAP', `length ${length}`);
  const result = syscall('mmap', address, length, protection, flags, fd, offset);
  if (result < 0) throw new SyscallError('mmap', -result);
  return { address: result, length };
}

export function munmap(mapping: Mapping): void {
  const result = syscall('munmap', mapping.address, mapping.length);
  if (result < 0) throw new SyscallError('munmap', -result);
}

/** pipe2(2): the end to read from, and the end to write to. Both close on exec. */
export function pipe(flags = 0): [read: number, write: number] {
  const ends = new Int32Array(2);
  const result = syscall('pipe2', addressOf(ends), flags | O_CLOEXEC);
  if (result < 0) throw new SyscallError('pipe2', -result);
  return [ends[0]!, ends[1]!];
}
const O_CLOEXEC = 0o2000000;

/** close(2); EBADF is a mistake of the caller and thrown. */
export function close(fd: number): void {
  const result = syscall('close', fd);
  if (result < 0) throw new SyscallError(`close(${fd})`, -result);
}

/** ioctl(2) with an integer or the address of `argument`. Throws SyscallError. */
export function ioctl(fd: number, request: number, argument: ArrayBufferView | Register = 0): number {
  const value = typeof argument === 'object' ? addressOf(argument) : argument;
  const result = syscall('ioctl', fd, request, value);
  if (result < 0) throw new SyscallError(`ioctl 0x${request.toString(16)}`, -result);
  return result;
}

/** Size of a page of this machine: 4096 on x86; on arm64 the kernel may use larger ones. */
export function pageSize(): number {
  // sysconf is not a system call: the auxiliary vector knows.
  cachedPageSize ??= readPageSize();
  return cachedPageSize;
}
let cachedPageSize: number | undefined;

function readPageSize(): number {
  const auxv = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxv.readBigUInt64LE(at + 8));
  }
  return 4096;
}
const AT_PAGESZ = 6n;
