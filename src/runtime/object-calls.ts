/** What calls about objects are given beside their arguments, as Linux patches it into their registers: records of types, allocators, offsets of nodes. */

import { kfuncOfBody } from '../abi/kfuncs.ts';
import { objectKfuncs } from '../abi/object-kfuncs.ts';
import { UnsupportedError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import { OPCODE } from '../isa/opcodes.ts';
import { type ObjectFacts, POISONED_KFUNC_CALL, type ResolvedProgram } from '../object/resolved.ts';
import { ALLOCATOR_CACHES, CACHED_CLASSES, OBJECT_MAX } from '../plane/layout/allocator.ts';
import { MAP_RECORD } from '../plane/layout/map.ts';
import * as layout from '../plane/layout/record.ts';
import type { ObjectCall, Ownership } from '../verifier/ownership.ts';
import type { Records } from './records.ts';
import type { Runtime } from './runtime.ts';

export interface ObjectCallContext {
  readonly runtime: Runtime;
  /** Of the object that the program is in; undefined: it has no types. */
  readonly records: Records | undefined;
  /** Who asks allocators: the number that reservations are kept under. */
  readonly holder: number;
  /** Address of the allocator that the call at a slot takes memory from; undefined: the one that it names when it runs, or the global one. */
  allocator?(slot: number): number | undefined;
  /** Address of the allocator that the object of a call that gives it back came from, where it is known; 0: the object's memory tells. */
  home?(call: ObjectCall): number;
}

const KFUNC = 2;

/**
 * The program with ResolvedProgram.passed. Throws UnsupportedError by name where it makes such calls and nobody has judged it: only the verifier knows
 * which types they are about. Calls that no path reaches become calls of nothing.
 */
export function withObjectCalls(
  program: ResolvedProgram,
  ownership: Ownership | undefined,
  verified: boolean,
  context: ObjectCallContext,
): ResolvedProgram {
  const passed = new Map<number, ReadonlyMap<number, bigint>>();
  const objects = new Map<number, ObjectFacts>();
  const insns: Insn[] = program.insns.slice();
  for (const [slot, insn] of program.insns.entries()) {
    if (insn.opcode !== OPCODE.CALL || insn.src !== KFUNC) continue;
    const name = kfuncOfBody(program.kfuncs[insn.imm] ?? '');
    const kfunc = objectKfuncs.get(name);
    if (kfunc?.record === undefined) continue;
    if (!verified)
      throw new UnsupportedError(
        `kfunc ${name}`,
        `program ${program.name}: insn ${slot} calls ${name}: which type it is about is the verifier's to say; load the program verified`,
      );
    const call = ownership?.calls.get(slot);
    if (call === undefined || context.records === undefined) {
      insns[slot] = { ...insn, src: 0, off: 0, imm: POISONED_KFUNC_CALL };
      continue;
    }
    const record = BigInt(context.records.ofCall([call.struct, ...call.others]));
    const values = new Map<number, bigint>();
    if (kfunc.allocator !== undefined) {
      // A program that names its allocator, on paths different ones, does so when it runs.
      const allocator =
        context.allocator?.(slot) ?? (kfunc.from === true ? undefined : globalAllocator(context.runtime));
      if (allocator !== undefined) values.set(kfunc.allocator, (BigInt(context.holder) << 32n) | BigInt(allocator));
    }
    const beside = kfunc.act === 'drop' ? (context.home?.(call) ?? 0) : kfunc.from === true ? context.holder : 0;
    values.set(kfunc.record, (BigInt(beside) << 32n) | record);
    if (kfunc.offset !== undefined) values.set(kfunc.offset, BigInt(call.node));
    passed.set(slot, values);
    if (call.others.length === 0)
      objects.set(slot, factsOf(context, call.struct, Number((values.get(kfunc.allocator ?? 0) ?? 0n) & 0xffff_ffffn)));
  }
  for (const struct of ownership?.shared ?? []) context.records?.defer(struct);
  if ((ownership?.shared.size ?? 0) > 0)
    for (const { address } of program.mapsAt.values()) deferRecord(context.runtime, address);
  return passed.size === 0 && !insns.some((insn, slot) => insn !== program.insns[slot])
    ? program
    : { ...program, insns, passed, objects };
}

/**
 * Values of a map may be those of another load, which has its own records of the same types: what they own waits for readers from now on. All of it, as it is
 * not told which of its types are read.
 */
function deferRecord({ plane }: Runtime, map: number): void {
  const view = plane.view();
  const seen = new Set<number>();
  const waiting = [view.getUint32(map + MAP_RECORD, true)];
  for (let record = waiting.pop(); record !== undefined; record = waiting.pop()) {
    if (record === 0 || seen.has(record)) continue;
    seen.add(record);
    if (seen.size > 1) {
      const flags = record + layout.RECORD_FLAGS;
      view.setUint32(flags, view.getUint32(flags, true) | layout.RECORD_DEFERRED, true);
    }
    for (let i = 0; i < view.getUint32(record + layout.RECORD_COUNT, true); i++)
      waiting.push(view.getUint32(record + layout.RECORD_FIELDS + i * layout.FIELD_BYTES + layout.FIELD_TARGET, true));
  }
}

/** @param allocator of calls that make objects, else 0. */
function factsOf({ runtime, records }: ObjectCallContext, struct: number, allocator: number): ObjectFacts {
  const record = records!.ofObject(struct);
  const word = (at: number) => runtime.view().getUint32(at, true);
  const fields = Array.from({ length: word(record + layout.RECORD_COUNT) }, (_, i) => {
    const field = record + layout.RECORD_FIELDS + i * layout.FIELD_BYTES;
    return { offset: word(field + layout.FIELD_OFFSET), size: word(field + layout.FIELD_SIZE) };
  });
  const refcount = word(record + layout.RECORD_REFCOUNT);
  const bytes = word(record + layout.RECORD_BYTES);
  const number = runtime.plane.exports.allocator_class(bytes);
  const offset = allocator === 0 ? 0 : word(allocator + ALLOCATOR_CACHES);
  const small = word(record + layout.RECORD_SIZE) <= OBJECT_MAX && number >= 0 && number < CACHED_CLASSES;
  return {
    fields,
    refcount: refcount === 0 ? undefined : refcount - 1,
    owns: (word(record + layout.RECORD_FLAGS) & layout.RECORD_OWNS) !== 0,
    caches: offset === 0 || !small ? undefined : { offset, class: number },
    unit: small ? runtime.plane.exports.allocator_rounded(bytes) : undefined,
    deferred: () => (word(record + layout.RECORD_FLAGS) & layout.RECORD_DEFERRED) !== 0,
  };
}

function globalAllocator(runtime: Runtime): number {
  return runtime.plane.exports.allocator_global() >>> 0;
}
