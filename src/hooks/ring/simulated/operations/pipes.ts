/** pipe, splice and tee. */

import { openFlags } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { spliceFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EAGAIN, EBADF, EFAULT, EINVAL, ENOSPC, EPIPE, ESPIPE } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_AGAIN, MAY_INTERRUPT, MAY_RESET, type Operation } from '../operation.ts';
import { CURRENT_POSITION, offset, type Request } from '../request.ts';
import type { OpenFile } from '../world/open-file.ts';
import { Pipe } from '../world/pipe.ts';

function executePipe(kernel: Kernel, request: Request): number {
  const { memory, resources, world } = kernel;
  if (!memory.has(request.addrHigh, request.addrLow, 8)) return -EFAULT;
  const pipe = new Pipe();
  const flags = request.opFlags & openFlags.NONBLOCK;
  const index = request.fileIndex;
  const first = resources.install(world.pipeEnd(pipe, false, flags), index);
  if (first < 0) return first;
  const allocated = index === 0 || index === 0xffff_ffff;
  const second = resources.install(world.pipeEnd(pipe, true, flags), allocated ? index : index + 1);
  if (second < 0) {
    if (index === 0) world.closeDescriptor(first);
    else resources.closeDirect(allocated ? first + 1 : index);
    return second;
  }
  memory.view.setInt32(request.addrLow, allocated ? first : index - 1, true);
  memory.view.setInt32(request.addrLow + 4, allocated ? second : index, true);
  return 0;
}

function sourceOf(kernel: Kernel, request: Request): OpenFile | undefined {
  const fixed = (request.opFlags & spliceFlags.FD_IN_FIXED) !== 0;
  return fixed ? kernel.resources.file(request.fileIndex) : kernel.world.descriptor(request.fileIndex | 0);
}

/** Bytes at the source, without taking them; what it waits for where there are none; or a result. */
function available(file: OpenFile, position: number): number | 'wait' {
  const { is } = file;
  switch (is.kind) {
    case 'file': {
      const at = position === CURRENT_POSITION ? file.position : position;
      return Math.max(0, is.inode.content.size - at);
    }
    case 'pipe':
      return is.pipe.bytes.length > 0 ? is.pipe.bytes.length : is.pipe.writers === 0 ? 0 : 'wait';
    case 'socket': {
      const { socket } = is;
      if (socket.bytes.length > 0) return socket.bytes.length;
      if (socket.error !== 0) return -socket.error;
      return socket.ended || socket.readShut || socket.state !== 'connected' ? 0 : 'wait';
    }
    default:
      return -EINVAL;
  }
}

function room(file: OpenFile): number | 'wait' {
  const { is } = file;
  switch (is.kind) {
    case 'file':
    case 'terminal':
      return Number.POSITIVE_INFINITY;
    case 'pipe':
      if (is.pipe.readers === 0) return -EPIPE;
      return is.pipe.room > 0 ? is.pipe.room : 'wait';
    case 'socket': {
      const { socket } = is;
      if (socket.error !== 0) return -socket.error;
      if (socket.writeShut || socket.peer === undefined || socket.state !== 'connected') return -EPIPE;
      return socket.room > 0 ? socket.room : 'wait';
    }
    default:
      return -EINVAL;
  }
}

function park(kernel: Kernel, request: Request, file: OpenFile): number {
  if ((request.opFlags & spliceFlags.NONBLOCK) !== 0) return -EAGAIN;
  const { is } = file;
  if (is.kind === 'pipe') return kernel.park(request, is.pipe);
  return is.kind === 'socket' ? kernel.park(request, is.socket) : -EINVAL;
}

function take(kernel: Kernel, file: OpenFile, position: number, length: number): Uint8Array {
  const { is } = file;
  const bytes = new Uint8Array(length);
  if (is.kind === 'file') {
    is.inode.content.read(position === CURRENT_POSITION ? file.position : position, bytes, 0, length);
    if (position === CURRENT_POSITION) file.position += length;
  } else if (is.kind === 'pipe') {
    is.pipe.bytes.take(bytes, 0, length);
    kernel.world.wake(is.pipe);
  } else if (is.kind === 'socket') {
    is.socket.bytes.take(bytes, 0, length);
    kernel.world.network.drained(is.socket);
  }
  return bytes;
}

function put(kernel: Kernel, file: OpenFile, position: number, bytes: Uint8Array): number {
  const { is } = file;
  if (is.kind === 'file') {
    const at = position === CURRENT_POSITION ? file.position : position;
    const done = is.inode.content.write(at, bytes, 0, bytes.length);
    if (position === CURRENT_POSITION) file.position += done;
    return done;
  }
  if (is.kind === 'pipe') {
    is.pipe.bytes.push(bytes);
    kernel.world.wake(is.pipe);
  } else if (is.kind === 'socket') {
    kernel.world.network.send(is.socket, {
      length: bytes.length,
      read: (from, part) => bytes.slice(from, from + part),
    });
  } else if (is.kind === 'terminal') is.terminal.written.push(bytes);
  return bytes.length;
}

function executeSplice(kernel: Kernel, request: Request): number {
  const source = sourceOf(kernel, request);
  const target = request.file!;
  if (source === undefined || !source.readable || !target.writable) return -EBADF;
  if (source.is.kind !== 'pipe' && target.is.kind !== 'pipe') return -EINVAL;
  const from = offset(request.addrHigh, request.addrLow);
  const to = request.off;
  if (
    (source.is.kind !== 'file' && from !== CURRENT_POSITION) ||
    (target.is.kind !== 'file' && to !== CURRENT_POSITION)
  )
    return -ESPIPE;
  if (from < CURRENT_POSITION || to < CURRENT_POSITION) return -EINVAL;
  if (request.len === 0) return 0;
  const there = available(source, from);
  if (there === 'wait') return park(kernel, request, source);
  if (there <= 0) return there;
  const space = room(target);
  if (space === 'wait') return park(kernel, request, target);
  if (space < 0) return space;
  const length = kernel.cut(Math.min(request.len, there, space));
  if (target.is.kind === 'file' && source.is.kind === 'pipe') {
    // What finds no space stays in the pipe.
    const { pipe } = source.is;
    const bytes = new Uint8Array(length);
    pipe.bytes.peek(bytes, 0, length);
    const done = put(kernel, target, to, bytes);
    pipe.bytes.drop(done);
    kernel.world.wake(pipe);
    return done === 0 ? -ENOSPC : done;
  }
  return put(kernel, target, to, take(kernel, source, from, length));
}

/** Copies from pipe to pipe, and leaves the bytes where they are. */
function executeTee(kernel: Kernel, request: Request): number {
  const source = sourceOf(kernel, request);
  const target = request.file!;
  if (source === undefined || !source.readable || !target.writable) return -EBADF;
  if (source.is.kind !== 'pipe' || target.is.kind !== 'pipe' || source.is.pipe === target.is.pipe) return -EINVAL;
  if (request.len === 0) return 0;
  const there = available(source, CURRENT_POSITION);
  if (there === 'wait') return park(kernel, request, source);
  if (there === 0) return 0;
  const space = room(target);
  if (space === 'wait') return park(kernel, request, target);
  if (space < 0) return space;
  const bytes = new Uint8Array(kernel.cut(Math.min(request.len, there, space)));
  source.is.pipe.bytes.peek(bytes, 0, bytes.length);
  return put(kernel, target, CURRENT_POSITION, bytes);
}

const splices = {
  file: true,
  timed: 'always',
  breaks: 'short',
  faults: MAY_INTERRUPT | MAY_AGAIN | MAY_RESET,
} as const;

export const pipeOperations: Readonly<Record<number, Operation>> = {
  [opcodes.pipe.number]: { execute: executePipe },
  [opcodes.splice.number]: { ...splices, execute: executeSplice },
  [opcodes.tee.number]: { ...splices, execute: executeTee },
};
