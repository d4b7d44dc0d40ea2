/** Lanes of a path: what cpumaps send to CPUs that threads run goes on there (plane/assembly/path/lanes.ts). This thread hands packets from lane to lane, and waits for CPUs. */
import { STOPPED_BUDGET, STOPPED_MEMORY } from '../../plane/layout/cpu.ts';
import { MAX_CPUS } from '../../plane/layout/memory.ts';
import * as layout from '../../plane/layout/path.ts';
import { WORKER_INBOX } from '../../plane/layout/worker.ts';
import { ProgramFault } from '../../runtime/fault.ts';
import { workerAddress } from '../../runtime/memory.ts';
import type { Runtime } from '../../runtime/runtime.ts';

interface LanesPlane {
  path_share(path: number): number;
  path_send(path: number): number;
  path_abandon(path: number, cpu: number, inbox: number): void;
}

/** How long one wait for a CPU lasts before it is looked whether its thread lives. */
const LOOK_MS = 5;

export class PathLanes {
  readonly #runtime: Runtime;
  readonly #plane: LanesPlane;
  readonly #path: number;
  readonly #size: number;
  /** Table of lanes by CPU, then the lanes. */
  readonly #table: number;
  readonly #bytes: number;
  readonly #words: Int32Array;

  /** `size`: bytes of the path's block with the records of its interfaces, which lanes have a copy of. */
  constructor(runtime: Runtime, path: number, size: number) {
    this.#runtime = runtime;
    this.#plane = runtime.plane.exports as unknown as LanesPlane; // fixed by the plane's sources
    this.#path = path;
    this.#size = Math.ceil(size / 64) * 64;
    this.#bytes = MAX_CPUS * 4 + runtime.cpus * this.#size;
    this.#table = runtime.allocatePages(this.#bytes);
    this.#words = new Int32Array(runtime.plane.memory.buffer);
  }

  #lane(cpu: number): number {
    return this.#table + MAX_CPUS * 4 + cpu * this.#size;
  }

  #word(address: number): number {
    return Atomics.load(this.#words, address / 4);
  }

  #hasThread(cpu: number): boolean {
    return this.#word(workerAddress(cpu) + WORKER_INBOX) !== 0;
  }

  /** Before a batch: lanes for the threads that there are, `fuel` is what programs have in a turn of one. */
  begin(fuel: number): void {
    const bytes = this.#runtime.bytes();
    const view = this.#runtime.view();
    view.setUint32(this.#path + layout.PATH_LANES, 0, true);
    let threads = 0;
    for (let cpu = 0; cpu < this.#runtime.cpus; cpu++) {
      const lane = this.#lane(cpu);
      const has = cpu !== this.#runtime.plane.cpu && this.#hasThread(cpu);
      view.setUint32(this.#table + cpu * 4, has ? lane : 0, true);
      if (!has) continue;
      threads++;
      bytes.copyWithin(lane, this.#path, this.#path + this.#size);
      for (const field of [layout.PATH_NEXT, layout.PATH_RUNNING, layout.PATH_HELD_COUNT])
        view.setUint32(lane + field, 0, true);
      for (const field of [layout.PATH_READY_FIRST, layout.PATH_READY_LAST, layout.PATH_UNDER_WAY])
        view.setUint32(lane + field, 0, true);
      for (const field of [layout.PATH_AWAY_FIRST, layout.PATH_AWAY_LAST]) view.setUint32(lane + field, 0, true);
      view.setUint32(lane + layout.PATH_LANES, this.#table, true);
      view.setUint32(lane + layout.PATH_FUEL, fuel, true);
    }
    if (threads > 0) view.setUint32(this.#path + layout.PATH_LANES, this.#table, true);
  }

  /** After a turn of the path's own: has CPUs do what was sent to them, and takes it back. False: nothing was. */
  turn(): boolean {
    if (this.#word(this.#path + layout.PATH_LANES) === 0 || this.#plane.path_share(this.#path) === 0) return false;
    for (;;) {
      const left = this.#plane.path_send(this.#path);
      for (let cpu = 0; cpu < this.#runtime.cpus; cpu++) if (this.#word(this.#table + cpu * 4) !== 0) this.#await(cpu);
      if (left === 0) return true;
      // An inbox is full of other work.
      Atomics.wait(this.#words, this.#path / 4, this.#word(this.#path), 1);
    }
  }

  #await(cpu: number): void {
    const underWay = this.#lane(cpu) + layout.PATH_UNDER_WAY;
    const ready = this.#lane(cpu) + layout.PATH_READY_FIRST;
    while (this.#word(underWay) !== 0 || (this.#word(ready) !== 0 && !this.#hasThread(cpu))) {
      if (Atomics.wait(this.#words, underWay / 4, 1, LOOK_MS) === 'ok') continue;
      // This thread hears of no event meanwhile.
      this.#runtime.plane.watches.get(cpu)?.hasEnded();
      if (!this.#hasThread(cpu)) this.#plane.path_abandon(this.#path, cpu, this.#runtime.inboxOf(cpu));
    }
  }

  /** What stopped a program on a CPU's thread, by the reason in its item; undefined: none was. */
  fault(cpu: number, reason: number, fuel: number): ProgramFault | undefined {
    if (reason === 0) return undefined;
    return reason === STOPPED_BUDGET
      ? new ProgramFault('SLUICE_FAULT_BUDGET', '', `did not end within ${fuel} loop rounds and calls`)
      : new ProgramFault(
          'SLUICE_FAULT_TRAP',
          '',
          `stopped on the thread of CPU ${cpu} (${reason === STOPPED_MEMORY ? 'memory' : 'sandbox'}); run it in the interpreter to see the instruction and the address`,
        );
  }

  free(): void {
    this.#runtime.freePages(this.#table, this.#bytes);
  }
}
