// The stepping loop: one case an operation, whose work stands in alu.ts, move.ts, jump.ts, memory.ts, frames.ts, helpers.ts. Provenance is
// looked at first where an operand is not a plain scalar; a case that ends in `continue` goes on, one that ends in `break` stops at this slot
// with the fault that a check has recorded. Checks stand here, not in what works on their operands: a result that says whether they passed
// would be made and then tested again (3 to 8 % of a run).
import {
  FAULT_BUDGET,
  FAULT_FALL_OFF,
  FAULT_INVALID_INSN,
  FAULT_JUMP_MIDDLE,
  FAULT_JUMP_OUT,
  FAULT_JUMP_TABLE,
  FAULT_UNSUPPORTED,
  FRAME_CALL,
  FRAME_MAY_GOTO,
  IMAGE_ORIGINALS,
  IMAGE_SLOTS,
  IMAGE_TARGETS,
  INSN_DST,
  INSN_IMM,
  INSN_OFF,
  INSN_SIZE,
  INSN_SRC,
  KIND_SCALAR,
  OP_ADDR_SPACE_CAST,
  OP_BREAKPOINT,
  OP_CALL_FUNCTION,
  OP_CALL_HELPER,
  OP_LOOP,
  OP_MIDDLE,
  OP_MOVSX32_16,
  OP_MOVSX32_8,
  OP_MOVSX64_16,
  OP_MOVSX64_32,
  OP_MOVSX64_8,
  OP_SDIV32_K,
  OP_SDIV32_X,
  OP_SDIV64_K,
  OP_SDIV64_X,
  OP_SMOD32_K,
  OP_SMOD32_X,
  OP_SMOD64_K,
  OP_SMOD64_X,
  OP_TAIL_CALL,
  OP_THROW,
  OP_UNSUPPORTED,
  REGISTER_AUX,
  STATE_BASE_DEPTH,
  STATE_BUDGET,
  STATE_CODE,
  STATE_COOKIE,
  STATE_DEPTH,
  STATE_FUNCTION_LENGTH,
  STATE_FUNCTION_START,
  STATE_IMAGE,
  STATE_PAUSE,
  STATE_SLOT,
  STATE_STATUS,
  STATE_STEPS,
  STATUS_BREAKPOINT,
  STATUS_PAUSED,
  STATUS_THROWN,
} from '../layout';
import { checkArguments } from './arguments';
import { atomicStep } from './atomics';
import { stop } from './fault';
import { beginLoop, enter, leave, tailCall, register, unwind } from './frames';
import { callHelper, helperByNumber } from './helpers';
import { PACKET_FAULT, PACKET_LOADED, packetLoad } from './packet-load';
import { addable, blendable, blendable2, frameAt, movable, readable, setTag, subtractable } from './provenance';
import { imm64, imm32, jumpTarget, comparable } from './operand';
import {
  add64K, add64X, add32K, add32X, sub64K, sub64X, sub32K, sub32X, mul64K, mul64X,
  mul32K, mul32X, div64K, div64X, div32K, div32X, or64K, or64X, or32K, or32X,
  and64K, and64X, and32K, and32X, lsh64K, lsh64X, lsh32K, lsh32X, rsh64K, rsh64X,
  rsh32K, rsh32X, neg64, neg32, mod64K, mod64X, mod32K, mod32X, xor64K, xor64X,
  xor32K, xor32X, arsh64K, arsh64X, arsh32K, arsh32X, sdiv64K, sdiv64X, sdiv32K, sdiv32X,
  smod64K, smod64X, smod32K, smod32X,
} from './alu';
import {
  equal64K, equal64X, equal32K, equal32X, above64K, above64X, above32K, above32X, aboveOrEqual64K, aboveOrEqual64X,
  aboveOrEqual32K, aboveOrEqual32X, anyBit64K, anyBit64X, anyBit32K, anyBit32X, unequal64K, unequal64X, unequal32K, unequal32X,
  greater64K, greater64X, greater32K, greater32X, greaterOrEqual64K, greaterOrEqual64X, greaterOrEqual32K, greaterOrEqual32X, below64K, below64X,
  below32K, below32X, belowOrEqual64K, belowOrEqual64X, belowOrEqual32K, belowOrEqual32X, less64K, less64X, less32K, less32X,
  lessOrEqual64K, lessOrEqual64X, lessOrEqual32K, lessOrEqual32X,
} from './jump';
import {
  readAt, writeAt, load8, load16, load32, load64, loadSigned8, loadSigned16, loadSigned32, store8K, store16K, store32K,
  store64K, store8, store16, store32, store64,
} from './memory';
import {
  mov64K, mov64X, mov32K, mov32X, extend32From8, extend32From16, extend64From8, extend64From16, extend64From32, castAddress,
  toLittleEndian, swapBytes, loadWide,
} from './move';

/** Runs from STATE_SLOT until the program exits, pauses or faults: see STATE_STATUS. */
export function loop(s: usize): void {
  let code = <usize>load<u32>(s, STATE_CODE);
  let start = load<u32>(s, STATE_FUNCTION_START);
  let length = load<u32>(s, STATE_FUNCTION_LENGTH);
  let slot = load<u32>(s, STATE_SLOT);
  let steps = load<u64>(s, STATE_STEPS);
  const nested = load<u32>(s, STATE_BASE_DEPTH) > 1;
  const budget = load<u64>(s, STATE_BUDGET);
  // A helper's callback cannot be left half done.
  const limit = nested ? budget : min<u64>(budget, load<u64>(s, STATE_PAUSE));
  let at = slot;
  let jumped = false;
  let a: usize = 0;
  while (true) {
    if (slot - start >= length) {
      if (jumped) stop(s, FAULT_JUMP_OUT, <u64>slot);
      else stop(s, FAULT_FALL_OFF, <u64>slot);
      break;
    }
    if (steps >= limit) {
      at = slot;
      if (steps >= budget) stop(s, FAULT_BUDGET, budget);
      else store<u32>(s, STATUS_PAUSED, STATE_STATUS);
      break;
    }
    const e = code + <usize>slot * INSN_SIZE;
    let op = <u32>load<u16>(e);
    if (op == OP_BREAKPOINT) {
      if (!nested) {
        at = slot;
        store<u32>(s, STATUS_BREAKPOINT, STATE_STATUS);
        break;
      }
      op = <u32>load<u16>(<usize>load<u32>(<usize>load<u32>(s, STATE_IMAGE), IMAGE_ORIGINALS) + (<usize>slot << 1));
    }
    const before = at;
    at = slot;
    slot++;
    steps++;
    jumped = false;
    const d = s + <usize>load<u16>(e, INSN_DST);
    const r = s + <usize>load<u16>(e, INSN_SRC);
    switch (op) {
      case 0x07: if (!movable(s, d)) break; add64K(e, d); continue;
      case 0x0f: if (!addable(s, d, r)) break; add64X(d, r); continue;
      case 0x04: if (!blendable(s, d)) break; add32K(e, d); continue;
      case 0x0c: if (!blendable2(s, d, r)) break; add32X(d, r); continue;
      case 0x17: if (!movable(s, d)) break; sub64K(e, d); continue;
      case 0x1f: if (!subtractable(s, d, r)) break; sub64X(d, r); continue;
      case 0x14: if (!blendable(s, d)) break; sub32K(e, d); continue;
      case 0x1c: if (!blendable2(s, d, r)) break; sub32X(d, r); continue;
      case 0x27: if (!blendable(s, d)) break; mul64K(e, d); continue;
      case 0x2f: if (!blendable2(s, d, r)) break; mul64X(d, r); continue;
      case 0x24: if (!blendable(s, d)) break; mul32K(e, d); continue;
      case 0x2c: if (!blendable2(s, d, r)) break; mul32X(d, r); continue;
      case 0x37: if (!blendable(s, d)) break; div64K(e, d); continue;
      case 0x3f: if (!blendable2(s, d, r)) break; div64X(d, r); continue;
      case 0x34: if (!blendable(s, d)) break; div32K(e, d); continue;
      case 0x3c: if (!blendable2(s, d, r)) break; div32X(d, r); continue;
      case 0x47: if (!blendable(s, d)) break; or64K(e, d); continue;
      case 0x4f: if (!blendable2(s, d, r)) break; or64X(d, r); continue;
      case 0x44: if (!blendable(s, d)) break; or32K(e, d); continue;
      case 0x4c: if (!blendable2(s, d, r)) break; or32X(d, r); continue;
      case 0x57: if (!blendable(s, d)) break; and64K(e, d); continue;
      case 0x5f: if (!blendable2(s, d, r)) break; and64X(d, r); continue;
      case 0x54: if (!blendable(s, d)) break; and32K(e, d); continue;
      case 0x5c: if (!blendable2(s, d, r)) break; and32X(d, r); continue;
      case 0x67: if (!blendable(s, d)) break; lsh64K(e, d); continue;
      case 0x6f: if (!blendable2(s, d, r)) break; lsh64X(d, r); continue;
      case 0x64: if (!blendable(s, d)) break; lsh32K(e, d); continue;
      case 0x6c: if (!blendable2(s, d, r)) break; lsh32X(d, r); continue;
      case 0x77: if (!blendable(s, d)) break; rsh64K(e, d); continue;
      case 0x7f: if (!blendable2(s, d, r)) break; rsh64X(d, r); continue;
      case 0x74: if (!blendable(s, d)) break; rsh32K(e, d); continue;
      case 0x7c: if (!blendable2(s, d, r)) break; rsh32X(d, r); continue;
      case 0x87: if (!blendable(s, d)) break; neg64(d); continue;
      case 0x84: if (!blendable(s, d)) break; neg32(d); continue;
      case 0x97: if (!blendable(s, d)) break; mod64K(e, d); continue;
      case 0x9f: if (!blendable2(s, d, r)) break; mod64X(d, r); continue;
      case 0x94: if (!blendable(s, d)) break; mod32K(e, d); continue;
      case 0x9c: if (!blendable2(s, d, r)) break; mod32X(d, r); continue;
      case 0xa7: if (!blendable(s, d)) break; xor64K(e, d); continue;
      case 0xaf: if (!blendable2(s, d, r)) break; xor64X(d, r); continue;
      case 0xa4: if (!blendable(s, d)) break; xor32K(e, d); continue;
      case 0xac: if (!blendable2(s, d, r)) break; xor32X(d, r); continue;
      case 0xb7: mov64K(e, d); continue;
      case 0xbf: if (!readable(s, r)) break; mov64X(d, r); continue;
      case 0xb4: mov32K(e, d); continue;
      case 0xbc: if (!readable(s, r)) break; mov32X(d, r); continue;
      case 0xc7: if (!blendable(s, d)) break; arsh64K(e, d); continue;
      case 0xcf: if (!blendable2(s, d, r)) break; arsh64X(d, r); continue;
      case 0xc4: if (!blendable(s, d)) break; arsh32K(e, d); continue;
      case 0xcc: if (!blendable2(s, d, r)) break; arsh32X(d, r); continue;
      case OP_SDIV64_K: if (!blendable(s, d)) break; sdiv64K(e, d); continue;
      case OP_SDIV64_X: if (!blendable2(s, d, r)) break; sdiv64X(d, r); continue;
      case OP_SDIV32_K: if (!blendable(s, d)) break; sdiv32K(e, d); continue;
      case OP_SDIV32_X: if (!blendable2(s, d, r)) break; sdiv32X(d, r); continue;
      case OP_SMOD64_K: if (!blendable(s, d)) break; smod64K(e, d); continue;
      case OP_SMOD64_X: if (!blendable2(s, d, r)) break; smod64X(d, r); continue;
      case OP_SMOD32_K: if (!blendable(s, d)) break; smod32K(e, d); continue;
      case OP_SMOD32_X: if (!blendable2(s, d, r)) break; smod32X(d, r); continue;
      case OP_MOVSX32_8: if (!readable(s, r)) break; extend32From8(d, r); continue;
      case OP_MOVSX32_16: if (!readable(s, r)) break; extend32From16(d, r); continue;
      case OP_MOVSX64_8: if (!readable(s, r)) break; extend64From8(d, r); continue;
      case OP_MOVSX64_16: if (!readable(s, r)) break; extend64From16(d, r); continue;
      case OP_MOVSX64_32: if (!readable(s, r)) break; extend64From32(d, r); continue;
      case OP_ADDR_SPACE_CAST: if (!readable(s, r)) break; castAddress(s, e, d, r); continue;
      case 0xd4: if (!blendable(s, d)) break; toLittleEndian(e, d); continue; // le
      case 0xdc: // be
      case 0xd7: if (!blendable(s, d)) break; swapBytes(e, d); continue; // bswap
      case 0x15: if (!readable(s, d)) break; if (equal64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jeq 64
      case 0x1d: if (!comparable(s, d, r)) break; if (equal64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x16: if (!readable(s, d)) break; if (equal32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jeq 32
      case 0x1e: if (!comparable(s, d, r)) break; if (equal32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x25: if (!readable(s, d)) break; if (above64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jgt 64
      case 0x2d: if (!comparable(s, d, r)) break; if (above64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x26: if (!readable(s, d)) break; if (above32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jgt 32
      case 0x2e: if (!comparable(s, d, r)) break; if (above32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x35: if (!readable(s, d)) break; if (aboveOrEqual64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jge 64
      case 0x3d: if (!comparable(s, d, r)) break; if (aboveOrEqual64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x36: if (!readable(s, d)) break; if (aboveOrEqual32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jge 32
      case 0x3e: if (!comparable(s, d, r)) break; if (aboveOrEqual32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x45: if (!readable(s, d)) break; if (anyBit64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jset 64
      case 0x4d: if (!comparable(s, d, r)) break; if (anyBit64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x46: if (!readable(s, d)) break; if (anyBit32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jset 32
      case 0x4e: if (!comparable(s, d, r)) break; if (anyBit32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x55: if (!readable(s, d)) break; if (unequal64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jne 64
      case 0x5d: if (!comparable(s, d, r)) break; if (unequal64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x56: if (!readable(s, d)) break; if (unequal32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jne 32
      case 0x5e: if (!comparable(s, d, r)) break; if (unequal32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x65: if (!readable(s, d)) break; if (greater64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsgt 64
      case 0x6d: if (!comparable(s, d, r)) break; if (greater64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x66: if (!readable(s, d)) break; if (greater32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsgt 32
      case 0x6e: if (!comparable(s, d, r)) break; if (greater32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x75: if (!readable(s, d)) break; if (greaterOrEqual64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsge 64
      case 0x7d: if (!comparable(s, d, r)) break; if (greaterOrEqual64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x76: if (!readable(s, d)) break; if (greaterOrEqual32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsge 32
      case 0x7e: if (!comparable(s, d, r)) break; if (greaterOrEqual32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xa5: if (!readable(s, d)) break; if (below64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jlt 64
      case 0xad: if (!comparable(s, d, r)) break; if (below64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xa6: if (!readable(s, d)) break; if (below32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jlt 32
      case 0xae: if (!comparable(s, d, r)) break; if (below32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xb5: if (!readable(s, d)) break; if (belowOrEqual64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jle 64
      case 0xbd: if (!comparable(s, d, r)) break; if (belowOrEqual64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xb6: if (!readable(s, d)) break; if (belowOrEqual32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jle 32
      case 0xbe: if (!comparable(s, d, r)) break; if (belowOrEqual32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xc5: if (!readable(s, d)) break; if (less64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jslt 64
      case 0xcd: if (!comparable(s, d, r)) break; if (less64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xc6: if (!readable(s, d)) break; if (less32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jslt 32
      case 0xce: if (!comparable(s, d, r)) break; if (less32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xd5: if (!readable(s, d)) break; if (lessOrEqual64K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsle 64
      case 0xdd: if (!comparable(s, d, r)) break; if (lessOrEqual64X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0xd6: if (!readable(s, d)) break; if (lessOrEqual32K(e, d)) { slot = jumpTarget(e); jumped = true; } continue; // jsle 32
      case 0xde: if (!comparable(s, d, r)) break; if (lessOrEqual32X(d, r)) { slot = jumpTarget(e); jumped = true; } continue;
      case 0x05: // ja, gotol
      case 0x06: {
        slot = jumpTarget(e);
        jumped = true;
        continue;
      }
      case 0x0d: { // gotox
        if (!readable(s, d)) break;
        const to = load<u64>(d);
        const image = <usize>load<u32>(s, STATE_IMAGE);
        if (to >= <u64>load<u32>(image, IMAGE_SLOTS) || load<u8>(<usize>load<u32>(image, IMAGE_TARGETS) + <usize>to) == 0) {
          stop(s, FAULT_JUMP_TABLE, to);
          break;
        }
        slot = <u32>to;
        jumped = true;
        continue;
      }
      case 0xe5: { // may_goto
        const frame = frameAt(s, load<u32>(s, STATE_DEPTH) - 1);
        const left = load<u32>(frame, FRAME_MAY_GOTO);
        if (left == 0) {
          slot = jumpTarget(e);
          jumped = true;
        } else {
          store<u32>(frame, left - 1, FRAME_MAY_GOTO);
        }
        continue;
      }
      case 0x18: loadWide(e, d); slot++; continue; // lddw
      case 0x71: a = readAt(s, e, r, 1); if (a == 0) break; load8(a, d); continue; // ldx u8
      case 0x69: a = readAt(s, e, r, 2); if (a == 0) break; load16(a, d); continue; // ldx u16
      case 0x61: a = readAt(s, e, r, 4); if (a == 0) break; load32(a, s, d, r); continue; // ldx u32
      case 0x79: a = readAt(s, e, r, 8); if (a == 0) break; load64(a, s, d, r); continue; // ldx u64
      case 0x91: a = readAt(s, e, r, 1); if (a == 0) break; loadSigned8(a, d); continue; // ldx s8
      case 0x89: a = readAt(s, e, r, 2); if (a == 0) break; loadSigned16(a, d); continue; // ldx s16
      case 0x81: a = readAt(s, e, r, 4); if (a == 0) break; loadSigned32(a, d); continue; // ldx s32
      case 0x72: a = writeAt(s, e, d, 1); if (a == 0) break; store8K(a, e); continue; // st u8
      case 0x6a: a = writeAt(s, e, d, 2); if (a == 0) break; store16K(a, e); continue; // st u16
      case 0x62: a = writeAt(s, e, d, 4); if (a == 0) break; store32K(a, e); continue; // st u32
      case 0x7a: a = writeAt(s, e, d, 8); if (a == 0) break; store64K(a, e); continue; // st u64
      case 0x73: if (!readable(s, r)) break; a = writeAt(s, e, d, 1); if (a == 0) break; store8(a, r); continue; // stx u8
      case 0x6b: if (!readable(s, r)) break; a = writeAt(s, e, d, 2); if (a == 0) break; store16(a, r); continue; // stx u16
      case 0x63: if (!readable(s, r)) break; a = writeAt(s, e, d, 4); if (a == 0) break; store32(a, r); continue; // stx u32
      case 0x7b: if (!readable(s, r)) break; a = writeAt(s, e, d, 8); if (a == 0) break; store64(a, s, d, r); continue; // stx u64
      case 0x20: // packet loads
      case 0x28:
      case 0x30:
      case 0x40:
      case 0x48:
      case 0x50: {
        const outcome = packetLoad(s, op, op >= 0x40 ? r : 0, load<i32>(e, INSN_IMM));
        if (outcome == PACKET_FAULT) break;
        if (outcome == PACKET_LOADED) continue;
        // Beyond the packet: the function returns 0.
        store<u64>(s, 0);
        setTag(s, KIND_SCALAR);
        store<u32>(s, at, STATE_SLOT);
        if (!leave(s)) {
          store<u64>(s, steps, STATE_STEPS);
          return;
        }
        code = <usize>load<u32>(s, STATE_CODE);
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case 0xc3: // atomics
      case 0xcb:
      case 0xd3:
      case 0xdb: {
        if (!atomicStep(s, e, op, d, r, <i64>load<i16>(e, INSN_OFF))) break;
        continue;
      }
      case OP_CALL_HELPER: {
        store<u64>(s, steps, STATE_STEPS);
        store<u32>(s, at, STATE_SLOT);
        if (!callHelper(s, <usize>imm32(e), at)) {
          // A fault in a callback stays where it is; an exception goes on from here.
          if (load<u32>(s, STATE_STATUS) != STATUS_THROWN || !unwind(s)) return;
          code = <usize>load<u32>(s, STATE_CODE);
          start = load<u32>(s, STATE_FUNCTION_START);
          length = load<u32>(s, STATE_FUNCTION_LENGTH);
          slot = load<u32>(s, STATE_SLOT);
        }
        steps = load<u64>(s, STATE_STEPS);
        continue;
      }
      case OP_THROW: {
        const cookie = register(s, 1);
        if (!readable(s, cookie)) break;
        store<u64>(s, load<u64>(cookie), STATE_COOKIE);
        store<u32>(s, at, STATE_SLOT);
        if (!unwind(s)) {
          store<u64>(s, steps, STATE_STEPS);
          return;
        }
        code = <usize>load<u32>(s, STATE_CODE);
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case 0x8d: { // callx, in programs without a type: the helper of that number
        if (!readable(s, d)) break;
        const record = helperByNumber(s, load<u64>(d));
        if (record == 0) {
          stop(s, FAULT_UNSUPPORTED, load<u64>(d));
          break;
        }
        store<u64>(s, steps, STATE_STEPS);
        store<u32>(s, at, STATE_SLOT);
        if (!callHelper(s, record, at)) return;
        steps = load<u64>(s, STATE_STEPS);
        continue;
      }
      case OP_CALL_FUNCTION: {
        if (enter(s, imm32(e), FRAME_CALL, slot) == 0) break;
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case OP_LOOP: {
        if (!checkArguments(s, <usize>imm32(e))) break;
        if (!beginLoop(s, slot, load<u32>(register(s, 2), REGISTER_AUX))) break;
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case OP_TAIL_CALL: {
        if (!checkArguments(s, <usize>imm32(e))) break;
        tailCall(s, slot);
        code = <usize>load<u32>(s, STATE_CODE);
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case 0x95: { // exit
        store<u32>(s, at, STATE_SLOT);
        if (!leave(s)) {
          store<u64>(s, steps, STATE_STEPS);
          return;
        }
        code = <usize>load<u32>(s, STATE_CODE);
        start = load<u32>(s, STATE_FUNCTION_START);
        length = load<u32>(s, STATE_FUNCTION_LENGTH);
        slot = load<u32>(s, STATE_SLOT);
        continue;
      }
      case OP_MIDDLE:
        stop(s, FAULT_JUMP_MIDDLE, <u64>(at - 1));
        at = before;
        steps--;
        break;
      case OP_UNSUPPORTED:
        stop(s, FAULT_UNSUPPORTED, imm64(e));
        break;
      default:
        stop(s, FAULT_INVALID_INSN, <u64>op);
        break;
    }
    break;
  }
  store<u64>(s, steps, STATE_STEPS);
  store<u32>(s, at, STATE_SLOT);
}
