/** What a ring has registered: direct descriptors, fixed buffers, groups of provided buffers. */
import { CQE_BUFFER_SHIFT, cqeFlags, FILE_INDEX_ALLOC } from '../../../abi/io-uring/request-flags.ts';
import { EBADF, EINVAL, ENFILE, ENXIO } from './errno.ts';
import type { LinearMemory } from './memory.ts';
import type { World } from './world/index.ts';
import type { OpenFile } from './world/open-file.ts';

/** struct io_uring_buf: u64 address, u32 length, u16 number; the ring's tail is the last u16 of the first one. */
const BUFFER_SIZE = 16;
const RING_TAIL = 14;

export interface ProvidedBuffer {
  readonly address: number;
  readonly length: number;
  readonly id: number;
}

/** A ring of buffers in memory (IORING_REGISTER_PBUF_RING). */
export interface BufferRing {
  readonly kind: 'ring';
  readonly address: number;
  readonly mask: number;
  readonly incremental: boolean;
  head: number;
}
/** Buffers provided by requests. */
export interface BufferList {
  readonly kind: 'list';
  readonly buffers: ProvidedBuffer[];
}
export type BufferGroup = BufferRing | BufferList;

/** Buffers taken for one transfer. */
export interface Selection {
  /** Address and length of each. */
  readonly segments: number[];
  readonly id: number;
}

export class Resources {
  files: (OpenFile | undefined)[] | undefined;
  /** Slots that IORING_FILE_INDEX_ALLOC picks from. */
  range = { start: 0, end: 0 };
  /** Address and length; [0, 0]: an empty slot. */
  buffers: (readonly [number, number])[] | undefined;
  readonly groups = new Map<number, BufferGroup>();
  readonly #world: World;
  readonly #memory: LinearMemory;

  constructor(world: World, memory: LinearMemory) {
    this.#world = world;
    this.#memory = memory;
  }

  file(slot: number): OpenFile | undefined {
    return this.files?.[slot];
  }

  /** Puts a file into a slot, `index` as SQEs have it: counted from 1, or FILE_INDEX_ALLOC. 0 or the slot that was picked, or a negated errno. */
  installDirect(file: OpenFile, index: number): number {
    const { files } = this;
    if (files === undefined) return index === FILE_INDEX_ALLOC ? -ENFILE : -ENXIO;
    if (index !== FILE_INDEX_ALLOC) {
      if (index > files.length) return -EINVAL;
      this.setFile(index - 1, file);
      return 0;
    }
    for (let slot = this.range.start; slot < this.range.end; slot++) {
      if (files[slot] !== undefined) continue;
      this.setFile(slot, file);
      return slot;
    }
    return -ENFILE;
  }

  /** As a new descriptor (`index` 0) or a direct one. A file that finds no place is closed. */
  install(file: OpenFile, index: number): number {
    const result = index === 0 ? this.#world.install(file) : this.installDirect(file, index);
    if (result < 0 && file.users === 0) {
      file.users = 1;
      this.#world.release(file);
    }
    return result;
  }

  setFile(slot: number, file: OpenFile | undefined): void {
    const files = this.files!;
    const before = files[slot];
    if (file !== undefined) file.users++;
    files[slot] = file;
    if (before !== undefined) this.#world.release(before);
  }

  closeDirect(index: number): number {
    const { files } = this;
    if (files === undefined) return -ENXIO;
    if (index > files.length) return -EINVAL;
    if (files[index - 1] === undefined) return -EBADF;
    this.setFile(index - 1, undefined);
    return 0;
  }

  /** Buffers in a group that can be taken. */
  available(group: number): number {
    const found = this.groups.get(group);
    if (found === undefined) return 0;
    if (found.kind === 'list') return found.buffers.length;
    return (this.#memory.view.getUint16(found.address + RING_TAIL, true) - found.head) & 0xffff;
  }

  /** The first buffers of a group, up to `most` of them for `length` bytes. They stay in the group until they are consumed. */
  select(group: number, length: number, most: number): Selection | undefined {
    const found = this.groups.get(group);
    const count = Math.min(most, this.available(group));
    if (found === undefined || count === 0) return undefined;
    const segments: number[] = [];
    let left = length;
    let id = -1;
    for (let index = 0; index < count && (index === 0 || left > 0); index++) {
      const buffer = found.kind === 'list' ? found.buffers[index]! : this.#entry(found, index);
      if (id < 0) id = buffer.id;
      const part = Math.min(left, buffer.length);
      if (!this.#memory.has(0, buffer.address, part)) return undefined;
      segments.push(buffer.address, part);
      left -= part;
    }
    return { segments, id };
  }

  /** Takes what `length` bytes were put into; the flags of the CQE. */
  consume(group: number, selection: Selection, length: number): number {
    const found = this.groups.get(group)!;
    const flags = cqeFlags.BUFFER | (selection.id << CQE_BUFFER_SHIFT);
    let left = length;
    for (let index = 1; index < selection.segments.length; index += 2) {
      if (index > 1 && left <= 0) break;
      const part = Math.min(left, selection.segments[index]!);
      left -= part;
      if (found.kind === 'list') found.buffers.shift();
      else if (!found.incremental) found.head = (found.head + 1) & 0xffff;
      else if (this.#consumePart(found, part)) return flags | cqeFlags.BUF_MORE;
    }
    return flags;
  }

  /** Takes one buffer of a group by its number, where that is there. */
  takeById(group: number, id: number): ProvidedBuffer | undefined {
    const found = this.groups.get(group);
    if (found === undefined) return undefined;
    if (found.kind === 'list') {
      const at = found.buffers.findIndex((buffer) => buffer.id === id);
      return at < 0 ? undefined : found.buffers.splice(at, 1)[0];
    }
    if (this.available(group) === 0) return undefined;
    const buffer = this.#entry(found, 0);
    if (buffer.id !== id) return undefined;
    found.head = (found.head + 1) & 0xffff;
    return buffer;
  }

  /** Number of the buffer that comes next; -1: there is none. */
  nextId(group: number): number {
    const found = this.groups.get(group);
    if (found === undefined || this.available(group) === 0) return -1;
    return found.kind === 'list' ? found.buffers[0]!.id : this.#entry(found, 0).id;
  }

  clear(): void {
    for (const [slot, file] of (this.files ?? []).entries()) if (file !== undefined) this.setFile(slot, undefined);
    this.files = undefined;
    this.buffers = undefined;
    this.groups.clear();
  }

  #entry(ring: BufferRing, index: number): ProvidedBuffer {
    const { view } = this.#memory;
    const at = ring.address + ((ring.head + index) & ring.mask) * BUFFER_SIZE;
    const high = view.getUint32(at + 4, true);
    return {
      address: high === 0 ? view.getUint32(at, true) : 0,
      length: view.getUint32(at + 8, true),
      id: view.getUint16(at + 12, true),
    };
  }

  /** IOU_PBUF_RING_INC: what is left of the buffer stays in its entry. True: something is. */
  #consumePart(ring: BufferRing, part: number): boolean {
    const { view } = this.#memory;
    const at = ring.address + (ring.head & ring.mask) * BUFFER_SIZE;
    const left = view.getUint32(at + 8, true) - part;
    if (left > 0) {
      view.setUint32(at, view.getUint32(at, true) + part, true);
      view.setUint32(at + 8, left, true);
      return true;
    }
    ring.head = (ring.head + 1) & 0xffff;
    return false;
  }
}
