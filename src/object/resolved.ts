/**
 * A program after everything that it refers to has an address in one linear memory: what the loader hands to the engines.
 */

import type { MapTypeName } from '../abi/map-types.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import type { Insn } from '../isa/insn.ts';
import type { FunctionSpec, LineInfo } from './spec.ts';

export interface ResolvedProgram {
  readonly name: string;
  /** undefined: no hook, such as a conformance case; its first two arguments are memory and its length. */
  readonly type: ProgramTypeName | undefined;
  /**
   * LDDW: source 0 with the address as its 64-bit constant (maps, map values, ksyms), or source 4 with the slot distance of a
   * function in imm (as the compiler leaves it). CALL: source 0 helper id, source 1 slot distance, source 2 index into `kfuncs`.
   */
  readonly insns: readonly Insn[];
  /** In slot order, the first is the entry; covers all of `insns`. */
  readonly functions: readonly FunctionSpec[];
  /** LDDWs that load a map pointer, by slot. */
  readonly mapsAt: ReadonlyMap<number, MapFacts>;
  /** LDDWs that load an address inside a map's value, by slot. */
  readonly valuesAt: ReadonlyMap<number, ValueFacts>;
  /** Jump tables of indirect jumps. */
  readonly jumpTables: readonly JumpTable[];
  /** Every helper that `insns` calls, by id. */
  readonly helpers: ReadonlyMap<number, HelperPrototype>;
  /** Names of the kfuncs that CALL source 2 refers to by index. */
  readonly kfuncs: readonly string[];
  readonly lines: readonly LineInfo[];
  /**
   * What a call passes in place of a register: by slot, then by number of the argument from 1. What Linux patches into the registers of such calls: records of
   * types, allocators, offsets of nodes.
   */
  readonly passed?: ReadonlyMap<number, ReadonlyMap<number, bigint>>;
  /** Of such calls, by slot: what is known of the objects' type. Calls that come with several types are not in it. */
  readonly objects?: ReadonlyMap<number, ObjectFacts>;
  /** By slot: 0 where the verifier has proven that no path leads. Such code is not compiled; reached all the same, it is a fault. */
  readonly reached?: Uint8Array;
}

/** A type of objects (plane/layout/record.ts), as far as it is fixed for the life of the program. */
export interface ObjectFacts {
  /** Special fields: what begins as zeros. */
  readonly fields: readonly { readonly offset: number; readonly size: number }[];
  /** Offset of its reference count. */
  readonly refcount: number | undefined;
  /** Something has to be given back with an object. */
  readonly owns: boolean;
  /** Of calls that make objects: where in a worker block the caches of the allocator are, and the class; undefined: there are none. */
  readonly caches: { readonly offset: number; readonly class: number } | undefined;
  /** Bytes of its size class; undefined: the class has no caches. */
  readonly unit: number | undefined;
  /** The memory may be read after the drop. Known once all programs of the load are. */
  deferred(): boolean;
}

/** What an engine may take for granted of a map for the life of the program. */
export interface MapFacts {
  readonly name: string;
  readonly type: MapTypeName;
  /** Address of the map header (plane/layout/map.ts). */
  readonly address: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Content of MAP_VALUES of an array, per-CPU array or prog array, which never changes; without it programs load it from the header. */
  readonly valuesAddress?: number;
  /** Content of MAP_CPU_STRIDE of a per-CPU array. */
  readonly cpuStride?: number;
  /** Of a prog array: names of the object's programs that its elements hold at first. They may be others by the time of a call. */
  readonly programs?: ReadonlyMap<number, string>;
}

export interface ValueFacts {
  readonly map: string;
  /** Address that the LDDW loads. */
  readonly address: number;
  /** First byte and size of the value that it lies in. */
  readonly base: number;
  readonly size: number;
  /** The program may not write there (.rodata, BPF_F_RDONLY_PROG). */
  readonly readOnly: boolean;
  /** Address of the record of the value, if it has special fields. */
  readonly record?: number;
  /** Address of the map's header where the map is an arena. */
  readonly arena?: number;
}

/**
 * An instruction array: u64 elements at `address`, each the slot of a jump target. `gotox` jumps to the slot that its register
 * holds; any other value ends the program with a fault.
 */
export interface JumpTable {
  readonly address: number;
  readonly slots: readonly number[];
}

/** Address of the header of the program's arena, of which it has at most one; undefined: it has none. */
export function arenaOf({ mapsAt, valuesAt }: ResolvedProgram): number | undefined {
  for (const { type, address } of mapsAt.values()) if (type === 'arena') return address;
  for (const { arena } of valuesAt.values()) if (arena !== undefined) return arena;
  return undefined;
}

/** libbpf's immediates for calls that must never run: CO-RE relocations and weak kfuncs that were not found. */
export const POISONED_CORE_CALL = 195896080;
export const POISONED_KFUNC_CALL = 2002000000;

/** Of the id in a call of a helper: it stands only in code that is never reached. Reached all the same, it is a fault. */
export function isPoisonedHelper(id: number): boolean {
  return id === POISONED_CORE_CALL || id >= POISONED_KFUNC_CALL;
}
