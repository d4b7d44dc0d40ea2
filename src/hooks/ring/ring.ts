/** A ring as JavaScript uses it: operations by name. Each takes descriptors and memory of the ring, and returns the result as a promise. */

import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { RingCore, type RingCoreOptions } from './core.ts';
import type { RingBuffer } from './memory.ts';
import { RingPrograms } from './programs.ts';

export class RingBase extends RingCore {
  readonly programs: RingPrograms;

  constructor(runtime: Runtime, backend: RingBackend, options: RingCoreOptions = {}) {
    super(runtime, backend, options);
    this.programs = new RingPrograms(runtime, this.address, options.programs ?? 256, options.regions ?? 256);
  }

  /** Zeroed memory for requests; `free` it when those that name it have ended. */
  allocate(length: number): RingBuffer {
    return this.memory.allocate(length);
  }
}
