/**
 * bpf_throw as a WebAssembly exception. It unwinds through functions of the program by itself; where the plane calls back, the adapter of
 * the callback catches it, leaves it in the worker block and ends the plane's loop by returning 1, and the call of the plane throws it anew,
 * so that the plane never stops half-way. The program's entry catches it for good. Facts: kernel/bpf/helpers.c (bpf_throw).
 */
import { WORKER_COOKIE, WORKER_STACK_TOP, WORKER_THROWN } from '../plane/layout/worker.ts';
import type { Emitter } from './emitter.ts';
import type { Code } from './wasm/encoder.ts';
import { I32, I64, wasm } from './wasm/opcodes.ts';

/** Throws the cookie (i64) that is on the stack. */
export function emitThrow(e: Emitter): void {
  if (e.scope.tag === undefined) e.code.op(wasm.unreachable);
  else e.code.throw(e.scope.tag);
}

/** After a call that may have called back: throws on what a callback threw. */
export function emitRethrow(e: Emitter): void {
  const { code } = e;
  e.loadWorker(WORKER_THROWN);
  code.open(wasm.if);
  e.storeWorker(WORKER_THROWN, () => code.i32(0));
  code.global(e.scope.worker);
  code.memory(wasm.i64Load, WORKER_COOKIE);
  emitThrow(e);
  code.end();
}

/** `call` leaves what the callback returns. */
export function writeCatchingAdapter(code: Code, worker: number, tag: number, call: () => void): void {
  const top = saveStackTop(code, worker);
  const cookie = code.local(I64);
  code.openTry(I64);
  call();
  code.catch(tag);
  code.set(cookie);
  restoreStackTop(code, worker, top);
  code.global(worker);
  code.i32(1);
  code.memory(wasm.i32Store, WORKER_THROWN);
  code.global(worker);
  code.get(cookie);
  code.memory(wasm.i64Store, WORKER_COOKIE);
  code.i64(1n);
  code.end();
}

interface CatchingEntry {
  readonly parameters: number;
  readonly body: number;
  /** Calls the exception callback with the cookie, which is in local 0; undefined: the cookie is the result. */
  readonly callback: (() => void) | undefined;
}

export function writeCatchingEntry(code: Code, worker: number, tag: number, entry: CatchingEntry): void {
  const top = saveStackTop(code, worker);
  code.openTry(I64);
  for (let at = 0; at < entry.parameters; at++) code.get(at);
  code.call(entry.body);
  code.catch(tag);
  code.set(0);
  restoreStackTop(code, worker, top);
  if (entry.callback === undefined) code.get(0);
  else entry.callback();
  code.end();
}

function saveStackTop(code: Code, worker: number): number {
  const top = code.local(I32);
  code.global(worker);
  code.memory(wasm.i32Load, WORKER_STACK_TOP);
  code.set(top);
  return top;
}

function restoreStackTop(code: Code, worker: number, top: number): void {
  code.global(worker);
  code.get(top);
  code.memory(wasm.i32Store, WORKER_STACK_TOP);
}
