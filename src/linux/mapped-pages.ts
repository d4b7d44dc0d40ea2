/** Pages of the linear memory with something else mapped over them: memory of the kernel's, or of another process. */
import { WASM_PAGE } from '../plane/layout/memory.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  addressOf,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
  pageSize,
} from './ffi.ts';

export class MappedPages {
  readonly address: number;
  readonly size: number;
  readonly runtime: Runtime;
  readonly #released: () => void;
  #references = 1;

  /** `released` is called when they are plain memory again, or if there are none. */
  constructor(runtime: Runtime, size: number, released: () => void = () => {}) {
    this.#released = released;
    this.size = Math.ceil(size / pageSize()) * pageSize();
    this.runtime = runtime;
    try {
      this.address = runtime.allocatePages(this.size);
    } catch (error) {
      released();
      throw error;
    }
  }

  get machineAddress(): number {
    return addressOf(this.runtime.bytes()) + this.address;
  }

  /** Maps `length` bytes of a descriptor from `offset` on, `at` bytes into the pages. */
  map(fd: number, at: number, length: number, offset: number, protection: number): void {
    try {
      mmap(length, protection, MAP_SHARED | MAP_FIXED, fd, offset, this.machineAddress + at);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  hold(): void {
    this.#references++;
  }

  /** Puts plain memory in their place and gives them back. */
  release(): void {
    if (--this.#references > 0) return;
    const length = Math.ceil(this.size / WASM_PAGE) * WASM_PAGE;
    mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, this.machineAddress);
    this.runtime.freePages(this.address, this.size);
    this.#released();
  }
}
