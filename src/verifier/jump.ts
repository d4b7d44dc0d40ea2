/** Conditional jumps: which way they go, and what each way teaches of scalars, packet pointers and pointers that may be NULL. */
import { CLASS, JUMP, mirroredJump } from '../isa/opcodes.ts';
import * as k from './kinds.ts';
import { AUX, AUX2, FLAGS, ID, KIND, OFFSET, PRECISE, RECORD } from './layout.ts';
import { isTrusted, mayPointToLock } from './memory/btf-pointer.ts';
import { checkReadable } from './memory/memory.ts';
import { needsMapUid } from './memory/value-field.ts';
import { markPrecise } from './states/precision.ts';
import {
  arithmetic,
  auxOf,
  bytes,
  copyRecord,
  flagsOf,
  frameAt,
  idOf,
  isConstant,
  isZero,
  kindOf,
  makeConstant,
  offsetOf,
  REGISTERS,
  referenceOf,
  SCRATCH,
  SCRATCH2,
  SCRATCH3,
  set,
  slotAt,
  umaxOf,
  words,
} from './states/records.ts';
import type { Verification } from './verification.ts';

const MAX_PACKET = 0xffff;
/** The state before a branch, while the other way is worked out. */
const BACKUP = 0x10_0000;

/** Keeps the records of all frames aside. */
export function backUp(v: Verification): void {
  copyFrames(v, 0, BACKUP);
}
export function putBack(v: Verification): void {
  copyFrames(v, BACKUP, 0);
}
function copyFrames(v: Verification, from: number, to: number): void {
  const { frames } = v.state;
  for (let depth = 0; depth < frames.length; depth++) {
    const start = (from + frameAt(depth)) >> 2;
    words.copyWithin((to + frameAt(depth)) >> 2, start, start + ((REGISTERS + frames[depth]!.slots) * RECORD) / 4);
  }
}

/** Leaves the state of the path that goes on, and pushes the other. Returns the slot to go on at. */
export function runConditional(v: Verification): number {
  const { code, slot } = v;
  const opcode = code.op[slot]!;
  const narrow = (opcode & 7) === CLASS.JMP32;
  const operation = opcode & 0xf0;
  const dst = code.dst[slot]!;
  const fromRegister = (opcode & 8) !== 0;
  const src = code.src[slot]!;
  const target = slot + 1 + code.off[slot]!;
  if (fromRegister) checkReadable(v, src);
  checkReadable(v, dst);
  const d = v.register(dst);
  let s = SCRATCH;
  if (fromRegister) s = v.register(src);
  else makeConstant(SCRATCH, code.imm[slot]!, code.imm[slot]! >> 31);
  const known = outcome(operation, narrow, d, s);
  if (known >= 0) {
    if (kindOf(d) === k.SCALAR) markPrecise(v, dst);
    if (fromRegister && kindOf(s) === k.SCALAR) markPrecise(v, src);
    return known === 1 ? target : slot + 1;
  }
  const linked = collectLinked(v, d, fromRegister ? s : 0);
  if (linked !== undefined) {
    const index = v.linked.push(linked) - 1;
    const { history } = v.state;
    const last = history.data[history.length - 2]!;
    const touched = history.data[history.length - 1]!;
    history.length -= 2;
    history.push(-1 - index, v.state.depth);
    history.push(last, touched);
    history.push(-1 - index, v.state.depth);
  }
  backUp(v);
  const { references } = v.state;
  applyOutcome(v, operation, narrow, d, fromRegister, s, true);
  v.push(target);
  putBack(v);
  v.state.references = references;
  if (!fromRegister) makeConstant(SCRATCH, code.imm[slot]!, code.imm[slot]! >> 31);
  applyOutcome(v, operation, narrow, d, fromRegister, s, false);
  return slot + 1;
}

function outcome(operation: number, narrow: boolean, d: number, s: number): number {
  const dKind = kindOf(d);
  const sKind = kindOf(s);
  if (dKind === k.SCALAR && sKind === k.SCALAR) return arithmetic.taken(operation, narrow ? 1 : 0, d, s);
  if (k.isPacket(dKind) && k.isPacket(sKind) && !narrow) return packetOutcome(operation, d, s);
  let pointer = d;
  let scalar = s;
  if (sKind !== k.SCALAR) {
    pointer = s;
    scalar = d;
  }
  if (kindOf(scalar) !== k.SCALAR || !isConstant(scalar) || !isZero(scalar) || narrow) return -1;
  if (!neverNull(pointer)) return -1;
  return operation === JUMP.JEQ ? 0 : operation === JUMP.JNE ? 1 : -1;
}

function neverNull(r: number): boolean {
  if ((flagsOf(r) & k.MAYBE_NULL) !== 0) return false;
  const kind = kindOf(r);
  if (kind === k.BTF_ID) return isTrusted(r);
  if (kind === k.MEM) return (flagsOf(r) & k.UNTRUSTED) === 0;
  return kind === k.MAP_VALUE || kind === k.MAP_KEY || kind === k.MAP_PTR || k.isSocket(kind);
}

function packetOutcome(operation: number, d: number, s: number): number {
  let pointer = d;
  let op = operation;
  if (kindOf(d) === k.PACKET_END) {
    pointer = s;
    op = mirroredJump(operation);
  } else if (kindOf(s) !== k.PACKET_END) return -1;
  if (kindOf(pointer) === k.PACKET_END) return -1;
  const range = auxOf(pointer);
  if (range >= 0) return -1;
  if (op === JUMP.JLE || op === JUMP.JGT) return range === k.BEYOND_END ? (op === JUMP.JGT ? 1 : 0) : -1;
  if (op === JUMP.JLT || op === JUMP.JGE) return op === JUMP.JGE ? 1 : 0;
  return -1;
}

function applyOutcome(
  v: Verification,
  operation: number,
  narrow: boolean,
  d: number,
  fromRegister: boolean,
  s: number,
  holds: boolean,
): void {
  const dScalar = kindOf(d) === k.SCALAR;
  const sScalar = kindOf(s) === k.SCALAR;
  if (dScalar && sScalar) {
    arithmetic.refine(operation, narrow ? 1 : 0, d, s, holds ? 1 : 0);
    if (fromRegister && idOf(s) !== 0) syncLinked(v, s);
    if (idOf(d) !== 0) syncLinked(v, d);
    return;
  }
  if (narrow) return;
  const equal = (operation === JUMP.JEQ && holds) || (operation === JUMP.JNE && !holds);
  if (fromRegister) {
    if (!dScalar && !sScalar) {
      const dNull = (flagsOf(d) & k.MAYBE_NULL) !== 0;
      const sNull = (flagsOf(s) & k.MAYBE_NULL) !== 0;
      // A pointer to a struct of the kernel may be NULL without being marked so: being equal to one proves nothing.
      if (dNull !== sNull && equal && kindOf(d) !== k.BTF_ID && kindOf(s) !== k.BTF_ID) {
        notNull(v, dNull ? d : s);
        return;
      }
    }
    matchPacket(v, operation, d, s, holds);
    return;
  }
  if (isZero(s) && (operation === JUMP.JEQ || operation === JUMP.JNE) && (flagsOf(d) & k.MAYBE_NULL) !== 0)
    markNullOrNot(v, d, equal);
}

/** What a pointer is once it is not NULL. */
function notNull(v: Verification, r: number): void {
  words[(r + FLAGS) >> 2]! &= ~k.MAYBE_NULL;
  if (kindOf(r) !== k.MAP_VALUE) return;
  const map = v.code.maps[auxOf(r)]!;
  switch (map.type) {
    case 'array_of_maps':
    case 'hash_of_maps': {
      if (map.inner === undefined) v.unfollowed('map of maps without an inner map');
      set(r, KIND, k.MAP_PTR);
      set(r, AUX, v.innerMap(auxOf(r)));
      set(r, AUX2, needsMapUid(v, auxOf(r)) ? idOf(r) : 0);
      break;
    }
    case 'xskmap':
      set(r, KIND, k.XDP_SOCK);
      break;
    case 'sockmap':
    case 'sockhash':
      set(r, KIND, k.SOCKET);
      break;
  }
}

function markNullOrNot(v: Verification, d: number, isNull: boolean): void {
  const id = idOf(d);
  const reference = referenceOf(d);
  if (isNull && reference !== 0 && reference === id)
    v.state.references = v.state.references.filter((each) => each.id !== reference);
  v.state.everyRecord((r) => {
    if (idOf(r) !== id || (flagsOf(r) & k.MAYBE_NULL) === 0 || kindOf(r) === k.SCALAR) return;
    if (isNull) makeConstant(r, 0, 0);
    else {
      notNull(v, r);
      if (!mayPointToLock(v, r)) set(r, ID, 0);
    }
  });
}

/** One of the comparisons of a packet pointer with the end (or of metadata with the start of the packet). */
function matchPacket(v: Verification, operation: number, d: number, s: number, holds: boolean): void {
  let op = operation;
  let pointer: number;
  if (isBounded(d, s)) pointer = d;
  else if (isBounded(s, d)) {
    pointer = s;
    op = mirroredJump(operation);
  } else return;
  // Now: pointer op end.
  switch (op) {
    case JUMP.JGT:
      if (holds) markEnd(pointer, true);
      else within(v, pointer, false);
      break;
    case JUMP.JLE:
      if (holds) within(v, pointer, false);
      else markEnd(pointer, true);
      break;
    case JUMP.JLT:
      if (holds) within(v, pointer, true);
      else markEnd(pointer, false);
      break;
    case JUMP.JGE:
      if (holds) markEnd(pointer, false);
      else within(v, pointer, true);
      break;
  }
}

function isBounded(pointer: number, end: number): boolean {
  if (kindOf(pointer) === k.PACKET) return kindOf(end) === k.PACKET_END;
  return (
    kindOf(pointer) === k.PACKET_META &&
    kindOf(end) === k.PACKET &&
    idOf(end) === 0 &&
    offsetOf(end) === 0 &&
    isConstant(end) &&
    isZero(end)
  );
}

function markEnd(pointer: number, beyond: boolean): void {
  if (kindOf(pointer) === k.PACKET) set(pointer, AUX, beyond ? k.BEYOND_END : k.AT_END);
}

/** So many bytes from where pointers of that id start are in the packet. */
function within(v: Verification, pointer: number, open: boolean): void {
  const off = offsetOf(pointer);
  if (off < 0 || (off === 0 && open)) return;
  const most = umaxOf(pointer);
  if (most > MAX_PACKET || most + off > MAX_PACKET) return;
  const range = open ? off + 1 : off;
  const kind = kindOf(pointer);
  const id = idOf(pointer);
  v.state.everyRecord((r) => {
    if (kindOf(r) === kind && idOf(r) === id && auxOf(r) < range) set(r, AUX, range);
  });
}

const MAX_LINKED = 6;

/** Registers and slots that share an id with one of the operands, for precision; undefined if none but the operands do. */
function collectLinked(v: Verification, d: number, s: number): Int32Array | undefined {
  const dId = kindOf(d) === k.SCALAR ? idOf(d) : 0;
  const sId = s !== 0 && kindOf(s) === k.SCALAR ? idOf(s) : 0;
  if (dId === 0 && sId === 0) return undefined;
  const found: number[] = [];
  const overflow: number[] = [];
  const look = (r: number, place: number) => {
    if (kindOf(r) !== k.SCALAR) return;
    const id = idOf(r);
    if (id === 0 || (id !== dId && id !== sId)) return;
    if (found.length < MAX_LINKED) found.push(place);
    else if (r !== d && r !== s) overflow.push(r);
  };
  for (let depth = v.state.depth; depth >= 0; depth--) {
    const base = frameAt(depth);
    for (let i = 0; i < REGISTERS; i++) look(base + i * RECORD, (depth << 8) | i);
    const { slots } = v.state.frames[depth]!;
    for (let slot = 0; slot < slots; slot++) {
      const r = slotAt(depth, slot);
      if (bytes[r + 96 + 7] === k.SPILL) look(r, (depth << 8) | (16 + slot));
    }
  }
  for (const r of overflow) set(r, ID, 0);
  return found.length > 1 ? Int32Array.from(found) : undefined;
}

/** Copies of `from`, and scalars at a constant distance from it, learn what it learnt. */
function syncLinked(v: Verification, from: number): void {
  const id = idOf(from);
  const fromAdd = (flagsOf(from) & k.ADD_CONST) !== 0;
  const fromOffset = fromAdd ? offsetOf(from) : 0;
  copyRecord(SCRATCH3, from);
  v.state.everyRecord((r) => {
    if (r === from || kindOf(r) !== k.SCALAR || idOf(r) !== id) return;
    const add = (flagsOf(r) & k.ADD_CONST) !== 0;
    const offset = add ? offsetOf(r) : 0;
    const precise = words[(r + PRECISE) >> 2]!;
    if ((!fromAdd && !add) || fromOffset === offset) {
      const flags = flagsOf(r);
      copyRecord(r, SCRATCH3);
      set(r, FLAGS, flags);
      set(r, OFFSET, offset);
    } else {
      copyRecord(r, SCRATCH3);
      const distance = offset - fromOffset;
      makeConstant(SCRATCH2, distance | 0, Math.floor(distance / 4294967296));
      arithmetic.alu(0, 1, r, SCRATCH2);
      set(r, ID, id);
      set(r, FLAGS, add ? k.ADD_CONST : 0);
      set(r, OFFSET, offset);
    }
    set(r, PRECISE, precise);
  });
}
