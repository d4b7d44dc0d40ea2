/**
 * verifier/explanation/: a refusal in words: reason, causal path, advice; and the log as Linux prints it.
 *
 * This file: why a program is refused: explored once more with a record, the path sliced, the bounds put into words.
 */
import { CALL_SOURCE, OPCODE } from '../../isa/opcodes.ts';
import type { MapSpec, ProgramSpec } from '../../object/spec.ts';
import type { CausalStep, Diagnostic } from '../diagnostic.ts';
import { RECORD } from '../layout.ts';
import { type Node, Recorder } from '../recording/recorder.ts';
import { type VerifyInput, type VerifyOptions, verify } from '../verify.ts';
import type { Advice } from './refused.ts';
import { failedOperands, type SliceStep, slice } from './slice.ts';
import { advise } from './suggestion.ts';
import { fieldsOf, valueText } from './value-text.ts';

export interface Explanation extends Advice {
  readonly steps: readonly CausalStep[];
}

/** Explorations longer than this are not recorded: the explanation then has no steps. */
const MAX_INSTRUCTIONS = 200_000;
/** Longest stretch of the path, counted from the refusal, that is looked at. */
const MAX_PATH = 4000;
const MAX_STEPS = 40;
const WORDS = RECORD / 4;

/**
 * Explains a refusal that `verify` gave for this input with these options. Costs about two verifications. Never throws for what is in
 * the program.
 */
export function explain(
  input: VerifyInput,
  diagnostic: Diagnostic,
  insns: number,
  options: VerifyOptions = {},
): Explanation {
  const { program } = input;
  const { slot } = diagnostic;
  const maps = mapsOf(program, input.maps);
  const path = slot === undefined || insns > MAX_INSTRUCTIONS ? undefined : recordPath(input, options, insns);
  const last = path?.at(-1);
  if (slot === undefined || path === undefined || last === undefined || last.frames.length === 0 || last.slot !== slot)
    return {
      ...advise({
        program,
        maps,
        diagnostic,
        slot: slot ?? 0,
        node: nowhere,
        steps: [],
        register: undefined,
        fields: undefined,
      }),
      steps: [],
    };
  const operands = failedOperands(program, slot, diagnostic.problem);
  const [, allocated] = /alloc_insn=(\d+)/.exec(diagnostic.problem) ?? [];
  const acquired = allocated === undefined ? lockedAt(diagnostic, program, path) : Number(allocated);
  const found = slice(program, path, operands, acquired);
  const register = operands[0];
  const { data } = last.frames.at(-1)!;
  const fields = register === undefined ? undefined : fieldsOf(data, register * WORDS);
  const advice = advise({ program, maps, diagnostic, slot, node: last, steps: found, register, fields });
  return { ...advice, steps: stepsOf(found, maps) };
}

/** Where the lock was taken that is held. */
function lockedAt({ id }: Diagnostic, { insns }: ProgramSpec, path: readonly Node[]): number | undefined {
  if (id !== 'under-lock') return undefined;
  return path.findLast(({ slot }) => {
    const { opcode, src, imm } = insns[slot]!;
    return opcode === OPCODE.CALL && src === CALL_SOURCE.HELPER && imm === SPIN_LOCK;
  })?.slot;
}

const SPIN_LOCK = 93;

const nowhere: Node = {
  index: 0,
  slot: 0,
  root: 0,
  frames: [],
  references: [],
  previous: -1,
  next: [],
  coveredBy: undefined,
};

/** The nodes of the refused path; only its end has registers. */
function recordPath(input: VerifyInput, options: VerifyOptions, insns: number): Node[] {
  const limit = MAX_INSTRUCTIONS + 1000;
  const small = insns <= MAX_PATH;
  const recorder = new Recorder(limit, small ? undefined : () => false);
  verify(input, { ...options, observer: recorder });
  const path = recorder.pathTo(recorder.nodes.length - 1);
  if (small) return path;
  const wanted = new Set(path.slice(-MAX_PATH).map(({ index }) => index));
  const again = new Recorder(limit, (index) => wanted.has(index));
  verify(input, { ...options, observer: again });
  return again.pathTo(again.nodes.length - 1);
}

function stepsOf(found: readonly SliceStep[], maps: readonly MapSpec[]): CausalStep[] {
  const steps: CausalStep[] = [];
  const last = new Map<string, number>();
  const times = new Map<string, number>();
  for (const step of found) {
    // Of the rounds of a loop only the last is shown.
    const key = `${step.slot}:${step.role}:${step.taken}`;
    const before = last.get(key);
    if (before !== undefined) {
      times.set(key, (times.get(key) ?? 0) + 1);
      steps[before] = { ...steps[before]!, slot: -1 };
    }
    const repeated = times.get(key);
    const shown = step.after !== undefined && step.after.frames.length > 0 ? step.after : step.node;
    const frame = (
      shown.frames.length === step.node.frames.length || step.role === 'call' ? shown : step.node
    ).frames.at(-1);
    const values = Object.fromEntries(
      step.registers.map((register) => [
        `R${register}`,
        frame === undefined ? '?' : valueText(frame.data, register * WORDS, maps),
      ]),
    );
    last.set(key, steps.length);
    steps.push({
      slot: step.slot,
      role: step.role,
      values,
      ...(step.taken === undefined ? {} : { taken: step.taken }),
      ...(repeated === undefined ? {} : { repeated }),
    });
  }
  return steps.filter(({ slot }) => slot >= 0).slice(-MAX_STEPS);
}

/** The diagnostic with its explanation in it. */
export function explained(
  input: VerifyInput,
  diagnostic: Diagnostic,
  insns: number,
  options: VerifyOptions = {},
): Diagnostic {
  return { ...diagnostic, ...explain(input, diagnostic, insns, options) };
}

/** Maps as a verification numbers them: by first reference. */
export function mapsOf(program: ProgramSpec, maps: ReadonlyMap<string, MapSpec>): MapSpec[] {
  const found: MapSpec[] = [];
  for (const reference of program.references.values()) {
    if (reference.kind !== 'map' && reference.kind !== 'map-value' && reference.kind !== 'kconfig') continue;
    const map = maps.get(reference.kind === 'kconfig' ? '.kconfig' : reference.map);
    if (map !== undefined && !found.includes(map)) found.push(map);
  }
  for (const { inner } of [...found]) if (inner !== undefined) found.push(inner);
  return found;
}
