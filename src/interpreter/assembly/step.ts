// The stepping loop: one case an operation. Provenance is looked at first where an operand is not a plain scalar; a case that ends in
// `continue` goes on, one that ends in `break` stops at this slot with the fault that a check has recorded.
import {
  ACCESS_READ,
  ACCESS_WRITE,
  FAULT_BUDGET,
  FAULT_FALL_OFF,
  FAULT_INVALID_INSN,
  FAULT_JUMP_MIDDLE,
  FAULT_JUMP_OUT,
  FAULT_JUMP_TABLE,
  FAULT_UNSUPPORTED,
  FRAME_CALL,
  FRAME_MAY_GOTO,
  IMAGE_ARENA,
  IMAGE_ORIGINALS,
  IMAGE_SLOTS,
  IMAGE_TARGETS,
  INSN_DST,
  INSN_IMM,
  INSN_OFF,
  INSN_SIZE,
  INSN_SRC,
  INSN_TARGET,
  KIND_ARENA,
  KIND_CONTEXT,
  KIND_SCALAR,
  KIND_STACK,
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
  WIDE_AUX,
  WIDE_BASE,
  WIDE_OBJECT_SIZE,
  WIDE_TAG,
} from '../layout';
import { MAP_MAX_ENTRIES, MAP_VALUES } from '../../plane/layout/map';
import { ARENA_PAGE } from '../../plane/layout/map-arena';
import { contextField, resolve } from './access';
import { divide32, divide64, remainder32, remainder64, sdivide32, sdivide64, smodulo32, smodulo64, swap } from './arithmetic';
import { atomicStep } from './atomics';
import { stop } from './fault';
import { beginLoop, enter, leave, tailCall, register, clobber, unwind } from './frames';
import { callHelper, checkArguments, helperByNumber } from './helpers';
import { PACKET_FAULT, PACKET_LOADED, packetLoad } from './packet-load';
import {
  blend,
  blend1,
  blendAdd,
  blendSub,
  copyProvenance,
  copyRegister,
  fill,
  frameAt,
  plain2,
  readable,
  setObject,
  setTag,
  spill,
  tagOf,
} from './provenance';

@inline function imm64(e: usize): u64 {
  return load<u64>(e, INSN_IMM);
}

@inline function imm32(e: usize): u32 {
  return load<u32>(e, INSN_IMM);
}

/** Constant of a conditional jump, whose upper half is the target. */
@inline function jumpImm(e: usize): i64 {
  return <i64>load<i32>(e, INSN_IMM);
}

@inline function jumpTarget(e: usize): u32 {
  return load<u32>(e, INSN_TARGET);
}

/** Both operands of a comparison may be read. */
@inline function comparable(s: usize, d: usize, r: usize): bool {
  return plain2(d, r) || (readable(s, d) && readable(s, r));
}

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
      case 0x07: { // add 64
        if (tagOf(d) != KIND_SCALAR && !readable(s, d)) break;
        store<u64>(d, load<u64>(d) + imm64(e));
        continue;
      }
      case 0x0f: {
        if (!plain2(d, r) && !blendAdd(s, d, r)) break;
        store<u64>(d, load<u64>(d) + load<u64>(r));
        continue;
      }
      case 0x04: { // add 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) + imm32(e)));
        continue;
      }
      case 0x0c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) + load<u32>(r)));
        continue;
      }
      case 0x17: { // sub 64
        if (tagOf(d) != KIND_SCALAR && !readable(s, d)) break;
        store<u64>(d, load<u64>(d) - imm64(e));
        continue;
      }
      case 0x1f: {
        if (!plain2(d, r) && !blendSub(s, d, r)) break;
        store<u64>(d, load<u64>(d) - load<u64>(r));
        continue;
      }
      case 0x14: { // sub 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) - imm32(e)));
        continue;
      }
      case 0x1c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) - load<u32>(r)));
        continue;
      }
      case 0x27: { // mul 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) * imm64(e));
        continue;
      }
      case 0x2f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) * load<u64>(r));
        continue;
      }
      case 0x24: { // mul 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) * imm32(e)));
        continue;
      }
      case 0x2c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) * load<u32>(r)));
        continue;
      }
      case 0x37: { // div 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, divide64(load<u64>(d), imm64(e)));
        continue;
      }
      case 0x3f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, divide64(load<u64>(d), load<u64>(r)));
        continue;
      }
      case 0x34: { // div 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(divide32(load<u32>(d), imm32(e))));
        continue;
      }
      case 0x3c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(divide32(load<u32>(d), load<u32>(r))));
        continue;
      }
      case 0x47: { // or 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) | imm64(e));
        continue;
      }
      case 0x4f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) | load<u64>(r));
        continue;
      }
      case 0x44: { // or 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) | imm32(e)));
        continue;
      }
      case 0x4c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) | load<u32>(r)));
        continue;
      }
      case 0x57: { // and 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) & imm64(e));
        continue;
      }
      case 0x5f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) & load<u64>(r));
        continue;
      }
      case 0x54: { // and 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) & imm32(e)));
        continue;
      }
      case 0x5c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) & load<u32>(r)));
        continue;
      }
      case 0x67: { // lsh 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) << (imm64(e) & 63));
        continue;
      }
      case 0x6f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) << (load<u64>(r) & 63));
        continue;
      }
      case 0x64: { // lsh 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) << (imm32(e) & 31)));
        continue;
      }
      case 0x6c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) << (load<u32>(r) & 31)));
        continue;
      }
      case 0x77: { // rsh 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) >> (imm64(e) & 63));
        continue;
      }
      case 0x7f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) >> (load<u64>(r) & 63));
        continue;
      }
      case 0x74: { // rsh 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) >> (imm32(e) & 31)));
        continue;
      }
      case 0x7c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) >> (load<u32>(r) & 31)));
        continue;
      }
      case 0x87: { // neg
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, 0 - load<u64>(d));
        continue;
      }
      case 0x84: {
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(0 - load<u32>(d)));
        continue;
      }
      case 0x97: { // mod 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, remainder64(load<u64>(d), imm64(e)));
        continue;
      }
      case 0x9f: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, remainder64(load<u64>(d), load<u64>(r)));
        continue;
      }
      case 0x94: { // mod 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(remainder32(load<u32>(d), imm32(e))));
        continue;
      }
      case 0x9c: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(remainder32(load<u32>(d), load<u32>(r))));
        continue;
      }
      case 0xa7: { // xor 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, load<u64>(d) ^ imm64(e));
        continue;
      }
      case 0xaf: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, load<u64>(d) ^ load<u64>(r));
        continue;
      }
      case 0xa4: { // xor 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) ^ imm32(e)));
        continue;
      }
      case 0xac: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(load<u32>(d) ^ load<u32>(r)));
        continue;
      }
      case 0xb7: { // mov 64
        setTag(d, KIND_SCALAR);
        store<u64>(d, imm64(e));
        continue;
      }
      case 0xbf: {
        if (!readable(s, r)) break;
        copyRegister(d, r);
        continue;
      }
      case 0xb4: { // mov 32
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64>imm32(e));
        continue;
      }
      case 0xbc: {
        if (!readable(s, r)) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64>load<u32>(r));
        continue;
      }
      case 0xc7: { // arsh 64
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64>(load<i64>(d) >> (imm64(e) & 63)));
        continue;
      }
      case 0xcf: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64>(load<i64>(d) >> (load<u64>(r) & 63)));
        continue;
      }
      case 0xc4: { // arsh 32
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (imm32(e) & 31))));
        continue;
      }
      case 0xcc: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (load<u32>(r) & 31))));
        continue;
      }
      case OP_SDIV64_K: {
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, sdivide64(load<i64>(d), load<i64>(e, INSN_IMM)));
        continue;
      }
      case OP_SDIV64_X: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, sdivide64(load<i64>(d), load<i64>(r)));
        continue;
      }
      case OP_SDIV32_K: {
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(e, INSN_IMM)));
        continue;
      }
      case OP_SDIV32_X: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(r)));
        continue;
      }
      case OP_SMOD64_K: {
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, smodulo64(load<i64>(d), load<i64>(e, INSN_IMM)));
        continue;
      }
      case OP_SMOD64_X: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, smodulo64(load<i64>(d), load<i64>(r)));
        continue;
      }
      case OP_SMOD32_K: {
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(e, INSN_IMM)));
        continue;
      }
      case OP_SMOD32_X: {
        if (!plain2(d, r) && !blend(s, d, r)) break;
        store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(r)));
        continue;
      }
      case OP_MOVSX32_8: {
        if (!readable(s, r)) break;
        const value = <u64><u32><i32>load<i8>(r);
        setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case OP_MOVSX32_16: {
        if (!readable(s, r)) break;
        const value = <u64><u32><i32>load<i16>(r);
        setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case OP_MOVSX64_8: {
        if (!readable(s, r)) break;
        const value = <u64><i64>load<i8>(r);
        setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case OP_MOVSX64_16: {
        if (!readable(s, r)) break;
        const value = <u64><i64>load<i16>(r);
        setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case OP_MOVSX64_32: {
        if (!readable(s, r)) break;
        const value = <u64><i64>load<i32>(r);
        setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case OP_ADDR_SPACE_CAST: {
        if (!readable(s, r)) break;
        // The address is the lower half, in both address spaces.
        const value = <u64>load<u32>(r);
        const arena = load<u32>(<usize>load<u32>(s, STATE_IMAGE), IMAGE_ARENA);
        copyProvenance(d, r);
        if (arena != 0 && imm32(e) == 1) setObject(d, KIND_ARENA, load<u32>(arena, MAP_VALUES), load<u32>(arena, MAP_MAX_ENTRIES) * ARENA_PAGE, arena);
        else if (arena != 0) setTag(d, KIND_SCALAR);
        store<u64>(d, value);
        continue;
      }
      case 0xd4: { // le
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        const bits = imm32(e);
        if (bits == 16) store<u64>(d, <u64>load<u16>(d));
        else if (bits == 32) store<u64>(d, <u64>load<u32>(d));
        continue;
      }
      case 0xdc: // be
      case 0xd7: { // bswap
        if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) break;
        store<u64>(d, swap(load<u64>(d), imm32(e)));
        continue;
      }
      case 0x15: { // jeq 64
        if (!readable(s, d)) break;
        if (load<u64>(d) == <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x1d: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) == load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x16: { // jeq 32
        if (!readable(s, d)) break;
        if (load<u32>(d) == imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x1e: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) == load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x25: { // jgt 64
        if (!readable(s, d)) break;
        if (load<u64>(d) > <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x2d: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) > load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x26: { // jgt 32
        if (!readable(s, d)) break;
        if (load<u32>(d) > imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x2e: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) > load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x35: { // jge 64
        if (!readable(s, d)) break;
        if (load<u64>(d) >= <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x3d: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) >= load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x36: { // jge 32
        if (!readable(s, d)) break;
        if (load<u32>(d) >= imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x3e: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) >= load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x45: { // jset 64
        if (!readable(s, d)) break;
        if ((load<u64>(d) & <u64>jumpImm(e)) != 0) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x4d: {
        if (!comparable(s, d, r)) break;
        if ((load<u64>(d) & load<u64>(r)) != 0) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x46: { // jset 32
        if (!readable(s, d)) break;
        if ((load<u32>(d) & imm32(e)) != 0) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x4e: {
        if (!comparable(s, d, r)) break;
        if ((load<u32>(d) & load<u32>(r)) != 0) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x55: { // jne 64
        if (!readable(s, d)) break;
        if (load<u64>(d) != <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x5d: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) != load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x56: { // jne 32
        if (!readable(s, d)) break;
        if (load<u32>(d) != imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x5e: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) != load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x65: { // jsgt 64
        if (!readable(s, d)) break;
        if (load<i64>(d) > jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x6d: {
        if (!comparable(s, d, r)) break;
        if (load<i64>(d) > load<i64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x66: { // jsgt 32
        if (!readable(s, d)) break;
        if (load<i32>(d) > load<i32>(e, INSN_IMM)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x6e: {
        if (!comparable(s, d, r)) break;
        if (load<i32>(d) > load<i32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x75: { // jsge 64
        if (!readable(s, d)) break;
        if (load<i64>(d) >= jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x7d: {
        if (!comparable(s, d, r)) break;
        if (load<i64>(d) >= load<i64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x76: { // jsge 32
        if (!readable(s, d)) break;
        if (load<i32>(d) >= load<i32>(e, INSN_IMM)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0x7e: {
        if (!comparable(s, d, r)) break;
        if (load<i32>(d) >= load<i32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xa5: { // jlt 64
        if (!readable(s, d)) break;
        if (load<u64>(d) < <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xad: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) < load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xa6: { // jlt 32
        if (!readable(s, d)) break;
        if (load<u32>(d) < imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xae: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) < load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xb5: { // jle 64
        if (!readable(s, d)) break;
        if (load<u64>(d) <= <u64>jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xbd: {
        if (!comparable(s, d, r)) break;
        if (load<u64>(d) <= load<u64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xb6: { // jle 32
        if (!readable(s, d)) break;
        if (load<u32>(d) <= imm32(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xbe: {
        if (!comparable(s, d, r)) break;
        if (load<u32>(d) <= load<u32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xc5: { // jslt 64
        if (!readable(s, d)) break;
        if (load<i64>(d) < jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xcd: {
        if (!comparable(s, d, r)) break;
        if (load<i64>(d) < load<i64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xc6: { // jslt 32
        if (!readable(s, d)) break;
        if (load<i32>(d) < load<i32>(e, INSN_IMM)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xce: {
        if (!comparable(s, d, r)) break;
        if (load<i32>(d) < load<i32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xd5: { // jsle 64
        if (!readable(s, d)) break;
        if (load<i64>(d) <= jumpImm(e)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xdd: {
        if (!comparable(s, d, r)) break;
        if (load<i64>(d) <= load<i64>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xd6: { // jsle 32
        if (!readable(s, d)) break;
        if (load<i32>(d) <= load<i32>(e, INSN_IMM)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
      case 0xde: {
        if (!comparable(s, d, r)) break;
        if (load<i32>(d) <= load<i32>(r)) {
          slot = jumpTarget(e);
          jumped = true;
        }
        continue;
      }
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
      case 0x18: { // lddw
        const wide = e + INSN_SIZE;
        store<u64>(d, imm64(e));
        setObject(d, <u32>load<u16>(wide, WIDE_TAG), load<u32>(wide, WIDE_BASE), load<u32>(wide, WIDE_OBJECT_SIZE), load<u32>(wide, WIDE_AUX));
        slot++;
        continue;
      }
      case 0x71: { // ldx u8
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_READ);
        if (a == 0) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64>load<u8>(a));
        continue;
      }
      case 0x69: { // ldx u16
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_READ);
        if (a == 0) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64>load<u16>(a));
        continue;
      }
      case 0x61: { // ldx u32
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_READ);
        if (a == 0) break;
        if ((tagOf(r) & 0xff) == KIND_CONTEXT) contextField(s, r, a, d);
        else setTag(d, KIND_SCALAR);
        store<u64>(d, <u64>load<u32>(a));
        continue;
      }
      case 0x79: { // ldx u64
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_READ);
        if (a == 0) break;
        const kind = tagOf(r) & 0xff;
        if (kind == KIND_STACK) fill(s, r, a, d);
        else if (kind == KIND_CONTEXT) contextField(s, r, a, d);
        else setTag(d, KIND_SCALAR);
        store<u64>(d, load<u64>(a));
        continue;
      }
      case 0x91: { // ldx s8
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_READ);
        if (a == 0) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64><i64>load<i8>(a));
        continue;
      }
      case 0x89: { // ldx s16
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_READ);
        if (a == 0) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64><i64>load<i16>(a));
        continue;
      }
      case 0x81: { // ldx s32
        const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_READ);
        if (a == 0) break;
        setTag(d, KIND_SCALAR);
        store<u64>(d, <u64><i64>load<i32>(a));
        continue;
      }
      case 0x72: { // st u8
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_WRITE);
        if (a == 0) break;
        store<u8>(a, <u8>imm32(e));
        continue;
      }
      case 0x6a: { // st u16
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_WRITE);
        if (a == 0) break;
        store<u16>(a, <u16>imm32(e));
        continue;
      }
      case 0x62: { // st u32
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_WRITE);
        if (a == 0) break;
        store<u32>(a, imm32(e));
        continue;
      }
      case 0x7a: { // st u64
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_WRITE);
        if (a == 0) break;
        store<u64>(a, imm64(e));
        continue;
      }
      case 0x73: { // stx u8
        if (!readable(s, r)) break;
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_WRITE);
        if (a == 0) break;
        store<u8>(a, load<u8>(r));
        continue;
      }
      case 0x6b: { // stx u16
        if (!readable(s, r)) break;
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_WRITE);
        if (a == 0) break;
        store<u16>(a, load<u16>(r));
        continue;
      }
      case 0x63: { // stx u32
        if (!readable(s, r)) break;
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_WRITE);
        if (a == 0) break;
        store<u32>(a, load<u32>(r));
        continue;
      }
      case 0x7b: { // stx u64
        if (!readable(s, r)) break;
        const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_WRITE);
        if (a == 0) break;
        store<u64>(a, load<u64>(r));
        if (tagOf(r) != KIND_SCALAR && (tagOf(d) & 0xff) == KIND_STACK) spill(s, d, a, r);
        continue;
      }
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
