/** System calls on sockets, by descriptor. Each throws SyscallError with the kernel's errno. */
import { addressOf, syscall, syscallLater } from './ffi.ts';
import { SyscallError } from './syscall-error.ts';

export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const MSG_DONTWAIT = 0x40;
export const POLLIN = 1;

export function openSocket(family: number, type: number, protocol: number): number {
  const fd = syscall('socket', family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) throw new SyscallError('socket', -fd, `family ${family}`);
  return fd;
}

export function bindSocket(fd: number, address: Uint8Array, detail = ''): void {
  const result = syscall('bind', fd, addressOf(address), address.length);
  if (result < 0) throw new SyscallError('bind', -result, detail);
}

export function setSocketOption(fd: number, level: number, option: number, value: Uint8Array | number): void {
  const bytes = typeof value === 'number' ? new Uint8Array(Uint32Array.of(value).buffer) : value;
  const result = syscall('setsockopt', fd, level, option, addressOf(bytes), bytes.length);
  if (result < 0) throw new SyscallError('setsockopt', -result, `level ${level}, option ${option}`);
}

/** As many bytes as the kernel gives, at most `size`. */
export function socketOption(fd: number, level: number, option: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const length = Uint32Array.of(size);
  const result = syscall('getsockopt', fd, level, option, addressOf(bytes), addressOf(length));
  if (result < 0) throw new SyscallError('getsockopt', -result, `level ${level}, option ${option}`);
  return bytes.subarray(0, length[0]);
}

/** Waits, without blocking this thread, until a descriptor is readable or the time is over; true if one is. The descriptors must stay open. */
export class ReadableWait {
  readonly #set: Uint8Array;
  readonly #count: number;
  readonly #time = new BigInt64Array(2);

  constructor(fds: readonly number[]) {
    // struct pollfd: int fd, short events, short revents.
    const view = new DataView(new ArrayBuffer(Math.max(1, fds.length) * 8));
    for (const [i, fd] of fds.entries()) {
      view.setInt32(i * 8, fd, true);
      view.setInt16(i * 8 + 4, POLLIN, true);
    }
    this.#set = new Uint8Array(view.buffer);
    this.#count = fds.length;
  }

  async wait(milliseconds: number): Promise<boolean> {
    this.#time[0] = BigInt(Math.floor(milliseconds / 1000));
    this.#time[1] = BigInt(Math.floor((milliseconds % 1000) * 1e6));
    return (await syscallLater('ppoll', addressOf(this.#set), this.#count, addressOf(this.#time), 0, 8)) > 0;
  }

  /** As `wait`, on this thread, which stands still. */
  block(milliseconds: number): boolean {
    this.#time[0] = BigInt(Math.floor(milliseconds / 1000));
    this.#time[1] = BigInt(Math.floor((milliseconds % 1000) * 1e6));
    return syscall('ppoll', addressOf(this.#set), this.#count, addressOf(this.#time), 0, 8) > 0;
  }
}
