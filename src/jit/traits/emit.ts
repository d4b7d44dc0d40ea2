/**
 * jit/traits/: traits of packets with known keys, expanded. A value that is there with the length that the program asks for is read or written in place; one
 * that is not there is inserted, one that is to go taken out. Everything else is the plane's (plane/assembly/traits/), as are lists, and keys that are not known; structs: static.ts.
 *
 * This file: which calls are expanded, and access in place.
 */
import { FRAME_TRAITS } from '../../plane/layout/frame.ts';
import { TRAIT_KEYS, TRAITS_META, TRAITS_PRESENT, TRAITS_STATIC } from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import type { Op } from '../ir.ts';
import type { TraitConfiguration } from '../scope.ts';
import { I32, I64, wasm } from '../wasm/opcodes.ts';
import {
  type Access,
  copy,
  headerSize,
  layouts,
  type Place,
  pushArea,
  pushEnd,
  pushFrameField,
  pushIsOfCode,
  pushIsSet,
  pushSize,
  type Value,
} from './area.ts';
import { emitDeletion, emitInsertion, isInserted, isMoved } from './move.ts';
import { emitFieldAccess, fieldLengths } from './static.ts';

type Kfunc = Extract<Op, { kind: 'kfunc' }>;

const ENOENT = -2n;

/** Leaves nothing and defines the result of `op`; false: it is not one to expand. `call` emits the call of the plane, its result on the stack as i64. */
export function emitTrait(
  e: Emitter,
  op: Kfunc,
  { layout: number, placement }: TraitConfiguration,
  call: () => void,
): boolean {
  const layout = layouts.get(number);
  if (number === TRAITS_STATIC) {
    const field = accessOf(e, op, fieldLengths);
    if (field === undefined) return false;
    const found = e.scratch('trait-result', I64);
    emitFieldAccess(e, field, placement, found, call);
    e.code.get(found);
    e.define(op, I64);
    return true;
  }
  const access = layout === undefined ? undefined : accessOf(e, op, layout.lengths);
  if (layout === undefined || access === undefined || (access.kind === 'del' && !isMoved(layout, placement)))
    return false;
  const { code } = e;
  const place: Place = {
    layout,
    number,
    placement,
    area: e.scratch('trait-area', I32),
    words: Array.from({ length: layout.words }, (_, i) => e.scratch(`trait-word-${i}`, I64)),
  };
  const result = e.scratch('trait-result', I64);
  if (access.kind !== 'set') {
    // Of a packet without traits.
    code.i64(access.kind === 'is-set' ? 0n : ENOENT);
    code.set(result);
  }
  code.open(wasm.block); // done
  code.open(wasm.block); // the plane's
  pushFrameField(e, FRAME_TRAITS);
  code.i32(TRAITS_PRESENT);
  code.op(wasm.i32And);
  code.op(wasm.i32Eqz);
  code.branch(wasm.brIf, access.kind === 'set' ? 0 : 1);
  pushArea(e, placement);
  code.set(place.area);
  if (placement === TRAITS_META) {
    // Metadata that is shorter than a header.
    pushEnd(e, placement);
    code.get(place.area);
    code.op(wasm.i32Sub);
    code.i32(headerSize(layout));
    code.op(wasm.i32LtU);
    code.branch(wasm.brIf, 0);
  }
  for (const [i, word] of place.words.entries()) {
    code.get(place.area);
    code.memory(wasm.i64Load, i * 8);
    code.set(word);
  }
  switch (access.kind) {
    case 'is-set':
      pushIsSet(e, place, access.key);
      code.set(result);
      break;
    case 'get':
      pushIsOfCode(e, place, access);
      code.op(wasm.i64Eqz);
      code.branch(wasm.brIf, 0);
      emitCopy(e, place, access);
      code.i64(BigInt(access.length));
      code.set(result);
      break;
    case 'set':
      code.i64(0n);
      code.set(result);
      code.open(wasm.block); // it is there
      pushIsOfCode(e, place, access);
      code.op(wasm.i64Eqz);
      code.op(wasm.i32Eqz);
      code.branch(wasm.brIf, 0);
      if (isInserted(place, access)) {
        pushIsSet(e, place, access.key);
        code.op(wasm.i32WrapI64);
        code.branch(wasm.brIf, 1);
        emitInsertion(e, place, access);
        code.branch(wasm.br, 2);
      } else code.branch(wasm.br, 1);
      code.end();
      emitCopy(e, place, access);
      break;
    case 'del':
      pushIsSet(e, place, access.key);
      code.op(wasm.i64Eqz);
      code.branch(wasm.brIf, 1);
      emitDeletion(e, place, access.key);
      code.i64(0n);
      code.set(result);
      break;
    default:
      access satisfies never;
  }
  code.branch(wasm.br, 1);
  code.end();
  call();
  code.set(result);
  code.end();
  code.get(result);
  e.define(op, I64);
  return true;
}

const kinds: Readonly<Record<string, Access['kind']>> = {
  bpf_xdp_trait_get: 'get',
  bpf_xdp_trait_set: 'set',
  bpf_xdp_trait_is_set: 'is-set',
  bpf_xdp_trait_del: 'del',
};

function accessOf(e: Emitter, op: Kfunc, lengths: readonly number[]): Access | undefined {
  const kind = kinds[op.name];
  const key = kind === undefined ? undefined : constantOf(e, 2);
  if (kind === undefined || key === undefined || key >= TRAIT_KEYS) return undefined;
  if (kind === 'is-set' || kind === 'del') return { kind, key };
  const length = constantOf(e, 4);
  const at = length === undefined ? -1 : lengths.indexOf(length);
  if (length === undefined || at < 0 || (kind === 'set' && constantOf(e, 5) !== 0)) return undefined;
  return { kind, key, length, code: at + 1 };
}

function constantOf(e: Emitter, register: number): number | undefined {
  const fact = e.fact(register);
  return fact.kind === 'const' ? Number(BigInt.asUintN(64, fact.value)) : undefined;
}

/** Between the program's memory and the value, which is there; branches to label 0 where it would lie beyond the end. */
function emitCopy(e: Emitter, place: Place, value: Value): void {
  const { code } = e;
  const at = e.scratch('trait-value', I32);
  pushSize(e, place, (1n << BigInt(value.key)) - 1n);
  code.get(place.area);
  code.op(wasm.i32Add);
  code.tee(at);
  code.i32(headerSize(place.layout) + value.length);
  code.op(wasm.i32Add);
  pushEnd(e, place.placement);
  code.op(wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  copy(e, value.kind, at, headerSize(place.layout), value.length);
}
