/** `verify` of a refused program: the input on which it really fails, printed, saved as a recording, replayed beside the verifier's states. */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { applyCoreRelocations } from '../btf/core.ts';
import { hooksInForce } from '../index.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import type { ObjectChanges } from '../object/changes.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { UserObject } from '../runtime/load.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import { mapsOf } from '../verifier/explanation/explanation.ts';
import { valueText } from '../verifier/explanation/value-text.ts';
import { RECORD } from '../verifier/layout.ts';
import type { ConcreteRegister } from '../verifier/recording/containment.ts';
import { type Node, Recorder } from '../verifier/recording/recorder.ts';
import { Shadow } from '../verifier/recording/shadow.ts';
import { verify } from '../verifier/verify.ts';
import { checkedRun, mapNames } from '../witness/checked-run.ts';
import { findWitness, loadChecked, type Witness, type WitnessResult, witnessBudget } from '../witness/find.ts';
import { fill, runInput } from '../witness/input.ts';
import { type Output, toHex, toJson } from './output.ts';
import { contentsOf, RECORDING, type Recording, runRecorded } from './recording.ts';
import { select } from './selector.ts';
import { createSubject } from './subjects.ts';
import { writeText } from './text-file.ts';

export interface FoundWitness {
  readonly object: ObjectSpec;
  readonly program: ProgramSpec;
  readonly diagnostic: Diagnostic;
  readonly result: WitnessResult;
}

/** Searches for at most `milliseconds`. The program is taken as the engine runs it: CO-RE resolved against the object's own types. */
export async function searchWitness(
  selector: string,
  name: string,
  diagnostic: Diagnostic,
  milliseconds: number,
  changes?: ObjectChanges,
): Promise<FoundWitness> {
  const { object } = select(selector, changes);
  const spec = object.programs.get(name)!; // just judged
  const program =
    spec.coreRelocations.length > 0 && object.btf !== undefined
      ? { ...spec, insns: [...applyCoreRelocations(spec, object.btf, object.btf).insns] }
      : spec;
  const result = await findWitness(object, program, diagnostic, { hooks: hooksInForce(), milliseconds });
  return { object, program, diagnostic, result };
}

/** Lines for people. */
export function describeWitness({ diagnostic, program, result }: FoundWitness): string[] {
  if (result.kind === 'impossible') return [`  Witness: none can be searched for: ${result.reason}`];
  if (result.kind === 'not-found')
    return [
      `  Witness: none found in ${result.runs} runs (${result.milliseconds} ms): the verifier was merely imprecise here, or the input is hard to find`,
    ];
  const { witness, runs, milliseconds } = result;
  const lines = [
    `  Witness: found in ${runs} ${runs === 1 ? 'run' : 'runs'} (${milliseconds} ms), confirmed in the checked engine`,
  ];
  const { end, data, context } = witness;
  if (end.kind === 'result') lines.push(`    it returns ${end.r0}, which is not in [${end.least}, ${end.most}]`);
  else {
    const [first = '', ...more] = end.message.split('\n');
    lines.push(`    ${first.slice(first.indexOf('SLUICE_FAULT'))}`);
    for (const line of more) if (/^\s*(reason|at):/.test(line)) lines.push(`  ${line}`);
    if (end.slot !== undefined && end.slot !== diagnostic.slot)
      lines.push(`    (at insn ${end.slot}, not where the verifier stopped: insn ${diagnostic.slot})`);
  }
  if (data !== undefined) lines.push(`    packet (${data.length} bytes): ${shortHex(data)}`);
  if (context !== undefined) lines.push(`    context (${context.length} bytes): ${contextText(context, program.type)}`);
  for (const [map, values] of Object.entries(witness.maps))
    for (const [key, value] of Object.entries(values)) lines.push(`    map ${map}: ${key} = ${shortHex(value)}`);
  return lines;
}

/** The numbers that are set, by field; the bytes where the context has no fields. */
function contextText(context: Uint8Array, type: ProgramTypeName | undefined): string {
  const fields = (type === undefined ? undefined : programDeclarations.get(type))?.context.fields ?? [];
  const numbers = fields.filter(({ kind }) => kind === 'scalar' || kind === 'packet_end');
  if (numbers.length === 0) return shortHex(context);
  const set = numbers.flatMap(({ name, offset, size }) => {
    const bytes = context.subarray(offset, offset + size);
    if (bytes.every((byte) => byte === 0)) return [];
    return [
      `${name} = ${size > 8 ? shortHex(bytes) : bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)}`,
    ];
  });
  return set.length === 0 ? 'all zeros' : set.join(', ');
}

function shortHex(bytes: Uint8Array): string {
  const hex = toHex(bytes.subarray(0, 64)).replace(/(00)+$/, '');
  const zeros = bytes.subarray(hex.length / 2).every((byte) => byte === 0);
  if (hex === '' && zeros) return 'all zeros';
  return `${hex}${hex.length / 2 === bytes.length ? '' : zeros ? ' then zeros' : '…'}`;
}

/** The witness as JSON: bytes are hex. */
export function witnessDocument({ result }: FoundWitness): unknown {
  if (result.kind !== 'found') return result;
  return { kind: 'found', runs: result.runs, milliseconds: result.milliseconds, ...result.witness };
}

/** A recording that `sluice replay` and `sluice step` take. */
export async function saveWitness(
  selector: string,
  found: FoundWitness,
  path: string,
  output: Output,
  changes?: ObjectChanges,
): Promise<void> {
  const { object, program, diagnostic, result } = found;
  if (result.kind !== 'found') return;
  const { witness } = result;
  const { path: objectPath } = select(selector);
  const clock = { at: 1_000_000_000n, step: 1000 };
  const budget = witnessBudget(diagnostic);
  const loaded = await loadChecked(object, program, hooksInForce(), budget);
  const maps = mapValues(loaded, witness);
  loaded.close();
  const input = {
    ...(witness.data === undefined ? {} : { data: toHex(witness.data) }),
    ...(witness.context === undefined ? {} : { context: toHex(witness.context) }),
  };
  const surroundings = { cpus: 1, clock };
  const subject = await createSubject(object, object.programs.get(program.name)!, 'interpreter', {
    seed: witness.seed,
    maps,
    surroundings,
    budget,
    unverified: true,
  });
  try {
    const outcome = runRecorded(subject.program, input);
    const recording: Recording = {
      schema: RECORDING,
      object: { name: basename(objectPath), base64: readFileSync(objectPath).toString('base64') },
      ...(changes === undefined ? {} : { changes }),
      program: program.name,
      engine: 'interpreter',
      seed: Number(witness.seed),
      unverified: true,
      budget,
      surroundings: { cpus: 1, clock: { at: String(clock.at), step: clock.step } },
      maps: JSON.parse(mapJson(maps)),
      runs: [{ input, outcome }],
      contents: contentsOf(subject),
      printk: [...subject.trace()],
    };
    writeText(path, `${toJson(recording)}\n`, output);
    output.line(
      `  written to ${path}: sluice replay ${path} runs it again, sluice step ${path} shows each instruction`,
    );
  } finally {
    subject.close();
  }
}

/** Contents of the maps of the witness, as values. */
function mapValues(loaded: UserObject, witness: Witness) {
  fill(loaded, witness);
  return Object.fromEntries(
    Object.entries(witness.maps).map(([name, values]) => {
      const map = loaded.maps[name]!;
      const wanted = new Set(Object.keys(values));
      const entries = [...map];
      const keys: string[] = [];
      for (let key = map.raw.nextKey(); key !== undefined; key = map.raw.nextKey(key)) keys.push(toHex(key));
      return [name, entries.filter((_, i) => wanted.has(keys[i]!))];
    }),
  );
}

/** Values as --maps files have them. */
function mapJson(maps: unknown): string {
  return JSON.stringify(maps, (_key, part: unknown) => {
    if (typeof part === 'bigint') return part.toString();
    if (part instanceof Uint8Array) return `hex:${toHex(part)}`;
    return part;
  });
}

const WORDS = RECORD / 4;
const SHOWN = 60;

/** The run of a witness step by step: what each register really held, and what the verifier knew of it there. */
export async function replayBeside(
  { object, program, diagnostic, result }: FoundWitness,
  output: Output,
): Promise<void> {
  if (result.kind !== 'found') return;
  const { witness } = result;
  const recorder = new Recorder(60_000);
  verify({ program, maps: object.maps, license: object.license, btf: object.btf }, { observer: recorder });
  const shadow = new Shadow(recorder, program, mapNames(program, object.maps));
  const maps = mapsOf(program, object.maps);
  const loaded = await loadChecked(object, program, hooksInForce(), witnessBudget(diagnostic));
  const rows: string[] = [];
  let before: readonly (ConcreteRegister | undefined)[] = [];
  let steps = 0;
  try {
    fill(loaded, witness);
    checkedRun(loaded.runtime, loaded.programs[program.name]!, runInput(witness, program.type), (state) => {
      const beside = shadow.visit(state);
      const insn = program.insns[state.slot]!;
      const node = beside.kind === 'inside' ? beside.node : undefined;
      rows.push(...changedRegisters(before, state.registers, node, maps));
      before = state.registers;
      steps++;
      rows.push(`  ${`${state.slot}:`.padStart(6)} ${disassembleInsn(insn, program.insns[state.slot + 1])}`);
      if (beside.kind !== 'inside' && rows.length < 4 * SHOWN) rows.push(`           (${notes[beside.kind]})`);
      if (rows.length > 8 * SHOWN) rows.splice(0, 4 * SHOWN);
    });
  } finally {
    loaded.close();
  }
  output.line();
  output.line(`Replay (${steps} steps): what registers held, and in brackets what the verifier knew there`);
  for (const row of rows.slice(-4 * SHOWN)) output.line(row);
  const { end } = witness;
  output.line(
    end.kind === 'fault'
      ? `  fault: ${end.message.split('\n')[0]!.replace(/^.*?SLUICE/, 'SLUICE')}`
      : `  returns ${end.r0}`,
  );
}

const notes = {
  unexplored: 'the verifier did not come here before it refused',
  outside: 'the verifier took this for impossible',
} as const;

function changedRegisters(
  before: readonly (ConcreteRegister | undefined)[],
  now: readonly (ConcreteRegister | undefined)[],
  node: Node | undefined,
  maps: ReturnType<typeof mapsOf>,
): string[] {
  return now.flatMap((register, i) => {
    const text = registerText(register);
    if (register === undefined || text === registerText(before[i])) return [];
    const data = node?.frames.at(-1)?.data;
    const known = data === undefined ? '' : `  [${valueText(data, i * WORDS, maps)}]`;
    return [`           R${i} = ${text}${known}`];
  });
}

/** `42`, `packet+14`, `map value flows+8`; `-` for a register without a value. */
function registerText(register: ConcreteRegister | undefined): string {
  if (register === undefined) return '-';
  const { value, object } = register;
  const signed = BigInt.asIntN(64, value);
  if (object === undefined) return signed > -65536n && signed < 65536n ? String(signed) : `0x${value.toString(16)}`;
  const name = object.name === undefined ? object.kind : `${object.kind} ${object.name}`;
  const start = object.kind === 'stack' ? object.base + object.size : object.base;
  const offset = BigInt.asIntN(64, value - BigInt(start));
  return `${name}${offset === 0n ? '' : offset > 0n ? `+${offset}` : String(offset)}`;
}
