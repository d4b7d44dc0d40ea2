/** Traits in a struct with known keys, expanded: the key's field, once it has one, is at a place that the plane's table says (TRAIT_FIELDS); all else is the plane's. */
import { FRAME_TRAITS } from '../../plane/layout/frame.ts';
import { TRAIT_FIELDS } from '../../plane/layout/memory.ts';
import { TRAITS_META, TRAITS_PRESENT, TRAITS_STATIC_FIELDS, TRAITS_STATIC_HEADER } from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import { I32, I64, wasm } from '../wasm/opcodes.ts';
import { type Access, bitOf, copy, pushArea, pushEnd, pushFrameField, type Value } from './area.ts';

const ENOENT = -2n;

/** Lengths that fields may have. */
export const fieldLengths: readonly number[] = [0, 1, 2, 4, 8, 16];

/** Leaves the result in the local `result`. `call` emits the call of the plane, its result on the stack as i64. */
export function emitFieldAccess(e: Emitter, access: Access, placement: number, result: number, call: () => void): void {
  const { code } = e;
  const area = e.scratch('trait-area', I32);
  const set = e.scratch('trait-word-0', I64);
  code.i64(access.kind === 'get' || access.kind === 'del' ? ENOENT : 0n);
  code.set(result);
  code.open(wasm.block); // done
  code.open(wasm.block); // the plane's
  pushFrameField(e, FRAME_TRAITS);
  code.i32(TRAITS_PRESENT);
  code.op(wasm.i32And);
  code.op(wasm.i32Eqz);
  code.branch(wasm.brIf, access.kind === 'set' ? 0 : 1);
  pushArea(e, placement);
  code.set(area);
  if (placement === TRAITS_META) {
    // Metadata that is shorter than a header.
    pushEnd(e, placement);
    code.get(area);
    code.op(wasm.i32Sub);
    code.i32(TRAITS_STATIC_HEADER);
    code.op(wasm.i32LtU);
    code.branch(wasm.brIf, 0);
  }
  code.get(area);
  code.memory(wasm.i64Load, TRAITS_STATIC_FIELDS);
  code.set(set);
  if (access.kind === 'is-set') {
    code.get(set);
    code.i64(BigInt(access.key));
    code.op(wasm.i64ShrU);
    code.i64(1n);
    code.op(wasm.i64And);
    code.set(result);
  } else {
    if (access.kind !== 'set') {
      code.get(set);
      code.i64(bitOf(access.key));
      code.op(wasm.i64And);
      code.op(wasm.i64Eqz);
      code.branch(wasm.brIf, 1);
    }
    if ('length' in access) emitCopy(e, access, placement, area);
    if (access.kind !== 'get') {
      code.get(area);
      code.get(set);
      code.i64(access.kind === 'set' ? bitOf(access.key) : ~bitOf(access.key));
      code.op(access.kind === 'set' ? wasm.i64Or : wasm.i64And);
      code.memory(wasm.i64Store, TRAITS_STATIC_FIELDS);
    }
    code.i64(access.kind === 'get' ? BigInt(access.length) : 0n);
    code.set(result);
  }
  code.branch(wasm.br, 1);
  code.end();
  call();
  code.set(result);
  code.end();
}

/** Branches to label 0 where the key has no field of this length, or this packet's struct does not have it, or says that it reaches beyond the end. */
function emitCopy(e: Emitter, value: Value, placement: number, area: number): void {
  const { code } = e;
  const field = e.scratch('trait-value', I32);
  const bytes = e.scratch('trait-length', I32);
  code.i32(TRAIT_FIELDS + value.key * 4);
  code.memory(wasm.i32Load, 0);
  code.tee(field);
  code.i32(0xff);
  code.op(wasm.i32And);
  code.i32(value.length + 1);
  code.op(wasm.i32Ne);
  code.branch(wasm.brIf, 0);
  code.get(field);
  code.i32(8);
  code.op(wasm.i32ShrU);
  code.tee(field);
  code.i32(value.length);
  code.op(wasm.i32Add);
  code.get(area);
  code.memory(wasm.i32Load16U, 0);
  code.tee(bytes);
  code.op(wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  code.get(area);
  code.get(bytes);
  code.op(wasm.i32Add);
  code.i32(TRAITS_STATIC_HEADER);
  code.op(wasm.i32Add);
  pushEnd(e, placement);
  code.op(wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  code.get(area);
  code.get(field);
  code.op(wasm.i32Add);
  code.set(field);
  copy(e, value.kind, field, TRAITS_STATIC_HEADER, value.length);
}
