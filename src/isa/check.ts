/**
 * Which instructions are any: every combination of opcode, registers, offset and constant that is not known is refused,
 * in the words of the kernel's verifier (resolve_pseudo_ldimm64, do_check and what they call in kernel/bpf/verifier.c).
 */
import { functionsOf } from './functions.ts';
import type { Insn } from './insn.ts';
import {
  ADDR_SPACE_CAST_OFFSET,
  ALU,
  ATOMIC,
  CALL_SOURCE,
  CLASS,
  CLASS_MASK,
  FRAME_POINTER,
  JCOND_MAY_GOTO,
  JUMP,
  LDDW_SOURCE,
  MODE,
  MODE_MASK,
  OPCODE,
  OPERATION_MASK,
  REGISTER_COUNT,
  SIZE,
  SIZE_MASK,
  SOURCE,
  SOURCE_MASK,
} from './opcodes.ts';

export interface CheckOptions {
  /**
   * Refuse also what RFC 9669 gives a meaning and the kernel does not take: division by the constant 0 (0, or the dividend
   * for modulo) and constant shifts of the width or more (masked). Take what the kernel overlooks: EXIT with an offset.
   */
  readonly kernel?: boolean;
  /** Take CALLX (0x8d, register in dst), which RFC 9669 reserves and Linux refuses. */
  readonly callx?: boolean;
}

/** An opcode byte that some instruction has, whatever its other fields: Linux's public_insntable, and CALLX. */
export const KNOWN_OPCODES: Uint8Array = knownOpcodes();

function knownOpcodes(): Uint8Array {
  const known = new Uint8Array(256);
  for (const width of [CLASS.ALU, CLASS.ALU64]) {
    for (const op of Object.values(ALU)) {
      if (op === ALU.END) continue;
      known[width | op | SOURCE.K] = 1;
      if (op !== ALU.NEG) known[width | op | SOURCE.X] = 1;
    }
  }
  known[CLASS.ALU | ALU.END | SOURCE.K] = 1;
  known[CLASS.ALU | ALU.END | SOURCE.X] = 1;
  known[CLASS.ALU64 | ALU.END | SOURCE.K] = 1;
  for (const width of [CLASS.JMP, CLASS.JMP32]) {
    for (const op of Object.values(JUMP)) {
      if (op === JUMP.JA || op === JUMP.CALL || op === JUMP.EXIT || op === JUMP.JCOND) continue;
      known[width | op | SOURCE.K] = 1;
      known[width | op | SOURCE.X] = 1;
    }
  }
  for (const opcode of Object.values(OPCODE)) known[opcode] = 1;
  for (const size of Object.values(SIZE)) {
    known[CLASS.LDX | MODE.MEM | size] = 1;
    known[CLASS.ST | MODE.MEM | size] = 1;
    known[CLASS.STX | MODE.MEM | size] = 1;
    known[CLASS.STX | MODE.ATOMIC | size] = 1;
    if (size === SIZE.DW) continue;
    known[CLASS.LDX | MODE.MEMSX | size] = 1;
    known[CLASS.LD | MODE.ABS | size] = 1;
    known[CLASS.LD | MODE.IND | size] = 1;
  }
  return known;
}

/**
 * Judges one instruction by itself.
 *
 * @param slot its first slot; the second slot of an LDDW is no instruction.
 * @returns undefined, or what is wrong.
 */
export function checkInsn(insns: readonly Insn[], slot: number, options: CheckOptions = {}): string | undefined {
  const insn = insns[slot];
  if (insn === undefined) return `no instruction at slot ${slot}`;
  const { opcode } = insn;
  const kind = opcode & CLASS_MASK;
  if (kind === CLASS.LDX) {
    const mode = opcode & MODE_MASK;
    if ((mode !== MODE.MEM && mode !== MODE.MEMSX) || insn.imm !== 0) return 'BPF_LDX uses reserved fields';
  }
  if (opcode === OPCODE.LDDW) return checkLddw(insn, insns[slot + 1]);
  if (KNOWN_OPCODES[opcode] === 0 || (opcode === OPCODE.CALLX && options.callx !== true))
    return `unknown opcode ${opcode.toString(16).padStart(2, '0')}`;
  switch (kind) {
    case CLASS.LD:
      return checkPacketLoad(insn);
    case CLASS.LDX:
      return readable(insn.src) ?? writable(insn.dst);
    case CLASS.ST:
      return insn.src !== 0 ? 'BPF_ST uses reserved fields' : readable(insn.dst);
    case CLASS.STX:
      return checkRegisterStore(insn);
    case CLASS.JMP:
    case CLASS.JMP32:
      return checkJump(insn, options.kernel === true);
    default:
      return checkAlu(insn, options.kernel === true);
  }
}

/** A register that is read. */
function readable(register: number): string | undefined {
  return register < REGISTER_COUNT ? undefined : `R${register} is invalid`;
}

export const FRAME_POINTER_WRITTEN = 'frame pointer is read only';

/** A register that is written. */
function writable(register: number): string | undefined {
  return register === FRAME_POINTER ? FRAME_POINTER_WRITTEN : readable(register);
}

function checkLddw(insn: Insn, next: Insn | undefined): string | undefined {
  if (next === undefined || next.opcode !== 0 || next.dst !== 0 || next.src !== 0 || next.off !== 0)
    return 'invalid bpf_ld_imm64 insn';
  if (insn.src > LDDW_SOURCE.MAP_INDEX_VALUE) return 'unrecognized bpf_ld_imm64 insn';
  if ((insn.src === LDDW_SOURCE.MAP_FD || insn.src === LDDW_SOURCE.MAP_INDEX) && next.imm !== 0)
    return 'unrecognized bpf_ld_imm64 insn';
  if (insn.off !== 0) return 'BPF_LD_IMM64 uses reserved fields';
  return writable(insn.dst);
}

function checkPacketLoad(insn: Insn): string | undefined {
  const absolute = (insn.opcode & MODE_MASK) === MODE.ABS;
  if (insn.dst !== 0 || insn.off !== 0 || (absolute && insn.src !== 0)) return 'BPF_LD_[ABS|IND] uses reserved fields';
  return absolute ? undefined : readable(insn.src);
}

function checkRegisterStore(insn: Insn): string | undefined {
  const { opcode, dst, src, imm } = insn;
  if ((opcode & MODE_MASK) === MODE.MEM) {
    if (imm !== 0) return 'BPF_STX uses reserved fields';
    return readable(src) ?? readable(dst);
  }
  if (imm === ATOMIC.LOAD_ACQUIRE) return readable(src) ?? writable(dst);
  if (imm === ATOMIC.STORE_RELEASE) return readable(src) ?? readable(dst);
  switch (imm) {
    case ATOMIC.ADD:
    case ATOMIC.OR:
    case ATOMIC.AND:
    case ATOMIC.XOR:
    case ATOMIC.ADD | ATOMIC.FETCH:
    case ATOMIC.OR | ATOMIC.FETCH:
    case ATOMIC.AND | ATOMIC.FETCH:
    case ATOMIC.XOR | ATOMIC.FETCH:
    case ATOMIC.EXCHANGE:
    case ATOMIC.COMPARE_EXCHANGE: {
      const size = opcode & SIZE_MASK;
      if (size !== SIZE.W && size !== SIZE.DW) return 'invalid atomic operand size';
      const problem = readable(src) ?? readable(dst);
      if (problem !== undefined) return problem;
      const returnsInSource = (imm & ATOMIC.FETCH) !== 0 && imm !== ATOMIC.COMPARE_EXCHANGE;
      return returnsInSource ? writable(src) : undefined;
    }
    default:
      return `BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, '0')}`;
  }
}

function checkJump(insn: Insn, kernel: boolean): string | undefined {
  const { opcode, dst, src, off, imm } = insn;
  switch (opcode) {
    case OPCODE.CALL:
      if (
        dst !== 0 ||
        src > CALL_SOURCE.KFUNC ||
        (off !== 0 && src !== CALL_SOURCE.KFUNC) // a kfunc's offset names the module
      )
        return 'BPF_CALL uses reserved fields';
      return undefined;
    case OPCODE.CALLX:
      return src !== 0 || off !== 0 || imm !== 0 ? 'BPF_CALL uses reserved fields' : readable(dst);
    case OPCODE.JA:
      return dst !== 0 || src !== 0 || imm !== 0 ? 'BPF_JA uses reserved fields' : undefined;
    case OPCODE.JA32:
      return dst !== 0 || src !== 0 || off !== 0 ? 'BPF_JA uses reserved fields' : undefined;
    case OPCODE.GOTOX:
      return src !== 0 || off !== 0 || imm !== 0 ? 'BPF_JA|BPF_X uses reserved fields' : readable(dst);
    case OPCODE.EXIT:
      return dst !== 0 || src !== 0 || imm !== 0 || (off !== 0 && !kernel)
        ? 'BPF_EXIT uses reserved fields'
        : undefined;
    case OPCODE.MAY_GOTO:
      return src !== JCOND_MAY_GOTO || dst !== 0 || imm !== 0 ? `invalid may_goto imm ${imm}` : undefined;
  }
  const unused = (opcode & SOURCE_MASK) === SOURCE.K ? src : imm;
  return readable(dst) ?? (unused !== 0 ? 'BPF_JMP/JMP32 uses reserved fields' : readable(src));
}

function checkAlu(insn: Insn, kernel: boolean): string | undefined {
  const { opcode, dst, src, off, imm } = insn;
  const fromRegister = (opcode & SOURCE_MASK) === SOURCE.X;
  const wide = (opcode & CLASS_MASK) === CLASS.ALU64;
  const op = opcode & OPERATION_MASK;
  switch (op) {
    case ALU.NEG:
      if (src !== 0 || off !== 0 || imm !== 0) return 'BPF_NEG uses reserved fields';
      return writable(dst);
    case ALU.END:
      if (src !== 0 || off !== 0 || (imm !== 16 && imm !== 32 && imm !== 64)) return 'BPF_END uses reserved fields';
      return writable(dst);
    case ALU.MOV: {
      if (!fromRegister) return src !== 0 || off !== 0 ? 'BPF_MOV uses reserved fields' : writable(dst);
      if (wide && off === ADDR_SPACE_CAST_OFFSET) {
        if (imm !== 1 && imm !== 1 << 16) return 'addr_space_cast insn can only convert between address space 1 and 0';
      } else if (imm !== 0 || (off !== 0 && off !== 8 && off !== 16 && (off !== 32 || !wide))) {
        return 'BPF_MOV uses reserved fields';
      }
      return readable(src) ?? writable(dst);
    }
  }
  const divides = op === ALU.DIV || op === ALU.MOD;
  if ((off !== 0 && (off !== 1 || !divides)) || (fromRegister ? imm !== 0 : src !== 0))
    return 'BPF_ALU uses reserved fields';
  const problem = fromRegister ? readable(src) : undefined;
  if (problem !== undefined) return problem;
  if (kernel && !fromRegister) {
    if (divides && imm === 0) return readable(dst) ?? 'div by zero';
    const shifts = op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH;
    if (shifts && (imm < 0 || imm >= (wide ? 64 : 32))) return readable(dst) ?? `invalid shift ${imm}`;
  }
  return writable(dst);
}

export interface InsnProblem {
  readonly slot: number;
  readonly problem: string;
}

export interface ShapeProblem extends InsnProblem {
  readonly kind: 'bad-call-target' | 'falls-off' | 'jump-into-lddw' | 'jump-out-of-range';
}

/**
 * Judges a whole program's encoding and shape: every instruction by `checkInsn`, then `checkShape` with the functions of `functionsOf`.
 *
 * @returns the first problem in slot order, the kernel's words.
 */
export function checkInsns(insns: readonly Insn[], options: CheckOptions = {}): InsnProblem | undefined {
  if (insns.length === 0) return { slot: 0, problem: 'program has no instructions' };
  for (let slot = 0; slot < insns.length; slot++) {
    const problem = checkInsn(insns, slot, options);
    if (problem !== undefined) return { slot, problem };
    if (insns[slot]!.opcode === OPCODE.LDDW) slot++;
  }
  const wrong = checkShape(insns, functionsOf(insns));
  return wrong === undefined ? undefined : { slot: wrong.slot, problem: wrong.problem };
}

/**
 * Local calls and function addresses have an instruction at their end; jumps stay inside their function and do not hit the second slot
 * of an LDDW; every function ends in EXIT or an unconditional jump. Reached or not, as check_subprogs of the kernel.
 */
export function checkShape(
  insns: readonly Insn[],
  functions: readonly { readonly start: number; readonly length: number }[],
): ShapeProblem | undefined {
  const starts = new Uint8Array(insns.length);
  for (let slot = 0; slot < insns.length; slot++) {
    starts[slot] = 1;
    if (insns[slot]!.opcode === OPCODE.LDDW) slot++;
  }
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    const isAddress = insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
    const isCall = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
    if ((isAddress || isCall) && starts[slot + 1 + insn.imm] !== 1)
      return {
        kind: 'bad-call-target',
        slot,
        problem: isCall ? 'call to invalid destination' : 'invalid function address',
      };
  }
  for (const { start, length } of functions) {
    const end = start + length;
    let last = start;
    for (let slot = start; slot < end; slot++) {
      if (starts[slot] === 0) continue;
      last = slot;
      const distance = jumpDistance(insns[slot]!);
      if (distance === undefined) continue;
      const target = slot + 1 + distance;
      if (target < start || target >= end)
        return { kind: 'jump-out-of-range', slot, problem: `jump out of range from insn ${slot} to ${target}` };
      if (starts[target] === 0)
        return { kind: 'jump-into-lddw', slot, problem: `jump into the middle of ldimm64 insn ${target}` };
    }
    const ending = insns[last]!.opcode;
    if (ending !== OPCODE.EXIT && ending !== OPCODE.JA && ending !== OPCODE.JA32 && ending !== OPCODE.GOTOX)
      return { kind: 'falls-off', slot: last, problem: 'last insn is not an exit or jmp' };
  }
  return undefined;
}

/** Slots from the next one to the target, for everything that jumps to a fixed place; undefined for all else. */
export function jumpDistance(insn: Insn): number | undefined {
  const { opcode } = insn;
  const kind = opcode & CLASS_MASK;
  if (kind !== CLASS.JMP && kind !== CLASS.JMP32) return undefined;
  if (opcode === OPCODE.JA32) return insn.imm;
  const op = opcode & OPERATION_MASK;
  return op === JUMP.CALL || op === JUMP.EXIT || opcode === OPCODE.GOTOX ? undefined : insn.off;
}
