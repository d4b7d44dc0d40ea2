/** One BPF function as one WebAssembly function. */
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import { WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import type { FunctionAnalysis } from './analysis.ts';
import { emitAlu, emitExtend, emitMov, emitNeg, emitSwap } from './emit-alu.ts';
import { emitIndirectHelper, emitLocalCall, emitLoop, emitPlaneCall, MAX_LOOPS } from './emit-call.ts';
import { emitCondition, emitSwitchIndex } from './emit-jump.ts';
import { checkedLookup, emitArrayLookup, emitIndexCheck } from './emit-map.ts';
import { emitAtomic, emitLoad, emitLoadAcquire, emitStore, emitStoreRelease } from './emit-memory.ts';
import { emitPacketLoad, keepRawPacket } from './emit-packet.ts';
import { MOST_CHAINED } from './emit-tail-call.ts';
import { type Chain, Emitter, pushEntryFrame } from './emitter.ts';
import { writeCatchingAdapter, writeCatchingEntry } from './exceptions.ts';
import type { Op } from './ir.ts';
import type { ModuleScope } from './scope.ts';
import { writeStructured } from './structure.ts';
import { Code } from './wasm/encoder.ts';
import { I32, I64, type ValueType, wasm } from './wasm/opcodes.ts';

/** Parameters of the function that CALL reaches: what it reads of r1 to r5, and the first byte of its frame if it needs one. */
export function internalParameters(analysis: FunctionAnalysis): ValueType[] {
  const parameters = new Array<ValueType>(analysis.args).fill(I64);
  if (analysis.needsFrame) parameters.push(I32);
  return parameters;
}

/** As it is entered from a hook: `parameters` i64 arguments, the frame below WORKER_STACK_TOP. */
export function writeEntry(
  analysis: FunctionAnalysis,
  scope: ModuleScope,
  planeExports: ReadonlySet<string>,
  parameters: number,
  counted: boolean,
): Code {
  const types = new Array<ValueType>(parameters).fill(I64);
  const code = new Code(counted ? [...types, I32] : types);
  const frame = analysis.needsFrame ? pushEntryFrame(code, scope) : undefined;
  const locals = Array.from({ length: parameters }, (_, at) => at);
  const chain: Chain = {
    programs: [scope],
    room: { left: MOST_CHAINED },
    writeBody: (emitter) => writeBody(emitter, planeExports),
  };
  const tailCount = counted ? parameters : undefined;
  const emitter = new Emitter(code, analysis, scope, locals, frame, { tailCount, chain });
  if (parameters === 2) keepRawPacket(emitter);
  writeBody(emitter, planeExports);
  return code;
}

/** As CALL reaches it. */
export function writeInternal(analysis: FunctionAnalysis, scope: ModuleScope, planeExports: ReadonlySet<string>): Code {
  const code = new Code(internalParameters(analysis));
  const locals = Array.from({ length: analysis.args }, (_, at) => at);
  const frame = analysis.needsFrame ? analysis.args : undefined;
  writeBody(new Emitter(code, analysis, scope, locals, frame, undefined), planeExports);
  return code;
}

/** (i64 x 5) -> i64 for the function table: gives the callback a frame below WORKER_STACK_TOP. */
export function writeAdapter(analysis: FunctionAnalysis, index: number, worker: number, tag: number | undefined): Code {
  const code = new Code([I64, I64, I64, I64, I64]);
  if (analysis.mayThrow && tag !== undefined) {
    writeCatchingAdapter(code, worker, tag, () => callFromOutside(code, analysis, index, worker));
    return code;
  }
  callFromOutside(code, analysis, index, worker);
  return code;
}

/** Calls the function with locals 0 and on as its arguments, and a frame below WORKER_STACK_TOP. */
function callFromOutside(code: Code, analysis: FunctionAnalysis, index: number, worker: number): void {
  for (let at = 0; at < analysis.args; at++) code.get(at);
  if (analysis.needsFrame) {
    code.global(worker);
    code.memory(wasm.i32Load, WORKER_STACK_TOP);
    code.i32(FRAME_SIZE);
    code.op(wasm.i32Sub);
  }
  code.call(index);
}

/** As a hook or a tail call enters a program that may throw. `body` is its entry, `callback` its exception callback. */
export function writeGuard(
  parameters: number,
  body: number,
  callback: { readonly analysis: FunctionAnalysis; readonly index: number } | undefined,
  worker: number,
  tag: number,
): Code {
  const code = new Code(new Array<ValueType>(parameters).fill(I64));
  writeCatchingEntry(code, worker, tag, {
    parameters,
    body,
    // The cookie is local 0 by then.
    callback: callback && (() => callFromOutside(code, callback.analysis, callback.index, worker)),
  });
  return code;
}

function writeBody(e: Emitter, planeExports: ReadonlySet<string>): void {
  const { code, analysis } = e;
  const { webs } = analysis;
  const dispatch = Array.from({ length: analysis.dispatchVariables }, () => code.local(I32));
  const roundsLeft = webs.blocks.some(({ end }) => end.kind === 'may-goto') ? code.local(I32) : undefined;
  if (roundsLeft !== undefined) {
    code.i32(MAX_LOOPS);
    code.set(roundsLeft);
  }
  e.fetchFuel();
  let checked: ReturnType<typeof checkedLookup>;
  writeStructured(code, webs.blocks, webs.graph, {
    loopHeader: (depth) => e.burnFuelOr(depth),
    outermost: e.fuelLocal === undefined ? undefined : () => e.storeFuel(),
    ops: (block) => {
      e.enterBlock(block);
      checked = checkedLookup(e, block);
      for (const op of webs.blocks[block]!.ops) {
        if (op.kind === 'array-lookup') emitArrayLookup(e, op, op === checked);
        else if (!e.isSuperfluous(op)) writeOp(e, op, planeExports);
        e.step(op);
      }
    },
    condition: (block) => {
      const { end } = webs.blocks[block]!;
      if (end.kind === 'branch') {
        if (checked === undefined) emitCondition(e, end);
        else emitIndexCheck(e, checked, end.op === 'eq');
        return;
      }
      if (roundsLeft === undefined) return;
      code.get(roundsLeft);
      code.op(wasm.i32Eqz);
      // Once used up the budget stays so: minus (left != 0).
      code.get(roundsLeft);
      code.get(roundsLeft);
      code.i32(0);
      code.op(wasm.i32Ne);
      code.op(wasm.i32Sub);
      code.set(roundsLeft);
    },
    index: (block) => {
      const { end } = webs.blocks[block]!;
      if (end.kind === 'switch') emitSwitchIndex(e, end);
      else if (end.kind === 'dispatch') code.get(dispatch[end.variable]!);
    },
    beforeJump: (block) => {
      const { end } = webs.blocks[block]!;
      if (end.kind !== 'route') return;
      code.i32(end.value);
      code.set(dispatch[end.variable]!);
    },
    exit: () => {
      e.storeFuel();
      e.storeTailCount();
      e.push(0, I64);
      code.op(wasm.return);
    },
  });
}

function writeOp(e: Emitter, op: Exclude<Op, { kind: 'array-lookup' }>, planeExports: ReadonlySet<string>): void {
  switch (op.kind) {
    case 'const':
      e.code.constant(e.resultType(), op.value);
      e.define(op, e.resultType());
      return;
    case 'function':
      e.code.global(e.scope.tableBase);
      e.code.i32(e.scope.tableElement(op.target));
      e.code.op(wasm.i32Add);
      e.define(op, I32);
      return;
    case 'mov':
      emitMov(e, op);
      return;
    case 'extend':
      emitExtend(e, op);
      return;
    case 'alu':
      emitAlu(e, op);
      return;
    case 'neg':
      emitNeg(e, op);
      return;
    case 'swap':
      emitSwap(e, op);
      return;
    case 'load':
      emitLoad(e, op);
      return;
    case 'store':
      emitStore(e, op);
      return;
    case 'atomic':
      emitAtomic(e, op);
      return;
    case 'load-acquire':
      emitLoadAcquire(e, op);
      return;
    case 'store-release':
      emitStoreRelease(e, op);
      return;
    case 'helper':
    case 'kfunc':
      emitPlaneCall(e, op, planeExports);
      return;
    case 'helper-indirect':
      emitIndirectHelper(e, op, planeExports);
      return;
    case 'load-packet':
      emitPacketLoad(e, op);
      return;
    case 'call':
      emitLocalCall(e, op);
      return;
    case 'loop':
      emitLoop(e, op);
      return;
  }
}
