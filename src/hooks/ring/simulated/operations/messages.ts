/** send and recv in all their forms, over stream sockets: with a message header, buffers of a group, again and again, without a copy. */
import { msgFlags } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { cqeFlags, NOTIF_USAGE_ZC_COPIED, recvSendFlags, sqeFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EFAULT, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK, EPIPE } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_AGAIN, MAY_INTERRUPT, MAY_RESET, type Operation, PENDING } from '../operation.ts';
import type { Request } from '../request.ts';
import type { Selection } from '../resources.ts';
import type { Socket } from '../world/socket.ts';
import { after, checkFixed, eachPart, gather, readIovecs, segmentsOf, totalLength } from './segments.ts';

/** struct msghdr of 64-bit machines. */
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROLLEN = 40;
const MSG_FLAGS = 48;
const MSG_SIZE = 56;
/** struct io_uring_recvmsg_out, which precedes the name, the control data and the payload. */
const RECVMSG_OUT_SIZE = 16;

/** A bundle takes so many buffers at once. */
const BUNDLE_BUFFERS = 256;

/** The error that the socket has kept; 0: none. */
function takeError(socket: Socket): number {
  const { error } = socket;
  socket.error = 0;
  return -error;
}

/** Bytes that can be taken now, PENDING once parked, 0 at the end, or a negated errno. */
function readiness(kernel: Kernel, request: Request, socket: Socket): number {
  if (socket.bytes.length > 0) return socket.bytes.length;
  if (socket.error !== 0) return takeError(socket);
  if (socket.ended || socket.readShut) return 0;
  if (socket.state !== 'connected') return -ENOTCONN;
  return kernel.park(request, socket);
}

/** Receives what is there, at most what the segments hold. */
export function receive(
  kernel: Kernel,
  request: Request,
  socket: Socket,
  segments: readonly number[],
  flags: number,
): number {
  const total = totalLength(segments);
  if (total === 0) return 0;
  const ready = readiness(kernel, request, socket);
  if (ready <= 0) return ready;
  const peeks = (flags & msgFlags.PEEK) !== 0;
  const length = kernel.cut(Math.min(total, ready));
  let skip = 0;
  eachPart(segments, length, (address, part) => {
    const { bytes } = kernel.memory;
    if (!peeks) return socket.bytes.take(bytes, address, part);
    const done = socket.bytes.peek(bytes, address, part, skip);
    skip += done;
    return done;
  });
  if (!peeks) kernel.world.network.drained(socket);
  return length;
}

/** Sends as much as the other end has room for. */
export function transmit(
  kernel: Kernel,
  request: Request,
  socket: Socket,
  segments: readonly number[],
  carry?: (length: number) => void,
): number {
  if (socket.error !== 0) return takeError(socket);
  if (socket.writeShut || (socket.state === 'connected' && socket.peer === undefined)) return -EPIPE;
  if (socket.state !== 'connected') return socket.state === 'closed' ? -EPIPE : -ENOTCONN;
  const total = totalLength(segments);
  if (total === 0) return 0;
  if (socket.peer!.readShut && socket.peer!.state === 'closed') {
    // The other end answers what comes after its end with a reset.
    kernel.world.network.reset(socket);
    socket.error = 0;
    return -EPIPE;
  }
  const { room } = socket;
  if (room === 0) return kernel.park(request, socket);
  const length = kernel.cut(Math.min(total, room));
  if (carry !== undefined) carry(length);
  else {
    const bytes = gather(kernel, segments, length);
    kernel.world.network.send(socket, { length, read: (offset, part) => bytes.slice(offset, offset + part) });
  }
  return length;
}

/** Repeats a transfer until all is moved where MSG_WAITALL says so; `done` counts what earlier tries have moved. */
function whole(request: Request, segments: readonly number[], move: (rest: readonly number[]) => number): number {
  if ((request.opFlags & msgFlags.WAITALL) === 0) return move(segments);
  const total = totalLength(segments);
  for (;;) {
    const result = move(after(segments, request.done));
    if (result === PENDING) return PENDING;
    if (result > 0) request.done += result;
    if (result <= 0 || request.done === total) {
      if (request.done < total) request.failed = true;
      return request.done > 0 ? request.done : result;
    }
  }
}

function nonEmpty(socket: Socket): number {
  return socket.bytes.length > 0 ? cqeFlags.SOCK_NONEMPTY : 0;
}

function executeRecv(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'socket') return -ENOTSOCK;
  const { socket } = is;
  if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0) return receiveSelected(kernel, request, socket, false);
  const segments = segmentsOf(kernel, request);
  if (typeof segments === 'number') return segments;
  const result = whole(request, segments, (rest) => receive(kernel, request, socket, rest, request.opFlags));
  if (result !== PENDING) request.cqeFlags = nonEmpty(socket);
  return result;
}

/** Into buffers of a group: once, or again and again; with a header before each message or without. */
function receiveSelected(kernel: Kernel, request: Request, socket: Socket, headed: boolean): number {
  const { resources } = kernel;
  const bundle = (request.ioprio & recvSendFlags.BUNDLE) !== 0;
  for (;;) {
    if (resources.available(request.bufIndex) === 0 || kernel.happens(kernel.faults.noBuffers)) return -ENOBUFS;
    const limit = request.len === 0 || headed ? Number.POSITIVE_INFINITY : request.len;
    const wanted = bundle ? Math.min(limit, Math.max(1, socket.bytes.length)) : limit;
    const selection = resources.select(request.bufIndex, wanted, bundle ? BUNDLE_BUFFERS : 1);
    if (selection === undefined) return -EFAULT;
    const result = headed
      ? receiveHeaded(kernel, request, socket, selection)
      : receive(kernel, request, socket, selection.segments, request.opFlags);
    if (result === PENDING) return PENDING;
    request.cqeFlags = 0;
    if (result <= 0) return result;
    const flags = resources.consume(request.bufIndex, selection, result) | nonEmpty(socket);
    if (!request.multishot || !kernel.postMore(request, result, flags)) {
      request.cqeFlags = flags;
      return result;
    }
  }
}

function receiveHeaded(kernel: Kernel, request: Request, socket: Socket, selection: Selection): number {
  const { view } = kernel.memory;
  const [address, length] = [selection.segments[0]!, selection.segments[1]!];
  const head = RECVMSG_OUT_SIZE + request.interval + request.remaining;
  if (length < head) return -EFAULT;
  const result = receive(kernel, request, socket, [address + head, length - head], request.opFlags);
  if (result <= 0) return result;
  view.setUint32(address, 0, true);
  view.setUint32(address + 4, 0, true);
  view.setUint32(address + 8, result, true);
  view.setUint32(address + 12, 0, true);
  return head + result;
}

function prepareRecv(_kernel: Kernel, request: Request): number {
  request.nowait = (request.opFlags & msgFlags.DONTWAIT) !== 0;
  request.multishot = (request.ioprio & recvSendFlags.MULTISHOT) !== 0;
  const selects = (request.flags & sqeFlags.BUFFER_SELECT) !== 0;
  if (request.multishot && (!selects || (request.opFlags & msgFlags.WAITALL) !== 0)) return -EINVAL;
  if ((request.ioprio & recvSendFlags.BUNDLE) !== 0 && (!selects || request.opcode === opcodes.recvmsg.number))
    return -EINVAL;
  return 0;
}

function prepareRecvMsg(kernel: Kernel, request: Request): number {
  const checked = prepareRecv(kernel, request);
  if (checked < 0) return checked;
  const { memory } = kernel;
  if (!memory.has(request.addrHigh, request.addrLow, MSG_SIZE)) return -EFAULT;
  // Of multishot ones: how much the header, each time, leaves for the name and for control data.
  request.interval = memory.view.getUint32(request.addrLow + MSG_NAMELEN, true);
  request.remaining = memory.view.getUint32(request.addrLow + MSG_CONTROLLEN, true);
  return (request.flags & sqeFlags.BUFFER_SELECT) !== 0 ? 0 : readHeaderIovecs(kernel, request);
}

function readHeaderIovecs(kernel: Kernel, request: Request): number {
  const { memory } = kernel;
  if (!memory.has(request.addrHigh, request.addrLow, MSG_SIZE)) return -EFAULT;
  const at = request.addrLow;
  const count = memory.view.getUint32(at + MSG_IOVLEN, true);
  const segments = readIovecs(
    kernel,
    memory.view.getUint32(at + MSG_IOV + 4, true),
    memory.view.getUint32(at + MSG_IOV, true),
    count,
  );
  if (typeof segments === 'number') return segments;
  request.segments = segments;
  return 0;
}

function executeRecvMsg(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'socket') return -ENOTSOCK;
  if (request.multishot) return receiveSelected(kernel, request, is.socket, true);
  const result = executeRecv(kernel, request);
  if (result < 0) return result;
  const { view } = kernel.memory;
  view.setUint32(request.addrLow + MSG_NAMELEN, 0, true);
  view.setUint32(request.addrLow + MSG_CONTROLLEN, 0, true);
  view.setUint32(request.addrLow + MSG_FLAGS, 0, true);
  return result;
}

function prepareSend(_kernel: Kernel, request: Request): number {
  request.nowait = (request.opFlags & msgFlags.DONTWAIT) !== 0;
  return (request.ioprio & recvSendFlags.BUNDLE) !== 0 && (request.flags & sqeFlags.BUFFER_SELECT) === 0 ? -EINVAL : 0;
}

function prepareSendMsg(kernel: Kernel, request: Request): number {
  return prepareSend(kernel, request) || readHeaderIovecs(kernel, request);
}

function executeSend(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'socket') return -ENOTSOCK;
  if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0) return sendSelected(kernel, request, is.socket);
  const segments = segmentsOf(kernel, request);
  if (typeof segments === 'number') return segments;
  return whole(request, segments, (rest) => transmit(kernel, request, is.socket, rest));
}

function sendSelected(kernel: Kernel, request: Request, socket: Socket): number {
  const { resources } = kernel;
  const bundle = (request.ioprio & recvSendFlags.BUNDLE) !== 0;
  for (;;) {
    if (resources.available(request.bufIndex) === 0 || kernel.happens(kernel.faults.noBuffers)) return -ENOBUFS;
    const limit = request.len === 0 ? Number.POSITIVE_INFINITY : request.len;
    const selection = resources.select(request.bufIndex, limit, bundle ? BUNDLE_BUFFERS : 1);
    if (selection === undefined) return -EFAULT;
    const result = transmit(kernel, request, socket, selection.segments);
    if (result === PENDING) return PENDING;
    request.cqeFlags = 0;
    if (result <= 0) return result;
    const flags = resources.consume(request.bufIndex, selection, result);
    const goesOn = bundle && resources.available(request.bufIndex) > 0 && result === totalLength(selection.segments);
    if (!goesOn || !kernel.postMore(request, result, flags)) {
      request.cqeFlags = flags;
      return result;
    }
  }
}

function prepareZeroCopy(kernel: Kernel, request: Request): number {
  if (request.skip) return -EINVAL;
  const known =
    recvSendFlags.POLL_FIRST | recvSendFlags.FIXED_BUF | recvSendFlags.ZC_REPORT_USAGE | recvSendFlags.VECTORIZED;
  if ((request.ioprio & ~known) !== 0) return -EINVAL;
  return request.opcode === opcodes.sendmsg_zc.number ? prepareSendMsg(kernel, request) : prepareSend(kernel, request);
}

/** The bytes are read when they arrive: who changes them before the notification sends something else. */
function executeZeroCopy(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'socket') return -ENOTSOCK;
  const { socket } = is;
  const segments = segmentsOf(kernel, request);
  if (typeof segments === 'number') return segments;
  if ((request.ioprio & recvSendFlags.FIXED_BUF) !== 0) {
    const bad = checkFixed(kernel, request, segments);
    if (bad < 0) return bad;
  }
  return whole(request, segments, (rest) =>
    transmit(kernel, request, socket, rest, (length) => {
      const first = !request.carried;
      request.carried = true;
      if (first) kernel.notifications++;
      request.parcels++;
      kernel.world.network.send(socket, {
        length,
        read: (offset, part) => gather(kernel, after(rest, offset), part),
        done: () => {
          if (--request.parcels === 0) settle(kernel, request);
        },
      });
    }),
  );
}

/** Notifies once the request itself has completed. */
function settle(kernel: Kernel, request: Request): void {
  kernel.clock.soon(() => {
    const reports = (request.ioprio & recvSendFlags.ZC_REPORT_USAGE) !== 0;
    // Loopback copies at the receiver, and says so.
    kernel.notify(request, reports ? NOTIF_USAGE_ZC_COPIED | 0 : 0);
  });
}

const common = { file: true, ioprio: true, faults: MAY_INTERRUPT | MAY_AGAIN | MAY_RESET } as const;

export const messageOperations: Readonly<Record<number, Operation>> = {
  [opcodes.recv.number]: { ...common, select: true, prepare: prepareRecv, execute: executeRecv },
  [opcodes.recvmsg.number]: { ...common, select: true, prepare: prepareRecvMsg, execute: executeRecvMsg },
  [opcodes.send.number]: { ...common, select: true, prepare: prepareSend, execute: executeSend },
  [opcodes.sendmsg.number]: { ...common, select: true, prepare: prepareSendMsg, execute: executeSend },
  [opcodes.send_zc.number]: { ...common, prepare: prepareZeroCopy, execute: executeZeroCopy },
  [opcodes.sendmsg_zc.number]: { ...common, prepare: prepareZeroCopy, execute: executeZeroCopy },
};
