/**
 * The soundness of the verifier, tried out: programs that it accepts run in the checked engine over random inputs. They may not fault, and
 * each step must lie inside the state that the verifier had at that instruction (src/verifier/recording/shadow.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, UnsupportedError } from '../src/errors.ts';
import { hooksInForce } from '../src/index.ts';
import { functionsOf } from '../src/isa/functions.ts';
import type { Insn } from '../src/isa/insn.ts';
import { generatePackets } from '../src/net/generator.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec, ProgramSpec } from '../src/object/spec.ts';
import type { RunInput } from '../src/runtime/handles.ts';
import { loadUser, type UserObject } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { valueText } from '../src/verifier/explanation/value-text.ts';
import { RECORD } from '../src/verifier/layout.ts';
import { type Node, Recorder } from '../src/verifier/recording/recorder.ts';
import { Shadow } from '../src/verifier/recording/shadow.ts';
import type { Verification } from '../src/verifier/verification.ts';
import { type Verdict, verify } from '../src/verifier/verify.ts';
import { checkedRun, mapNames } from '../src/witness/checked-run.ts';
import { purposefulProgram } from './soundness-programs.ts';
import { randomMaps, randomNumbers, randomProgram, specOf } from './verifier-programs.ts';

const MAX_NODES = 3_000;

/** Ends the verification of a program that takes too long to be worth it. */
class TooLong extends Error {}

class ShortRecorder extends Recorder {
  override arrive(v: Verification): void {
    super.arrive(v);
    if (this.truncated) throw new TooLong();
  }
}
const MAX_STEPS = 1_500;

export interface Finding {
  /** What makes it again: number of the program, number of the input. */
  readonly program: number;
  readonly run: number;
  readonly what: string;
  /** Name of the object that the program is from, with its maps. */
  readonly object: string;
  readonly insns: readonly Insn[];
}

export interface Tally {
  accepted: number;
  refused: number;
  unsupported: number;
  runs: number;
  steps: number;
  /** Steps that were at a recorded state. */
  inside: number;
}

export const newTally = (): Tally => ({ accepted: 0, refused: 0, unsupported: 0, runs: 0, steps: 0, inside: 0 });

const packets = [...generatePackets({ seed: 7, count: 60 })].map(({ data }) => data);

export type RandomNumbers = (below: number) => number;

function randomInput(random: RandomNumbers, type: string): RunInput {
  if (type === 'syscall') return { context: bytes(random, 256) };
  if (type === 'raw_tracepoint') return { context: bytes(random, 96) };
  let data: Uint8Array;
  if (random(3) === 0) data = bytes(random, [14, 15, 20, 34, 35, 42, 60, 128, 500][random(9)]!);
  else {
    data = packets[random(packets.length)]!.slice();
    if (random(3) === 0) data = data.slice(0, Math.max(14, random(data.length + 1)));
    for (let i = random(4); i > 0; i--) data[random(data.length)] = random(256);
  }
  return { data };
}

function bytes(random: RandomNumbers, length: number): Uint8Array {
  const rough = random(2) === 0;
  return Uint8Array.from({ length }, () => (rough ? random(256) : [0, 0, 1, 2, 5, 255, 0x7f, 0x80][random(8)]!));
}

/** Puts random contents into maps that take them. */
function fillRandomly(loaded: UserObject, random: RandomNumbers): void {
  for (const { raw, spec } of Object.values(loaded.maps)) {
    if (!/^(array|hash|lru_hash|percpu_array|percpu_hash)$/.test(spec.type) || /^\.(rodata|kconfig)/.test(spec.name))
      continue;
    for (let i = random(3); i > 0; i--) {
      const key = new Uint8Array(spec.keySize);
      key[0] = random(Math.min(spec.maxEntries, 4));
      try {
        raw.update(
          key,
          bytes(random, spec.type.startsWith('percpu') ? Math.ceil(spec.valueSize / 8) * 8 : spec.valueSize),
        );
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
      }
    }
  }
}

/** Verifies the program and, if it is accepted, runs it. Returns what is wrong. */
export async function tryProgram(
  runtime: Runtime,
  object: ObjectSpec,
  program: ProgramSpec,
  number: number,
  runs: number,
  tally: Tally,
  trace?: (line: string) => void,
): Promise<Finding | undefined> {
  const recorder = new ShortRecorder(MAX_NODES);
  let verdict: Verdict['verdict'];
  try {
    ({ verdict } = verify(
      { program, maps: object.maps, license: object.license, btf: object.btf },
      { observer: recorder, cpus: 1 },
    ));
  } catch (error) {
    if (!(error instanceof TooLong)) throw error;
    verdict = 'unsupported';
  }
  if (verdict !== 'accept') {
    tally[verdict === 'reject' ? 'refused' : 'unsupported']++;
    return undefined;
  }
  let loaded: UserObject;
  try {
    const spec: ObjectSpec = { ...object, programs: new Map([[program.name, program]]) };
    loaded = await loadUser(runtime, hooksInForce(), spec, {
      engine: 'interpreter',
      programs: [program.name],
      budget: 5_000,
    });
  } catch (error) {
    if (!(error instanceof UnsupportedError || error instanceof InputError)) throw error;
    tally.unsupported++;
    return undefined;
  }
  tally.accepted++;
  const random = randomNumbers(number * 31 + 17);
  try {
    for (let run = 0; run < runs; run++) {
      fillRandomly(loaded, random);
      const shadow = new Shadow(recorder, program, mapNames(program, object.maps));
      let outside: string | undefined;
      let steps = 0;
      const handle = loaded.programs[program.name]!;
      let end: ReturnType<typeof checkedRun>;
      try {
        end = checkedRun(runtime, handle, randomInput(random, handle.type), (state) => {
          if (++steps > MAX_STEPS || outside !== undefined) return;
          const result = shadow.visit(state);
          trace?.(
            `run ${run} insn ${state.slot}: ${result.kind}${result.kind === 'inside' ? describe(result.node) : ''}`,
          );
          if (result.kind === 'inside') tally.inside++;
          if (result.kind === 'outside') outside = `insn ${result.slot}: ${result.problem}`;
        });
      } catch (error) {
        if (error instanceof InputError) continue;
        throw error;
      }
      tally.runs++;
      tally.steps += steps;
      if (outside === undefined && end.kind === 'fault' && !excused(program, end.fault.code))
        outside = `fault: ${end.fault.message}`;
      if (outside !== undefined)
        return { program: number, run, what: outside, object: object.name, insns: program.insns };
    }
  } finally {
    loaded.close();
  }
  return undefined;
}

/** Limits of the engine: steps, and frames that tail calls out of functions leave on its stack, which no verifier counts. */
function excused({ insns }: ProgramSpec, code: string): boolean {
  if (code === 'SLUICE_FAULT_CALL_DEPTH')
    return insns.some(({ opcode, src, imm }) => opcode === 0x85 && src === 0 && imm === 12);
  return code === 'SLUICE_FAULT_BUDGET' || code === 'SLUICE_FAULT_UNSUPPORTED';
}

/** Where a step lies: the node, and its registers. */
function describe(node: Node): string {
  const { data } = node.frames.at(-1) ?? { data: undefined };
  const registers = Array.from({ length: 10 }, (_, i) =>
    data === undefined || data[i * (RECORD / 4)] === 0 ? '' : ` R${i}=${valueText(data, i * (RECORD / 4), [])}`,
  );
  const covered = node.coveredBy === undefined ? '' : ` covered by ${node.coveredBy.node}`;
  return ` ${node.index}${covered}${registers.join('')}`;
}

/** Time for making a finding smaller, ms. */
const SHRINKING = 20_000;

/** The program with what does not matter taken out, one instruction after the other, while something is still wrong with it. */
export async function shrink(runtime: Runtime, object: ObjectSpec, program: ProgramSpec, found: Finding, runs: number) {
  let best = found;
  const until = performance.now() + SHRINKING;
  for (let again = true; again; ) {
    again = false;
    for (let slot = best.insns.length - 1; slot >= 0; slot--) {
      const { opcode, imm } = best.insns[slot]!;
      if (opcode === 0 || opcode === 0x18 || opcode === 0x95 || (opcode === 5 && best.insns[slot]!.off === 0)) continue;
      if (opcode === 0x85 && best.insns[slot]!.src === 1 && imm !== 0) continue;
      if (performance.now() > until) return best;
      const insns = best.insns.with(slot, { opcode: 5, dst: 0, src: 0, off: 0, imm: 0 });
      const less = await tryProgram(runtime, object, { ...program, insns }, found.program, runs, newTally());
      if (less === undefined) continue;
      best = less;
      again = true;
    }
  }
  return best;
}

const empty = { kernelVersion: 0, btf: undefined, externs: new Map(), traits: [], sections: [] } as const;

export function randomObject(number: number): { object: ObjectSpec; program: ProgramSpec } {
  const program = specOf(number % 5 === 0 ? randomProgram(number) : purposefulProgram(number));
  const programs = new Map([[program.name, program]]);
  return { object: { name: 'random', license: 'GPL', programs, maps: randomMaps, ...empty }, program };
}

/** Objects of the repository that the checked engine runs. */
export function realObjects(root: string): ObjectSpec[] {
  return [join(root, 'bpf/objects'), join(root, 'bpf/objects/bench')].flatMap(objectsIn);
}

/** Those of the folder that can be read. */
export function objectsIn(directory: string): ObjectSpec[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.o'))
    .flatMap((name) => {
      try {
        return [readObject(readFileSync(join(directory, name)), name)];
      } catch (error) {
        if (error instanceof InputError || error instanceof UnsupportedError) return [];
        throw error;
      }
    });
}

const imms = [0, 1, -1, 2, 3, 4, 7, 8, 14, 15, 16, 20, 32, 63, 64, 255, 256, 0x7fffffff, -0x80000000];

/** The program with one to three instructions changed a little. */
export function mutate(program: ProgramSpec, random: RandomNumbers): ProgramSpec {
  const insns = [...program.insns];
  for (let i = 1 + random(3); i > 0; i--) {
    const slot = random(insns.length);
    const insn = insns[slot]!;
    if (insn.opcode === 0 || insn.opcode === 0x18 || insn.opcode === 0x95) continue;
    const kind = insn.opcode & 7;
    const jump = (kind === 5 || kind === 6) && insn.opcode !== 0x85;
    switch (random(6)) {
      case 0:
        insns[slot] = { ...insn, imm: insn.opcode === 0x85 ? insn.imm : imms[random(imms.length)]! };
        break;
      case 1:
        insns[slot] = { ...insn, imm: insn.opcode === 0x85 ? insn.imm : (insn.imm + random(5) - 2) | 0 };
        break;
      case 2:
        if (!jump && insn.opcode !== 0x85)
          insns[slot] = { ...insn, off: kind === 4 || kind === 7 ? insn.off : insn.off + random(17) - 8 };
        break;
      case 3:
        if (jump && insn.opcode !== 0x05)
          insns[slot] = {
            ...insn,
            opcode:
              [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0][random(11)]! | (insn.opcode & 0x0f),
          };
        else if (kind === 7 || kind === 4)
          insns[slot] = {
            ...insn,
            opcode: [0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xc0][random(9)]! | (insn.opcode & 0x0f),
            off: 0,
          };
        break;
      case 4:
        if (insn.opcode !== 0x85) insns[slot] = { ...insn, src: insn.src === 0 ? 0 : random(10) };
        break;
      default:
        // The instruction is left out.
        if (insn.opcode !== 0x85 || random(2) === 0) insns[slot] = { opcode: 0x05, dst: 0, src: 0, off: 0, imm: 0 };
    }
  }
  return { ...program, insns };
}

export interface FuzzOptions {
  readonly seed: number;
  /** Programs to try, and the time after which to stop (ms). */
  readonly programs: number;
  readonly milliseconds: number;
  readonly runs: number;
  readonly objects: readonly ObjectSpec[];
  /** Makes what is found smaller. */
  readonly shrink?: boolean;
}

/** Random programs, and real ones changed a little, until something is wrong. */
export async function fuzz(options: FuzzOptions, tally: Tally): Promise<Finding | undefined> {
  const runtime = new Runtime({ seed: 1n });
  const started = performance.now();
  // What the kernel's configuration says is filled in by the loader, and not by what is verified here.
  const fixed = options.objects.filter(({ maps }) => !maps.has('.kconfig'));
  const real = fixed.flatMap((object) =>
    [...object.programs.values()]
      .filter(({ coreRelocations, insns }) => coreRelocations.length === 0 && insns.length < 600)
      .map((program) => ({ object, program })),
  );
  const random = randomNumbers(options.seed + 99);
  for (let i = 0; i < options.programs && performance.now() - started < options.milliseconds; i++) {
    const number = options.seed * 7_000_003 + i;
    let chosen = i % 4 === 3 && real.length > 0 ? real[random(real.length)]! : randomObject(number);
    if (i % 4 === 3 || random(3) === 0) {
      const program = mutate(chosen.program, random);
      chosen = { object: chosen.object, program };
    } else if (functionsOf(chosen.program.insns).length === 0) continue;
    const finding = await tryProgram(runtime, chosen.object, chosen.program, number, options.runs, tally);
    if (finding !== undefined)
      return options.shrink === true ? shrink(runtime, chosen.object, chosen.program, finding, options.runs) : finding;
  }
  return undefined;
}
