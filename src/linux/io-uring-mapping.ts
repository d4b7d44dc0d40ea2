/** A ring's memory where the kernel has allocated it (no IORING_SETUP_NO_MMAP): mapped over given pages, or anywhere. */
import { ringOffsets } from '../abi/io-uring/ring-flags.ts';
import { CQE_SIZE, SQE_SIZE } from '../plane/layout/sqe.ts';
import { MAP_FIXED, MAP_SHARED, type Mapping, memoryAt, mmap, munmap, PROT_READ, PROT_WRITE, pageSize } from './ffi.ts';
import type { RingSetup } from './io-uring-setup.ts';
import { SyscallError } from './syscall-error.ts';

/** Bytes of the rings, CQEs and index array included, and of the SQEs; in whole pages. */
export function ringSizes(setup: RingSetup): { rings: number; sqes: number } {
  const page = pageSize();
  const ends = Math.max(
    setup.cqes + setup.cqEntries * CQE_SIZE,
    setup.sqArray === 0 ? 0 : setup.sqArray + setup.sqEntries * 4,
  );
  return { rings: Math.ceil(ends / page) * page, sqes: Math.ceil((setup.sqEntries * SQE_SIZE) / page) * page };
}

/** Maps the rings over pages of the linear memory (process addresses). false: the kernel does not let them be mapped at a given address. */
export function mapOver(setup: RingSetup, rings: number, sqes: number): boolean {
  const sizes = ringSizes(setup);
  const flags = MAP_SHARED | MAP_FIXED;
  try {
    mmap(sizes.rings, PROT_READ | PROT_WRITE, flags, setup.fd, ringOffsets.SQ_RING, rings);
    mmap(sizes.sqes, PROT_READ | PROT_WRITE, flags, setup.fd, ringOffsets.SQES, sqes);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'EINVAL') return false;
    throw error;
  }
}

/** A ring's memory, wherever the kernel puts it. */
export class KernelRings {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly sqes: Uint8Array;
  readonly #mappings: Mapping[] = [];

  constructor(setup: RingSetup) {
    const sizes = ringSizes(setup);
    try {
      const rings = this.#map(setup.fd, sizes.rings, ringOffsets.SQ_RING);
      this.words = new Int32Array(rings);
      this.bytes = new Uint8Array(rings);
      this.sqes = new Uint8Array(this.#map(setup.fd, sizes.sqes, ringOffsets.SQES));
    } catch (error) {
      this.unmap();
      throw error;
    }
    // Entry n of the array is SQE n, always.
    for (let i = 0; setup.sqArray !== 0 && i < setup.sqEntries; i++) this.words[setup.sqArray / 4 + i] = i;
  }

  #map(fd: number, size: number, offset: number): ArrayBuffer {
    const mapping = mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    this.#mappings.push(mapping);
    return memoryAt(mapping.address, mapping.length);
  }

  /** The views are of no memory after this: nobody may use them. */
  unmap(): void {
    for (const mapping of this.#mappings.splice(0)) munmap(mapping);
  }
}
