/** Reads a run's state block for people: registers with what they point into, and the fault. */
import type { Insn } from '../isa/insn.ts';
import { OPCODE } from '../isa/opcodes.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { RECORD_SIZE } from '../plane/layout/record.ts';
import {
  type Fault,
  faultCodes,
  type ObjectKind,
  offsetIn,
  type PointedObject,
  problemOf,
  type RawFault,
  reasonOf,
} from './fault.ts';
import type { Image } from './image.ts';
import * as layout from './layout.ts';
import { expectedArgument } from './prototype.ts';

export interface RegisterValue {
  readonly value: bigint;
  /** What it points into; undefined for a scalar. */
  readonly object: PointedObject | undefined;
}

const kinds: ReadonlyMap<number, ObjectKind> = new Map([
  [layout.KIND_MEMORY, 'memory'],
  [layout.KIND_MAP_VALUE, 'map value'],
  [layout.KIND_GLOBAL, 'global data'],
  [layout.KIND_MAP_KEY, 'map key'],
  [layout.KIND_STACK, 'stack'],
  [layout.KIND_PACKET, 'packet'],
  [layout.KIND_METADATA, 'packet metadata'],
  [layout.KIND_CONTEXT, 'context'],
  [layout.KIND_RINGBUF, 'ringbuf record'],
  [layout.KIND_MAP, 'map'],
  [layout.KIND_FUNCTION, 'function'],
  [layout.KIND_OPAQUE, 'kernel object'],
  [layout.KIND_OBJECT, 'object'],
  [layout.KIND_PERCPU_OBJECT, 'per-CPU object'],
  [layout.KIND_STALE_PACKET, 'stale packet pointer'],
  [layout.KIND_NULL_MAP_VALUE, 'null map value'],
  [layout.KIND_NULL_MEMORY, 'null memory'],
]);

const accesses = ['none', 'read', 'write', 'atomic'] as const;

/** Register `number`, undefined if it is not initialised. */
export function readRegister(
  memory: DataView,
  state: number,
  number: number,
  program: ResolvedProgram,
): RegisterValue | undefined {
  const at = state + number * layout.REGISTER_SIZE;
  const tag = memory.getUint32(at + layout.REGISTER_TAG, true);
  if ((tag & 0xff) === layout.KIND_UNINITIALISED) return undefined;
  const object = objectOf(
    memory,
    state,
    tag,
    memory.getUint32(at + layout.REGISTER_BASE, true),
    memory.getUint32(at + layout.REGISTER_OBJECT_SIZE, true),
    memory.getUint32(at + layout.REGISTER_AUX, true),
    program,
  );
  return { value: memory.getBigUint64(at, true), object };
}

function objectOf(
  memory: DataView,
  state: number,
  tag: number,
  base: number,
  size: number,
  aux: number,
  program: ResolvedProgram,
): PointedObject | undefined {
  const kind = kinds.get(tag & 0xff);
  if (kind === undefined) return undefined;
  if ((kind === 'packet' || kind === 'packet metadata') && base === 0) {
    const bound = (field: number) => {
      const at = memory.getUint32(state + field, true);
      return at === 0 ? 0 : memory.getUint32(at, true);
    };
    const data = bound(layout.STATE_DATA_FIELD);
    const [start, end] =
      kind === 'packet' ? [data, bound(layout.STATE_DATA_END_FIELD)] : [bound(layout.STATE_DATA_META_FIELD), data];
    return { kind, name: undefined, base: start, size: Math.max(0, end - start) };
  }
  const bytes = kind === 'object' ? memory.getUint32(size + RECORD_SIZE, true) : size;
  return { kind, name: objectName(kind, base, aux, program), base, size: bytes };
}

function objectName(kind: ObjectKind, base: number, aux: number, program: ResolvedProgram): string | undefined {
  switch (kind) {
    case 'map':
    case 'map value': {
      const address = kind === 'map' ? base : aux;
      return [...program.mapsAt.values()].find((map) => map.address === address)?.name;
    }
    case 'global data':
      return [...program.valuesAt.values()].find((value) => value.base === base)?.map;
    case 'function':
      return program.functions[aux]?.name;
    default:
      return undefined;
  }
}

/** What is wrong with an instruction that is one: CALLX calls no helper, or there is none of that opcode. */
function textOf(insn: Insn | undefined, detail: bigint): string {
  if (insn?.opcode === OPCODE.CALLX) return `invalid func unknown#${BigInt.asIntN(64, detail)}`;
  return `unknown opcode ${(insn?.opcode ?? 0).toString(16).padStart(2, '0')}`;
}

/** The fault that ended the run of `image`. */
export function readFault(memory: DataView, state: number, image: Image): Fault {
  const { program } = image;
  const u32 = (field: number) => memory.getUint32(state + field, true);
  const code = faultCodes[u32(layout.FAULT_CODE)] ?? 'SLUICE_FAULT_INVALID_INSN';
  const slot = u32(layout.STATE_SLOT);
  const register = u32(layout.FAULT_REGISTER);
  const object = objectOf(
    memory,
    state,
    u32(layout.FAULT_TAG),
    u32(layout.FAULT_BASE),
    u32(layout.FAULT_OBJECT_SIZE),
    u32(layout.FAULT_AUX),
    program,
  );
  const insn = program.insns[slot];
  const raw: RawFault = {
    code,
    slot,
    register: register === layout.NO_REGISTER ? undefined : register,
    access: accesses[u32(layout.FAULT_ACCESS)] ?? 'none',
    address: memory.getBigUint64(state + layout.FAULT_ADDRESS, true),
    size: u32(layout.FAULT_ACCESS_SIZE),
    object: object?.kind === 'context' ? { ...object, name: image.context?.struct } : object,
    detail: memory.getBigUint64(state + layout.FAULT_DETAIL, true),
    text: image.problems.get(slot) ?? textOf(insn, memory.getBigUint64(state + layout.FAULT_DETAIL, true)),
    expected: expectedArgument(
      insn === undefined || insn.src !== 0 ? undefined : program.helpers.get(insn.imm),
      register,
    ),
  };
  const about = raw.access !== 'none' || raw.object !== undefined;
  return {
    code,
    problem: problemOf(raw),
    reason: reasonOf(raw),
    program: program.name,
    slot,
    function: program.functions.find((fn) => slot >= fn.start && slot < fn.start + fn.length)?.name ?? program.name,
    line: program.lines.findLast((line) => line.slot <= slot),
    register: raw.register,
    access: raw.access,
    address: about || code === 'SLUICE_FAULT_ARGUMENT_TYPE' ? raw.address : undefined,
    size: raw.access === 'none' ? undefined : raw.size,
    object: raw.object,
    offset: raw.object === undefined || !about ? undefined : offsetIn(raw.object, raw.address),
  };
}
