/** A function in front of a program: it is entered in the program's place, and calls it. The program itself stays as it is. */
import { InputError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapSpec, ObjectSpec, ProgramSpec, Reference } from '../object/spec.ts';

export interface ProgramFront {
  readonly insns: readonly Insn[];
  /** Slot of the call whose target is the program. */
  readonly call: number;
  /** What other slots refer to. */
  readonly references: ReadonlyMap<number, Reference>;
  readonly map: MapSpec;
}

/** The object with `front` before its program `name`, and the front's map. Needs one call frame more than the program. */
export function withFront(object: ObjectSpec, name: string, front: ProgramFront): ObjectSpec {
  const program = object.programs.get(name);
  if (program === undefined) throw new InputError('SLUICE_NO_PROGRAM', `no program ${name}`, { input: object.name });
  return {
    ...object,
    maps: new Map([...object.maps, [front.map.name, front.map]]),
    programs: new Map([...object.programs, [name, fronted(program, front)]]),
  };
}

/** A map that no object defines. */
export function ownMap(map: Pick<MapSpec, 'name' | 'type' | 'keySize' | 'valueSize' | 'maxEntries'>): MapSpec {
  return {
    ...map,
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
}

/** Everything moves back by the front's length; distances inside stay as they are. */
function fronted(program: ProgramSpec, front: ProgramFront): ProgramSpec {
  const shift = front.insns.length;
  const insns = [...front.insns];
  insns[front.call] = { opcode: 0x85, dst: 0, src: 1, off: 0, imm: shift - front.call - 1 };
  const [entry] = program.functions;
  const [line] = program.lines;
  const references = new Map<number, Reference>([
    ...front.references,
    [front.call, { kind: 'call', name: program.name, target: shift }],
  ]);
  for (const [slot, reference] of program.references) {
    const moved = 'target' in reference ? { ...reference, target: reference.target + shift } : reference;
    references.set(slot + shift, moved);
  }
  return {
    ...program,
    insns: [...insns, ...program.insns],
    functions: [
      { ...entry!, start: 0, length: shift },
      ...program.functions.map((each) => ({ ...each, start: each.start + shift })),
    ],
    references,
    coreRelocations: program.coreRelocations.map((each) => ({ ...each, slot: each.slot + shift })),
    // The kernel wants a line at the start of each function.
    lines: [
      ...(line?.slot === 0 ? [line] : []),
      ...program.lines.map((each) => ({ ...each, slot: each.slot + shift })),
    ],
  };
}
