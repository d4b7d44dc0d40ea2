/** open(2): from a path and O_ flags to an open file description. */
import { openFlags } from '../../../../abi/io-uring/call-flags.ts';
import { EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO } from '../errno.ts';
import type { FileSystem, Inode } from './file-system.ts';
import { OpenFile } from './open-file.ts';

/** x86-64's numbers; other machines swap some of them. */
export const O_DIRECT = 0o40000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_TMPFILE = 0o20000000;

const ACCESS = 3;

/** The description, with no user yet, or a negated errno. */
export function openPath(
  files: FileSystem,
  start: Inode,
  path: string,
  flags: number,
  mode: number,
  now: number,
): OpenFile | number {
  if (start.type !== 'directory') return path.startsWith('/') ? -EBADF : -ENOTDIR;
  const access = flags & ACCESS;
  if (access === ACCESS) return -EINVAL;
  const readable = access !== openFlags.WRONLY;
  const writable = access !== openFlags.RDONLY;
  const creates = (flags & openFlags.CREAT) !== 0;
  const exclusive = creates && (flags & openFlags.EXCL) !== 0;
  const place = files.lookup(start, path, (flags & O_NOFOLLOW) === 0 && !exclusive);
  if (typeof place === 'number') return place;
  let { inode } = place;
  if ((flags & O_TMPFILE) !== 0) {
    if (inode?.type !== 'directory') return inode === undefined ? -ENOENT : -ENOTDIR;
    if (!writable) return -EINVAL;
    inode = files.newFile(mode, now);
  } else if (inode === undefined) {
    if (!creates) return -ENOENT;
    if (path.endsWith('/')) return -EISDIR;
    inode = files.newFile(mode, now);
    files.link(place.directory, place.name, inode, now);
  } else if (exclusive) return -EEXIST;
  if ((flags & openFlags.PATH) !== 0) return new OpenFile({ kind: 'path', inode }, false, false, flags);
  if (inode.type === 'link') return -ELOOP;
  if (inode.type === 'directory') {
    if (writable || creates) return -EISDIR;
    return new OpenFile({ kind: 'directory', inode }, readable, false, flags);
  }
  if ((flags & O_DIRECTORY) !== 0 && (flags & O_TMPFILE) === 0) return -ENOTDIR;
  if (inode.type !== 'file') return -ENXIO;
  if ((flags & openFlags.TRUNC) !== 0 && writable) inode.content.truncate(0);
  inode.opens++;
  return new OpenFile({ kind: 'file', inode }, readable, writable, flags);
}
