/** CPUs of a runtime as threads of this process. */
import { hooks } from './hooks/index.ts';
import { CpuSet, type CpusOptions } from './runtime/cpus/cpu-set.ts';
import type { Runtime } from './runtime/runtime.ts';

export class Cpus extends CpuSet {
  /**
   * Starts a thread for each CPU of the runtime that has none, or for those named. Programs that are loaded, and those that will be, run on all of them.
   *
   * Throws InputError `SLUICE_CPU` where a CPU is taken or not there, or where programs can run on this thread alone.
   */
  static async start(runtime: Runtime, options: CpusOptions = {}): Promise<Cpus> {
    const { startCpuWorker } = await import('./linux/cpu-worker.ts');
    const cpus = new Cpus(runtime, startCpuWorker, hooks, options);
    await cpus.startAll();
    return cpus;
  }
}
