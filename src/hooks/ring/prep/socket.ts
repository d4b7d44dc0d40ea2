/** Requests on sockets. Addresses of peers are those of sockaddr.ts; `flags` are msgFlags unless said otherwise. */
import { msgFlags, socketTypes } from '../../../abi/io-uring/call-flags.ts';
import { acceptFlags, recvSendFlags, socketCommands } from '../../../abi/io-uring/request-flags.ts';
import { SQE_ADDR, SQE_ADDR3, SQE_BUF_INDEX, SQE_FILE_INDEX, SQE_IOPRIO, SQE_OFF } from '../../../plane/layout/sqe.ts';
import {
  type Address,
  begin,
  checked,
  type RequestOptions,
  refuseIf,
  type Slot,
  writeAddress,
  writeSlot,
  writeWord,
} from './sqe.ts';

export interface SocketOptions extends RequestOptions {
  readonly slot?: Slot;
}

/** `family`: addressFamilies; `type`: socketTypes, with NONBLOCK and CLOEXEC. */
export function socket(
  view: DataView,
  at: number,
  family: number,
  type: number,
  protocol = 0,
  options?: SocketOptions,
): void {
  refuseCloexec('socket', type, options?.slot);
  begin(view, at, 'socket', family, protocol, 0, options);
  writeWord(view, at + SQE_OFF, type, 'type');
  writeSlot(view, at, options?.slot);
}

export function bind(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'bind', fd, 0, 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  writeWord(view, at + SQE_OFF, length, 'length');
}

export function listen(view: DataView, at: number, fd: number, backlog: number, options?: RequestOptions): void {
  begin(view, at, 'listen', fd, backlog, 0, options);
}

export function connect(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'connect', fd, 0, 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  writeWord(view, at + SQE_OFF, length, 'length');
}

export interface AcceptOptions extends RequestOptions {
  /** NONBLOCK and CLOEXEC of socketTypes. */
  readonly flags?: number;
  readonly slot?: Slot;
  /** Completes for each connection, with its descriptor. */
  readonly multishot?: boolean;
  /** -EAGAIN if nobody is there. */
  readonly dontWait?: boolean;
  /** Waits first: for sockets that are idle. */
  readonly pollFirst?: boolean;
  /** Where the peer's address goes, and the address of its length (u32, in and out). */
  readonly peer?: Address;
  readonly peerLength?: Address;
}

export function accept(view: DataView, at: number, fd: number, options?: AcceptOptions): void {
  const flags = options?.flags ?? 0;
  refuseCloexec('accept', flags, options?.slot);
  refuseIf(
    options?.multishot === true && options.slot !== undefined && options.slot !== 'alloc',
    'accept',
    "many connections need many slots: slot 'alloc'",
  );
  begin(view, at, 'accept', fd, 0, flags, options);
  if (options === undefined) return;
  let kind = 0;
  if (options.multishot === true) kind |= acceptFlags.MULTISHOT;
  if (options.dontWait === true) kind |= acceptFlags.DONTWAIT;
  if (options.pollFirst === true) kind |= acceptFlags.POLL_FIRST;
  view.setUint16(at + SQE_IOPRIO, kind, true);
  if (options.peer !== undefined) writeAddress(view, at + SQE_ADDR, options.peer);
  if (options.peerLength !== undefined) writeAddress(view, at + SQE_OFF, options.peerLength);
  writeSlot(view, at, options.slot);
}

function refuseCloexec(opcode: 'socket' | 'accept', flags: number, slot: Slot | undefined): void {
  refuseIf(slot !== undefined && (flags & socketTypes.CLOEXEC) !== 0, opcode, 'a direct descriptor cannot be CLOEXEC');
}

export interface SendOptions extends RequestOptions {
  readonly flags?: number;
  /** Destination of a datagram: address and length of a sockaddr. */
  readonly to?: Address;
  readonly toLength?: number;
  readonly pollFirst?: boolean;
  /** All buffers of the group that go out in one call; with `bufferSelect`. */
  readonly bundle?: boolean;
  /** `address` is that of `length` iovecs (Linux 6.17). */
  readonly vectorized?: boolean;
}

export function send(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  options?: SendOptions,
): void {
  begin(view, at, 'send', fd, length, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  if (options === undefined) return;
  refuseBundle('send', options);
  view.setUint16(at + SQE_IOPRIO, sendKind(options), true);
  writeDestination(view, at, options);
}

export interface ZeroCopyOptions extends SendOptions {
  /** Registered buffer that the memory lies in. */
  readonly buffer?: number;
  /** The notification says whether it was copied after all (NOTIF_USAGE_ZC_COPIED). */
  readonly reportUsage?: boolean;
}

/** Completes twice: with the result and `MORE`, and with `NOTIF` when the memory may be changed again. */
export function sendZeroCopy(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  options?: ZeroCopyOptions,
): void {
  refuseIf(options?.skipSuccess === true, 'send_zc', 'its completions cannot be skipped');
  begin(view, at, 'send_zc', fd, length, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  if (options === undefined) return;
  view.setUint16(at + SQE_IOPRIO, sendKind(options) | zeroCopyKind(view, at, options), true);
  writeDestination(view, at, options);
}

function sendKind(options: SendOptions): number {
  let kind = 0;
  if (options.pollFirst === true) kind |= recvSendFlags.POLL_FIRST;
  if (options.bundle === true) kind |= recvSendFlags.BUNDLE;
  if (options.vectorized === true) kind |= recvSendFlags.VECTORIZED;
  return kind;
}

function zeroCopyKind(view: DataView, at: number, options: Pick<ZeroCopyOptions, 'buffer' | 'reportUsage'>): number {
  let kind = options.reportUsage === true ? recvSendFlags.ZC_REPORT_USAGE : 0;
  if (options.buffer !== undefined) {
    kind |= recvSendFlags.FIXED_BUF;
    view.setUint16(at + SQE_BUF_INDEX, checked(options.buffer, 0xffff, 'buffer'), true);
  }
  return kind;
}

function writeDestination(view: DataView, at: number, options: SendOptions): void {
  if (options.to === undefined) return;
  writeAddress(view, at + SQE_OFF, options.to);
  // addr_len: the lower half of the word.
  view.setUint16(at + SQE_FILE_INDEX, checked(options.toLength ?? 0, 128, 'toLength'), true);
}

export interface RecvOptions extends RequestOptions {
  /** WAITALL: the whole length, unless the connection ends. */
  readonly flags?: number;
  readonly pollFirst?: boolean;
  /** Completes for each arrival, in a buffer of group `bufferSelect`. */
  readonly multishot?: boolean;
  /** Several buffers of the group for one completion. */
  readonly bundle?: boolean;
  /** Bytes after which a multishot ends (Linux 6.18); `length` then bounds each completion. */
  readonly total?: number;
}

export function recv(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  options?: RecvOptions,
): void {
  begin(view, at, 'recv', fd, length, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  if (options === undefined) return;
  refuseBundle('recv', options);
  view.setUint16(at + SQE_IOPRIO, recvKind('recv', options), true);
  if (options.total !== undefined) {
    refuseIf(options.multishot !== true, 'recv', 'a total is for multishot');
    view.setUint32(at + SQE_FILE_INDEX, checked(options.total, 0xffff_ffff, 'total'), true);
  }
}

function recvKind(opcode: 'recv' | 'recvmsg', options: RecvOptions): number {
  let kind = 0;
  if (options.pollFirst === true) kind |= recvSendFlags.POLL_FIRST;
  if (options.bundle === true) kind |= recvSendFlags.BUNDLE;
  if (options.multishot === true) {
    refuseIf(options.bufferSelect === undefined, opcode, 'multishot needs a group of buffers: bufferSelect');
    refuseIf(((options.flags ?? 0) & msgFlags.WAITALL) !== 0, opcode, 'multishot and WAITALL exclude each other');
    kind |= recvSendFlags.MULTISHOT;
  }
  return kind;
}

function refuseBundle(opcode: 'send' | 'recv', options: { bundle?: boolean; bufferSelect?: number }): void {
  refuseIf(
    options.bundle === true && options.bufferSelect === undefined,
    opcode,
    'a bundle needs a group of buffers: bufferSelect',
  );
}

export interface MessageOptions extends RequestOptions {
  readonly flags?: number;
  readonly pollFirst?: boolean;
}

/** `message`: address of a struct msghdr (structures.ts), whose addresses are those of the process. */
export function sendmsg(view: DataView, at: number, fd: number, message: Address, options?: MessageOptions): void {
  begin(view, at, 'sendmsg', fd, 1, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, message);
  if (options?.pollFirst === true) view.setUint16(at + SQE_IOPRIO, recvSendFlags.POLL_FIRST, true);
}

/** As sendZeroCopy. */
export function sendmsgZeroCopy(
  view: DataView,
  at: number,
  fd: number,
  message: Address,
  options?: MessageOptions & Pick<ZeroCopyOptions, 'buffer' | 'reportUsage'>,
): void {
  refuseIf(options?.skipSuccess === true, 'sendmsg_zc', 'its completions cannot be skipped');
  begin(view, at, 'sendmsg_zc', fd, 1, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, message);
  if (options === undefined) return;
  const kind = options.pollFirst === true ? recvSendFlags.POLL_FIRST : 0;
  view.setUint16(at + SQE_IOPRIO, kind | zeroCopyKind(view, at, options), true);
}

/** With `multishot` the buffer begins with struct io_uring_recvmsg_out (readMessageHeader of structures.ts). */
export function recvmsg(
  view: DataView,
  at: number,
  fd: number,
  message: Address,
  options?: MessageOptions & { readonly multishot?: boolean },
): void {
  begin(view, at, 'recvmsg', fd, 1, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, message);
  if (options !== undefined) view.setUint16(at + SQE_IOPRIO, recvKind('recvmsg', options), true);
}

/** `how`: shutdownHow. */
export function shutdown(view: DataView, at: number, fd: number, how: number, options?: RequestOptions): void {
  begin(view, at, 'shutdown', fd, how, 0, options);
}

/** setsockopt(2) (Linux 6.7). `level` and `name` are numbers of the system; the value has `length` bytes. */
export function setSocketOption(
  view: DataView,
  at: number,
  fd: number,
  level: number,
  name: number,
  value: Address,
  length: number,
  options?: RequestOptions,
): void {
  socketOption(view, at, socketCommands.SETSOCKOPT, fd, level, name, value, length, options);
}

/** getsockopt(2) (Linux 6.7), of level SOL_SOCKET alone. Completes with the length of the value. */
export function getSocketOption(
  view: DataView,
  at: number,
  fd: number,
  level: number,
  name: number,
  value: Address,
  length: number,
  options?: RequestOptions,
): void {
  socketOption(view, at, socketCommands.GETSOCKOPT, fd, level, name, value, length, options);
}

function socketOption(
  view: DataView,
  at: number,
  command: number,
  fd: number,
  level: number,
  name: number,
  value: Address,
  length: number,
  options: RequestOptions | undefined,
): void {
  begin(view, at, 'uring_cmd', fd, 0, 0, options);
  view.setUint32(at + SQE_OFF, command, true);
  view.setUint32(at + SQE_ADDR, checked(level, 0xffff_ffff, 'level'), true);
  view.setUint32(at + SQE_ADDR + 4, checked(name, 0xffff_ffff, 'name'), true);
  view.setUint32(at + SQE_FILE_INDEX, checked(length, 0xffff_ffff, 'length'), true);
  writeAddress(view, at + SQE_ADDR3, value);
}
