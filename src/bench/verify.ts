/**
 * `bench verify`: our verifier and the kernel's on the same programs. The kernel tells its time in the statistics of its log (level 4), in
 * whole us. Then generated programs of growing size: the slope of time over size, both logarithmic, is 1 where a verifier is linear
 * and 2 where it is quadratic.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { applyCoreRelocations } from '../btf/core.ts';
import { SluiceError } from '../errors.ts';
import { vmlinuxBtf } from '../linux/btf-vmlinux.ts';
import { possibleCpus } from '../linux/cpus.ts';
import { bpfRefusal } from '../linux/features.ts';
import { loadLinux } from '../linux/load.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { type Verdict, verify } from '../verifier/verify.ts';
import { type BenchCase, type BenchResult, benchResult, type GrowthSeries } from './report.ts';
import { wall } from './timing.ts';
import { grownObject, growthShapes } from './verify-programs.ts';

export interface VerifyBenchOptions {
  /** Paths of objects. */
  readonly objects: readonly string[];
  /** Most verifications of a program on each side; the shortest counts. */
  readonly rounds: number;
  /** Programs whose `OBJECT:NAME` contains it. */
  readonly filter?: string;
  /** The built verify-once.js, which measures the first verification of a process; not measured without. */
  readonly script?: string;
  /** Sizes of the generated programs, instructions that are followed; none without. */
  readonly sizes: readonly number[];
  progress(done: number, of: number, name: string): void;
}

/** A side gets no more rounds once it has spent this much on a program, ms. */
const ENOUGH = 2000;

/** V8 compiles what it finds hot in the background: shorter programs need more rounds, ms. */
const WARM = 60;

interface KernelStats {
  readonly ns: number;
  readonly insns: number;
}

export async function benchVerify(options: VerifyBenchOptions): Promise<BenchResult> {
  const refusal = bpfRefusal();
  const cases: BenchCase[] = [];
  let skipped = 0;
  let equal = 0;
  for (const [index, path] of options.objects.entries()) {
    options.progress(index, options.objects.length, basename(path));
    let spec: ObjectSpec;
    try {
      spec = readObject(readFileSync(path), basename(path));
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      skipped++;
      continue;
    }
    for (const program of spec.programs.values()) {
      const name = `${spec.name.replace(/(\.bpf)?\.o$/, '')}:${program.name}`;
      if (options.filter !== undefined && !name.includes(options.filter)) continue;
      const found = compare(spec, program, refusal === undefined, options.rounds);
      if (found === undefined) {
        skipped++;
        continue;
      }
      const { ours, cold, insns, kernel } = found;
      if (kernel?.insns === insns) equal++;
      cases.push({ case: name, ours, cold, insns, peers: kernel === undefined ? {} : { linux: kernel.ns } });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const growth = options.sizes.length === 0 ? [] : grow(options, refusal === undefined);
  return benchResult(
    'verify',
    cases,
    [
      `ns a verification, the shortest of up to ${options.rounds}; cold: the first one of the program, in the order of the table`,
      ...(options.script === undefined ? [] : firstOf(options.objects, options.script)),
      `${skipped} programs are left out, as one side or the other does not accept or read them`,
      ...(refusal === undefined
        ? [`${equal} of ${cases.length} programs take exactly as many instructions as in Linux`]
        : [`linux is absent: ${refusal}`]),
    ],
    growth,
  );
}

interface Comparison {
  readonly ours: number;
  readonly cold: number;
  readonly insns: number;
  readonly kernel: KernelStats | undefined;
}

/** undefined unless both sides accept. */
function compare(spec: ObjectSpec, program: ProgramSpec, withKernel: boolean, rounds: number): Comparison | undefined {
  let kernel: KernelStats | undefined;
  if (withKernel) {
    kernel = kernelTime(spec, program, rounds);
    if (kernel === undefined) return undefined;
  }
  const relocated = relocate(spec, program);
  if (relocated === undefined) return undefined;
  const input = { program: relocated, maps: spec.maps, license: spec.license, btf: spec.btf };
  const run = () => verify(input, { cpus: possibleCpus() });
  let verdict: Verdict | undefined;
  const cold = wall(() => {
    verdict = run();
  });
  if (verdict?.verdict !== 'accept') return undefined;
  return { ours: shortest(cold, rounds, () => wall(run), WARM), cold, insns: verdict.stats.insns, kernel };
}

/** @param least goes on beyond the rounds until so much is spent, ms. */
function shortest(first: number, rounds: number, once: () => number, least = 0): number {
  let best = first;
  let spent = first;
  for (let round = 1; (round < rounds && spent < ENOUGH * 1e6) || spent < least * 1e6; round++) {
    const ns = once();
    spent += ns;
    best = Math.min(best, ns);
  }
  return best;
}

/** The statistics at the end of the kernel's log; undefined if it does not take the program. */
function kernelTime(spec: ObjectSpec, program: ProgramSpec, rounds: number): KernelStats | undefined {
  let insns = 0;
  const once = () => {
    const object = loadLinux(spec, { programs: [program.name], logLevel: 4 });
    const { log } = object.programs[program.name]!;
    object.close();
    insns = Number(/processed (\d+) insns/.exec(log)?.[1]);
    return Number(/verification time (\d+) usec/.exec(log)?.[1]) * 1000;
  };
  try {
    return { ns: Math.max(1000, shortest(once(), rounds, once)), insns };
  } catch (error) {
    if (error instanceof SluiceError) return undefined;
    throw error;
  }
}

function relocate(spec: ObjectSpec, program: ProgramSpec): ProgramSpec | undefined {
  if (program.coreRelocations.length === 0 || spec.btf === undefined) return program;
  try {
    return { ...program, insns: applyCoreRelocations(program, spec.btf, vmlinuxBtf()).insns };
  } catch (error) {
    if (error instanceof SluiceError) return undefined;
    throw error;
  }
}

function grow(options: VerifyBenchOptions, withKernel: boolean): GrowthSeries[] {
  return growthShapes.map((shape) => {
    const points = options.sizes.flatMap((size) => {
      options.progress(options.objects.length, options.objects.length, `${shape}, ${size} instructions`);
      const spec = grownObject(shape, size);
      const found = compare(spec, spec.programs.get('grown')!, withKernel, Math.min(options.rounds, 5));
      if (found === undefined) return [];
      const { ours, insns, kernel } = found;
      return [{ size: insns, ours, peers: kernel === undefined ? {} : { linux: kernel.ns } }];
    });
    const kernel = points.flatMap(({ size, peers }) => (peers.linux === undefined ? [] : [{ size, ns: peers.linux }]));
    return {
      series: shape,
      points,
      slope: slopeOf(points.map(({ size, ours }) => ({ size, ns: ours }))),
      peers: kernel.length < 2 ? {} : { linux: slopeOf(kernel) },
    };
  });
}

/** Least squares over logarithms. */
export function slopeOf(points: readonly { readonly size: number; readonly ns: number }[]): number {
  const xs = points.map(({ size }) => Math.log(size));
  const ys = points.map(({ ns }) => Math.log(ns));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(xs);
  const y = mean(ys);
  let above = 0;
  let below = 0;
  for (let i = 0; i < xs.length; i++) {
    above += (xs[i]! - x) * (ys[i]! - y);
    below += (xs[i]! - x) ** 2;
  }
  return above / below;
}

/** What one verification takes in a process of its own: time with all that is loaded and compiled for it, and memory. */
export interface FirstVerification {
  readonly ms: number;
  readonly insns: number;
  /** Most memory that the process ever had, MB. */
  readonly peakMb: number;
}

/**
 * @param subject path of an object, or `SHAPE:SIZE` of a generated program.
 * @param script the built verify-once.js.
 */
export function verifyInProcess(subject: string, script: string): FirstVerification {
  const { stdout, stderr } = spawnSync(process.execPath, [script, subject], { encoding: 'utf8' });
  if (stdout === '') throw new Error(`${script}: ${stderr}`);
  return JSON.parse(stdout) as FirstVerification; // printed by our own script
}

function firstOf(objects: readonly string[], script: string): string[] {
  const large = verifyInProcess('joined branches:60000', script);
  const lines = [
    `${large.insns} instructions of a generated program in a new process: ${large.ms.toFixed(0)} ms, at most ${large.peakMb.toFixed(0)} MB of memory`,
  ];
  const firewall = objects.find((path) => path.endsWith('xdp_firewall.bpf.o'));
  if (firewall !== undefined)
    lines.push(
      `xdp_firewall, the first verification of a process: ${verifyInProcess(firewall, script).ms.toFixed(0)} ms, all that is loaded and compiled for it included`,
    );
  return lines;
}
