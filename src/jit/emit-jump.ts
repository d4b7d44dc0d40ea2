/** What decides where a block goes on, RFC 9669 section 4.3. */
import type { Emitter } from './emitter.ts';
import type { Terminator } from './ir.ts';
import { I32, I64, type ValueType, wasm } from './wasm/opcodes.ts';

type Branch = Extract<Terminator, { kind: 'branch' }>;

/** [i32, i64], and the unsigned [i32, i64] that serve where both operands have no sign bit. */
const comparisons = {
  eq: [wasm.i32Eq, wasm.i64Eq],
  ne: [wasm.i32Ne, wasm.i64Ne],
  gt: [wasm.i32GtU, wasm.i64GtU],
  ge: [wasm.i32GeU, wasm.i64GeU],
  lt: [wasm.i32LtU, wasm.i64LtU],
  le: [wasm.i32LeU, wasm.i64LeU],
  sgt: [wasm.i32GtS, wasm.i64GtS],
  sge: [wasm.i32GeS, wasm.i64GeS],
  slt: [wasm.i32LtS, wasm.i64LtS],
  sle: [wasm.i32LeS, wasm.i64LeS],
} as const;
const unsignedOf = { sgt: 'gt', sge: 'ge', slt: 'lt', sle: 'le' } as const;

/** Leaves an i32 that is not zero where the branch is taken. */
export function emitCondition(e: Emitter, branch: Branch): void {
  const { code } = e;
  const a = e.fact(branch.a);
  const b = e.factOf(branch);
  if (branch.op === 'set') {
    const type = branch.width === 32 || a.bits <= 32 || b.bits <= 32 ? I32 : I64;
    pushBoth(e, branch, type);
    code.op(type === I32 ? wasm.i32And : wasm.i64And);
    if (type === I64) {
      code.i64(0n);
      code.op(wasm.i64Ne);
    }
    return;
  }
  // Zero-extended numbers compare as 64-bit numbers by their lower halves, unsigned.
  const halves = branch.width === 64 && a.bits <= 32 && b.bits <= 32;
  const type = branch.width === 32 || halves ? I32 : I64;
  if (b.kind === 'const' && (branch.op === 'eq' || branch.op === 'ne') && isZero(b.value, branch.width)) {
    if (a.kind === 'pointer' && a.nonNull) {
      code.i32(branch.op === 'ne' ? 1 : 0);
      return;
    }
    e.push(branch.a, type);
    if (branch.op === 'eq') code.op(type === I32 ? wasm.i32Eqz : wasm.i64Eqz);
    else if (type === I64) {
      code.i64(0n);
      code.op(wasm.i64Ne);
    }
    return;
  }
  pushBoth(e, branch, type);
  const op = halves && branch.op in unsignedOf ? unsignedOf[branch.op as keyof typeof unsignedOf] : branch.op; // checked by `in`
  code.op(comparisons[op][type === I32 ? 0 : 1]);
}

function isZero(value: bigint, width: 32 | 64): boolean {
  return BigInt.asUintN(width, value) === 0n;
}

function pushBoth(e: Emitter, branch: Branch, type: ValueType): void {
  e.push(branch.a, type);
  e.pushOperand(branch, type);
}

/** gotox: leaves the index of the target whose slot the register holds, or a number above all of them. */
export function emitSwitchIndex(e: Emitter, end: Extract<Terminator, { kind: 'switch' }>): void {
  const { code } = e;
  const first = end.slots[0] ?? 0;
  const distance = e.scratch('distance', I64);
  e.push(end.value, I64);
  code.i64(BigInt(first));
  code.op(wasm.i64Sub);
  code.tee(distance);
  code.op(wasm.i32WrapI64);
  code.i32(-1);
  code.get(distance);
  code.i64(0xffff_ffffn);
  code.op(wasm.i64LeU);
  code.op(wasm.select);
}
