/** Frame records to a TAP, a batch in one call of the kernel: what a virtual machine sends. */
import { STEER_FRAME_SIZE } from '../../plane/layout/steering.ts';
import { TAP_SIZE } from '../../plane/layout/steering-tap.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { LinuxRing } from '../io-uring.ts';
import { SyscallError } from '../syscall-error.ts';
import { type TapPlane, tapPlane } from './plane.ts';
import { writeRingFields } from './ring-fields.ts';

const ENTRIES = 64;
const EINTR = -4;
const EAGAIN = -11;
const EBUSY = -16;

export class FrameWriter {
  readonly #runtime: Runtime;
  readonly #ring: LinuxRing;
  readonly #plane: TapPlane;
  readonly #block: number;
  readonly #fd: number;

  /** `fd`: a TAP's queue, whose header has `headerSize` bytes; the descriptor stays its owner's. Throws as LinuxRing does. */
  constructor(runtime: Runtime, fd: number, headerSize: number) {
    this.#runtime = runtime;
    this.#fd = fd;
    this.#plane = tapPlane(runtime);
    this.#ring = new LinuxRing(runtime, { entries: ENTRIES });
    this.#block = runtime.allocatePages(TAP_SIZE);
    writeRingFields(runtime, this.#block, this.#ring, headerSize);
  }

  /**
   * Writes the frames of `count` records (plane/layout/steering.ts), each with its header in front; returns how many the TAP refused: one that is down takes none (EIO), and a
   * header that is not good is not taken (EINVAL). All are written, or refused, when it returns.
   */
  write(frames: number, count: number): number {
    let refused = 0;
    for (let at = 0; at < count; ) {
      const staged = this.#plane.tap_stage(this.#block, this.#fd, frames + at * STEER_FRAME_SIZE, count - at);
      refused += this.#complete(staged);
      at += staged;
    }
    return refused;
  }

  #complete(staged: number): number {
    let refused = 0;
    let submitted = 0;
    for (let done = 0; done < staged; ) {
      const result = this.#ring.enter(staged - submitted, staged - done);
      if (result >= 0) submitted += result;
      else if (result !== EINTR && result !== EAGAIN && result !== EBUSY)
        throw new SyscallError('io_uring_enter', -result);
      const taken = this.#plane.tap_staged_done(this.#block);
      done += Number(taken & 0xffff_ffffn);
      refused += Number(taken >> 32n);
    }
    return refused;
  }

  async close(): Promise<void> {
    await this.#ring.close();
    this.#runtime.freePages(this.#block, TAP_SIZE);
  }
}
