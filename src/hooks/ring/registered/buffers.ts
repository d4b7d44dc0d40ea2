/** Registered buffers: memory that the kernel has pinned once, for readFixed, writeFixed and zero-copy sends. */
import { registerOpcodes, ringLimits } from '../../../abi/io-uring/ring-flags.ts';
import { InputError } from '../../../errors.ts';
import type { RingBackend } from '../backend.ts';
import type { RingMemory } from '../memory.ts';
import type { Address } from '../prep/sqe.ts';
import { IOVEC_SIZE, writeIovec, writeProcessAddress } from '../prep/structures.ts';
import { RequestError } from '../request-error.ts';

/** A RingBuffer is one. */
export interface BufferRegion {
  readonly address: Address;
  readonly length: number;
}

/** struct io_uring_rsrc_update2. */
const UPDATE_SIZE = 32;

export class RegisteredBuffers {
  readonly count: number;
  readonly #memory: RingMemory;
  readonly #backend: RingBackend;
  #open = true;

  /**
   * Requests name them by their index. Their memory may be freed once they are closed and no request with them is under way. Throws InputError
   * `SLUICE_RING_BUFFERS`, RequestError: EBUSY if the ring has some, ENOMEM beyond RLIMIT_MEMLOCK, EFAULT for memory that is not there.
   */
  constructor(memory: RingMemory, backend: RingBackend, regions: readonly BufferRegion[]) {
    if (regions.length < 1 || regions.length > ringLimits.buffers)
      throw new InputError(
        'SLUICE_RING_BUFFERS',
        `registered buffers: 1 to ${ringLimits.buffers}, not ${regions.length}`,
      );
    for (const region of regions) checkRegion(region);
    this.count = regions.length;
    this.#memory = memory;
    this.#backend = backend;
    const argument = memory.allocate(regions.length * IOVEC_SIZE);
    const view = new DataView(argument.bytes.buffer);
    const base = Number(backend.base);
    for (const [i, { address, length }] of regions.entries())
      writeIovec(view, argument.address + i * IOVEC_SIZE, base, address, length);
    const result = backend.register(registerOpcodes.BUFFERS, argument.address, regions.length);
    argument.free();
    if (result < 0) throw new RequestError('register buffers', result);
  }

  /** Puts another one in place of buffer `index`; undefined: none. Requests under way keep the old one. Linux 5.13. */
  set(index: number, region: BufferRegion | undefined): void {
    if (!this.#open) throw new InputError('SLUICE_RING_BUFFERS', 'the registered buffers have been closed');
    if (!Number.isInteger(index) || index < 0 || index >= this.count)
      throw new InputError('SLUICE_RING_BUFFERS', `registered buffer ${index} of ${this.count}`);
    if (region !== undefined) checkRegion(region);
    const argument = this.#memory.allocate(UPDATE_SIZE + IOVEC_SIZE);
    const view = new DataView(argument.bytes.buffer);
    const at = argument.address;
    const base = Number(this.#backend.base);
    view.setUint32(at, index, true);
    writeProcessAddress(view, at + 8, base, at + UPDATE_SIZE);
    view.setUint32(at + 24, 1, true);
    writeIovec(view, at + UPDATE_SIZE, base, region?.address ?? 0, region?.length ?? 0);
    const result = this.#backend.register(registerOpcodes.BUFFERS_UPDATE, at, UPDATE_SIZE);
    argument.free();
    if (result < 1) throw new RequestError('update registered buffers', result);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#backend.register(registerOpcodes.UNBUFFERS, 0, 0);
  }
}

function checkRegion({ length }: BufferRegion): void {
  if (!Number.isInteger(length) || length < 1 || length > ringLimits.bufferBytes)
    throw new InputError(
      'SLUICE_RING_BUFFERS',
      `a registered buffer has 1 to ${ringLimits.bufferBytes} bytes, not ${length}`,
    );
}
