/** Arithmetic instructions: on scalars by assembly/, on pointers with the rules of which may be moved, and how far. */
import { ALU, CLASS } from '../isa/opcodes.ts';
import * as k from './kinds.ts';
import { AUX, FLAGS, ID, OFFSET, PRECISE, UMAX, VALUE } from './layout.ts';
import { castAddressSpace } from './memory/arena.ts';
import { checkReadable, MAX_OFFSET } from './memory/memory.ts';
import { shareId } from './memory/stack.ts';
import { markPrecise } from './states/precision.ts';
import {
  arithmetic,
  constantOf,
  copyRecord,
  flagsOf,
  idOf,
  isConstant,
  kindOf,
  makeConstant,
  makeUnknown,
  offsetOf,
  SCRATCH,
  SCRATCH2,
  set,
  sminOf,
  words,
} from './states/records.ts';
import type { Verification } from './verification.ts';

const symbols: Readonly<Record<number, string>> = {
  [ALU.ADD]: '+=',
  [ALU.SUB]: '-=',
  [ALU.MUL]: '*=',
  [ALU.DIV]: '/=',
  [ALU.OR]: '|=',
  [ALU.AND]: '&=',
  [ALU.LSH]: '<<=',
  [ALU.RSH]: '>>=',
  [ALU.MOD]: '%=',
  [ALU.XOR]: '^=',
  [ALU.ARSH]: 's>>=',
};

export function runAlu(v: Verification): void {
  const { code, slot } = v;
  const opcode = code.op[slot]!;
  const wide = (opcode & 7) === CLASS.ALU64;
  const fromRegister = (opcode & 8) !== 0;
  const operation = opcode & 0xf0;
  const dst = code.dst[slot]!;
  const d = v.register(dst);
  switch (operation) {
    case ALU.MOV:
      if (fromRegister) moveRegister(v, wide);
      else if (wide) makeConstant(d, code.imm[slot]!, code.imm[slot]! >> 31);
      else makeConstant(d, code.imm[slot]!, 0);
      return;
    case ALU.END:
      checkReadable(v, dst);
      if (kindOf(d) !== k.SCALAR) makeUnknown(d);
      else {
        // be16 … and bswap16 … exchange bytes; le16 … only cut off.
        arithmetic.byteOrder(d, code.imm[slot]!, wide || fromRegister ? 1 : 0);
        unlink(d);
      }
      return;
    case ALU.NEG:
      checkReadable(v, dst);
      if (kindOf(d) !== k.SCALAR) makeUnknown(d);
      else {
        arithmetic.negate(d, SCRATCH, wide ? 1 : 0);
        unlink(d);
      }
      return;
  }
  if (fromRegister) checkReadable(v, code.src[slot]!);
  checkReadable(v, dst);
  combine(v, operation, wide, fromRegister, dst, d);
}

export function unlink(d: number): void {
  set(d, ID, 0);
  words[(d + FLAGS) >> 2]! &= ~k.ADD_CONST;
  set(d, OFFSET, 0);
}

function fitsIn(r: number, bits: number): boolean {
  const high = words[(r + UMAX + 4) >> 2]!;
  const low = words[(r + UMAX) >> 2]! >>> 0;
  return high === 0 && low < 2 ** bits;
}

function moveRegister(v: Verification, wide: boolean): void {
  const { code, slot } = v;
  const source = code.src[slot]!;
  const off = code.off[slot]!;
  checkReadable(v, source);
  const s = v.register(source);
  const d = v.register(code.dst[slot]!);
  const scalar = kindOf(s) === k.SCALAR;
  if (wide && off === 1) {
    castAddressSpace(v, code.imm[slot]!, d);
    return;
  }
  if (off === 0) {
    if (wide) {
      if (scalar) shareId(v, s);
      copyRecord(d, s);
      set(d, PRECISE, 0);
      return;
    }
    if (!scalar) makeUnknown(d);
    else {
      const narrow = fitsIn(s, 32);
      if (narrow) shareId(v, s);
      copyRecord(d, s);
      if (!narrow) unlink(d);
    }
    arithmetic.zeroExtend32(d);
    set(d, PRECISE, 0);
    return;
  }
  if (!scalar) {
    makeUnknown(d);
    if (!wide) arithmetic.zeroExtend32(d);
    return;
  }
  const keeps = fitsIn(s, off - 1);
  if (keeps) shareId(v, s);
  copyRecord(d, s);
  set(d, PRECISE, 0);
  if (!keeps) unlink(d);
  if (wide) arithmetic.signExtend(d, off);
  else arithmetic.signExtend32(d, off);
}

function combine(
  v: Verification,
  operation: number,
  wide: boolean,
  fromRegister: boolean,
  dst: number,
  d: number,
): void {
  const { code, slot } = v;
  const source = code.src[slot]!;
  // Whatever is computed, it is reduced to an address in the arena.
  if (kindOf(d) === k.ARENA) return;
  const dPointer = kindOf(d) !== k.SCALAR;
  let s = SCRATCH;
  if (fromRegister) {
    s = v.register(source);
    const sPointer = kindOf(s) !== k.SCALAR;
    if (sPointer && dPointer) {
      if (operation === ALU.SUB) {
        makeUnknown(d);
        return;
      }
      v.refuse(
        'pointer-pointer',
        'Register Type Safety',
        `R${dst} pointer ${symbols[operation]} pointer prohibited`,
        'Two pointers can only be subtracted.',
      );
    }
    if (sPointer) {
      markPrecise(v, dst);
      copyRecord(SCRATCH2, d);
      movePointer(v, operation, wide, dst, d, s, SCRATCH2, true);
      return;
    }
    if (dPointer) {
      markPrecise(v, source);
      movePointer(v, operation, wide, dst, d, d, s, false);
      return;
    }
  } else {
    makeConstant(SCRATCH, code.imm[slot]!, code.imm[slot]! >> 31);
    if (dPointer) {
      movePointer(v, operation, wide, dst, d, d, SCRATCH, false);
      return;
    }
  }
  const linkable =
    wide &&
    (operation === ALU.ADD || operation === ALU.SUB) &&
    idOf(d) !== 0 &&
    isConstant(s) &&
    (flagsOf(d) & k.ADD_CONST) === 0 &&
    words[(s + VALUE + 4) >> 2] === words[(s + VALUE) >> 2]! >> 31 &&
    words[(s + VALUE) >> 2]! !== -0x80000000;
  const distance = operation === ALU.SUB ? -words[(s + VALUE) >> 2]! : words[(s + VALUE) >> 2]!;
  const signedDivision = operation === ALU.DIV || operation === ALU.MOD;
  if (s === d) {
    copyRecord(SCRATCH, s);
    s = SCRATCH;
  }
  arithmetic.alu(signedDivision ? ALU.DIV : operation, wide ? 1 : 0, d, s);
  if (linkable) {
    words[(d + FLAGS) >> 2]! |= k.ADD_CONST;
    set(d, OFFSET, distance);
  } else unlink(d);
}

function prohibited(v: Verification, dst: number, text: string): never {
  v.refuse(
    'pointer-arithmetic',
    'Register Type Safety',
    `R${dst} ${text}`,
    'This arithmetic on a pointer of this kind would make it useless or unsafe.',
  );
}

/** d = p op s, p a pointer, s a scalar. */
function movePointer(
  v: Verification,
  operation: number,
  wide: boolean,
  dst: number,
  d: number,
  p: number,
  s: number,
  exchanged: boolean,
): void {
  if (!wide) {
    if (operation === ALU.SUB) {
      makeUnknown(d);
      return;
    }
    prohibited(v, dst, '32-bit pointer arithmetic prohibited');
  }
  const kind = kindOf(p);
  const name = k.kindName(kind, flagsOf(p));
  if ((flagsOf(p) & k.MAYBE_NULL) !== 0)
    prohibited(v, dst, `pointer arithmetic on ${name} prohibited, null-check it first`);
  if (kind === k.MEM && (flagsOf(p) & k.UNTRUSTED) !== 0) {
    // Reads through it cannot fault, wherever it points: the offset is not followed.
    if (d !== p) copyRecord(d, p);
    return;
  }
  const known = isConstant(s);
  switch (kind) {
    case k.FLOW_KEYS:
      if (known) break;
      prohibited(v, dst, `pointer arithmetic on ${name} prohibited`);
      break;
    case k.MAP_PTR:
    case k.ALLOCATOR:
    case k.PACKET_END:
    case k.SOCKET:
    case k.SOCK_COMMON:
    case k.TCP_SOCK:
    case k.XDP_SOCK:
      if (kind === k.MAP_PTR && known && constantOf(s) === 0 && operation === ALU.ADD) break;
      prohibited(v, dst, `pointer arithmetic on ${name} prohibited`);
  }
  if (operation !== ALU.ADD && operation !== ALU.SUB) {
    if (operation === ALU.AND || operation === ALU.OR || operation === ALU.XOR)
      prohibited(v, dst, `bitwise operator ${symbols[operation]} on pointer prohibited`);
    prohibited(v, dst, `pointer arithmetic with ${symbols[operation]} operator prohibited`);
  }
  checkSane(v, s, kind, name);
  checkSane(v, p, kind, name);
  const subtract = operation === ALU.SUB;
  if (subtract && exchanged) prohibited(v, dst, 'tried to subtract pointer from scalar');
  if (subtract && kind === k.STACK) prohibited(v, dst, 'subtraction from stack pointer prohibited');
  if (d !== p) {
    const scalar = s;
    copyRecord(d, p);
    set(d, PRECISE, 0);
    s = scalar;
  }
  const moved = offsetOf(p) + (subtract ? -constantOf(s) : constantOf(s));
  if (known && moved === (moved | 0)) set(d, OFFSET, moved);
  else {
    const negative = sminOf(s) < 0;
    arithmetic.pointerOffset(d, d, s, subtract ? 1 : 0);
    if (kind === k.PACKET || kind === k.PACKET_META) {
      set(d, ID, v.newId());
      if (!subtract || negative) set(d, AUX, 0);
    }
  }
  checkSane(v, d, kind, name);
}

/** Offsets stay far below where they could wrap around. */
function checkSane(v: Verification, r: number, _kind: number, name: string): void {
  const refuse = (text: string): never =>
    v.refuse('offset-too-large', 'Register Type Safety', text, 'Offsets of pointers are kept below 2^29 in size.');
  if (isConstant(r)) {
    const value = constantOf(r);
    if (value >= MAX_OFFSET || value <= -MAX_OFFSET) refuse(`math between ${name} pointer and ${value} is not allowed`);
  }
  if (kindOf(r) !== k.SCALAR) {
    const off = offsetOf(r);
    if (off >= MAX_OFFSET || off <= -MAX_OFFSET) refuse(`${name} pointer offset ${off} is not allowed`);
  }
  const least = sminOf(r);
  if (least <= -(2 ** 63)) refuse(`math between ${name} pointer and register with unbounded min value is not allowed`);
  if (least >= MAX_OFFSET || least <= -MAX_OFFSET) refuse(`value ${least} makes ${name} pointer be out of bounds`);
}
