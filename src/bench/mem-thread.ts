/** Threads of `bench mem` that stay on CPUs: ours gives back what the first CPU has made, turn by turn; the kernel's does both, on one CPU after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { testRun } from '../linux/bpf.ts';
import { pinToCpu } from '../linux/cpus.ts';
import { WORKER_FUEL } from '../plane/layout/worker.ts';
import { instantiatePrograms } from '../runtime/jit-engine.ts';
import { createPlane } from '../runtime/plane.ts';
import { CROSS, memPacket, ROUNDS } from './mem-cases.ts';
import { CROSS_STOP, type CrossData, type KernelCrossData } from './mem-turns.ts';

/** Rounds of loops that a run may take: more than it has. */
const FUEL = 0xffff_ffff;
/** Where the packet lies behind the context (struct xdp_md). */
const PACKET = 64;

function serve({ memory, plane: module, programs, base, size, scratch, turns, runs }: CrossData): void {
  pinToCpu(1);
  const plane = createPlane(memory, { cpu: 1, module });
  const { cross_free: free } = instantiatePrograms(plane, { module: programs, base, size }).exports as unknown as {
    cross_free(context: bigint): bigint;
  }; // what the module exports is fixed by the object
  const packet = memPacket(ROUNDS, 0);
  const bytes = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  view.setUint32(scratch, scratch + PACKET, true);
  view.setUint32(scratch + 4, scratch + PACKET + packet.length, true);
  const turn = new Int32Array(turns, 0, 1);
  const took = new Float64Array(turns, 8, 2);
  for (;;) {
    const now = Atomics.load(turn, 0);
    if (now === CROSS_STOP) return;
    if ((now & 1) === 0) {
      Atomics.wait(turn, 0, now);
      continue;
    }
    bytes.set(packet, scratch + PACKET);
    const start = process.hrtime.bigint();
    plane.exports.epoch_enter();
    for (let i = 0; i < runs; i++) {
      view.setUint32(plane.worker + WORKER_FUEL, FUEL, true);
      free(BigInt(scratch));
    }
    plane.exports.epoch_exit();
    took[0] = Number(process.hrtime.bigint() - start);
    took[1] = Number(view.getBigUint64(scratch + PACKET, true));
    Atomics.store(turn, 0, now + 1);
    Atomics.notify(turn, 0);
  }
}

/** Posts the ns of the shortest round. */
function measureKernel({ alloc, free, rounds }: KernelCrossData): void {
  const repeat = CROSS / ROUNDS;
  const data = memPacket(ROUNDS, 0);
  const run = (cpu: number, fd: number, name: string) => {
    pinToCpu(cpu);
    return testRun(fd, { data, repeat, dataOut: new Uint8Array(data.length + 256) }, name).durationNs * repeat;
  };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++)
    best = Math.min(best, run(0, alloc, 'cross_alloc') + run(1, free, 'cross_free'));
  parentPort!.postMessage(best);
}

const given = workerData as CrossData | KernelCrossData; // what mem-cross.ts gives
if (given.kind === 'ours') serve(given);
else measureKernel(given);
