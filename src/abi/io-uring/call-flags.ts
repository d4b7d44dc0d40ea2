/**
 * Flags of the system calls that requests stand for, with the numbers that x86-64 and arm64 share (include/uapi/asm-generic). What differs between
 * the two, O_DIRECT and O_DIRECTORY among them, node:fs knows.
 */

/** `dfd` of paths: the working directory. */
export const AT_FDCWD = -100;
/** AT_ */
export const atFlags = {
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  NO_AUTOMOUNT: 0x800,
  EMPTY_PATH: 0x1000,
  STATX_FORCE_SYNC: 0x2000,
  STATX_DONT_SYNC: 0x4000,
} as const;

/** O_ */
export const openFlags = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  SYNC: 0o4010000,
  PATH: 0o10000000,
} as const;

/** RESOLVE_ of openat2(2). */
export const resolveFlags = {
  NO_XDEV: 1,
  NO_MAGICLINKS: 2,
  NO_SYMLINKS: 4,
  BENEATH: 8,
  IN_ROOT: 0x10,
  CACHED: 0x20,
} as const;

/** RWF_ */
export const rwFlags = {
  HIPRI: 0x01,
  DSYNC: 0x02,
  SYNC: 0x04,
  NOWAIT: 0x08,
  APPEND: 0x10,
  NOAPPEND: 0x20,
  ATOMIC: 0x40,
  DONTCACHE: 0x80,
} as const;

/** RENAME_ */
export const renameFlags = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

/** FALLOC_FL_ */
export const fallocateModes = {
  KEEP_SIZE: 0x01,
  PUNCH_HOLE: 0x02,
  COLLAPSE_RANGE: 0x08,
  ZERO_RANGE: 0x10,
  INSERT_RANGE: 0x20,
  UNSHARE_RANGE: 0x40,
} as const;

/** POSIX_FADV_ */
export const fadviseAdvice = { NORMAL: 0, RANDOM: 1, SEQUENTIAL: 2, WILLNEED: 3, DONTNEED: 4, NOREUSE: 5 } as const;

/** MADV_ */
export const madviseAdvice = {
  NORMAL: 0,
  RANDOM: 1,
  SEQUENTIAL: 2,
  WILLNEED: 3,
  DONTNEED: 4,
  FREE: 8,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  COLD: 20,
  PAGEOUT: 21,
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
} as const;

/** SYNC_FILE_RANGE_ */
export const syncFileRangeFlags = { WAIT_BEFORE: 1, WRITE: 2, WAIT_AFTER: 4 } as const;

/** EPOLL and POLL events have the same bits. */
export const pollEvents = {
  IN: 0x001,
  PRI: 0x002,
  OUT: 0x004,
  ERR: 0x008,
  HUP: 0x010,
  RDHUP: 0x2000,
  EXCLUSIVE: 1 << 28,
  ONESHOT: 1 << 30,
  ET: 0x8000_0000,
} as const;
/** EPOLL_CTL_ */
export const epollOperations = { ADD: 1, DEL: 2, MOD: 3 } as const;

/** MSG_ */
export const msgFlags = {
  OOB: 0x1,
  PEEK: 0x2,
  DONTROUTE: 0x4,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  CONFIRM: 0x800,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  FASTOPEN: 0x2000_0000,
  CMSG_CLOEXEC: 0x4000_0000,
} as const;

/** SHUT_ */
export const shutdownHow = { RD: 0, WR: 1, RDWR: 2 } as const;
/** AF_ */
export const addressFamilies = { UNIX: 1, INET: 2, INET6: 10 } as const;
/** SOCK_ */
export const socketTypes = { STREAM: 1, DGRAM: 2, RAW: 3, SEQPACKET: 5, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

/** P_, the kind of id of waitid(2), and W flags. */
export const waitIdTypes = { ALL: 0, PID: 1, PGID: 2, PIDFD: 3 } as const;
export const waitOptions = { NOHANG: 1, STOPPED: 2, EXITED: 4, CONTINUED: 8, NOWAIT: 0x0100_0000 } as const;

/** FUTEX2_: size of the word, and whether it is of this process alone. */
export const futexFlags = { SIZE_U32: 2, NUMA: 4, PRIVATE: 128 } as const;
/** Matches every waiter. */
export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff;

/** STATX_: what to fill in. */
export const statxMask = {
  TYPE: 0x001,
  MODE: 0x002,
  NLINK: 0x004,
  UID: 0x008,
  GID: 0x010,
  ATIME: 0x020,
  MTIME: 0x040,
  CTIME: 0x080,
  INO: 0x100,
  SIZE: 0x200,
  BLOCKS: 0x400,
  BASIC_STATS: 0x7ff,
  BTIME: 0x800,
  MNT_ID: 0x1000,
  DIOALIGN: 0x2000,
  MNT_ID_UNIQUE: 0x4000,
  SUBVOL: 0x8000,
  WRITE_ATOMIC: 0x1_0000,
  DIO_READ_ALIGN: 0x2_0000,
} as const;

/** S_IF */
export const fileTypes = {
  MASK: 0o170000,
  SOCKET: 0o140000,
  LINK: 0o120000,
  FILE: 0o100000,
  BLOCK: 0o060000,
  DIRECTORY: 0o040000,
  CHARACTER: 0o020000,
  FIFO: 0o010000,
} as const;

/** XATTR_ */
export const xattrFlags = { CREATE: 1, REPLACE: 2 } as const;
