/** The guest's memory, shared by the front end as files, mapped into the linear memory: its device works on it where it is. */
import { InputError } from '../../errors.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { GuestRegion } from '../../runtime/virtio/guest-memory.ts';
import { addressOf, close, PROT_READ, PROT_WRITE, pageSize, syscall } from '../ffi.ts';
import { MappedPages } from '../mapped-pages.ts';
import { SyscallError } from '../syscall-error.ts';
import type { MemoryRegion } from './protocol.ts';

const STAT_SIZE = 256;
const ST_SIZE = 48;

/** What of the 4 GiB of a linear memory guests may take. */
const MOST = 3n << 30n;

export class SharedRegion implements GuestRegion {
  readonly physical: bigint;
  readonly user: bigint;
  readonly size: bigint;
  readonly local: number;
  readonly #pages: MappedPages;

  /**
   * Maps it, and closes the descriptor in any case. Throws InputError `SLUICE_GUEST_MEMORY` for a region that is not in its file (touching what is behind the end of a file
   * ends the process), SyscallError for what cannot be mapped.
   */
  constructor(runtime: Runtime, { physical, user, size, offset }: MemoryRegion, fd: number) {
    this.physical = physical;
    this.user = user;
    this.size = size;
    try {
      const page = BigInt(pageSize());
      if (size === 0n || size > MOST)
        throw new InputError('SLUICE_GUEST_MEMORY', `a memory region of ${size} bytes: there may be ${MOST}`);
      if (offset % page !== 0n || offset + size > fileSize(fd))
        throw new InputError(
          'SLUICE_GUEST_MEMORY',
          `a memory region of ${size} bytes at ${offset} of a file of ${fileSize(fd)}`,
        );
      this.#pages = new MappedPages(runtime, Number(size));
      this.#pages.map(fd, 0, this.#pages.size, Number(offset), PROT_READ | PROT_WRITE);
    } finally {
      close(fd);
    }
    this.local = this.#pages.address;
  }

  /** Puts plain memory in its place. */
  release(): void {
    this.#pages.release();
  }
}

function fileSize(fd: number): bigint {
  const stat = new DataView(new ArrayBuffer(STAT_SIZE));
  const result = syscall('fstat', fd, addressOf(stat));
  if (result < 0) throw new SyscallError('fstat', -result);
  return stat.getBigInt64(ST_SIZE, true);
}
