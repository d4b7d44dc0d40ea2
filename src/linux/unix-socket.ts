/** Unix stream sockets that carry descriptors (unix(7), SCM_RIGHTS), without blocking. Each throws SyscallError with the kernel's errno. */
import { InputError } from '../errors.ts';
import { addressOf, close, syscall } from './ffi.ts';
import { bindSocket, MSG_DONTWAIT, openSocket } from './sockets.ts';
import { SyscallError } from './syscall-error.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 8;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const EAGAIN = 11;
/** SCM_MAX_FD. */
const MAX_FDS = 253;
const PATH_LENGTH = 108;

function unixAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length >= PATH_LENGTH)
    throw new InputError('SLUICE_SOCKET_PATH', `${path}: a socket's path has 1 to ${PATH_LENGTH - 1} bytes`);
  const address = new Uint8Array(2 + name.length + 1);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

/** Listens at a path that does not exist yet; the caller removes it. */
export function listenUnix(path: string): number {
  const fd = openSocket(AF_UNIX, SOCK_STREAM, 0);
  try {
    bindSocket(fd, unixAddress(path), `${path}: must not exist, and its folder must`);
    const result = syscall('listen', fd, 1);
    if (result < 0) throw new SyscallError('listen', -result, path);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

export function connectUnix(path: string): number {
  const fd = openSocket(AF_UNIX, SOCK_STREAM, 0);
  const address = unixAddress(path);
  const result = syscall('connect', fd, addressOf(address), address.length);
  if (result < 0) {
    close(fd);
    throw new SyscallError('connect', -result, path);
  }
  return fd;
}

/** The next connection, which must be there. */
export function acceptUnix(fd: number): number {
  const result = syscall('accept4', fd, 0, 0, SOCK_CLOEXEC);
  if (result < 0) throw new SyscallError('accept4', -result);
  return result;
}

/** struct msghdr over one vector and a control buffer, which stays alive with it; the data is its caller's. */
class MessageHeader {
  readonly #header = new DataView(new ArrayBuffer(56));
  readonly #vector = new BigUint64Array(2);
  readonly #control: Uint8Array;

  constructor(control: Uint8Array) {
    this.#control = control;
  }

  over(data: Uint8Array, controlLength: number): number {
    this.#vector[0] = BigInt(addressOf(data));
    this.#vector[1] = BigInt(data.length);
    this.#header.setBigUint64(16, BigInt(addressOf(this.#vector)), true);
    this.#header.setBigUint64(24, 1n, true);
    this.#header.setBigUint64(32, controlLength === 0 ? 0n : BigInt(addressOf(this.#control)), true);
    this.#header.setBigUint64(40, BigInt(controlLength), true);
    this.#header.setUint32(48, 0, true);
    return addressOf(this.#header);
  }

  get controlLength(): number {
    return Number(this.#header.getBigUint64(40, true));
  }

  get truncated(): boolean {
    return (this.#header.getUint32(48, true) & MSG_CTRUNC) !== 0;
  }
}

const CMSG_HEADER = 16;

/** A connection's bytes and descriptors as they come. */
export class UnixStream {
  readonly fd: number;
  readonly #control = new Uint8Array(CMSG_HEADER + MAX_FDS * 4 + 4);
  readonly #header = new MessageHeader(this.#control);

  /** The descriptor is its own from here on. */
  constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Fills `into` from its beginning with what is there. Bytes, 0 at the end of the stream, undefined for none yet. Descriptors that came are appended to `fds`, and are the
   * caller's.
   */
  receive(into: Uint8Array, fds: number[]): number | undefined {
    const address = this.#header.over(into, this.#control.length);
    const result = syscall('recvmsg', this.fd, address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (result === -EAGAIN) return undefined;
    if (result < 0) throw new SyscallError('recvmsg', -result);
    const view = new DataView(this.#control.buffer);
    for (let at = 0; at + CMSG_HEADER <= this.#header.controlLength; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < CMSG_HEADER) break;
      if (view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS)
        for (let fd = at + CMSG_HEADER; fd + 4 <= at + length; fd += 4) fds.push(view.getInt32(fd, true));
      at += (length + 7) & ~7;
    }
    if (this.#header.truncated) throw new InputError('SLUICE_SOCKET_FDS', 'more descriptors came than can be taken');
    return result;
  }

  /** Sends all of it, descriptors with its first byte; waits where the other side does not read. They stay the caller's. */
  send(data: Uint8Array, fds: readonly number[] = []): void {
    let controlLength = 0;
    if (fds.length > 0) {
      const view = new DataView(this.#control.buffer);
      view.setBigUint64(0, BigInt(CMSG_HEADER + fds.length * 4), true);
      view.setInt32(8, SOL_SOCKET, true);
      view.setInt32(12, SCM_RIGHTS, true);
      for (const [i, fd] of fds.entries()) view.setInt32(CMSG_HEADER + i * 4, fd, true);
      controlLength = (CMSG_HEADER + fds.length * 4 + 7) & ~7;
    }
    for (let at = 0; at < data.length; controlLength = 0) {
      const address = this.#header.over(data.subarray(at), controlLength);
      const result = syscall('sendmsg', this.fd, address, MSG_NOSIGNAL);
      if (result < 0) throw new SyscallError('sendmsg', -result);
      at += result;
    }
  }

  close(): void {
    close(this.fd);
  }
}
