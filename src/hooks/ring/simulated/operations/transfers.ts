/** Reads and writes, of files, pipes, sockets and terminals. */
import { openFlags, rwFlags } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { sqeFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EBADF, EBADFD, EINVAL, EIO, EISDIR, ENOBUFS, ENOSPC, EPIPE } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_AGAIN, MAY_FAIL_IO, MAY_INTERRUPT, MAY_RESET, MAY_SHRINK, type Operation, PENDING } from '../operation.ts';
import { CURRENT_POSITION, type Request } from '../request.ts';
import type { File } from '../world/file-system.ts';
import type { OpenFile } from '../world/open-file.ts';
import { O_DIRECT } from '../world/opening.ts';
import { PIPE_ATOMIC, type Pipe } from '../world/pipe.ts';
import { receive, transmit } from './messages.ts';
import { checkFixed, eachPart, gather, readIovecs, segmentsOf, totalLength } from './segments.ts';

const SECTOR = 512;

/** Reads into `segments`; from `position` of a file, or its own. */
export function readFrom(
  kernel: Kernel,
  request: Request,
  file: OpenFile,
  segments: readonly number[],
  position: number,
): number {
  if (!file.readable) return -EBADF;
  const { is } = file;
  switch (is.kind) {
    case 'file':
      return readFile(kernel, file, is.inode, segments, position);
    case 'pipe':
      return readPipe(kernel, request, is.pipe, segments);
    case 'socket':
      return receive(kernel, request, is.socket, segments, 0);
    case 'terminal':
      return 0;
    case 'directory':
      return -EISDIR;
    default:
      return -EINVAL;
  }
}

function readFile(kernel: Kernel, file: OpenFile, inode: File, segments: readonly number[], position: number): number {
  if (position < CURRENT_POSITION) return -EINVAL;
  const at = position === CURRENT_POSITION ? file.position : position;
  if ((file.flags & O_DIRECT) !== 0 && !isAligned(segments, at)) return -EINVAL;
  const total = totalLength(segments);
  const { content } = inode;
  const length = kernel.cut(Math.max(0, Math.min(total, content.size - at)));
  let offset = at;
  eachPart(segments, length, (address, part) => {
    content.read(offset, kernel.memory.bytes, address, part);
    offset += part;
    return part;
  });
  if (position === CURRENT_POSITION) file.position += length;
  return length;
}

function readPipe(kernel: Kernel, request: Request, pipe: Pipe, segments: readonly number[]): number {
  const total = totalLength(segments);
  if (total === 0) return 0;
  if (pipe.bytes.length === 0) return pipe.writers === 0 ? 0 : kernel.park(request, pipe);
  const length = kernel.cut(Math.min(total, pipe.bytes.length));
  eachPart(segments, length, (address, part) => pipe.bytes.take(kernel.memory.bytes, address, part));
  kernel.world.wake(pipe);
  return length;
}

function writeTo(
  kernel: Kernel,
  request: Request,
  file: OpenFile,
  segments: readonly number[],
  position: number,
): number {
  if (!file.writable) return -EBADF;
  const { is } = file;
  switch (is.kind) {
    case 'file':
      return writeFile(kernel, request, file, is.inode, segments, position);
    case 'pipe':
      return writePipe(kernel, request, is.pipe, segments);
    case 'socket':
      return transmit(kernel, request, is.socket, segments);
    case 'terminal': {
      const length = kernel.cut(totalLength(segments));
      is.terminal.written.push(gather(kernel, segments, length));
      return length;
    }
    default:
      return -EINVAL;
  }
}

function writeFile(
  kernel: Kernel,
  request: Request,
  file: OpenFile,
  inode: File,
  segments: readonly number[],
  position: number,
): number {
  if (position < CURRENT_POSITION) return -EINVAL;
  const appends =
    (request.opFlags & rwFlags.NOAPPEND) === 0 &&
    ((file.flags & openFlags.APPEND) !== 0 || (request.opFlags & rwFlags.APPEND) !== 0);
  const at = appends ? inode.content.size : position === CURRENT_POSITION ? file.position : position;
  if ((file.flags & O_DIRECT) !== 0 && !isAligned(segments, at)) return -EINVAL;
  const total = totalLength(segments);
  const wanted = kernel.cut(total);
  let offset = at;
  const length = eachPart(segments, wanted, (address, part) => {
    const done = inode.content.write(offset, kernel.memory.bytes, address, part);
    offset += done;
    return done;
  });
  if (length === 0 && total > 0) return -ENOSPC;
  inode.changed = kernel.clock.now;
  if (position === CURRENT_POSITION) file.position = at + length;
  if ((file.flags & openFlags.DSYNC) !== 0 || (request.opFlags & (rwFlags.DSYNC | rwFlags.SYNC)) !== 0) {
    if (kernel.happens(kernel.faults.ioError)) return -EIO;
    kernel.world.files.sync(inode);
  }
  return length;
}

function writePipe(kernel: Kernel, request: Request, pipe: Pipe, segments: readonly number[]): number {
  if (pipe.readers === 0) return -EPIPE;
  const total = totalLength(segments);
  if (total === 0) return 0;
  if (pipe.room === 0 || (total <= PIPE_ATOMIC && pipe.room < total)) return kernel.park(request, pipe);
  const most = Math.min(total, pipe.room);
  const length = total <= PIPE_ATOMIC ? most : kernel.cut(most);
  pipe.bytes.push(gather(kernel, segments, length));
  kernel.world.wake(pipe);
  return length;
}

function isAligned(segments: readonly number[], position: number): boolean {
  return position % SECTOR === 0 && segments.every((word) => word % SECTOR === 0);
}

function prepareVector(kernel: Kernel, request: Request): number {
  if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0) return request.len > 1 ? -EINVAL : 0;
  const segments = readIovecs(kernel, request.addrHigh, request.addrLow, request.len);
  if (typeof segments === 'number') return segments;
  request.segments = segments;
  request.expected = totalLength(segments);
  return prepareFlags(kernel, request);
}

function prepareFlags(_kernel: Kernel, request: Request): number {
  request.nowait = (request.opFlags & rwFlags.NOWAIT) !== 0;
  return 0;
}

/** With a buffer of a group: the length that the request asks for, or all of the buffer where it is 0. */
function readSelected(kernel: Kernel, request: Request, length: number): number {
  const { resources } = kernel;
  if (kernel.happens(kernel.faults.noBuffers)) return -ENOBUFS;
  const selection = resources.select(request.bufIndex, length === 0 ? Number.POSITIVE_INFINITY : length, 1);
  if (selection === undefined) return -ENOBUFS;
  request.expected = totalLength(selection.segments);
  const result = readFrom(kernel, request, request.file!, selection.segments, request.off);
  if (result > 0) request.cqeFlags = resources.consume(request.bufIndex, selection, result);
  return result;
}

function executeRead(kernel: Kernel, request: Request): number {
  if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0) {
    return readSelected(kernel, request, request.opcode === opcodes.readv.number ? 0 : request.len);
  }
  const segments = segmentsOf(kernel, request);
  if (typeof segments === 'number') return segments;
  return readFrom(kernel, request, request.file!, segments, request.off);
}

function executeWrite(kernel: Kernel, request: Request): number {
  const segments = segmentsOf(kernel, request);
  if (typeof segments === 'number') return segments;
  return writeTo(kernel, request, request.file!, segments, request.off);
}

function fixed(execute: Operation['execute']): Operation['execute'] {
  return (kernel, request) => {
    const segments = segmentsOf(kernel, request);
    if (typeof segments === 'number') return segments;
    return checkFixed(kernel, request, segments) || execute(kernel, request);
  };
}

function executeMultishot(kernel: Kernel, request: Request): number {
  const { kind } = request.file!.is;
  if (kind !== 'pipe' && kind !== 'socket') return -EBADFD;
  for (;;) {
    request.cqeFlags = 0;
    const result = readSelected(kernel, request, request.len);
    if (result === PENDING || result <= 0) return result;
    const flags = request.cqeFlags;
    if (!kernel.postMore(request, result, flags)) return result;
  }
}

function prepareMultishot(_kernel: Kernel, request: Request): number {
  if ((request.flags & sqeFlags.BUFFER_SELECT) === 0) return -EINVAL;
  request.multishot = true;
  return 0;
}

const reads = {
  file: true,
  timed: 'files',
  ioprio: true,
  faults: MAY_INTERRUPT | MAY_AGAIN | MAY_FAIL_IO | MAY_RESET | MAY_SHRINK,
} as const;
const writes = {
  file: true,
  timed: 'files',
  ioprio: true,
  faults: MAY_INTERRUPT | MAY_AGAIN | MAY_FAIL_IO | MAY_RESET,
} as const;

export const transferOperations: Readonly<Record<number, Operation>> = {
  [opcodes.read.number]: { ...reads, breaks: 'short', select: true, prepare: prepareFlags, execute: executeRead },
  [opcodes.readv.number]: { ...reads, breaks: 'short', select: true, prepare: prepareVector, execute: executeRead },
  [opcodes.read_fixed.number]: { ...reads, breaks: 'short', prepare: prepareFlags, execute: fixed(executeRead) },
  [opcodes.readv_fixed.number]: { ...reads, breaks: 'short', prepare: prepareVector, execute: fixed(executeRead) },
  [opcodes.write.number]: { ...writes, breaks: 'short', prepare: prepareFlags, execute: executeWrite },
  [opcodes.writev.number]: { ...writes, breaks: 'short', prepare: prepareVector, execute: executeWrite },
  [opcodes.write_fixed.number]: { ...writes, breaks: 'short', prepare: prepareFlags, execute: fixed(executeWrite) },
  [opcodes.writev_fixed.number]: { ...writes, breaks: 'short', prepare: prepareVector, execute: fixed(executeWrite) },
  [opcodes.read_multishot.number]: {
    ...reads,
    select: true,
    prepare: prepareMultishot,
    execute: executeMultishot,
  },
};
