/** Instructions -> the stepping core's operations: 16 bytes a slot, with jump targets, functions and provenance worked out. */
import { programDeclarations } from '../abi/programs/index.ts';
import { checkInsn } from '../isa/check.ts';
import type { Insn } from '../isa/insn.ts';
import type { ResolvedProgram, ValueFacts } from '../object/resolved.ts';
import { MAP_HEADER_SIZE } from '../plane/layout/map.ts';
import * as layout from './layout.ts';

/** Addresses of HELPER_* records for what the program calls. */
export interface CallTargets {
  /** By helper id; undefined: there is none, and the call faults if it is reached. */
  helper(id: number): number | undefined;
  /** By index into the program's `kfuncs`. */
  kfunc(index: number, slot: number): number | undefined;
}

export interface Predecoded {
  /** 16 bytes a slot. */
  readonly code: Uint8Array;
  /** What is wrong with the instruction at a slot, where it is none. */
  readonly problems: ReadonlyMap<number, string>;
}

const CALL_HELPER = 0;
const CALL_FUNCTION = 1;
const LDDW_ADDRESS = 0;
const LDDW_FUNCTION = 4;

export function predecode(program: ResolvedProgram, targets: CallTargets): Predecoded {
  const { insns } = program;
  const code = new Uint8Array(insns.length * layout.INSN_SIZE);
  const view = new DataView(code.buffer);
  const problems = new Map<number, string>();
  const functionAt = new Map(program.functions.map((fn, index) => [fn.start, index]));

  const put = (slot: number, op: number, insn: Insn) => {
    const at = slot * layout.INSN_SIZE;
    view.setUint16(at, op, true);
    view.setUint16(at + layout.INSN_DST, insn.dst * layout.REGISTER_SIZE, true);
    view.setUint16(at + layout.INSN_SRC, insn.src * layout.REGISTER_SIZE, true);
    view.setInt16(at + layout.INSN_OFF, insn.off, true);
    view.setBigInt64(at + layout.INSN_IMM, BigInt(insn.imm), true);
  };
  const refuse = (slot: number, insn: Insn, problem: string, op: number = layout.OP_INVALID) => {
    problems.set(slot, problem);
    put(slot, op, { ...insn, dst: 0, src: 0 });
  };
  const constant = (slot: number, value: bigint) =>
    view.setBigInt64(slot * layout.INSN_SIZE + layout.INSN_IMM, value, true);

  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    const problem = checkInsn(insns, slot, { callx: program.type === undefined });
    if (problem !== undefined) {
      refuse(slot, insn, problem);
      continue;
    }
    const { opcode, src, off, imm } = insn;
    if (opcode === 0x18) {
      const high = insns[slot + 1]!;
      put(slot, opcode, insn);
      const value = (BigInt(high.imm) << 32n) | BigInt(imm >>> 0);
      constant(slot, value);
      const target = slot + 1 + imm;
      const object = loadedObject(program, slot, functionAt.get(target));
      if (src === LDDW_FUNCTION && object === undefined) refuse(slot, insn, 'invalid func reference');
      else if (src !== LDDW_ADDRESS && src !== LDDW_FUNCTION) refuse(slot, insn, 'unrecognized bpf_ld_imm64 insn');
      else if (src === LDDW_FUNCTION) constant(slot, BigInt(target));
      const middle = (slot + 1) * layout.INSN_SIZE;
      view.setUint16(middle, layout.OP_MIDDLE, true);
      view.setUint16(middle + layout.WIDE_TAG, object?.tag ?? layout.KIND_SCALAR, true);
      view.setUint32(middle + layout.WIDE_BASE, object?.base ?? 0, true);
      view.setUint32(middle + layout.WIDE_OBJECT_SIZE, object?.size ?? 0, true);
      view.setUint32(middle + layout.WIDE_AUX, object?.aux ?? 0, true);
      slot++;
    } else if (opcode === 0x85) {
      put(slot, layout.OP_UNSUPPORTED, { ...insn, src: 0 });
      if (src === CALL_FUNCTION) {
        const index = functionAt.get(slot + 1 + imm);
        if (index === undefined) {
          refuse(slot, insn, 'call to invalid destination');
        } else {
          put(slot, layout.OP_CALL_FUNCTION, { ...insn, src: 0 });
          constant(slot, BigInt(index));
        }
      } else {
        const record = src === CALL_HELPER ? targets.helper(imm) : targets.kfunc(imm, slot);
        if (record === undefined) {
          const name = src === CALL_HELPER ? `func unknown#${imm}` : `kernel function call #${imm}`;
          refuse(slot, insn, `invalid ${name}`, layout.OP_UNSUPPORTED);
        } else {
          const own = src === CALL_HELPER && (imm === layout.BPF_LOOP || imm === layout.TAIL_CALL);
          const throws = src !== CALL_HELPER && program.kfuncs[imm] === layout.THROW;
          const op = throws
            ? layout.OP_THROW
            : !own
              ? layout.OP_CALL_HELPER
              : imm === layout.BPF_LOOP
                ? layout.OP_LOOP
                : layout.OP_TAIL_CALL;
          put(slot, op, { ...insn, src: 0 });
          constant(slot, BigInt(record));
        }
      }
    } else {
      if (
        (opcode & 7) === 0 &&
        program.type !== undefined &&
        programDeclarations.get(program.type)?.packetLoads !== true
      ) {
        refuse(slot, insn, 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
        continue;
      }
      put(slot, operationOf(insn), insn);
      if (isJump(opcode)) {
        const target = slot + 1 + (opcode === 0x06 ? imm : off);
        view.setUint32(slot * layout.INSN_SIZE + layout.INSN_TARGET, target >>> 0, true);
      }
    }
  }
  return { code, problems };
}

/** Jumps that carry their target: all of JMP and JMP32 but CALL, EXIT and gotox. */
function isJump(opcode: number): boolean {
  const kind = opcode & 7;
  return (kind === 5 || kind === 6) && opcode !== 0x95 && opcode !== 0x0d;
}

/** Operations that the opcode byte alone does not tell, by opcode and offset. */
const byOffset: ReadonlyMap<number, ReadonlyMap<number, number>> = new Map([
  [0x34, new Map([[1, layout.OP_SDIV32_K]])],
  [0x3c, new Map([[1, layout.OP_SDIV32_X]])],
  [0x37, new Map([[1, layout.OP_SDIV64_K]])],
  [0x3f, new Map([[1, layout.OP_SDIV64_X]])],
  [0x94, new Map([[1, layout.OP_SMOD32_K]])],
  [0x9c, new Map([[1, layout.OP_SMOD32_X]])],
  [0x97, new Map([[1, layout.OP_SMOD64_K]])],
  [0x9f, new Map([[1, layout.OP_SMOD64_X]])],
  [
    0xbc,
    new Map([
      [8, layout.OP_MOVSX32_8],
      [16, layout.OP_MOVSX32_16],
    ]),
  ],
  [
    0xbf,
    new Map([
      [8, layout.OP_MOVSX64_8],
      [16, layout.OP_MOVSX64_16],
      [32, layout.OP_MOVSX64_32],
      [1, layout.OP_ADDR_SPACE_CAST],
    ]),
  ],
]);

function operationOf({ opcode, off }: Insn): number {
  return byOffset.get(opcode)?.get(off) ?? opcode;
}

/** Tag of a pointer into a map's value that the program refers to directly. */
export function globalTag({ readOnly, record }: ValueFacts): number {
  return layout.KIND_GLOBAL | (readOnly ? layout.TAG_READ_ONLY : 0) | (record === undefined ? 0 : layout.TAG_FIELDS);
}

interface LoadedObject {
  readonly tag: number;
  readonly base: number;
  readonly size: number;
  readonly aux: number;
}

/** What the address that an LDDW loads points to; undefined: a plain number. */
function loadedObject(
  program: ResolvedProgram,
  slot: number,
  functionIndex: number | undefined,
): LoadedObject | undefined {
  const insn = program.insns[slot]!;
  if (insn.src === LDDW_FUNCTION) {
    if (functionIndex === undefined) return undefined;
    return { tag: layout.KIND_FUNCTION, base: slot + 1 + insn.imm, size: 0, aux: functionIndex };
  }
  const map = program.mapsAt.get(slot);
  if (map !== undefined) return { tag: layout.KIND_MAP, base: map.address, size: MAP_HEADER_SIZE, aux: 0 };
  const value = program.valuesAt.get(slot);
  if (value !== undefined) {
    return { tag: globalTag(value), base: value.base, size: value.size, aux: value.record ?? 0 };
  }
  const table = program.jumpTables.find((jumpTable) => jumpTable.address === insn.imm >>> 0);
  if (table !== undefined) {
    return {
      tag: layout.KIND_GLOBAL | layout.TAG_READ_ONLY,
      base: table.address,
      size: table.slots.length * 8,
      aux: 0,
    };
  }
  return undefined;
}
