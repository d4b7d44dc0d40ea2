/** A ring as JavaScript uses it: operations by name (operations/), and programs on their completions. */
import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RingCoreOptions } from './core.ts';
import { joinRings } from './global-programs.ts';
import { WaitRing } from './operations/waits.ts';
import { RingPrograms } from './programs.ts';

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
    this.onClose({ stop: async () => {}, release: leave });
  }
}
