/**
 * Verdicts of a program in the kernel, counted by the program itself: a function in front calls it and adds one to the element of what it
 * returned. The kernel keeps no such count, and a program that watches another one (fexit) needs tracing.
 */
import { xdpAction } from '../abi/programs/xdp.ts';
import { InputError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapSpec, ObjectSpec, ProgramSpec, Reference } from '../object/spec.ts';
import type { LinuxMap } from './linux-map.ts';

const MAP = '.sluice.verdicts';
/** Elements: one a verdict, and one for values that are none. */
export const VERDICTS = Math.max(...Object.values(xdpAction)) + 2;

/** Its LDDW, at MAP_SLOT, gets the map; its first instruction the distance to the program. */
const counter = assemble(
  `
  call 0
  r6 = r0
  w1 = w0
  if w1 < ${VERDICTS - 1} goto known
  w1 = ${VERDICTS - 1}
known:
  *(u32 *)(r10 - 4) = r1
  r2 = r10
  r2 += -4
  r1 = 0 ll
  call 1
  if r0 == 0 goto out
  r1 = *(u64 *)(r0 + 0)
  r1 += 1
  *(u64 *)(r0 + 0) = r1
out:
  r0 = r6
  exit`,
  { syntax: 'llvm' },
).insns;
const MAP_SLOT = counter.findIndex(({ opcode }) => opcode === 0x18);
const SHIFT = counter.length;

const map: MapSpec = {
  name: MAP,
  type: 'percpu_array',
  keySize: 4,
  valueSize: 8,
  maxEntries: VERDICTS,
  flags: 0,
  mapExtra: 0n,
  numaNode: 0,
  pinning: 'none',
  keyTypeId: 0,
  valueTypeId: 0,
  inner: undefined,
  contents: { kind: 'none' },
  section: '.maps',
};

/** The object with `name` counting its verdicts. Needs one call frame and 8 bytes of stack more than the program. */
export function withVerdictCounter(object: ObjectSpec, name: string): ObjectSpec {
  const program = object.programs.get(name);
  if (program === undefined) throw new InputError('SLUICE_NO_PROGRAM', `no program ${name}`, { input: object.name });
  return {
    ...object,
    maps: new Map([...object.maps, [MAP, map]]),
    programs: new Map([...object.programs, [name, counted(program)]]),
  };
}

/** Verdicts so far, summed over the CPUs, by enum xdp_action; the last element counts other values. */
export function readVerdicts(maps: Readonly<Record<string, LinuxMap>>): number[] {
  const raw = maps[MAP];
  if (raw === undefined) throw new InputError('SLUICE_NO_MAP', 'the object was loaded without a verdict counter');
  return Array.from({ length: VERDICTS }, (_, verdict) => {
    const values = raw.raw.lookup(Uint8Array.from(new Uint8Array(Uint32Array.of(verdict).buffer)))!;
    const view = new DataView(values.buffer, values.byteOffset, values.length);
    let sum = 0;
    for (let at = 0; at < values.length; at += 8) sum += Number(view.getBigUint64(at, true));
    return sum;
  });
}

/** Everything moves back by the counter's length; distances inside stay as they are. */
function counted(program: ProgramSpec): ProgramSpec {
  const call: Insn = { opcode: 0x85, dst: 0, src: 1, off: 0, imm: SHIFT - 1 };
  const [entry] = program.functions;
  const [line] = program.lines;
  const references = new Map<number, Reference>([
    [0, { kind: 'call', name: program.name, target: SHIFT }],
    [MAP_SLOT, { kind: 'map', map: MAP }],
  ]);
  for (const [slot, reference] of program.references) {
    const moved = 'target' in reference ? { ...reference, target: reference.target + SHIFT } : reference;
    references.set(slot + SHIFT, moved);
  }
  return {
    ...program,
    insns: [call, ...counter.slice(1), ...program.insns],
    functions: [
      { ...entry!, start: 0, length: SHIFT },
      ...program.functions.map((each) => ({ ...each, start: each.start + SHIFT })),
    ],
    references,
    coreRelocations: program.coreRelocations.map((each) => ({ ...each, slot: each.slot + SHIFT })),
    // The kernel wants a line at the start of each function.
    lines: [
      ...(line?.slot === 0 ? [line] : []),
      ...program.lines.map((each) => ({ ...each, slot: each.slot + SHIFT })),
    ],
  };
}
