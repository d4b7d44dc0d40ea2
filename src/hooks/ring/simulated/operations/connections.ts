/** socket, bind, listen, accept, connect, shutdown, and the commands of sockets. */
import { addressFamilies, shutdownHow, socketTypes } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { acceptFlags, cqeFlags, FILE_INDEX_ALLOC, socketCommands } from '../../../../abi/io-uring/request-flags.ts';
import {
  EAFNOSUPPORT,
  EFAULT,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOTCONN,
  ENOTSOCK,
  EOPNOTSUPP,
  EPROTONOSUPPORT,
} from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_INTERRUPT, type Operation, PENDING } from '../operation.ts';
import type { Request } from '../request.ts';
import { OpenFile } from '../world/open-file.ts';
import type { Socket } from '../world/socket.ts';

const TYPE_MASK = 0xf;
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

function socketOf(request: Request): Socket | undefined {
  const { is } = request.file!;
  return is.kind === 'socket' ? is.socket : undefined;
}

/** Name of an address in the virtual host, whose only IP address all are: `inet:PORT`, `unix:PATH`. */
function readAddress(kernel: Kernel, high: number, low: number, length: number): string | number {
  const { memory } = kernel;
  if (length < 2) return -EINVAL;
  if (!memory.has(high, low, length)) return -EFAULT;
  const family = memory.view.getUint16(low, true);
  switch (family) {
    case addressFamilies.INET:
    case addressFamilies.INET6:
      if (length < (family === addressFamilies.INET ? SOCKADDR_IN : SOCKADDR_IN6)) return -EINVAL;
      return `inet:${memory.view.getUint16(low + 2, false)}`;
    case addressFamilies.UNIX: {
      const path = memory.bytes.slice(low + 2, low + length);
      const end = path.indexOf(0, 1);
      return `unix:${new TextDecoder().decode(end < 0 ? path : path.subarray(0, end))}`;
    }
    default:
      return -EAFNOSUPPORT;
  }
}

/** Writes the address of the other end, as accept does: at most as much as there is room for, and its real length. */
function writeAddress(kernel: Kernel, request: Request, socket: Socket): number {
  if (request.addrLow === 0 && request.addrHigh === 0) return 0;
  const { memory } = kernel;
  if (!memory.has(request.offHigh, request.offLow, 4)) return -EFAULT;
  const room = memory.view.getUint32(request.offLow, true);
  const bytes = new Uint8Array(socket.family === addressFamilies.INET6 ? SOCKADDR_IN6 : SOCKADDR_IN);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, socket.family, true);
  view.setUint16(2, Number(socket.remote.split(':')[1]) || 0, false);
  if (socket.family === addressFamilies.INET6) bytes[23] = 1;
  else view.setUint32(4, 0x7f00_0001, false);
  const length = Math.min(room, bytes.length);
  if (length > 0 && !memory.has(request.addrHigh, request.addrLow, length)) return -EFAULT;
  memory.bytes.set(bytes.subarray(0, length), request.addrLow);
  memory.view.setUint32(request.offLow, bytes.length, true);
  return 0;
}

function open(kernel: Kernel, request: Request, socket: Socket, flags: number): number {
  return kernel.resources.install(new OpenFile({ kind: 'socket', socket }, true, true, flags), request.fileIndex);
}

function executeSocket(kernel: Kernel, request: Request): number {
  const { fd: family, off: type } = request;
  const known: readonly number[] = Object.values(addressFamilies);
  if (!known.includes(family)) return -EAFNOSUPPORT;
  // Datagrams are not part of this world.
  if ((type & TYPE_MASK) !== socketTypes.STREAM) return -EPROTONOSUPPORT;
  return open(kernel, request, kernel.world.network.socket(family), type & socketTypes.NONBLOCK);
}

function executeBind(kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) return -ENOTSOCK;
  if (socket.state !== 'new' && socket.family !== addressFamilies.UNIX) return -EINVAL;
  return kernel.world.network.bind(socket, request.paths![0]!);
}

function executeListen(kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) return -ENOTSOCK;
  if (socket.state === 'connected' || socket.state === 'connecting') return -EINVAL;
  return kernel.world.network.listen(socket, request.len);
}

function prepareAddress(kernel: Kernel, request: Request): number {
  const address = readAddress(kernel, request.addrHigh, request.addrLow, request.off);
  if (typeof address === 'number') return address;
  request.paths = [address];
  return 0;
}

function executeAccept(kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) return -ENOTSOCK;
  if (socket.state !== 'listening') return -EINVAL;
  for (;;) {
    const end = socket.backlog.shift();
    if (end === undefined) return kernel.park(request, socket);
    const flags = socket.backlog.length > 0 ? cqeFlags.SOCK_NONEMPTY : 0;
    const bad = writeAddress(kernel, request, end);
    if (bad < 0) {
      kernel.world.network.close(end);
      return bad;
    }
    const result = open(kernel, request, end, request.opFlags & socketTypes.NONBLOCK);
    request.cqeFlags = result < 0 ? 0 : flags;
    if (!request.multishot || result < 0 || !kernel.postMore(request, result, flags)) return result;
    request.cqeFlags = 0;
  }
}

function prepareAccept(_kernel: Kernel, request: Request): number {
  request.multishot = (request.ioprio & acceptFlags.MULTISHOT) !== 0;
  request.nowait = (request.ioprio & acceptFlags.DONTWAIT) !== 0;
  if (request.len !== 0) return -EINVAL;
  if (request.fileIndex !== 0 && (request.opFlags & socketTypes.CLOEXEC) !== 0) return -EINVAL;
  return request.multishot && request.fileIndex !== 0 && request.fileIndex !== FILE_INDEX_ALLOC ? -EINVAL : 0;
}

function executeConnect(kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) return -ENOTSOCK;
  if (socket.state === 'connecting') return kernel.park(request, socket);
  if (!request.begun) {
    const refused = kernel.world.network.refuses(request.paths![0]!);
    if (refused < 0) return refused;
    if (socket.state === 'connected') return -EISCONN;
    if (socket.state !== 'new' && socket.state !== 'bound') return -EINVAL;
    request.begun = true;
    kernel.world.network.connect(socket, request.paths![0]!);
    const parked = kernel.park(request, socket);
    return parked === PENDING ? PENDING : -EINPROGRESS;
  }
  const { error } = socket;
  socket.error = 0;
  return error === 0 ? 0 : -error;
}

function executeShutdown(kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) {
    kernel.setFailed(request);
    return -ENOTSOCK;
  }
  if (request.len > shutdownHow.RDWR) return -EINVAL;
  if (socket.state === 'listening') {
    kernel.world.network.close(socket);
    kernel.world.wake(socket);
    return 0;
  }
  if (socket.state !== 'connected') return -ENOTCONN;
  if (request.len !== shutdownHow.WR) socket.readShut = true;
  if (request.len !== shutdownHow.RD) kernel.world.network.finish(socket);
  kernel.world.wake(socket);
  return 0;
}

function executeCommand(_kernel: Kernel, request: Request): number {
  const socket = socketOf(request);
  if (socket === undefined) return -EOPNOTSUPP;
  switch (request.offLow) {
    case socketCommands.SIOCINQ:
      return socket.bytes.length;
    case socketCommands.SIOCOUTQ:
      return socket.peer?.arriving ?? 0;
    default:
      return -EOPNOTSUPP;
  }
}

export const connectionOperations: Readonly<Record<number, Operation>> = {
  [opcodes.socket.number]: { execute: executeSocket },
  [opcodes.bind.number]: { file: true, prepare: prepareAddress, execute: executeBind },
  [opcodes.listen.number]: { file: true, execute: executeListen },
  [opcodes.accept.number]: {
    file: true,
    ioprio: true,
    faults: MAY_INTERRUPT,
    prepare: prepareAccept,
    execute: executeAccept,
  },
  [opcodes.connect.number]: { file: true, prepare: prepareAddress, execute: executeConnect },
  [opcodes.shutdown.number]: { file: true, breaks: 'never', execute: executeShutdown },
  [opcodes.uring_cmd.number]: { file: true, execute: executeCommand },
};
