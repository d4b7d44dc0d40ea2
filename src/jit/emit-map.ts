/** bpf_map_lookup_elem in an array, per-CPU array or array of maps, expanded (plane/layout/map.ts, map-inner.ts). */
import { MAP_CPU_STRIDE, MAP_VALUES } from '../plane/layout/map.ts';
import { WORKER_CPU } from '../plane/layout/worker.ts';
import type { Emitter } from './emitter.ts';
import { isBelow } from './fact.ts';
import { type Block, definition, NO_REGISTER, type Op } from './ir.ts';
import { I32, wasm } from './wasm/opcodes.ts';

type ArrayLookup = Extract<Op, { kind: 'array-lookup' }>;

/**
 * The lookup whose result the block's end compares with NULL, if nobody reads the result where it is NULL: then the
 * comparison can be that of the index, and the address is computed without looking.
 */
export function checkedLookup(e: Emitter, number: number): ArrayLookup | undefined {
  const { webs } = e.analysis;
  const block: Block = webs.blocks[number]!;
  const { end } = block;
  if (end.kind !== 'branch' || end.a !== 0 || end.b !== NO_REGISTER || end.imm !== 0) return undefined;
  if (end.op !== 'eq' && end.op !== 'ne') return undefined;
  if (webs.isLive(end.op === 'eq' ? end.taken : end.otherwise, 0)) return undefined;
  const last = block.ops.findLast((op) => definition(op) === 0);
  if (last?.kind === 'array-lookup' && last.map.type === 'array_of_maps') return undefined;
  return last?.kind === 'array-lookup' && !isAlwaysThere(e, number, last) ? last : undefined;
}

/** The index is known to be within the array, or known not to be. */
function isAlwaysThere(e: Emitter, number: number, lookup: ArrayLookup): boolean {
  if (lookup.key === NO_REGISTER) return false;
  if (e.analysis.ranges.isSafe(lookup)) return true;
  const cursor = e.analysis.webs.cursor(number);
  for (const op of e.analysis.webs.blocks[number]!.ops) {
    if (op === lookup) break;
    cursor.step(op);
  }
  const key = e.analysis.facts.of(cursor.web(lookup.key));
  return key.kind === 'const' || isBelow(key, lookup.map.maxEntries);
}

/** In place of the comparison with NULL: leaves whether the block's first successor is next. */
export function emitIndexCheck(e: Emitter, lookup: ArrayLookup, nullFirst: boolean): void {
  e.code.get(e.scratch('index', I32));
  e.code.i32(lookup.map.maxEntries);
  e.code.op(nullFirst ? wasm.i32GeU : wasm.i32LtU);
}

/** @param checkedLater the end of the block looks at the index: the address may be any where it is too high. */
export function emitArrayLookup(e: Emitter, op: ArrayLookup, checkedLater: boolean): void {
  const { code } = e;
  const { map } = op;
  const stride = (map.valueSize + 7) & ~7;
  // An element of an array of maps is the address of a map, or 0.
  const follow = (): void => {
    if (map.type === 'array_of_maps') code.memory(wasm.i32Load, 0);
  };
  const key = op.key === NO_REGISTER ? undefined : e.fact(op.key);
  if (key?.kind === 'const') {
    const index = Number(BigInt.asUintN(32, key.value));
    if (index >= map.maxEntries) code.i32(0);
    else {
      pushValues(e, op);
      code.i32(index * stride);
      code.op(wasm.i32Add);
      follow();
    }
    e.define(op, I32);
    return;
  }
  const pushKey = (): void => {
    if (op.key !== NO_REGISTER) {
      e.push(op.key, I32);
      return;
    }
    const offset = e.pushAddress(2, 0);
    code.memory(wasm.i32Load, offset);
  };
  const addDistance = (): void => {
    code.i32(stride);
    code.op(wasm.i32Mul);
    code.op(wasm.i32Add);
    follow();
  };
  const index = e.scratch('index', I32);
  const isSafe = e.analysis.ranges.isSafe(op) || (key !== undefined && isBelow(key, map.maxEntries));
  if (checkedLater || isSafe) {
    pushValues(e, op);
    pushKey();
    if (checkedLater) code.tee(index);
    addDistance();
  } else {
    pushKey();
    code.tee(index);
    code.i32(map.maxEntries);
    code.op(wasm.i32LtU);
    code.openIf(I32);
    pushValues(e, op);
    code.get(index);
    addDistance();
    code.op(wasm.else);
    code.i32(0);
    code.end();
  }
  e.define(op, I32);
}

/** Pushes the address of the first value that this CPU sees. */
function pushValues(e: Emitter, { map }: ArrayLookup): void {
  const { code } = e;
  if (map.valuesAddress !== undefined) code.i32(map.valuesAddress);
  else {
    code.i32(map.address);
    code.memory(wasm.i32Load, MAP_VALUES);
  }
  if (map.type !== 'percpu_array') return;
  e.loadWorker(WORKER_CPU);
  if (map.cpuStride !== undefined) code.i32(map.cpuStride);
  else {
    code.i32(map.address);
    code.memory(wasm.i32Load, MAP_CPU_STRIDE);
  }
  code.op(wasm.i32Mul);
  code.op(wasm.i32Add);
}
