/** Loads, stores and atomics, RFC 9669 section 5, and Linux's load-acquire and store-release. */
import type { AtomicOp } from '../isa/operation.ts';
import { WORKER_ARENA_SINK, WORKER_ARENA_ZERO } from '../plane/layout/worker.ts';
import { ARENA_AT } from './arena.ts';
import type { Emitter } from './emitter.ts';
import { NO_REGISTER, type Op, type Register } from './ir.ts';
import { atomic, I32, I64, wasm } from './wasm/opcodes.ts';

type OpOf<K extends Op['kind']> = Extract<Op, { kind: K }>;

/** Opcodes by size: [unsigned, signed] for a result of 32 bits and of 64. An i32 load of 8 bytes loads the lower four. */
const loads32 = { 1: [0x2d, 0x2c], 2: [0x2f, 0x2e], 4: [0x28, 0x28], 8: [0x28, 0x28] } as const;
const loads64 = { 1: [0x31, 0x30], 2: [0x33, 0x32], 4: [0x35, 0x34], 8: [0x29, 0x29] } as const;
const stores32 = { 1: wasm.i32Store8, 2: wasm.i32Store16, 4: wasm.i32Store } as const;
const stores64 = { 1: wasm.i64Store8, 2: wasm.i64Store16, 4: wasm.i64Store32 } as const;

/** As pushAddress; an address in an arena without a page there becomes that of `nowhere` in the worker block. */
function pushTarget(e: Emitter, base: Register, off: number, nowhere: number): number {
  if (!e.isArena(base)) return e.pushAddress(base, off);
  const { code } = e;
  code.i32(e.analysis.arena);
  const offset = e.pushAddress(base, off);
  if (offset !== 0) {
    code.i32(offset);
    code.op(wasm.i32Add);
  }
  code.global(e.scope.worker);
  code.i32(nowhere);
  code.op(wasm.i32Add);
  code.call(e.scope.plane(ARENA_AT.name));
  return 0;
}

export function emitLoad(e: Emitter, op: OpOf<'load'>): void {
  const type = e.resultType();
  const offset = pushTarget(e, op.base, op.off, WORKER_ARENA_ZERO);
  e.code.memory((type === I32 ? loads32 : loads64)[op.size][op.signed ? 1 : 0], offset);
  e.define(op, type);
}

export function emitStore(e: Emitter, op: OpOf<'store'>): void {
  const offset = pushTarget(e, op.base, op.off, WORKER_ARENA_SINK);
  if (op.size === 8) {
    e.pushOperand(op, I64);
    e.code.memory(wasm.i64Store, offset);
  } else if (op.b === NO_REGISTER || e.isNarrow(op.b)) {
    e.pushOperand(op, I32);
    e.code.memory(stores32[op.size], offset);
  } else {
    e.push(op.b, I64);
    e.code.memory(stores64[op.size], offset);
  }
}

const modify: Readonly<Record<AtomicOp, number>> = {
  add: atomic.rmwAdd,
  and: atomic.rmwAnd,
  or: atomic.rmwOr,
  xor: atomic.rmwXor,
  xchg: atomic.rmwXchg,
  cmpxchg: atomic.rmwCmpxchg,
};

export function emitAtomic(e: Emitter, op: OpOf<'atomic'>): void {
  const type = op.size === 4 ? I32 : I64;
  const offset = pushTarget(e, op.base, op.off, WORKER_ARENA_SINK);
  if (op.op === 'cmpxchg') e.push(0, type);
  e.push(op.src, type);
  e.code.atomic(modify[op.op] + (type === I64 ? 1 : 0), op.size, offset);
  if (op.fetch) e.define(op, type);
  else e.code.op(wasm.drop);
}

export function emitLoadAcquire(e: Emitter, op: OpOf<'load-acquire'>): void {
  const opcode = { 1: atomic.i32Load8U, 2: atomic.i32Load16U, 4: atomic.i32Load, 8: atomic.i64Load }[op.size];
  const offset = pushTarget(e, op.base, op.off, WORKER_ARENA_ZERO);
  e.code.atomic(opcode, op.size, offset);
  e.define(op, op.size === 8 ? I64 : I32);
}

export function emitStoreRelease(e: Emitter, op: OpOf<'store-release'>): void {
  const opcode = { 1: atomic.i32Store8, 2: atomic.i32Store16, 4: atomic.i32Store, 8: atomic.i64Store }[op.size];
  const offset = pushTarget(e, op.base, op.off, WORKER_ARENA_SINK);
  e.push(op.src, op.size === 8 ? I64 : I32);
  e.code.atomic(opcode, op.size, offset);
}
