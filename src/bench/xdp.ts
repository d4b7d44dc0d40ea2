/**
 * `bench xdp`: packets through XDP programs, in ns a packet. A capture in memory by the plane's loop, against the kernel's test run of the
 * same packets; real packets over veth through AF_XDP, against a plain receiver in C.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { xdpAction } from '../abi/programs/xdp.ts';
import { UnsupportedError } from '../errors.ts';
import { FramePool, refusal } from '../hooks/xdp/frames.ts';
import { xdpPlane } from '../hooks/xdp/plane.ts';
import { load } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { generateCapture } from '../net/generator.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { FRAME_DESCRIPTOR_SIZE, XDP_FRAME_SIZE } from '../plane/layout/frame.ts';
import { WASM_PAGE } from '../plane/layout/memory.ts';
import type { ProgramHandle } from '../runtime/handles.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { median, medians, type Timed } from './timing.ts';
import { assembled } from './xdp-programs.ts';
import { benchVeth } from './xdp-veth.ts';

export interface XdpBenchOptions {
  /** Folders bpf/ and bench/ of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  readonly rounds: number;
  readonly targetMs: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

/** Frames that are filled once: 4 MiB, more than a core's own caches hold. */
const FRAMES = 1024;
/** Packets that the kernel runs one after another, each many times. */
const SAMPLE = 32;
const KERNEL_REPEAT = 1000;
/** Few: each run waits for RCU, which is not in the time that the kernel tells. */
const KERNEL_PASSES = 3;

export async function benchXdp(options: XdpBenchOptions): Promise<BenchResult> {
  const object = (name: string) => readObject(readFileSync(join(options.bpf, 'objects', name)), basename(name));
  const inMemory: readonly (readonly [string, ObjectSpec, string])[] = [
    ['capture: drop all', assembled('drop', `r0 = ${xdpAction.drop}\nexit`), 'drop'],
    ['capture: firewall', object('xdp_firewall.bpf.o'), 'xdp_firewall'],
    ['capture: parser (tail calls)', object('xdp_parser.bpf.o'), 'xdp_parser'],
  ];
  const wanted = ([name]: readonly [string, ...unknown[]]) =>
    options.filter === undefined || name.includes(options.filter);
  const chosen = inMemory.filter(wanted);
  const kernelRefusal = bpfRefusal();
  const cases: BenchCase[] = [];
  for (const [name, spec, program] of chosen) {
    options.progress(cases.length, chosen.length, name);
    cases.push(await captureCase(name, spec, program, kernelRefusal === undefined, options));
  }
  const notes = [
    `capture: ${FRAMES} generated packets, each run once by the plane's loop; linux-jit: the same programs by BPF_PROG_TEST_RUN, ${SAMPLE} of the packets ${KERNEL_REPEAT} times each, so its packets are in the cache`,
    ...(kernelRefusal === undefined ? [] : [`linux-jit is absent: ${kernelRefusal}`]),
  ];
  if (options.filter === undefined || 'veth'.includes(options.filter) || options.filter.startsWith('veth')) {
    try {
      const veth = await benchVeth(options.peers, options.progress);
      cases.push(...veth.cases);
      notes.push(...veth.notes);
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      notes.push(`veth cases are absent: ${error.message}`);
    }
  }
  return benchResult('xdp', cases, notes);
}

async function captureCase(
  name: string,
  spec: ObjectSpec,
  program: string,
  kernel: boolean,
  options: XdpBenchOptions,
): Promise<BenchCase> {
  const packets = generateCapture({ seed: 1, count: FRAMES * 2 })
    .map(({ data }) => data)
    .filter((data) => refusal(data.length) === undefined)
    .slice(0, FRAMES);
  const ours = await load(spec, { cpus: 1, seed: 1n });
  const linux = kernel ? await load(spec, { target: 'linux' }) : undefined;
  try {
    const { runtime } = ours;
    const { executable } = ours.programs[program]!;
    const pool = new FramePool(runtime, packets.length);
    for (const [i, data] of packets.entries()) pool.fill(i, data);
    // Programs change packets and move their edges; every round begins with the same.
    const descriptors = Math.ceil((packets.length * FRAME_DESCRIPTOR_SIZE) / WASM_PAGE) * WASM_PAGE;
    const size = descriptors + packets.length * XDP_FRAME_SIZE;
    const pristine = runtime.bytes().slice(pool.address, pool.address + size);
    const timed: Timed = {
      limit: packets.length,
      run(count) {
        executable.enter(() => xdpPlane(runtime).xdp_run_batch(executable.entry, pool.address, count));
        return undefined;
      },
      after() {
        runtime.bytes().set(pristine, pool.address);
      },
    };
    const [mine] = await medians([timed], options.rounds, options.targetMs);
    const handle = linux?.programs[program];
    const sample = packets.slice(0, SAMPLE);
    const passes = handle === undefined ? [] : Array.from({ length: KERNEL_PASSES }, () => kernelPass(handle, sample));
    pool.free();
    return { case: name, ours: mine!, peers: passes.length === 0 ? {} : { 'linux-jit': median(passes) } };
  } finally {
    ours.close();
    linux?.close();
  }
}

/** Mean of a packet, ns. */
function kernelPass(program: ProgramHandle, packets: readonly Uint8Array[]): number {
  const times = packets.map((data) => program.run({ data, repeat: KERNEL_REPEAT }).durationNs);
  return times.reduce((sum, ns) => sum + ns, 0) / times.length;
}
