/**
 * A file system in memory: directories, files, symbolic links, and a journal of what happened to names, of which a crash keeps a part. Functions
 * that can fail return a negated errno.
 */
import type { Random } from '../../../../net/random.ts';
import { EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } from '../errno.ts';
import { Content, type Space } from './content.ts';

export interface File {
  readonly type: 'file';
  readonly number: number;
  readonly attributes: Map<string, Uint8Array>;
  links: number;
  mode: number;
  readonly content: Content;
  /** Descriptions that are open: the space is kept while there is one. */
  opens: number;
  changed: number;
}
export interface Directory {
  readonly type: 'directory';
  readonly number: number;
  readonly attributes: Map<string, Uint8Array>;
  links: number;
  mode: number;
  readonly entries: Map<string, Inode>;
  changed: number;
}
export interface SymbolicLink {
  readonly type: 'link';
  readonly number: number;
  readonly attributes: Map<string, Uint8Array>;
  links: number;
  mode: number;
  readonly target: string;
  changed: number;
}
export type Inode = File | Directory | SymbolicLink;

/** Where a path ends: the directory, the name in it, and what is there. */
export interface Place {
  readonly directory: Directory;
  readonly name: string;
  readonly inode: Inode | undefined;
}

/** One change of a name, and how to undo it. Changes of one operation have the same number. */
interface Change {
  readonly operation: number;
  readonly directory: Directory;
  readonly name: string;
  readonly before: Inode | undefined;
}

const MAX_NAME = 255;
const MAX_LINKS = 40;

export class FileSystem {
  readonly root: Directory;
  readonly space: Space = { chunks: Number.POSITIVE_INFINITY };
  readonly #files = new Set<File>();
  /** Without a name: their space is free once nobody has them open and no crash can bring them back. */
  readonly #orphans = new Set<File>();
  #journal: Change[] = [];
  #operations = 0;
  #inodes = 1;

  /** `strict`: only fsync of a directory keeps its names; otherwise any fsync keeps all that happened to names before, as ext4 and xfs do. */
  readonly strict: boolean;

  constructor(strict: boolean) {
    this.strict = strict;
    this.root = this.newDirectory(0o755, 0);
  }

  newDirectory(mode: number, now: number): Directory {
    return {
      type: 'directory',
      number: this.#inodes++,
      attributes: new Map(),
      links: 2,
      mode,
      entries: new Map(),
      changed: now,
    };
  }

  newFile(mode: number, now: number, content = new Content(this.space)): File {
    const file: File = {
      type: 'file',
      number: this.#inodes++,
      attributes: new Map(),
      links: 0,
      mode,
      content,
      opens: 0,
      changed: now,
    };
    this.#files.add(file);
    return file;
  }

  newLink(target: string, now: number): SymbolicLink {
    return { type: 'link', number: this.#inodes++, attributes: new Map(), links: 0, mode: 0o777, target, changed: now };
  }

  /** `follow`: a symbolic link at the end is followed. A path that ends with / must be a directory. */
  lookup(start: Directory, path: string, follow: boolean, depth = 0): Place | number {
    if (path === '') return -ENOENT;
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    const trail: Directory[] = [path.startsWith('/') ? this.root : start];
    if (parts.length === 0) return { directory: trail[0]!, name: '.', inode: trail[0]! };
    for (let index = 0; index < parts.length; index++) {
      const name = parts[index]!;
      const directory = trail.at(-1)!;
      const last = index === parts.length - 1;
      if (name.length > MAX_NAME) return -ENAMETOOLONG;
      if (name === '..') {
        if (trail.length > 1) trail.pop();
        else trail[0] = this.#parent(directory);
        if (last) return { directory: trail.at(-1)!, name: '.', inode: trail.at(-1)! };
        continue;
      }
      const inode = directory.entries.get(name);
      if (inode?.type === 'link' && (!last || follow || path.endsWith('/'))) {
        if (depth >= MAX_LINKS) return -ELOOP;
        const rest = [inode.target, ...parts.slice(index + 1)].join('/');
        return this.lookup(directory, rest, follow, depth + 1);
      }
      if (last) {
        if (inode !== undefined && inode.type !== 'directory' && path.endsWith('/')) return -ENOTDIR;
        return { directory, name, inode };
      }
      if (inode === undefined) return -ENOENT;
      if (inode.type !== 'directory') return -ENOTDIR;
      trail.push(inode);
    }
    return -ENOENT;
  }

  /** Gives a name to `inode`; what had it loses it. */
  link(directory: Directory, name: string, inode: Inode, now: number): void {
    this.#change(directory, name, inode, this.#operations++, now);
  }

  unlink(place: Place, directory: boolean, now: number): number {
    const { inode } = place;
    if (inode === undefined) return -ENOENT;
    if (place.name === '.') return -EINVAL;
    if (directory) {
      if (inode.type !== 'directory') return -ENOTDIR;
      if (inode.entries.size > 0) return -ENOTEMPTY;
    } else if (inode.type === 'directory') return -EISDIR;
    this.#change(place.directory, place.name, undefined, this.#operations++, now);
    return 0;
  }

  hardLink(from: Inode, to: Place, now: number): number {
    if (from.type === 'directory') return -EPERM;
    if (to.inode !== undefined) return -EEXIST;
    this.link(to.directory, to.name, from, now);
    return 0;
  }

  rename(from: Place, to: Place, noReplace: boolean, exchange: boolean, now: number): number {
    if (from.inode === undefined) return -ENOENT;
    if (from.name === '.' || to.name === '.') return -EINVAL;
    if (noReplace && to.inode !== undefined) return -EEXIST;
    if (exchange && to.inode === undefined) return -ENOENT;
    if (from.inode === to.inode) return 0;
    if (from.inode.type === 'directory' && this.#within(from.inode, to.directory)) return -EINVAL;
    if (!exchange && to.inode !== undefined) {
      if (from.inode.type === 'directory' && to.inode.type !== 'directory') return -ENOTDIR;
      if (from.inode.type !== 'directory' && to.inode.type === 'directory') return -EISDIR;
      if (to.inode.type === 'directory' && to.inode.entries.size > 0) return -ENOTEMPTY;
    }
    const operation = this.#operations++;
    this.#change(from.directory, from.name, exchange ? to.inode : undefined, operation, now);
    this.#change(to.directory, to.name, from.inode, operation, now);
    return 0;
  }

  /** What fsync of an inode makes last. */
  sync(inode: Inode): void {
    if (inode.type === 'file') inode.content.sync();
    if (!this.strict) this.#journal = [];
    else if (inode.type === 'directory') this.#journal = this.#journal.filter((change) => change.directory !== inode);
    this.collect();
  }

  /** The machine stops. Of the names' history a part is kept; so is, of each file, what was not synced. */
  crash(random: Random): void {
    const operations = [...new Set(this.#journal.map((change) => change.operation))];
    const kept = random.below(operations.length + 1);
    const lost = kept < operations.length ? operations[kept]! : Number.POSITIVE_INFINITY;
    for (const change of this.#journal.toReversed()) {
      if (change.operation < lost) continue;
      if (change.before === undefined) change.directory.entries.delete(change.name);
      else change.directory.entries.set(change.name, change.before);
    }
    this.#journal = [];
    for (const file of this.#files) {
      file.opens = 0;
      file.content.crash(random);
      file.links = 0;
    }
    this.#count(this.root);
    for (const file of this.#files) if (file.links === 0) this.#orphans.add(file);
    this.collect();
  }

  /** Gives back the space of files that nobody can reach any more. */
  collect(): void {
    for (const file of this.#orphans) {
      if (file.links > 0) this.#orphans.delete(file);
      else if (file.opens === 0 && !this.#journal.some((change) => change.before === file)) {
        file.content.release();
        this.#files.delete(file);
        this.#orphans.delete(file);
      }
    }
  }

  #change(directory: Directory, name: string, inode: Inode | undefined, operation: number, now: number): void {
    const before = directory.entries.get(name);
    this.#journal.push({ operation, directory, name, before });
    if (inode === undefined) directory.entries.delete(name);
    else {
      directory.entries.set(name, inode);
      inode.links++;
    }
    directory.changed = now;
    if (before === undefined) return;
    before.links--;
    if (before.type === 'file' && before.links === 0) this.#orphans.add(before);
  }

  #count(directory: Directory): void {
    for (const inode of directory.entries.values()) {
      if (inode.type === 'directory') this.#count(inode);
      else if (inode.type === 'file') inode.links++;
    }
  }

  #parent(directory: Directory): Directory {
    const search = (within: Directory): Directory | undefined => {
      for (const inode of within.entries.values()) {
        if (inode === directory) return within;
        if (inode.type !== 'directory') continue;
        const found = search(inode);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    return search(this.root) ?? this.root;
  }

  #within(outer: Directory, inner: Directory): boolean {
    for (let each = inner; ; each = this.#parent(each)) {
      if (each === outer) return true;
      if (each === this.root) return false;
    }
  }
}
