/**
 * bpf_tail_call: goes on in another program. What the loader put into an element is most often still there, so the call is written for that
 * program, behind one comparison: in place where it is small, as a jump to it otherwise.
 */
import { MAP_MAX_ENTRIES, MAP_VALUES, PROG_ARRAY_STRIDE } from '../plane/layout/map.ts';
import { MAX_TAIL_CALLS, WORKER_STACK_TOP, WORKER_TAIL_CALLS } from '../plane/layout/worker.ts';
import type { FunctionAnalysis } from './analysis.ts';
import { type Chain, Emitter, pushEntryFrame } from './emitter.ts';
import type { Op } from './ir.ts';
import type { ModuleScope, TailEntry } from './scope.ts';
import { I32, I64, wasm } from './wasm/opcodes.ts';

/** Operations and blocks of other programs that one function takes in. */
export const MOST_CHAINED = 192;

/** bpf_tail_call(ctx, map, index): goes on in another program, or with the next instruction where it cannot. */
export function emitTailCall(e: Emitter, op: Extract<Op, { kind: 'helper' }>): void {
  const { code } = e;
  const element = e.scratch('index', I32);
  const mapFact = e.fact(2);
  const map = mapFact.kind === 'const' ? mapFact.map : undefined;
  const indexFact = e.fact(3);
  const index = indexFact.kind === 'const' ? Number(BigInt.asUintN(32, indexFact.value)) : undefined;
  code.open(wasm.block); // the next instruction
  if (map?.valuesAddress !== undefined && index !== undefined) {
    if (index >= map.maxEntries) code.branch(wasm.br, 0);
    code.i32(map.valuesAddress + index * PROG_ARRAY_STRIDE);
  } else pushElementAddress(e);
  code.memory(wasm.i32Load, 0);
  code.set(element);
  const likely = map?.programs?.get(index ?? -1);
  const known = likely === undefined ? undefined : e.scope.tailEntry(likely);
  if (known !== undefined) {
    code.open(wasm.block); // another program by now, or none
    code.get(element);
    code.global(e.scope.tableBase);
    code.i32(known.element);
    code.op(wasm.i32Add);
    code.op(wasm.i32Ne);
    code.branch(wasm.brIf, 0);
    const count = countOrGo(e, 1);
    leave(e);
    // Programs that know each other pass the count in a register, so that they need not wait for memory, and store it where they exit
    // (Emitter.storeTailCount): what called the first of them goes on with the count that its callees left.
    const inRegister = known.counted && e.entry?.tailCount !== undefined;
    const chain = known.body === undefined ? undefined : roomFor(e, known.body.analysis, known.body.scope);
    if (known.body !== undefined && chain !== undefined) writeChained(e, known.body, chain, count);
    else {
      if (!inRegister) storeCount(e, count);
      e.push(1, I64);
      if (known.counted) pushNext(e, count);
      code.returnCall(known.index);
    }
    code.end();
  }
  code.get(element);
  code.op(wasm.i32Eqz);
  code.branch(wasm.brIf, 0);
  const count = countOrGo(e, 0);
  storeCount(e, count);
  leave(e);
  e.push(1, I64);
  code.get(element);
  code.returnCallIndirect(e.scope.entryType);
  code.end();
  code.i64(0n);
  e.define(op, I64);
}

/** The local with the tail calls so far; where there may be no more, goes to a label. */
function countOrGo(e: Emitter, label: number): number {
  const { code } = e;
  const count = e.entry?.tailCount ?? e.scratch('tail-calls', I32);
  if (e.entry?.tailCount === undefined) {
    e.loadWorker(WORKER_TAIL_CALLS);
    code.set(count);
  }
  code.get(count);
  code.i32(MAX_TAIL_CALLS);
  code.op(wasm.i32GeU);
  code.branch(wasm.brIf, label);
  return count;
}

function pushNext({ code }: Emitter, count: number): void {
  code.get(count);
  code.i32(1);
  code.op(wasm.i32Add);
}

function storeCount(e: Emitter, count: number): void {
  e.storeWorker(WORKER_TAIL_CALLS, () => pushNext(e, count));
}

/** What the next program finds in the worker block. */
function leave(e: Emitter): void {
  if (e.entry === undefined) e.storeWorker(WORKER_STACK_TOP, () => e.pushFrame(0));
  e.storeFuel();
}

/**
 * The chain with the program at its end; undefined: it does not go in. A program that stands in the chain already is jumped to: it would be
 * written again and again.
 */
function roomFor({ entry }: Emitter, { webs }: FunctionAnalysis, scope: ModuleScope): Chain | undefined {
  if (entry === undefined || entry.chain.programs.includes(scope)) return undefined;
  const { programs, room } = entry.chain;
  const size = webs.graph.order.reduce((sum, block) => sum + webs.blocks[block]!.ops.length + 1, 0);
  if (size > room.left) return undefined;
  room.left -= size;
  return { ...entry.chain, programs: [...programs, scope] };
}

/** The body of another program, which returns from the function. Its frame lies where this one's does. */
function writeChained(
  e: Emitter,
  { analysis, scope }: NonNullable<TailEntry['body']>,
  chain: Chain,
  count: number,
): void {
  const { code } = e;
  const context = code.local(I64);
  e.push(1, I64);
  code.set(context);
  const tailCount = code.local(I32);
  pushNext(e, count);
  code.set(tailCount);
  const frame = analysis.needsFrame ? pushEntryFrame(code, scope) : undefined;
  chain.writeBody(new Emitter(code, analysis, scope, [context], frame, { tailCount, chain }));
}

/** Address of the element that r3 names in the map in r2, or goes to label 0. */
function pushElementAddress(e: Emitter): void {
  const { code } = e;
  const map = e.scratch('map', I32);
  const element = e.scratch('index', I32);
  e.push(2, I32);
  code.set(map);
  e.push(3, I32);
  code.tee(element);
  code.get(map);
  code.memory(wasm.i32Load, MAP_MAX_ENTRIES);
  code.op(wasm.i32GeU);
  code.branch(wasm.brIf, 0);
  code.get(map);
  code.memory(wasm.i32Load, MAP_VALUES);
  code.get(element);
  code.i32(PROG_ARRAY_STRIDE);
  code.op(wasm.i32Mul);
  code.op(wasm.i32Add);
}
