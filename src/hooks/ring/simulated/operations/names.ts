/** Requests on paths: open, stat, link, rename, remove, and extended attributes. Paths are read at submission, as the kernel does. */
import {
  AT_FDCWD,
  atFlags,
  fileTypes,
  openFlags,
  renameFlags,
  statxMask,
  xattrFlags,
} from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { sqeFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EBADF, EEXIST, EFAULT, EINVAL, ENODATA, ENOENT, ENOTDIR, ERANGE } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { MAY_INTERRUPT, type Operation } from '../operation.ts';
import type { Request } from '../request.ts';
import type { Directory, Inode, Place } from '../world/file-system.ts';

const PATH_MAX = 4096;
const STATX_SIZE = 256;
const OPEN_HOW_SIZE = 24;
/** Device numbers of no real device. */
const DEVICE_MINOR = 99;

/** Where a relative path starts: the working directory (the root here), or an open directory. */
function start(kernel: Kernel, fd: number, path: string): Directory | number {
  if (path.startsWith('/') || fd === AT_FDCWD) return kernel.world.files.root;
  const file = kernel.world.descriptor(fd);
  if (file === undefined) return -EBADF;
  const { is } = file;
  if (is.kind === 'directory') return is.inode;
  return is.kind === 'path' && is.inode.type === 'directory' ? is.inode : -ENOTDIR;
}

function find(kernel: Kernel, fd: number, path: string, follow: boolean): Place | number {
  const from = start(kernel, fd, path);
  return typeof from === 'number' ? from : kernel.world.files.lookup(from, path, follow);
}

/** Reads the strings at the given words of the SQE. */
function preparePaths(...words: readonly ('addr' | 'off' | 'addr3')[]): NonNullable<Operation['prepare']> {
  return (kernel, request) => {
    if ((request.flags & sqeFlags.FIXED_FILE) !== 0) return -EBADF;
    const paths: string[] = [];
    for (const word of words) {
      const [high, low] =
        word === 'addr'
          ? [request.addrHigh, request.addrLow]
          : word === 'off'
            ? [request.offHigh, request.offLow]
            : [request.addr3High, request.addr3Low];
      const text = kernel.memory.text(high, low, PATH_MAX);
      if (text === undefined) return -EFAULT;
      paths.push(text);
    }
    request.paths = paths;
    return 0;
  };
}

function prepareOpen(kernel: Kernel, request: Request): number {
  request.interval = request.opFlags;
  request.remaining = request.len;
  return checkDirect(request) || preparePaths('addr')(kernel, request);
}

function prepareOpen2(kernel: Kernel, request: Request): number {
  const { memory } = kernel;
  if (request.len < OPEN_HOW_SIZE) return -EINVAL;
  if (!memory.has(request.offHigh, request.offLow, OPEN_HOW_SIZE)) return -EFAULT;
  if (memory.view.getUint32(request.offLow + 4, true) !== 0) return -EINVAL;
  request.interval = memory.view.getUint32(request.offLow, true);
  request.remaining = memory.view.getUint32(request.offLow + 8, true);
  return checkDirect(request) || preparePaths('addr')(kernel, request);
}

/** Direct descriptors are never passed on, so that the flag makes no sense. */
function checkDirect(request: Request): number {
  return request.fileIndex !== 0 && (request.interval & openFlags.CLOEXEC) !== 0 ? -EINVAL : 0;
}

function executeOpen(kernel: Kernel, request: Request): number {
  const path = request.paths![0]!;
  const from = start(kernel, request.fd, path);
  if (typeof from === 'number') return from;
  const file = kernel.world.openPath(from, path, request.interval, request.remaining & 0o7777);
  return typeof file === 'number' ? file : kernel.resources.install(file, request.fileIndex);
}

function executeStatx(kernel: Kernel, request: Request): number {
  const { memory, world } = kernel;
  const path = request.paths![0]!;
  if (!memory.has(request.offHigh, request.offLow, STATX_SIZE)) return -EFAULT;
  let inode: Inode | undefined;
  let type: number = fileTypes.FIFO;
  if (path === '') {
    if ((request.opFlags & atFlags.EMPTY_PATH) === 0) return -ENOENT;
    const file = world.descriptor(request.fd);
    if (file === undefined) return -EBADF;
    const { is } = file;
    if (is.kind === 'file' || is.kind === 'directory' || is.kind === 'path') inode = is.inode;
    else if (is.kind === 'socket') type = fileTypes.SOCKET;
    else if (is.kind === 'terminal') type = fileTypes.CHARACTER;
  } else {
    const place = find(kernel, request.fd, path, (request.opFlags & atFlags.SYMLINK_NOFOLLOW) === 0);
    if (typeof place === 'number') return place;
    if (place.inode === undefined) return -ENOENT;
    inode = place.inode;
  }
  writeStatx(kernel, request.offLow, inode, type);
  return 0;
}

/** struct statx (include/uapi/linux/stat.h). */
function writeStatx(kernel: Kernel, at: number, inode: Inode | undefined, type: number): void {
  const { view, bytes } = kernel.memory;
  bytes.fill(0, at, at + STATX_SIZE);
  const size = inode?.type === 'file' ? inode.content.size : inode?.type === 'link' ? inode.target.length : 0;
  const blocks = inode?.type === 'file' ? inode.content.blocks : 0;
  const kind =
    inode === undefined
      ? type
      : inode.type === 'file'
        ? fileTypes.FILE
        : inode.type === 'directory'
          ? fileTypes.DIRECTORY
          : fileTypes.LINK;
  view.setUint32(at, statxMask.BASIC_STATS, true);
  view.setUint32(at + 4, 4096, true);
  view.setUint32(at + 16, inode?.links ?? 1, true);
  view.setUint16(at + 28, kind | (inode?.mode ?? 0o600), true);
  view.setUint32(at + 32, inode?.number ?? 0, true);
  setU64(view, at + 40, size);
  setU64(view, at + 48, blocks);
  const changed = inode?.changed ?? 0;
  for (const time of [64, 96, 112]) {
    setU64(view, at + time, Math.floor(changed / 1e9));
    view.setUint32(at + time + 8, changed % 1e9, true);
  }
  view.setUint32(at + 140, DEVICE_MINOR, true);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

function executeUnlink(kernel: Kernel, request: Request): number {
  if ((request.opFlags & ~atFlags.REMOVEDIR) !== 0) return -EINVAL;
  const place = find(kernel, request.fd, request.paths![0]!, false);
  if (typeof place === 'number') return place;
  const result = kernel.world.files.unlink(place, (request.opFlags & atFlags.REMOVEDIR) !== 0, kernel.clock.now);
  kernel.world.files.collect();
  return result;
}

function executeRename(kernel: Kernel, request: Request): number {
  const [from, to] = request.paths as [string, string];
  const flags = request.opFlags;
  const exchange = (flags & renameFlags.EXCHANGE) !== 0;
  const noReplace = (flags & renameFlags.NOREPLACE) !== 0;
  if ((flags & ~(renameFlags.EXCHANGE | renameFlags.NOREPLACE)) !== 0 || (exchange && noReplace)) return -EINVAL;
  const source = find(kernel, request.fd, from, false);
  if (typeof source === 'number') return source;
  const target = find(kernel, request.len | 0, to, false);
  if (typeof target === 'number') return target;
  const result = kernel.world.files.rename(source, target, noReplace, exchange, kernel.clock.now);
  kernel.world.files.collect();
  return result;
}

function executeMkdir(kernel: Kernel, request: Request): number {
  const { files } = kernel.world;
  const path = request.paths![0]!;
  const place = find(kernel, request.fd, path.replace(/\/+$/, '') || '/', false);
  if (typeof place === 'number') return place;
  if (place.inode !== undefined) return -EEXIST;
  files.link(place.directory, place.name, files.newDirectory(request.len & 0o7777, kernel.clock.now), kernel.clock.now);
  return 0;
}

function executeSymlink(kernel: Kernel, request: Request): number {
  const { files } = kernel.world;
  const [target, path] = request.paths as [string, string];
  if (target === '') return -ENOENT;
  const place = find(kernel, request.fd, path, false);
  if (typeof place === 'number') return place;
  if (place.inode !== undefined) return -EEXIST;
  files.link(place.directory, place.name, files.newLink(target, kernel.clock.now), kernel.clock.now);
  return 0;
}

function executeLink(kernel: Kernel, request: Request): number {
  const [from, to] = request.paths as [string, string];
  let inode: Inode | undefined;
  if (from === '' && (request.opFlags & atFlags.EMPTY_PATH) !== 0) {
    const is = kernel.world.descriptor(request.fd)?.is;
    if (is === undefined) return -EBADF;
    inode = is.kind === 'file' || is.kind === 'path' ? is.inode : undefined;
  } else {
    const source = find(kernel, request.fd, from, (request.opFlags & atFlags.SYMLINK_FOLLOW) !== 0);
    if (typeof source === 'number') return source;
    inode = source.inode;
  }
  if (inode === undefined) return -ENOENT;
  const target = find(kernel, request.len | 0, to, false);
  return typeof target === 'number' ? target : kernel.world.files.hardLink(inode, target, kernel.clock.now);
}

/** The inode that the attribute belongs to: by path, or by file. */
function attributed(kernel: Kernel, request: Request): Inode | number {
  if (request.paths!.length === 1) {
    const { is } = request.file!;
    return is.kind === 'file' || is.kind === 'directory' ? is.inode : -EBADF;
  }
  const place = find(kernel, AT_FDCWD, request.paths![1]!, true);
  if (typeof place === 'number') return place;
  return place.inode ?? -ENOENT;
}

function executeSetAttribute(kernel: Kernel, request: Request): number {
  const inode = attributed(kernel, request);
  if (typeof inode === 'number') return inode;
  const name = request.paths![0]!;
  if (!name.includes('.')) return -EINVAL;
  const there = inode.attributes.has(name);
  if ((request.opFlags & xattrFlags.CREATE) !== 0 && there) return -EEXIST;
  if ((request.opFlags & xattrFlags.REPLACE) !== 0 && !there) return -ENODATA;
  if (request.len > 0 && !kernel.memory.has(request.offHigh, request.offLow, request.len)) return -EFAULT;
  inode.attributes.set(name, kernel.memory.bytes.slice(request.offLow, request.offLow + request.len));
  return 0;
}

function executeGetAttribute(kernel: Kernel, request: Request): number {
  const inode = attributed(kernel, request);
  if (typeof inode === 'number') return inode;
  const value = inode.attributes.get(request.paths![0]!);
  if (value === undefined) return -ENODATA;
  if (request.len === 0) return value.length;
  if (value.length > request.len) return -ERANGE;
  if (!kernel.memory.has(request.offHigh, request.offLow, value.length)) return -EFAULT;
  kernel.memory.bytes.set(value, request.offLow);
  return value.length;
}

/** Attribute requests on files may name direct descriptors. */
function prepareName(kernel: Kernel, request: Request): number {
  const name = kernel.memory.text(request.addrHigh, request.addrLow, PATH_MAX);
  if (name === undefined) return -EFAULT;
  request.paths = [name];
  return 0;
}

const quiet = { timed: 'always', breaks: 'never' } as const;

export const nameOperations: Readonly<Record<number, Operation>> = {
  [opcodes.openat.number]: { timed: 'always', faults: MAY_INTERRUPT, prepare: prepareOpen, execute: executeOpen },
  [opcodes.openat2.number]: { timed: 'always', faults: MAY_INTERRUPT, prepare: prepareOpen2, execute: executeOpen },
  [opcodes.statx.number]: { ...quiet, prepare: preparePaths('addr'), execute: executeStatx },
  [opcodes.unlinkat.number]: { ...quiet, prepare: preparePaths('addr'), execute: executeUnlink },
  [opcodes.renameat.number]: { ...quiet, prepare: preparePaths('addr', 'off'), execute: executeRename },
  [opcodes.mkdirat.number]: { ...quiet, prepare: preparePaths('addr'), execute: executeMkdir },
  [opcodes.symlinkat.number]: { ...quiet, prepare: preparePaths('addr', 'off'), execute: executeSymlink },
  [opcodes.linkat.number]: { ...quiet, prepare: preparePaths('addr', 'off'), execute: executeLink },
  [opcodes.setxattr.number]: { ...quiet, prepare: preparePaths('addr', 'addr3'), execute: executeSetAttribute },
  [opcodes.getxattr.number]: { ...quiet, prepare: preparePaths('addr', 'addr3'), execute: executeGetAttribute },
  [opcodes.fsetxattr.number]: { ...quiet, file: true, prepare: prepareName, execute: executeSetAttribute },
  [opcodes.fgetxattr.number]: { ...quiet, file: true, prepare: prepareName, execute: executeGetAttribute },
};
