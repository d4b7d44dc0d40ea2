/** A ring as JavaScript uses it: operations by name (operations/), and programs on their completions. */
import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { joinRings } from './global-programs.ts';
import { WaitRing } from './operations/waits.ts';
import type { RingCoreOptions } from './options.ts';
import { RingPrograms } from './programs.ts';
import { BufferRing, type BufferRingOptions } from './registered/buffer-ring.ts';
import { type BufferRegion, RegisteredBuffers } from './registered/buffers.ts';
import { RegisteredFiles } from './registered/files.ts';

export class RingBase extends WaitRing {
  readonly programs: RingPrograms;

  constructor(runtime: Runtime, backend: RingBackend, options: RingCoreOptions = {}) {
    super(runtime, backend, options);
    this.programs = new RingPrograms(
      runtime,
      this.address,
      options.programs ?? 256,
      options.regions ?? 256,
      backend.thread !== undefined,
    );
    const leave = joinRings(runtime, this.programs);
    this.onClose({
      release: () => {
        leave();
        this.programs.close();
      },
    });
  }

  /** A table of files that requests with `fixedFile` name by slot; a ring has one. Its slots are empty. Throws as RegisteredFiles. */
  registerFiles(slots: number): RegisteredFiles {
    return new RegisteredFiles(this.memory, this.backend, slots);
  }

  /** Pins memory that `readFixed`, `writeFixed` and zero-copy sends name by index: buffers of `allocate`, not to be freed before it is closed. */
  registerBuffers(regions: readonly BufferRegion[]): RegisteredBuffers {
    return new RegisteredBuffers(this.memory, this.backend, regions);
  }

  /** A group of buffers that requests with `bufferSelect` take theirs from. It ends with the ring at the latest. */
  createBufferRing(options: BufferRingOptions): BufferRing {
    const buffers = new BufferRing(this.memory, this.backend, options);
    this.onClose({ release: () => buffers.close() });
    return buffers;
  }
}
