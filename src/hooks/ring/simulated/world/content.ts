/**
 * The bytes of a file: sparse, perhaps made up by a callback, and kept twice where they have been written and not synced, as a crash may bring
 * either version back.
 */
import type { Random } from '../../../../net/random.ts';

const CHUNK = 4096;
/** What a disk writes at once; a crash may tear a chunk between two of them. */
const SECTOR = 512;

/** Fills `target` with the bytes from `offset` on. Must give the same bytes for the same place each time. */
export type ContentSource = (offset: number, target: Uint8Array) => void;

/** Blocks that a file system has left, counted in chunks. */
export interface Space {
  chunks: number;
}

export class Content {
  size: number;
  /** Written chunks, by number. Where there is none: the source's bytes, or zeros. */
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #space: Space;
  #source: ContentSource | undefined;
  /** Bytes of the source that still count. */
  #sourceSize: number;
  /** What the disk surely has of the chunks that differ from it: undefined: nothing, as it was before. */
  readonly #durable = new Map<number, Uint8Array | undefined>();
  #durableSize: number;
  #durableSourceSize: number;

  constructor(space: Space, bytes?: Uint8Array | { readonly size: number; readonly source: ContentSource }) {
    this.#space = space;
    if (bytes instanceof Uint8Array) {
      const copy = bytes.slice();
      this.size = copy.length;
      this.#source = (offset, target) => target.set(copy.subarray(offset, offset + target.length));
    } else {
      this.size = bytes?.size ?? 0;
      this.#source = bytes?.source;
    }
    this.#sourceSize = this.size;
    this.#durableSize = this.size;
    this.#durableSourceSize = this.size;
  }

  /** 512-byte blocks in use. */
  get blocks(): number {
    return this.#chunks.size * (CHUNK / SECTOR) + Math.ceil(this.#sourceSize / SECTOR);
  }

  get synced(): boolean {
    return this.#durable.size === 0 && this.#durableSize === this.size;
  }

  /** Copies `length` bytes from `offset` to `at` of `target`; both ends lie within the file. */
  read(offset: number, target: Uint8Array, at: number, length: number): void {
    let done = 0;
    while (done < length) {
      const position = offset + done;
      const number = Math.floor(position / CHUNK);
      const start = position - number * CHUNK;
      const part = Math.min(CHUNK - start, length - done);
      const chunk = this.#chunks.get(number);
      if (chunk !== undefined) target.set(chunk.subarray(start, start + part), at + done);
      else this.#readSource(position, target, at + done, part);
      done += part;
    }
  }

  /** Writes, and gives how many bytes there was space for. */
  write(offset: number, source: Uint8Array, from: number, length: number): number {
    let done = 0;
    while (done < length) {
      const position = offset + done;
      const number = Math.floor(position / CHUNK);
      const start = position - number * CHUNK;
      const part = Math.min(CHUNK - start, length - done);
      const chunk = this.#own(number, part === CHUNK);
      if (chunk === undefined) break;
      chunk.set(source.subarray(from + done, from + done + part), start);
      done += part;
    }
    if (done > 0 && offset + done > this.size) this.size = offset + done;
    return done;
  }

  truncate(size: number): void {
    if (size < this.size) {
      for (const number of [...this.#chunks.keys()]) if (number * CHUNK >= size) this.#drop(number);
      const start = size % CHUNK;
      if (start !== 0 && this.#chunks.has(Math.floor(size / CHUNK)))
        this.#own(Math.floor(size / CHUNK))?.fill(0, start);
      this.#sourceSize = Math.min(this.#sourceSize, size);
    }
    this.size = size;
  }

  /** Zeros from `offset` on, within the file; false: no space for them. */
  zero(offset: number, length: number): boolean {
    const end = Math.min(offset + length, this.size);
    for (let position = offset; position < end; ) {
      const number = Math.floor(position / CHUNK);
      const next = Math.min((number + 1) * CHUNK, end);
      if (this.#chunks.has(number) || number * CHUNK < this.#sourceSize) {
        const chunk = this.#own(number);
        if (chunk === undefined) return false;
        chunk.fill(0, position - number * CHUNK, next - number * CHUNK);
      }
      position = next;
    }
    return true;
  }

  /** All that is there has reached the disk. */
  sync(): void {
    this.#durable.clear();
    this.#durableSize = this.size;
    this.#durableSourceSize = this.#sourceSize;
  }

  /** The machine stops: each chunk that was not synced is as before, as written, or torn between two sectors; so is the size. */
  crash(random: Random): void {
    if (this.synced) return;
    const oldSize = random.chance(1, 2);
    for (const number of [...this.#durable.keys()].sort((a, b) => a - b)) {
      const before = this.#durable.get(number);
      const after = this.#chunks.get(number);
      const choice = after === undefined ? 0 : random.below(3);
      if (choice === 0 && (oldSize || after !== undefined)) this.#set(number, before);
      if (choice === 2 && after !== undefined) {
        const torn = 1 + random.below(CHUNK / SECTOR - 1);
        const old = before ?? this.#original(number);
        after.set(old.subarray(torn * SECTOR), torn * SECTOR);
      }
    }
    if (oldSize) {
      this.#sourceSize = this.#durableSourceSize;
      const size = this.#durableSize;
      if (size < this.size) this.truncate(size);
      else this.size = size;
    }
    this.sync();
  }

  /** Gives its space back. */
  release(): void {
    this.#space.chunks += this.#chunks.size;
    this.#chunks.clear();
  }

  #readSource(position: number, target: Uint8Array, at: number, length: number): void {
    const known = this.#source === undefined ? 0 : Math.max(0, Math.min(length, this.#sourceSize - position));
    if (known > 0) this.#source!(position, target.subarray(at, at + known));
    if (known < length) target.fill(0, at + known, at + length);
  }

  #original(number: number): Uint8Array {
    const chunk = new Uint8Array(CHUNK);
    this.#readSource(number * CHUNK, chunk, 0, CHUNK);
    return chunk;
  }

  /** The chunk to write to; the version that the disk has is remembered. */
  #own(number: number, whole = false): Uint8Array | undefined {
    let chunk = this.#chunks.get(number);
    if (!this.#durable.has(number)) this.#durable.set(number, chunk?.slice());
    if (chunk === undefined) {
      if (this.#space.chunks <= 0) return undefined;
      this.#space.chunks--;
      chunk = whole ? new Uint8Array(CHUNK) : this.#original(number);
      this.#chunks.set(number, chunk);
    }
    return chunk;
  }

  #drop(number: number): void {
    if (!this.#durable.has(number)) this.#durable.set(number, this.#chunks.get(number)?.slice());
    this.#set(number, undefined);
  }

  #set(number: number, chunk: Uint8Array | undefined): void {
    const had = this.#chunks.has(number);
    if (chunk === undefined) this.#chunks.delete(number);
    else this.#chunks.set(number, chunk.slice());
    this.#space.chunks += Number(had) - Number(chunk !== undefined);
  }
}
