/** Memory that programs of a ring reach: pieces of a few shared regions, so that programs find what they name in the first ones; large ones are regions of their own. */
import type { Runtime } from '../../../runtime/runtime.ts';
import type { RingPrograms } from '../programs.ts';

const SMALLEST = 64;
const CHUNK = 1 << 20;
const LARGE = CHUNK / 4;

export class SharedMemory {
  readonly #runtime: Runtime;
  readonly #programs: RingPrograms;
  /** Free pieces by the logarithm of their size. */
  readonly #free: number[][] = [];
  readonly #chunks: number[] = [];
  readonly #large = new Map<number, { readonly length: number; readonly region: number }>();
  #top = 0;
  #end = 0;

  constructor(runtime: Runtime, programs: RingPrograms) {
    this.#runtime = runtime;
    this.#programs = programs;
  }

  take(length: number, zeroed = true): number {
    if (length > LARGE) {
      const address = this.#runtime.allocatePages(length);
      this.#large.set(address, { length, region: this.#programs.share(address, length) });
      if (zeroed) this.#runtime.bytes().fill(0, address, address + length);
      return address;
    }
    const kind = kindOf(length);
    const size = 2 ** kind;
    const address = this.#free[kind]?.pop() ?? this.#cut(size);
    if (zeroed) this.#runtime.bytes().fill(0, address, address + size);
    return address;
  }

  give(address: number, length: number): void {
    const large = this.#large.get(address);
    if (large === undefined) {
      const kind = kindOf(length);
      this.#free[kind] ??= [];
      this.#free[kind].push(address);
      return;
    }
    this.#large.delete(address);
    this.#programs.unshare(large.region);
    this.#runtime.freePages(address, large.length);
  }

  close(): void {
    for (const chunk of this.#chunks.splice(0)) this.#runtime.freePages(chunk, CHUNK);
    for (const [address, { length }] of this.#large) this.#runtime.freePages(address, length);
    this.#large.clear();
    this.#free.length = 0;
  }

  #cut(size: number): number {
    // Pieces lie at multiples of their size.
    let at = Math.ceil(this.#top / size) * size;
    if (at + size > this.#end) {
      const chunk = this.#runtime.allocatePages(CHUNK);
      this.#programs.share(chunk, CHUNK);
      this.#chunks.push(chunk);
      this.#end = chunk + CHUNK;
      at = chunk;
    }
    this.#top = at + size;
    return at;
  }
}

function kindOf(length: number): number {
  return 32 - Math.clz32(Math.max(SMALLEST, length) - 1);
}
