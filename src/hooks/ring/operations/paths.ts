/** Operations on paths. A path is relative to `directory`, a descriptor, or to the working directory. */
import { atFlags, openFlags, statxMask } from '../../../abi/io-uring/call-flags.ts';
import { InputError } from '../../../errors.ts';
import * as prep from '../prep/index.ts';
import { decodeStatx, type RingStats, STATX_SIZE } from '../statx.ts';
import { FileRing } from './files.ts';
import type { OperationOptions } from './lending.ts';

export interface PathOptions extends OperationOptions {
  readonly directory?: number;
}

/** As for fs.open: 'r', 'r+', 'w', 'wx', 'w+', 'a', 'a+' and their like; or openFlags joined. */
export type OpenMode = string | number;

const modes: Readonly<Record<string, number>> = {
  r: openFlags.RDONLY,
  'r+': openFlags.RDWR,
  w: openFlags.WRONLY | openFlags.CREAT | openFlags.TRUNC,
  wx: openFlags.WRONLY | openFlags.CREAT | openFlags.TRUNC | openFlags.EXCL,
  'w+': openFlags.RDWR | openFlags.CREAT | openFlags.TRUNC,
  'wx+': openFlags.RDWR | openFlags.CREAT | openFlags.TRUNC | openFlags.EXCL,
  a: openFlags.WRONLY | openFlags.CREAT | openFlags.APPEND,
  ax: openFlags.WRONLY | openFlags.CREAT | openFlags.APPEND | openFlags.EXCL,
  'a+': openFlags.RDWR | openFlags.CREAT | openFlags.APPEND,
};

function flagsOf(mode: OpenMode): number {
  if (typeof mode === 'number') return mode;
  const flags = modes[mode];
  if (flags === undefined)
    throw new InputError('SLUICE_RING_OPEN', `no way to open is ${mode}: ${Object.keys(modes).join(', ')}`);
  return flags;
}

export class PathRing extends FileRing {
  /** A descriptor, or with `slot` the number of a registered file (0 where the slot was named). `permissions` of a file that is made: 0o666, less the umask. */
  open(
    path: string,
    mode: OpenMode = 'r',
    options: PathOptions & { readonly permissions?: number; readonly slot?: prep.Slot } = {},
  ): Promise<number> {
    const { permissions = 0o666, slot } = options;
    const flags = flagsOf(mode) | (slot === undefined ? openFlags.CLOEXEC : 0);
    const name = this.memory.text(path);
    return this.using(
      `open ${path}`,
      name,
      (view, at) => prep.openat(view, at, name.address, flags, permissions, options),
      options,
    );
  }

  /** Empties a slot of the registered files. */
  closeSlot(slot: number, options: OperationOptions = {}): Promise<number> {
    return this.request('close', (view, at) => prep.closeDirect(view, at, slot, options), options);
  }

  /** As fs.stat, or lstat with `link`. A number is a descriptor. */
  async stat(of: string | number, options: PathOptions & { readonly link?: boolean } = {}): Promise<RingStats> {
    const path = typeof of === 'string' ? of : '';
    const flags =
      (typeof of === 'number' ? atFlags.EMPTY_PATH : 0) | (options.link === true ? atFlags.SYMLINK_NOFOLLOW : 0);
    const directory = typeof of === 'number' ? { ...options, directory: of } : options;
    const name = this.memory.text(path);
    const result = this.allocate(STATX_SIZE);
    const mask = statxMask.BASIC_STATS | statxMask.BTIME;
    try {
      await this.using(
        `stat ${of}`,
        name,
        (view, at) => prep.statx(view, at, name.address, flags, mask, result.address, directory),
        options,
      );
      return decodeStatx(new DataView(result.bytes.buffer), result.address);
    } finally {
      result.free();
    }
  }

  unlink(path: string, options: PathOptions = {}): Promise<number> {
    return this.#named(`unlink ${path}`, path, options, (view, at, name) => prep.unlinkat(view, at, name, 0, options));
  }

  rmdir(path: string, options: PathOptions = {}): Promise<number> {
    return this.#named(`rmdir ${path}`, path, options, (view, at, name) =>
      prep.unlinkat(view, at, name, atFlags.REMOVEDIR, options),
    );
  }

  mkdir(path: string, options: PathOptions & { readonly permissions?: number } = {}): Promise<number> {
    const { permissions = 0o777 } = options;
    return this.#named(`mkdir ${path}`, path, options, (view, at, name) =>
      prep.mkdirat(view, at, name, permissions, options),
    );
  }

  /** `flags`: renameFlags. */
  rename(
    from: string,
    to: string,
    options: PathOptions & { readonly newDirectory?: number; readonly flags?: number } = {},
  ): Promise<number> {
    return this.#twice(`rename ${from}`, from, to, options, (view, at, first, second) =>
      prep.renameat(view, at, first, second, options.flags ?? 0, options),
    );
  }

  /** A second name for a file. */
  link(from: string, to: string, options: PathOptions & { readonly newDirectory?: number } = {}): Promise<number> {
    return this.#twice(`link ${from}`, from, to, options, (view, at, first, second) =>
      prep.linkat(view, at, first, second, 0, options),
    );
  }

  symlink(target: string, path: string, options: PathOptions = {}): Promise<number> {
    return this.#twice(`symlink ${path}`, target, path, options, (view, at, first, second) =>
      prep.symlinkat(view, at, first, second, options),
    );
  }

  #named(
    operation: string,
    path: string,
    options: PathOptions,
    write: (view: DataView, at: number, name: number) => void,
  ): Promise<number> {
    const name = this.memory.text(path);
    return this.using(operation, name, (view, at) => write(view, at, name.address), options);
  }

  #twice(
    operation: string,
    first: string,
    second: string,
    options: PathOptions,
    write: (view: DataView, at: number, first: number, second: number) => void,
  ): Promise<number> {
    const one = this.memory.text(first);
    const two = this.memory.text(second);
    try {
      return this.using(
        operation,
        one,
        (view, at) => write(view, at, one.address, two.address),
        options,
        () => two.free(),
      );
    } catch (error) {
      two.free();
      throw error;
    }
  }
}
