/** The ring of this machine: hooks/ring over Linux's io_uring. */

import type { RingCoreOptions } from './hooks/ring/core.ts';
import { RingBase } from './hooks/ring/ring.ts';
import type { LinuxRingOptions } from './linux/io-uring.ts';
import type { RingBackend } from './runtime/ring-backend.ts';
import { Runtime } from './runtime/runtime.ts';

/** A request and its link_timeout go to the kernel together. */
const LEAST_ENTRIES = 2;

export interface RingOptions extends RingCoreOptions, LinuxRingOptions {
  /** Memory that the ring lives in, with the programs and maps that work on it (default: one of its own). */
  readonly runtime?: Runtime;
  /** What executes requests (default: this kernel's io_uring). */
  readonly backend?: RingBackend;
}

export class Ring extends RingBase {
  /**
   * A ring of this kernel, or over another backend. It belongs to this thread.
   *
   * Throws UnsupportedError where io_uring is missing or forbidden, InputError for options that cannot be.
   */
  static async create(options: RingOptions = {}): Promise<Ring> {
    const runtime = options.runtime ?? new Runtime();
    if (options.backend !== undefined) return new Ring(runtime, options.backend, options);
    const { LinuxRing } = await import('./linux/io-uring.ts');
    const entries = Math.max(options.entries ?? 256, LEAST_ENTRIES);
    const backend = new LinuxRing(runtime, { ...options, entries });
    try {
      return new Ring(runtime, backend, options);
    } catch (error) {
      await backend.close();
      throw error;
    }
  }
}
