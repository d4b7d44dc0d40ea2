/**
 * verifier/program/: what is found out about a program before its first instruction is followed.
 *
 * This file: a program as the exploration reads it: instructions in arrays, functions, places where states are compared, live registers.
 */
import { helpers as knownHelpers } from '../../abi/helpers/index.ts';
import { type KfuncSignature, kfuncSignature } from '../../abi/kfunc-signature.ts';
import type { HelperPrototype } from '../../abi/prototype.ts';
import { bindKfunc } from '../../abi/stability/shims.ts';
import { CALL_SOURCE, CLASS, JUMP, LDDW_SOURCE, MODE, OPCODE } from '../../isa/opcodes.ts';
import type { AllocatorPart, FunctionSpec, MapSpec, ProgramSpec, Reference } from '../../object/spec.ts';
import { Unfollowed } from '../diagnostic.ts';

export interface KfuncReference {
  readonly name: string;
  readonly weak: boolean;
  /** Undefined for what Linux 6.18 does not have. */
  readonly signature: KfuncSignature | undefined;
}

/** A symbol of the kernel that an LDDW refers to. */
export interface KsymReference {
  readonly name: string;
  readonly weak: boolean;
  readonly typed: boolean;
}

export interface Code {
  readonly length: number;
  readonly op: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;
  readonly functions: readonly FunctionSpec[];
  /** Function by slot. */
  readonly functionAt: Int32Array;
  /** Function by its first slot. */
  readonly functionByStart: ReadonlyMap<number, number>;
  /** 1: states are compared here; 2: and always saved. */
  readonly compare: Uint8Array;
  /** 1: jumped or returned to. */
  readonly jumpTarget: Uint8Array;
  /** Registers, as bits, whose value may be read from here on before it is overwritten. */
  readonly live: Uint16Array;
  readonly maps: readonly MapSpec[];
  /** Index of the map that the LDDW refers to, -1 for none; and the offset in its value, -1 for the map itself. */
  readonly mapAt: Int32Array;
  readonly mapOffset: Int32Array;
  /** By slot of the LDDW: it is the address of one of the map's two allocators. */
  readonly allocatorAt: ReadonlyMap<number, AllocatorPart>;
  /** Symbols of the kernel by the slot of the LDDW. */
  readonly ksyms: ReadonlyMap<number, KsymReference>;
  /** Kfuncs by the slot of their call. */
  readonly kfuncs: ReadonlyMap<number, KfuncReference>;
  /** Prototypes of the helpers that programs of the type have, or else of any type, by number. */
  readonly helper: (id: number) => HelperPrototype | undefined;
}

/** Under the name that it is bound to; one that is declared otherwise than it is does not get as far as Linux's verifier, and is judged as what it is. */
function kfuncReference({ name, weak, shape }: Extract<Reference, { kind: 'kfunc' }>): KfuncReference {
  const binding = bindKfunc(name, shape);
  const bound = binding.kind === 'bound' ? binding.name : name;
  return { name: bound, weak, signature: kfuncSignature(bound) };
}

/** @param own helpers of the program's type. */
export function prepare(
  program: ProgramSpec,
  specs: ReadonlyMap<string, MapSpec>,
  own: ReadonlyMap<number, HelperPrototype>,
): Code {
  const { insns, functions } = program;
  const length = insns.length;
  const op = new Uint8Array(length);
  const dst = new Uint8Array(length);
  const src = new Uint8Array(length);
  const off = new Int16Array(length);
  const imm = new Int32Array(length);
  for (let slot = 0; slot < length; slot++) {
    const insn = insns[slot]!;
    op[slot] = insn.opcode;
    dst[slot] = insn.dst;
    src[slot] = insn.src;
    off[slot] = insn.off;
    imm[slot] = insn.imm;
  }
  const functionAt = new Int32Array(length);
  functions.forEach(({ start, length: size }, index) => {
    functionAt.fill(index, start, start + size);
  });
  const functionByStart = new Map(functions.map(({ start }, index) => [start, index]));

  const maps: MapSpec[] = [];
  const mapIndex = new Map<string, number>();
  const mapAt = new Int32Array(length).fill(-1);
  const mapOffset = new Int32Array(length).fill(-1);
  const allocatorAt = new Map<number, AllocatorPart>();
  const ksyms = new Map<number, KsymReference>();
  const kfuncs = new Map<number, KfuncReference>();
  for (const [slot, reference] of program.references) {
    switch (reference.kind) {
      case 'map':
      case 'map-value':
      case 'map-allocator':
      case 'kconfig': {
        const name = reference.kind === 'kconfig' ? '.kconfig' : reference.map;
        const spec = specs.get(name);
        if (spec === undefined) throw new Unfollowed(`map ${name}`, slot);
        let index = mapIndex.get(name);
        if (index === undefined) {
          index = maps.push(spec) - 1;
          mapIndex.set(name, index);
        }
        mapAt[slot] = index;
        if (reference.kind === 'map-allocator') allocatorAt.set(slot, reference.part);
        else if (reference.kind !== 'map') mapOffset[slot] = reference.offset;
        break;
      }
      case 'kfunc':
        kfuncs.set(slot, kfuncReference(reference));
        break;
      case 'ksym':
        ksyms.set(slot, reference);
        break;
    }
  }
  const code: Code = {
    length,
    op,
    dst,
    src,
    off,
    imm,
    functions,
    functionAt,
    functionByStart,
    compare: new Uint8Array(length),
    jumpTarget: new Uint8Array(length),
    live: new Uint16Array(length),
    maps,
    mapAt,
    mapOffset,
    allocatorAt,
    kfuncs,
    ksyms,
    helper: (id) => own.get(id) ?? knownHelpers.get(id),
  };
  findComparePoints(code);
  findLive(code);
  return code;
}

/** The helper calls back into the program. */
export function helperCallsBack(code: Code, id: number): boolean {
  return code.helper(id)?.args.includes('func') === true;
}

function findComparePoints(code: Code): void {
  const { length, op, off, imm, src, compare, jumpTarget } = code;
  const mark = (slot: number, how: number) => {
    if (slot >= 0 && slot < length && compare[slot]! < how) compare[slot] = how;
  };
  const target = (slot: number) => {
    mark(slot, 1);
    if (slot >= 0 && slot < length) jumpTarget[slot] = 1;
  };
  for (let slot = 0; slot < length; slot++) {
    const opcode = op[slot]!;
    if (opcode === OPCODE.LDDW) {
      if (src[slot] === LDDW_SOURCE.FUNCTION) {
        mark(slot, 1);
        target(slot + 2);
        target(slot + 1 + imm[slot]!);
      }
      slot++;
      continue;
    }
    const kind = opcode & 7;
    if (kind !== CLASS.JMP && kind !== CLASS.JMP32) continue;
    if (opcode === OPCODE.EXIT) continue;
    if (opcode === OPCODE.CALL) {
      target(slot + 1);
      if (src[slot] === CALL_SOURCE.LOCAL) {
        mark(slot, 1);
        target(slot + 1 + imm[slot]!);
      } else if (src[slot] === CALL_SOURCE.HELPER && helperCallsBack(code, imm[slot]!)) {
        mark(slot, 2);
        jumpTarget[slot] = 1;
      } else if (src[slot] === CALL_SOURCE.KFUNC && comparesKfunc(code, slot)) mark(slot, 2);
    } else if (opcode === OPCODE.MAY_GOTO) {
      mark(slot, 2);
      target(slot + 1 + off[slot]!);
    } else if (opcode === OPCODE.JA || opcode === OPCODE.JA32) {
      target(slot + 1 + (opcode === OPCODE.JA ? off[slot]! : imm[slot]!));
    } else {
      mark(slot, 1);
      target(slot + 1 + off[slot]!);
    }
  }
}

/** Loops over iterators converge where the next element is asked for; callbacks where they are called. */
function comparesKfunc(code: Code, slot: number): boolean {
  const kfunc = code.kfuncs.get(slot)?.signature?.kfunc;
  return kfunc !== undefined && (kfunc.flags.includes('iter_next') || CALLBACK_KFUNCS.has(kfunc.name));
}

export const CALLBACK_KFUNCS = new Set([
  'bpf_rbtree_add_impl',
  'bpf_rbtree_add',
  'bpf_wq_set_callback_impl',
  'bpf_task_work_schedule_signal_impl',
  'bpf_task_work_schedule_resume_impl',
]);

const ARGUMENTS = 0x3e;
const CALLER_SAVED = 0x3f;

/** Registers read (low 16 bits) and written (high 16 bits) by an instruction. */
function registersOf(code: Code, slot: number): number {
  const opcode = code.op[slot]!;
  const d = 1 << code.dst[slot]!;
  const s = 1 << code.src[slot]!;
  switch (opcode & 7) {
    case CLASS.LD: {
      if (opcode === OPCODE.LDDW) return d << 16;
      const indirect = (opcode & 0xe0) === MODE.IND;
      return (1 << 6) | (indirect ? s : 0) | (CALLER_SAVED << 16);
    }
    case CLASS.LDX:
      return s | (d << 16);
    case CLASS.ST:
      return d;
    case CLASS.STX: {
      if ((opcode & 0xe0) !== MODE.ATOMIC) return s | d;
      const what = code.imm[slot]!;
      if (what === 0x100) return s | (d << 16);
      if (what === 0x110) return s | d;
      if (what === 0xf1) return s | d | 1 | (1 << 16);
      return s | d | ((what & 1) !== 0 ? s << 16 : 0);
    }
    case CLASS.ALU:
    case CLASS.ALU64: {
      const operation = opcode & 0xf0;
      const register = (opcode & 8) !== 0;
      if (operation === 0xd0) return d | (d << 16);
      if (operation === 0xb0) return (register ? s : 0) | (d << 16);
      return d | (register ? s : 0) | (d << 16);
    }
    default: {
      const operation = opcode & 0xf0;
      if (opcode === OPCODE.EXIT) return 1;
      if (opcode === OPCODE.CALL) {
        let used = ARGUMENTS;
        if (code.src[slot] === CALL_SOURCE.HELPER) {
          const prototype = code.helper(code.imm[slot]!);
          if (prototype !== undefined) used = ((1 << prototype.args.length) - 1) << 1;
        } else if (code.src[slot] === CALL_SOURCE.KFUNC) {
          const signature = code.kfuncs.get(slot)?.signature;
          if (signature !== undefined) used = ((1 << signature.params.length) - 1) << 1;
        }
        return used | (CALLER_SAVED << 16);
      }
      if (operation === JUMP.JA) return opcode === OPCODE.GOTOX ? d : 0;
      if (operation === JUMP.JCOND) return 0;
      return d | ((opcode & 8) !== 0 ? s : 0);
    }
  }
}

/** Backward data flow over the whole program; functions do not share edges. */
function findLive(code: Code): void {
  const { length, op, off, imm, live } = code;
  const effects = new Int32Array(length);
  for (let slot = 0; slot < length; slot++) {
    effects[slot] = registersOf(code, slot);
    if (op[slot] === OPCODE.LDDW) slot++;
  }
  const successor = new Int32Array(length).fill(-1);
  const second = new Int32Array(length).fill(-1);
  for (let slot = 0; slot < length; slot++) {
    const opcode = op[slot]!;
    const kind = opcode & 7;
    const next = opcode === OPCODE.LDDW ? slot + 2 : slot + 1;
    if ((kind !== CLASS.JMP && kind !== CLASS.JMP32) || opcode === OPCODE.CALL) successor[slot] = next;
    else if (opcode === OPCODE.EXIT || opcode === OPCODE.GOTOX) successor[slot] = -1;
    else if (opcode === OPCODE.JA) successor[slot] = next + off[slot]!;
    else if (opcode === OPCODE.JA32) successor[slot] = next + imm[slot]!;
    else {
      successor[slot] = next;
      second[slot] = next + off[slot]!;
    }
    if (opcode === OPCODE.LDDW) slot++;
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (let slot = length - 1; slot >= 0; slot--) {
      const a = successor[slot]!;
      const b = second[slot]!;
      let after = 0;
      if (a >= 0 && a < length) after |= live[a]!;
      if (b >= 0 && b < length) after |= live[b]!;
      const effect = effects[slot]!;
      const before = (after & ~(effect >>> 16)) | (effect & 0xffff);
      if (before !== live[slot]) {
        live[slot] = before;
        changed = true;
      }
    }
  }
}

/** LDDW that loads the address of a function. */
export function isFunctionAddress(code: Code, slot: number): boolean {
  return code.op[slot] === OPCODE.LDDW && code.src[slot] === LDDW_SOURCE.FUNCTION;
}
