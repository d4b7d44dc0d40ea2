/**
 * What requests point to, as bytes in the linear memory. Addresses inside are those of the process: `base` is where the linear memory begins there
 * (RingBackend.base, as a number); addresses from 2^32 on are taken as they are.
 */
import { InputError } from '../../../errors.ts';
import { type Address, type Word64, writeWord } from './sqe.ts';

/** Below 2^32 an offset in the linear memory, which `base` is added to; 0 stays 0. */
export function writeProcessAddress(view: DataView, at: number, base: number, address: Address): void {
  const absolute = typeof address === 'number' && address > 0 && address < 2 ** 32 ? base + address : address;
  writeWord(view, at, absolute, 'address');
}

/** struct __kernel_timespec: seconds, nanoseconds. */
export const TIMESPEC_SIZE = 16;

/** `ns`: up to 2^53 as a number (104 days), more as a bigint. */
export function writeTimespec(view: DataView, at: number, ns: Word64): void {
  if (typeof ns === 'bigint') {
    if (ns < 0n) refuseTime(ns);
    view.setBigUint64(at, ns / 1_000_000_000n, true);
    view.setUint32(at + 8, Number(ns % 1_000_000_000n), true);
  } else {
    if (!Number.isSafeInteger(ns) || ns < 0) refuseTime(ns);
    const seconds = Math.floor(ns / 1e9);
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, 0, true);
    view.setUint32(at + 8, ns - seconds * 1e9, true);
  }
  view.setUint32(at + 12, 0, true);
}

function refuseTime(ns: Word64): never {
  throw new InputError('SLUICE_RING_TIME', `a time is an integer of nanoseconds, not below 0: ${ns}`);
}

/** struct iovec: address, length. */
export const IOVEC_SIZE = 16;

export function writeIovec(view: DataView, at: number, base: number, address: Address, length: number): void {
  writeProcessAddress(view, at, base, address);
  writeWord(view, at + 8, length, 'length');
}

/** struct msghdr (include/linux/socket.h, user_msghdr). */
export const MSGHDR_SIZE = 56;

export interface Message {
  /** Address and length of a sockaddr. */
  readonly name?: Address;
  readonly nameLength?: number;
  /** Address and number of iovecs. */
  readonly vectors?: Address;
  readonly vectorCount?: number;
  readonly control?: Address;
  readonly controlLength?: number;
}

export function writeMsghdr(view: DataView, at: number, base: number, message: Message): void {
  writeProcessAddress(view, at, base, message.name ?? 0);
  view.setUint32(at + 8, message.nameLength ?? 0, true);
  view.setUint32(at + 12, 0, true);
  writeProcessAddress(view, at + 16, base, message.vectors ?? 0);
  writeWord(view, at + 24, message.vectorCount ?? 0, 'vectorCount');
  writeProcessAddress(view, at + 32, base, message.control ?? 0);
  writeWord(view, at + 40, message.controlLength ?? 0, 'controlLength');
  // flags, which the kernel writes
  writeWord(view, at + 48, 0, 'flags');
}

/** struct io_uring_recvmsg_out: in front of what a multishot recvmsg puts into a buffer. */
export const MESSAGE_HEADER_SIZE = 16;

export interface MessageHeader {
  readonly nameLength: number;
  readonly controlLength: number;
  readonly payloadLength: number;
  readonly flags: number;
  /** Where they begin: room for name and control is as large as the msghdr of the request said. */
  readonly name: number;
  readonly control: number;
  readonly payload: number;
}

/** `nameRoom` and `controlRoom`: lengths in the request's msghdr. */
export function readMessageHeader(view: DataView, at: number, nameRoom: number, controlRoom: number): MessageHeader {
  const name = at + MESSAGE_HEADER_SIZE;
  return {
    nameLength: view.getUint32(at, true),
    controlLength: view.getUint32(at + 4, true),
    payloadLength: view.getUint32(at + 8, true),
    flags: view.getUint32(at + 12, true),
    name,
    control: name + nameRoom,
    payload: name + nameRoom + controlRoom,
  };
}

/** struct open_how. */
export const OPEN_HOW_SIZE = 24;

/** `flags`: openFlags; `resolve`: resolveFlags. `mode` must be 0 unless the file may be created. */
export function writeOpenHow(view: DataView, at: number, flags: number, mode: number, resolve: number): void {
  writeWord(view, at, flags, 'flags');
  writeWord(view, at + 8, mode, 'mode');
  writeWord(view, at + 16, resolve, 'resolve');
}

/** struct futex_waitv. */
export const FUTEX_WAITV_SIZE = 24;

export function writeFutexWaitv(
  view: DataView,
  at: number,
  base: number,
  word: Address,
  value: Word64,
  flags: number,
): void {
  writeWord(view, at, value, 'value');
  writeProcessAddress(view, at + 8, base, word);
  view.setUint32(at + 16, flags, true);
  view.setUint32(at + 20, 0, true);
}

export interface EpollEvent {
  /** pollEvents. */
  readonly events: number;
  readonly data: bigint;
}

/** struct epoll_event is packed on x86-64 alone. */
export function epollEventSize(architecture: 'x64' | 'arm64'): number {
  return architecture === 'x64' ? 12 : 16;
}

export function writeEpollEvent(view: DataView, at: number, size: number, event: EpollEvent): void {
  view.setUint32(at, event.events >>> 0, true);
  if (size === 16) view.setUint32(at + 4, 0, true);
  view.setBigUint64(at + size - 8, event.data, true);
}

export function readEpollEvent(view: DataView, at: number, size: number): EpollEvent {
  return { events: view.getUint32(at, true), data: view.getBigUint64(at + size - 8, true) };
}
