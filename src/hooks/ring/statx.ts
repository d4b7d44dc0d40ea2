/** struct statx (include/uapi/linux/stat.h) as an object like those of node:fs. */
import { fileTypes, statxMask } from '../../abi/io-uring/call-flags.ts';

export const STATX_SIZE = 256;

/** As fs.Stats, with what only statx(2) knows. Numbers above 2^53 lose their last bits. */
export class RingStats {
  /** What the file system filled in: statxMask. */
  readonly mask: number;
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** 0 where the file system keeps none. */
  readonly birthtimeMs: number;
  readonly mountId: number;
  /** Alignment of memory and offsets that O_DIRECT needs, if it was asked for (statxMask.DIOALIGN) and is known; 0 otherwise. */
  readonly directMemoryAlign: number;
  readonly directOffsetAlign: number;

  constructor(view: DataView, at: number) {
    const u32 = (offset: number) => view.getUint32(at + offset, true);
    const u64 = (offset: number) => u32(offset) + u32(offset + 4) * 2 ** 32;
    const time = (offset: number) =>
      (u32(offset) + view.getInt32(at + offset + 4, true) * 2 ** 32) * 1000 + u32(offset + 8) / 1e6;
    this.mask = u32(0);
    this.blksize = u32(4);
    this.nlink = u32(16);
    this.uid = u32(20);
    this.gid = u32(24);
    this.mode = view.getUint16(at + 28, true);
    this.ino = u64(32);
    this.size = u64(40);
    this.blocks = u64(48);
    this.atimeMs = time(64);
    this.birthtimeMs = (this.mask & statxMask.BTIME) === 0 ? 0 : time(80);
    this.ctimeMs = time(96);
    this.mtimeMs = time(112);
    this.rdev = device(u32(128), u32(132));
    this.dev = device(u32(136), u32(140));
    this.mountId = u64(144);
    const direct = (this.mask & statxMask.DIOALIGN) !== 0;
    this.directMemoryAlign = direct ? u32(152) : 0;
    this.directOffsetAlign = direct ? u32(156) : 0;
  }

  get atime(): Date {
    return new Date(Math.round(this.atimeMs));
  }
  get mtime(): Date {
    return new Date(Math.round(this.mtimeMs));
  }
  get ctime(): Date {
    return new Date(Math.round(this.ctimeMs));
  }
  get birthtime(): Date {
    return new Date(Math.round(this.birthtimeMs));
  }

  isFile(): boolean {
    return this.#is(fileTypes.FILE);
  }
  isDirectory(): boolean {
    return this.#is(fileTypes.DIRECTORY);
  }
  isSymbolicLink(): boolean {
    return this.#is(fileTypes.LINK);
  }
  isFIFO(): boolean {
    return this.#is(fileTypes.FIFO);
  }
  isSocket(): boolean {
    return this.#is(fileTypes.SOCKET);
  }
  isBlockDevice(): boolean {
    return this.#is(fileTypes.BLOCK);
  }
  isCharacterDevice(): boolean {
    return this.#is(fileTypes.CHARACTER);
  }

  #is(type: number): boolean {
    return (this.mode & fileTypes.MASK) === type;
  }
}

/** Number of a device as node:fs and glibc's makedev(3) have it. */
function device(major: number, minor: number): number {
  return ((major & 0xfff) << 8) + (minor & 0xff) + (minor & ~0xff) * 2 ** 12 + (major & ~0xfff) * 2 ** 32;
}

/** The result of a statx request, at the address that it named. */
export function decodeStatx(view: DataView, at: number): RingStats {
  return new RingStats(view, at);
}
