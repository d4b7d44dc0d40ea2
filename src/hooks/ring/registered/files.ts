/**
 * registered/: what a ring keeps for its requests, so that they need not be looked up or pinned each time: files, buffers, rings of buffers.
 *
 * This file: the table of registered files. Its slots are what `fixedFile` requests name, and where direct descriptors go.
 */
import { RSRC_REGISTER_SPARSE, registerOpcodes, ringLimits } from '../../../abi/io-uring/ring-flags.ts';
import { InputError } from '../../../errors.ts';
import type { RingBackend } from '../backend.ts';
import type { RingMemory } from '../memory.ts';
import { writeProcessAddress } from '../prep/structures.ts';
import { RequestError } from '../request-error.ts';

const EINVAL = -22;
/** struct io_uring_rsrc_register; struct io_uring_files_update; struct io_uring_file_index_range. */
const REGISTER_SIZE = 32;
const UPDATE_SIZE = 16;
const RANGE_SIZE = 16;

export class RegisteredFiles {
  readonly slots: number;
  readonly #memory: RingMemory;
  readonly #backend: RingBackend;
  #open = true;

  /** A table of empty slots; a ring has one. Throws InputError `SLUICE_RING_SLOTS`, RequestError: EBUSY if there is a table, EMFILE beyond RLIMIT_NOFILE. */
  constructor(memory: RingMemory, backend: RingBackend, slots: number) {
    if (!Number.isInteger(slots) || slots < 1 || slots > ringLimits.files)
      throw new InputError('SLUICE_RING_SLOTS', `registered files: 1 to ${ringLimits.files} slots, not ${slots}`);
    this.slots = slots;
    this.#memory = memory;
    this.#backend = backend;
    let result = this.#call(REGISTER_SIZE, registerOpcodes.FILES2, REGISTER_SIZE, (view, at) => {
      view.setUint32(at, slots, true);
      view.setUint32(at + 4, RSRC_REGISTER_SPARSE, true);
    });
    // Before Linux 5.19 a table of no files is one of -1.
    if (result === EINVAL)
      result = this.#call(slots * 4, registerOpcodes.FILES, slots, (view, at) => {
        for (let i = 0; i < slots; i++) view.setInt32(at + i * 4, -1, true);
      });
    if (result < 0) throw new RequestError('register files', result);
  }

  /** Puts files into the slots from `first` on, in place of what was there; -1 empties one. The descriptors stay the caller's and may be closed. */
  set(first: number, ...descriptors: readonly number[]): void {
    this.#check(first, descriptors.length);
    const files = UPDATE_SIZE;
    const result = this.#call(
      files + descriptors.length * 4,
      registerOpcodes.FILES_UPDATE,
      descriptors.length,
      (view, at, base) => {
        view.setUint32(at, first, true);
        writeProcessAddress(view, at + 8, base, at + files);
        for (const [i, fd] of descriptors.entries()) view.setInt32(at + files + i * 4, fd, true);
      },
    );
    // Fewer were put in: the next one is no descriptor.
    if (result < descriptors.length) throw new RequestError('update registered files', result < 0 ? result : EBADF);
  }

  /** Slots that the kernel picks from for direct descriptors with slot 'alloc' (by default all). Linux 6.0. */
  allocateFrom(first: number, count: number): void {
    this.#check(first, count);
    const result = this.#call(RANGE_SIZE, registerOpcodes.FILE_ALLOC_RANGE, 0, (view, at) => {
      view.setUint32(at, first, true);
      view.setUint32(at + 4, count, true);
    });
    if (result < 0) throw new RequestError('range of registered files', result);
  }

  /** Empties all slots and gives the table up. Requests under way keep their files. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#backend.register(registerOpcodes.UNFILES, 0, 0);
  }

  #check(first: number, count: number): void {
    if (!this.#open) throw new InputError('SLUICE_RING_SLOTS', 'the table of registered files has been closed');
    if (!Number.isInteger(first) || !Number.isInteger(count) || first < 0 || count < 1 || first + count > this.slots)
      throw new InputError(
        'SLUICE_RING_SLOTS',
        `slots ${first} to ${first + count - 1} of ${this.slots} registered files`,
      );
  }

  #call(
    size: number,
    opcode: number,
    count: number,
    write: (view: DataView, at: number, base: number) => void,
  ): number {
    const argument = this.#memory.allocate(size);
    try {
      write(new DataView(argument.bytes.buffer), argument.address, Number(this.#backend.base));
      return this.#backend.register(opcode, argument.address, count);
    } finally {
      argument.free();
    }
  }
}

const EBADF = -9;
