/** One ring a CPU, on this machine: src/ring.ts times as many as there are CPUs to use. */
import { availableParallelism } from 'node:os';
import { InputError } from './errors.ts';
import { RingSet, type RingSetOptions } from './hooks/ring/ring-set.ts';
import { Ring, type RingOptions } from './ring.ts';
import { Runtime } from './runtime/runtime.ts';

export interface RingsOptions extends Omit<RingOptions, 'backend'>, RingSetOptions {
  /** How many (default: one a CPU of the process, 64 at most). Each has a thread, and a CPU of the runtime, unless the driver is 'inline'. */
  readonly rings?: number;
}

export class Rings extends RingSet<Ring> {
  /** Throws what Ring.create throws, and InputError `SLUICE_RING_SET` for numbers that cannot be. */
  static async create(options: RingsOptions = {}): Promise<Rings> {
    const { rings: count = Math.min(availableParallelism(), MOST), shared, driver = 'worker', ...each } = options;
    if (!(Number.isInteger(count) && count >= 1 && count <= MOST))
      throw new InputError('SLUICE_RING_SET', `${count} rings: 1 to ${MOST}`);
    const runtime = each.runtime ?? new Runtime({ cpus: driver === 'worker' ? count + 1 : 1 });
    const rings: Ring[] = [];
    try {
      // One after the other: the first has number 0 where the runtime had none.
      for (let i = 0; i < count; i++) rings.push(await Ring.create({ ...each, runtime, driver }));
      return new Rings(rings, shared === undefined ? {} : { shared });
    } catch (error) {
      await Promise.allSettled(rings.map((ring) => ring.close()));
      throw error;
    }
  }
}

/** CPU 0 of a runtime is the thread that made it. */
const MOST = 63;
