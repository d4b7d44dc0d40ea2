/** Calls that come back: helpers, kfuncs, subprograms, and the ones that are expanded in place. */
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import { WORKER_CPU } from '../plane/layout/worker.ts';
import { passesFunction } from './analysis.ts';
import { HELPER, plainCall, planHelper, THROW } from './call-plan.ts';
import { emitExchange, emitObjectCall } from './emit-object.ts';
import { emitTailCall } from './emit-tail-call.ts';
import type { Emitter } from './emitter.ts';
import { emitRethrow, emitThrow } from './exceptions.ts';
import type { Op } from './ir.ts';
import { emitTrait } from './traits/emit.ts';
import { I32, I64, wasm } from './wasm/opcodes.ts';

type OpOf<K extends Op['kind']> = Extract<Op, { kind: K }>;

/** BPF_MAX_LOOPS of the kernel: rounds of bpf_loop, and of may_goto. */
export const MAX_LOOPS = 8 * 1024 * 1024;
const EINVAL = 22n;
const E2BIG = 7n;

export function emitPlaneCall(e: Emitter, op: OpOf<'helper' | 'kfunc'>, planeExports: ReadonlySet<string>): void {
  if (op.kind === 'helper') {
    if (op.prototype.id === HELPER.TAIL_CALL) {
      emitTailCall(e, op);
      return;
    }
    if (op.prototype.id === HELPER.SMP_PROCESSOR_ID) {
      e.loadWorker(WORKER_CPU);
      e.define(op, I32);
      return;
    }
  }
  if (op.kind === 'helper' && op.prototype.id === HELPER.KPTR_XCHG) {
    emitExchange(e, op);
    return;
  }
  if (op.kind === 'kfunc' && op.name === THROW) {
    e.storeFuel();
    e.push(1, I64);
    emitThrow(e);
    return;
  }
  const plan =
    op.kind === 'helper'
      ? planHelper(op.prototype, (register) => e.fact(register), planeExports)
      : plainCall(op.name, op.args);
  const emitted = (): void => {
    plan.parameters.forEach((type, at) => {
      e.push(at + 1, type);
    });
    e.code.call(e.scope.plane(plan.name));
  };
  const call = (): void => {
    emitted();
    e.define(op, plan.result);
  };
  if (!passesFunction(op, (register) => e.fact(register))) {
    const expanded =
      op.kind === 'kfunc' &&
      (emitObjectCall(e, op, emitted) || (e.scope.traits !== undefined && emitTrait(e, op, e.scope.traits, emitted)));
    if (!expanded) call();
    return;
  }
  e.storeFuel();
  e.withStackTop(call);
  if (e.analysis.mayThrow) emitRethrow(e);
  e.fetchFuel();
}

/** Dispatches over the helpers' numbers. */
export function emitIndirectHelper(e: Emitter, op: OpOf<'helper-indirect'>, planeExports: ReadonlySet<string>): void {
  const { code } = e;
  const present = op.prototypes.filter(({ name }) => planeExports.has(name));
  const byId = new Map(present.map(({ id }, at) => [id, at]));
  const count = Math.max(-1, ...byId.keys()) + 1;
  code.open(wasm.block); // called
  code.open(wasm.block); // there is none
  for (const _ of present) code.open(wasm.block);
  e.push(op.id, I64);
  code.i64(BigInt(count));
  code.op(wasm.i64GeU);
  code.branch(wasm.brIf, present.length);
  e.push(op.id, I32);
  code.branchTable(
    Array.from({ length: count }, (_, id) => byId.get(id) ?? present.length),
    present.length,
  );
  present.forEach(({ name, args }, at) => {
    code.end();
    args.forEach((_, argument) => {
      e.push(argument + 1, I64);
    });
    code.call(e.scope.plane(name));
    e.define(op, I64);
    code.branch(wasm.br, present.length - at);
  });
  code.end();
  code.op(wasm.unreachable);
  code.end();
}

/** Pushes the callee's frame, if it has one. */
function pushCalleeFrame(e: Emitter, needsFrame: boolean): void {
  if (needsFrame) e.pushFrame(-2 * FRAME_SIZE);
}

export function emitLocalCall(e: Emitter, op: OpOf<'call'>): void {
  const { index, analysis } = e.scope.callee(op.target);
  const call = (): void => {
    for (let register = 1; register <= analysis.args; register++) e.push(register, I64);
    pushCalleeFrame(e, analysis.needsFrame);
    e.code.call(index);
    e.define(op, I64);
  };
  e.burnFuel();
  e.storeFuel();
  if (analysis.mayTailCall) e.keepingStackTop(call);
  else call();
  e.fetchFuel();
}

/** bpf_loop(nr_loops, callback, ctx, flags): kernel/bpf/bpf_iter.c. */
export function emitLoop(e: Emitter, op: OpOf<'loop'>): void {
  const { code } = e;
  const round = e.scratch('round', I32);
  const rounds = e.scratch('rounds', I32);
  const result = e.scratch('result', I64);
  const callback = callbackCall(e, op, round);
  code.open(wasm.block);
  code.i64(-EINVAL);
  code.set(result);
  e.push(4, I64);
  code.i64(0n);
  code.op(wasm.i64Ne);
  code.branch(wasm.brIf, 0);
  code.i64(-E2BIG);
  code.set(result);
  e.push(1, I32);
  code.tee(rounds);
  code.i32(MAX_LOOPS);
  code.op(wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  code.i32(0);
  code.set(round);
  e.storeFuel();
  callback.around(() => {
    code.open(wasm.block);
    code.open(wasm.loop);
    code.get(round);
    code.get(rounds);
    code.op(wasm.i32GeU);
    code.branch(wasm.brIf, 1);
    e.fetchFuel();
    e.burnFuel();
    e.storeFuel();
    callback.call();
    code.get(round);
    code.i32(1);
    code.op(wasm.i32Add);
    code.set(round);
    code.op(wasm.i64Eqz);
    code.branch(wasm.brIf, 0);
    code.end();
    code.end();
  });
  e.fetchFuel();
  code.get(round);
  code.op(wasm.i64ExtendI32U);
  code.set(result);
  code.end();
  code.get(result);
  e.define(op, I64);
}

interface CallbackCall {
  /** Once for all rounds. */
  around(rounds: () => void): void;
  /** Leaves what the callback returns. */
  call(): void;
}

function callbackCall(e: Emitter, op: OpOf<'loop'>, round: number): CallbackCall {
  const { code } = e;
  const pushArguments = (count: number): void => {
    for (let register = 1; register <= count; register++) {
      if (register === 1) {
        code.get(round);
        code.op(wasm.i64ExtendI32U);
      } else if (register === 2) e.push(3, I64);
      else code.i64(0n);
    }
  };
  if (op.target === undefined) {
    return {
      around: (rounds) => e.withStackTop(rounds),
      call: () => {
        pushArguments(5);
        e.push(2, I32);
        code.callIndirect(e.scope.callbackType);
        if (e.analysis.mayThrow) emitRethrow(e);
      },
    };
  }
  const { index, analysis } = e.scope.callee(op.target);
  return {
    around: (rounds) => (analysis.mayTailCall ? e.keepingStackTop(rounds) : rounds()),
    call: () => {
      pushArguments(analysis.args);
      pushCalleeFrame(e, analysis.needsFrame);
      code.call(index);
    },
  };
}
