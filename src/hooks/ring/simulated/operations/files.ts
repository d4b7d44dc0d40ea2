/** Requests on open files that move no data: close, fsync, fallocate, ftruncate, advice. */
import { fallocateModes } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { fsyncFlags, sqeFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EBADF, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, ESPIPE } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_FAIL_IO, type Operation } from '../operation.ts';
import { offset, type Request } from '../request.ts';

function prepareClose(_kernel: Kernel, request: Request): number {
  if ((request.flags & sqeFlags.FIXED_FILE) !== 0) return -EBADF;
  return request.fileIndex !== 0 && request.fd !== 0 ? -EINVAL : 0;
}

function executeClose(kernel: Kernel, request: Request): number {
  if (request.fileIndex !== 0) return kernel.resources.closeDirect(request.fileIndex);
  if (kernel.world.descriptor(request.fd)?.is.kind === 'ring') return -EBADF;
  return kernel.world.closeDescriptor(request.fd) ? 0 : -EBADF;
}

function prepareSync(_kernel: Kernel, request: Request): number {
  return (request.opFlags & ~fsyncFlags.DATASYNC) !== 0 ? -EINVAL : 0;
}

function executeSync(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'file' && is.kind !== 'directory') return -EINVAL;
  kernel.world.files.sync(is.inode);
  return 0;
}

/** Starts to write back, which says nothing about what a crash leaves. */
function executeSyncRange(_kernel: Kernel, request: Request): number {
  const { kind } = request.file!.is;
  return kind === 'file' || kind === 'directory' ? 0 : -ESPIPE;
}

function executeFallocate(kernel: Kernel, request: Request): number {
  const { is, writable } = request.file!;
  if (!writable) return -EBADF;
  if (is.kind !== 'file') return -ESPIPE;
  const length = offset(request.addrHigh, request.addrLow);
  const { off, len: mode } = request;
  if (off < 0 || length <= 0) return -EINVAL;
  const keeps = (mode & fallocateModes.KEEP_SIZE) !== 0;
  const punches = (mode & fallocateModes.PUNCH_HOLE) !== 0;
  const zeroes = (mode & fallocateModes.ZERO_RANGE) !== 0;
  const known = fallocateModes.KEEP_SIZE | fallocateModes.PUNCH_HOLE | fallocateModes.ZERO_RANGE;
  if ((mode & ~known) !== 0 || (punches && (zeroes || !keeps))) return -EOPNOTSUPP;
  const { content } = is.inode;
  if (!punches && Math.ceil(length / 4096) > kernel.world.files.space.chunks) return -ENOSPC;
  if ((punches || zeroes) && !content.zero(off, length)) return -ENOSPC;
  if (!keeps && off + length > content.size) content.truncate(off + length);
  is.inode.changed = kernel.clock.now;
  return 0;
}

function executeTruncate(kernel: Kernel, request: Request): number {
  const { is, writable } = request.file!;
  if (is.kind !== 'file' || !writable) return -EINVAL;
  if (request.off < 0) return -EINVAL;
  is.inode.content.truncate(request.off);
  is.inode.changed = kernel.clock.now;
  return 0;
}

function executeFadvise(_kernel: Kernel, request: Request): number {
  if (request.opFlags > 5) return -EINVAL;
  return request.file!.is.kind === 'pipe' ? -ESPIPE : 0;
}

function executeMadvise(kernel: Kernel, request: Request): number {
  if (request.addrLow % 4096 !== 0) return -EINVAL;
  return kernel.memory.has(request.addrHigh, request.addrLow, request.len) ? 0 : -ENOMEM;
}

const quiet = { file: true, timed: 'always', breaks: 'never' } as const;

export const fileOperations: Readonly<Record<number, Operation>> = {
  [opcodes.close.number]: { prepare: prepareClose, execute: executeClose },
  [opcodes.fsync.number]: { ...quiet, faults: MAY_FAIL_IO, prepare: prepareSync, execute: executeSync },
  [opcodes.sync_file_range.number]: { ...quiet, execute: executeSyncRange },
  [opcodes.fallocate.number]: { ...quiet, execute: executeFallocate },
  [opcodes.ftruncate.number]: { ...quiet, execute: executeTruncate },
  [opcodes.fadvise.number]: { file: true, execute: executeFadvise },
  [opcodes.madvise.number]: { breaks: 'never', execute: executeMadvise },
};
