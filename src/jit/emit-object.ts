/**
 * Calls about objects, expanded: memory from and to the caches of the CPU (plane/layout/allocator.ts, "Inline"), references counted, pointers exchanged. What
 * does not fit goes to the plane.
 */
import type { ObjectFacts } from '../object/resolved.ts';
import {
  CACHE_HEAD,
  CACHE_LIMIT,
  CACHE_TOP,
  OBJECT_KEY,
  RECIPROCAL,
  SLAB_BYTES,
  SLAB_CACHE,
  SLAB_ENTRY_SHIFT,
  SLAB_SHIFT,
} from '../plane/layout/allocator.ts';
import { ROOT, ROOT_FREE_KEY, SLAB_TABLE } from '../plane/layout/memory.ts';
import { WORKER_NO_CACHE } from '../plane/layout/worker.ts';
import type { Emitter } from './emitter.ts';
import type { Op } from './ir.ts';
import { atomic, I32, I64, wasm } from './wasm/opcodes.ts';

type Kfunc = Extract<Op, { kind: 'kfunc' }>;
type Helper = Extract<Op, { kind: 'helper' }>;

/** Special fields beyond this many words are begun by the plane. */
const MOST_WORDS = 16;

/** True if the call was expanded. `call` leaves what the plane's function returns, an i64. */
export function emitObjectCall(e: Emitter, op: Kfunc, call: () => void): boolean {
  const facts = e.scope.objects.get(op.slot);
  if (facts === undefined) return false;
  switch (op.name) {
    case 'bpf_obj_new_impl':
    case 'bpf_mem_alloc_impl':
      return emitNew(e, op, facts, call);
    case 'bpf_obj_drop_impl':
    case 'bpf_mem_free_impl':
      return emitDrop(e, op, facts, call);
    case 'bpf_refcount_acquire_impl':
      return emitAcquire(e, op, facts);
    default:
      return false;
  }
}

function emitNew(e: Emitter, op: Kfunc, facts: ObjectFacts, call: () => void): boolean {
  const { caches, fields, refcount } = facts;
  const words = fields.reduce((sum, { size }) => sum + Math.ceil(size / 8), 0);
  if (caches === undefined || words > MOST_WORDS) return false;
  const { code } = e;
  const head = caches.offset + caches.class * CACHE_HEAD;
  const top = e.scratch('cache-top', I32);
  const object = e.scratch('object', I32);
  e.loadWorker(head + CACHE_TOP);
  code.tee(top);
  code.memory(wasm.i32Load, 0);
  code.tee(object);
  code.openIf(I32);
  e.storeWorker(head + CACHE_TOP, () => {
    code.get(top);
    code.i32(4);
    code.op(wasm.i32Sub);
  });
  const zero = (offset: number, wide: boolean): void => {
    code.get(object);
    if (wide) code.i64(0n);
    else code.i32(0);
    code.memory(wide ? wasm.i64Store : wasm.i32Store, offset);
  };
  zero(OBJECT_KEY, false);
  for (const { offset, size } of fields) {
    let at = 0;
    for (; at + 8 <= size; at += 8) zero(offset + at, true);
    if (at < size) zero(offset + at, false);
  }
  if (refcount !== undefined) {
    code.get(object);
    code.i32(1);
    code.memory(wasm.i32Store, refcount);
  }
  code.get(object);
  code.op(wasm.else);
  call();
  code.op(wasm.i32WrapI64);
  code.end();
  e.define(op, I32);
  return true;
}

function emitDrop(e: Emitter, op: Kfunc, facts: ObjectFacts, call: () => void): boolean {
  const { owns, refcount, unit, deferred } = facts;
  if (owns || deferred() || (refcount !== undefined && e.scope.concurrent)) return false;
  const { code } = e;
  const object = e.scratch('object', I32);
  e.push(1, I32);
  code.set(object);
  if (refcount === undefined) {
    emitFree(e, object, unit, call);
  } else {
    // What was freed keeps the count of 1: a second drop finds the mark of free objects.
    const count = e.scratch('count', I32);
    code.get(object);
    code.memory(wasm.i32Load, refcount);
    code.tee(count);
    code.i32(1);
    code.op(wasm.i32Ne);
    code.openIf(I64);
    code.get(object);
    code.get(count);
    code.i32(1);
    code.op(wasm.i32Sub);
    code.memory(wasm.i32Store, refcount);
    code.i64(0n);
    code.op(wasm.else);
    emitFree(e, object, unit, call);
    code.end();
  }
  e.define(op, I64);
  return true;
}

/** Leaves an i64. The address is in the local `object`; `unit`: bytes of its class. */
function emitFree(e: Emitter, object: number, unit: number | undefined, call: () => void): void {
  const { code } = e;
  const head = e.scratch('cache-head', I32);
  const top = e.scratch('cache-top', I32);
  const key = (): void => {
    code.i32(0);
    code.memory(wasm.i32Load, ROOT + ROOT_FREE_KEY);
  };
  // A branch for each of the rare cases is cheaper than one for all of them: a comparison and its branch are one operation of the machine.
  code.openBlock(I64);
  code.open(wasm.block);
  code.get(object);
  code.i32(SLAB_SHIFT);
  code.op(wasm.i32ShrU);
  code.i32(SLAB_ENTRY_SHIFT);
  code.op(wasm.i32Shl);
  code.memory(wasm.i32Load, SLAB_TABLE + SLAB_CACHE);
  code.global(e.scope.worker);
  code.op(wasm.i32Add);
  code.tee(head);
  code.memory(wasm.i32Load, WORKER_NO_CACHE + CACHE_TOP);
  code.tee(top);
  code.get(head);
  code.memory(wasm.i32Load, WORKER_NO_CACHE + CACHE_LIMIT);
  code.op(wasm.i32Eq);
  code.branch(wasm.brIf, 0);
  code.get(object);
  code.memory(wasm.i32Load, OBJECT_KEY);
  key();
  code.op(wasm.i32Eq);
  code.branch(wasm.brIf, 0);
  if (unit !== undefined) {
    const reciprocal = Math.ceil(RECIPROCAL / unit) | 0;
    code.get(object);
    code.i32(SLAB_BYTES - 1);
    code.op(wasm.i32And);
    code.i32(reciprocal);
    code.op(wasm.i32Mul);
    code.i32(reciprocal);
    code.op(wasm.i32GeU);
    code.branch(wasm.brIf, 0);
  }
  code.get(top);
  code.get(object);
  code.memory(wasm.i32Store, 4);
  code.get(object);
  key();
  code.memory(wasm.i32Store, OBJECT_KEY);
  code.get(head);
  code.get(top);
  code.i32(4);
  code.op(wasm.i32Add);
  code.memory(wasm.i32Store, WORKER_NO_CACHE + CACHE_TOP);
  code.i64(0n);
  code.branch(wasm.br, 1);
  code.end();
  call();
  code.end();
}

/** One CPU: nobody counts at the same time. What has no references any more stays so, and is NULL. */
function emitAcquire(e: Emitter, op: Kfunc, { refcount }: ObjectFacts): boolean {
  if (refcount === undefined || e.scope.concurrent) return false;
  const { code } = e;
  const object = e.scratch('object', I32);
  const count = e.scratch('count', I32);
  e.push(1, I32);
  code.tee(object);
  code.get(object);
  code.memory(wasm.i32Load, refcount);
  code.tee(count);
  code.get(count);
  code.i32(0);
  code.op(wasm.i32Ne);
  code.op(wasm.i32Add);
  code.memory(wasm.i32Store, refcount);
  code.get(object);
  code.i32(0);
  code.get(count);
  code.op(wasm.select);
  e.define(op, I32);
  return true;
}

/** bpf_kptr_xchg: an atomic exchange, or two accesses where no other CPU is there to come between them. */
export function emitExchange(e: Emitter, op: Helper): void {
  const { code } = e;
  const before = e.scratch('pointer', I64);
  const offset = e.pushAddress(1, 0);
  if (e.scope.concurrent) {
    e.push(2, I64);
    code.atomic(atomic.rmwXchg + 1, 8, offset);
    e.define(op, I64);
    return;
  }
  code.memory(wasm.i64Load, offset);
  code.set(before);
  const again = e.pushAddress(1, 0);
  e.push(2, I64);
  code.memory(wasm.i64Store, again);
  code.get(before);
  e.define(op, I64);
}
