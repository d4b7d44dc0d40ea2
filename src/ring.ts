/** The ring of this machine: hooks/ring over Linux's io_uring. */

import { InputError, UnsupportedError } from './errors.ts';
import type { RingCoreOptions } from './hooks/ring/options.ts';
import { RingBase } from './hooks/ring/ring.ts';
import type { LinuxRingOptions } from './linux/io-uring.ts';
import type { RingBackend } from './runtime/ring-backend.ts';
import { Runtime } from './runtime/runtime.ts';

/** A request and its link_timeout go to the kernel together. */
const LEAST_ENTRIES = 2;

export interface RingOptions extends RingCoreOptions, LinuxRingOptions {
  /** Memory that the ring lives in, with the programs and maps that work on it (default: one of its own). */
  readonly runtime?: Runtime;
  /**
   * Who turns the ring: 'inline', this thread, between its other work (default); 'worker', a thread of the ring's own: programs run, and completions are
   * taken, while JavaScript is busy. That thread is a CPU of the runtime, and runs compiled programs, not functions of JavaScript.
   */
  readonly driver?: 'inline' | 'worker';
  /** What executes requests (default: this kernel's io_uring). */
  readonly backend?: RingBackend;
}

const optionNames = [
  'runtime',
  'driver',
  'backend',
  'entries',
  'cqEntries',
  'without',
  'plain',
  'requests',
  'staged',
  'programs',
  'groups',
  'regions',
  'openMemory',
  'budget',
] satisfies (keyof RingOptions)[];
const known: ReadonlySet<string> = new Set(optionNames);

/** What io_uring_setup(2) has and this library has not (docs/ring.md). */
const absent: Readonly<Record<string, string>> = {
  sqPoll: 'IORING_SETUP_SQPOLL',
  ioPoll: 'IORING_SETUP_IOPOLL',
  sqe128: 'IORING_SETUP_SQE128',
  cqe32: 'IORING_SETUP_CQE32',
};

function checkOptions(options: object): void {
  for (const name of Object.keys(options)) {
    const feature = absent[name];
    if (feature !== undefined)
      throw new UnsupportedError(feature, `rings have no ${name} (${feature}): docs/ring.md says why`);
    if (!known.has(name))
      throw new InputError('SLUICE_RING_OPTION', `rings have no option ${name}; there are ${[...known].join(', ')}`);
  }
}

export class Ring extends RingBase {
  /**
   * A ring of this kernel, or over another backend. It belongs to this thread.
   *
   * Throws UnsupportedError where io_uring is missing or forbidden, InputError for options that cannot be.
   */
  static async create(options: RingOptions = {}): Promise<Ring> {
    checkOptions(options);
    const { driver = 'inline' } = options;
    if (driver !== 'inline' && driver !== 'worker')
      throw new InputError('SLUICE_RING_DRIVER', `there is no driver ${driver}: 'inline' or 'worker'`);
    if (driver === 'worker' && options.backend !== undefined)
      throw new InputError('SLUICE_RING_DRIVER', "a backend of yours belongs to this thread: use driver 'inline'");
    const runtime = options.runtime ?? new Runtime(driver === 'worker' ? { cpus: 2 } : {});
    if (options.backend !== undefined) return new Ring(runtime, options.backend, options);
    const entries = Math.max(options.entries ?? 256, LEAST_ENTRIES);
    if (driver === 'worker') {
      const { WorkerRing } = await import('./linux/io-uring-worker.ts');
      const backend = await WorkerRing.create(runtime, { ...options, entries });
      try {
        return new Ring(runtime, backend, options);
      } catch (error) {
        await backend.close();
        throw error;
      }
    }
    const { LinuxRing } = await import('./linux/io-uring.ts');
    const backend = new LinuxRing(runtime, { ...options, entries });
    try {
      return new Ring(runtime, backend, options);
    } catch (error) {
      await backend.close();
      throw error;
    }
  }
}
