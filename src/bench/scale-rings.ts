/** Our side of the rings of `bench scale`: each a CPU of one runtime, whose program issues the next nop on the completion of the one before (bpf/ring/nops.bpf.c). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InternalError } from '../errors.ts';
import { load } from '../index.ts';
import { SQE_CALLBACK } from '../plane/layout/sqe.ts';
import { Ring } from '../ring.ts';
import { isArray, type LoadedObject } from '../runtime/handles.ts';
import { Runtime } from '../runtime/runtime.ts';
import type { ScaleSide, ScaleWindow } from './scale-cpus.ts';

/** Nops that are to come, on this scale always enough. */
const MANY = 1n << 60n;
/** How long a ring may take to end its last nops. */
const END_MS = 10_000;
const LOOK_NS = 20e6;

interface Turning {
  readonly ring: Ring;
  readonly object: LoadedObject;
  readonly callback: number;
  /** `left` of the program, and `running` as an index behind it. */
  readonly left: BigUint64Array;
  readonly running: Uint32Array;
}

export class ScaleRings implements ScaleSide {
  readonly #rings: readonly Turning[];
  readonly #depth: number;

  /** Throws UnsupportedError where there is no io_uring. `bpf`: folder of that name. */
  static async start(bpf: string, rings: number, depth: number): Promise<ScaleRings> {
    const runtime = new Runtime({ cpus: rings + 1, seed: 1n });
    const all: Turning[] = [];
    for (let i = 0; i < rings; i++) all.push(await turning(runtime, bpf));
    return new ScaleRings(all, depth);
  }

  private constructor(rings: readonly Turning[], depth: number) {
    this.#rings = rings;
    this.#depth = depth;
  }

  async window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow> {
    const working = this.#rings.slice(0, threads);
    for (const { ring, callback, left, running } of working) {
      left[0] = MANY;
      running[0] = this.#depth;
      for (let i = 0; i < this.#depth; i++) ring.stage((view, at) => view.setUint16(at + SQE_CALLBACK, callback, true));
      ring.submit();
    }
    await sleep(settleMs);
    const from = read(working);
    await sleep(windowMs);
    const to = read(working);
    // The program counts down by itself: a stop that falls between its load and its store is lost, and said again.
    const end = performance.now() + END_MS;
    for (const { left } of working) Atomics.store(left, 0, 0n);
    for (const { ring, left } of working) {
      while (ring.submitAndWait(1, LOOK_NS) === 0) {
        if (performance.now() > end) throw new InternalError('a ring does not end its nops');
        Atomics.store(left, 0, 0n);
      }
      ring.completions.shift();
    }
    return { done: to.done - from.done, ns: to.ns - from.ns, cpuNs: to.cpuNs - from.cpuNs };
  }

  async close(): Promise<void> {
    for (const { ring, object } of this.#rings) {
      await ring.close();
      object.close();
    }
  }
}

async function turning(runtime: Runtime, bpf: string): Promise<Turning> {
  const ring = await Ring.create({ runtime, driver: 'worker', entries: 256 });
  const object = await load(readFileSync(join(bpf, 'objects/ring/nops.bpf.o')), { runtime });
  const callback = ring.programs.attach(object).get('nops')!; // the object's only program
  const { '.bss': bss, '.rodata': rodata } = object.maps;
  if (bss === undefined || !isArray(bss) || rodata === undefined || !isArray(rodata))
    throw new InternalError('nops.bpf.o has no variables');
  const constants = rodata.bytes();
  new DataView(constants.buffer, constants.byteOffset).setUint32(0, callback, true);
  const { buffer, byteOffset } = bss.bytes();
  return {
    ring,
    object,
    callback,
    left: new BigUint64Array(buffer, byteOffset, 1),
    running: new Uint32Array(buffer, byteOffset + 8, 1),
  };
}

function read(rings: readonly Turning[]): ScaleWindow {
  const { user, system } = process.cpuUsage();
  const done = rings.reduce((sum, { left }) => sum + (MANY - Atomics.load(left, 0)), 0n);
  return { ns: Number(process.hrtime.bigint()), done: Number(done), cpuNs: (user + system) * 1000 };
}
