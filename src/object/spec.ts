/**
 * object/: ELF bytes -> ObjectSpec. Pure and deterministic; never touches a machine. Whatever depends on one (CO-RE against
 * its kernel, map creation, extern values) happens when an object is created from the spec.
 *
 * This file: what was read, as data.
 */
import type { MapTypeName } from '../abi/map-types.ts';
import type { AttachTypeName, ProgramTypeName } from '../abi/program-types.ts';
import type { Btf } from '../btf/types.ts';
import type { Insn } from '../isa/insn.ts';
import type { TraitDeclaration } from '../traits/declaration.ts';

export interface ObjectSpec {
  /** Name as the user knows it (file name without directories), for messages. */
  readonly name: string;
  /** Content of the `license` section, '' if there is none. */
  readonly license: string;
  /** Content of the `version` section, 0 if there is none. */
  readonly kernelVersion: number;
  readonly btf: Btf | undefined;
  /** By program name, in file order. */
  readonly programs: ReadonlyMap<string, ProgramSpec>;
  /** By map name, in file order; globals (`.data`, `.rodata`, `.bss`, …) and jump tables are maps as well. */
  readonly maps: ReadonlyMap<string, MapSpec>;
  /** `.kconfig` and `.ksyms` externs by name. */
  readonly externs: ReadonlyMap<string, ExternSpec>;
  /** Traits of packets that the object names (section `.traits`), in file order. */
  readonly traits: readonly TraitSpec[];
  /** Sections as they stand in the file, for `inspect`. */
  readonly sections: readonly SectionInfo[];
}

export interface SectionInfo {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Offset and size in the file, bytes. */
  readonly offset: number;
  readonly size: number;
}

export interface ProgramSpec {
  /** Name of the entry function. */
  readonly name: string;
  /** ELF section with the leading '?' removed, e.g. `xdp`, `tc`, `kprobe/do_sys_open`. */
  readonly section: string;
  /** False for `SEC("?…")`: not loaded unless asked for. */
  readonly autoload: boolean;
  /** From libbpf's table of section names; undefined if the section name is not known. */
  readonly type: ProgramTypeName | undefined;
  readonly attachType: AttachTypeName | undefined;
  /** What follows the slash of the section name. */
  readonly attachTo: string | undefined;
  readonly sleepable: boolean;
  /** XDP with fragments: `xdp.frags`. */
  readonly frags: boolean;
  /**
   * Entry function first, then every function that it reaches (calls and callbacks), linked: BPF-to-BPF calls and
   * function references have their slot distance in imm. Other relocations are in `references`, with imm left as 0.
   */
  readonly insns: readonly Insn[];
  /** In slot order; the first is the entry. */
  readonly functions: readonly FunctionSpec[];
  /** What the instruction at a slot refers to. */
  readonly references: ReadonlyMap<number, Reference>;
  /** CO-RE relocations, not yet applied. */
  readonly coreRelocations: readonly CoreRelocation[];
  /** In slot order. */
  readonly lines: readonly LineInfo[];
  /** Those of the object, if it names any: calls for others are refused. */
  readonly traits?: readonly TraitSpec[];
}

export interface TraitSpec extends Required<TraitDeclaration> {
  /** The key that instructions have: as read, that of an empty registry. 0 to 63, or 2^63 + n for well-known ones. */
  readonly key: bigint;
}

export interface FunctionSpec {
  readonly name: string;
  /** First slot and number of slots within the program's `insns`. */
  readonly start: number;
  readonly length: number;
  readonly linkage: 'static' | 'global';
  /** BTF id of the `func` type, from .BTF.ext func_info; undefined without BTF. */
  readonly btfId: number | undefined;
  /** Referred to by an LDDW with source 4: called back by helpers, not (only) by calls. */
  readonly callback: boolean;
  /** Where the program goes on after bpf_throw, in place of returning the cookie: the declaration tag `exception_callback:` of its entry names it. */
  readonly exceptionCallback?: true;
}

export type Reference =
  /** LDDW source 1: the map itself. */
  | { readonly kind: 'map'; readonly map: string }
  /** LDDW source 1 of an allocator that belongs to a map: `&hash.elem_allocator` (bpf/include/sluice/mem.h). */
  | { readonly kind: 'map-allocator'; readonly map: string; readonly part: AllocatorPart }
  /** LDDW source 2: address of byte `offset` in the map's first value. */
  | { readonly kind: 'map-value'; readonly map: string; readonly offset: number }
  /** LDDW source 4, resolved: `target` is the slot of the function. */
  | { readonly kind: 'function'; readonly name: string; readonly target: number }
  /** CALL source 1, resolved. */
  | { readonly kind: 'call'; readonly name: string; readonly target: number }
  /** CALL source 2, to be resolved at load by name and by the shape in which the object declares it (abi/stability/shape.ts). */
  | { readonly kind: 'kfunc'; readonly name: string; readonly weak: boolean; readonly shape?: string }
  /** LDDW of a `.ksyms` variable (typed: source 3; untyped: a plain address). */
  | { readonly kind: 'ksym'; readonly name: string; readonly weak: boolean; readonly typed: boolean }
  /** LDDW or load of a `.kconfig` variable: byte `offset` of the map `.kconfig`. */
  | { readonly kind: 'kconfig'; readonly name: string; readonly offset: number }
  /** LDDW source 0, with the key of the trait of that name (ObjectSpec.traits) in it. */
  | { readonly kind: 'trait'; readonly name: string };

export type CoreKind =
  | 'field_byte_offset'
  | 'field_byte_size'
  | 'field_exists'
  | 'field_signed'
  | 'field_lshift_u64'
  | 'field_rshift_u64'
  | 'type_id_local'
  | 'type_id_target'
  | 'type_exists'
  | 'type_size'
  | 'enumval_exists'
  | 'enumval_value'
  | 'type_matches';

export interface CoreRelocation {
  /** Slot in the program's `insns`. */
  readonly slot: number;
  /** Type id in the object's own BTF. */
  readonly typeId: number;
  /** The access string, `0:1:2`. */
  readonly access: string;
  readonly kind: CoreKind;
}

export interface LineInfo {
  readonly slot: number;
  readonly file: string;
  /** Text of the source line, as the compiler recorded it. */
  readonly text: string;
  /** From 1; 0 where the compiler had none. */
  readonly line: number;
  readonly column: number;
}

export interface MapSpec {
  readonly name: string;
  readonly type: MapTypeName;
  /** Bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_* bits. */
  readonly flags: number;
  readonly mapExtra: bigint;
  readonly numaNode: number;
  /** LIBBPF_PIN_BY_NAME or none. */
  readonly pinning: 'none' | 'by-name';
  /** BTF ids of key and value in the object's BTF; 0 where unknown. */
  readonly keyTypeId: number;
  readonly valueTypeId: number;
  /** Spec of the inner map of array- and hash-of-maps. */
  readonly inner: MapSpec | undefined;
  /** Allocators that the definition names (`__allocator`); elements and kptrs of maps without come from where the load's policy says. */
  readonly allocators?: MapAllocators;
  /**
   * Initial content. Bytes: the data of a global section (one value). Slots: a jump table's targets, as slots of `program`.
   * References: programs of a prog array or maps of a map of maps, by index. Struct-ops: the kernel struct's bytes in the object's
   * layout, and the programs for its function pointers by byte offset.
   */
  readonly contents:
    | { readonly kind: 'none' }
    | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
    | { readonly kind: 'jump-table'; readonly program: string; readonly slots: readonly number[] }
    | { readonly kind: 'references'; readonly targets: ReadonlyMap<number, string> }
    | { readonly kind: 'struct-ops'; readonly bytes: Uint8Array; readonly programs: ReadonlyMap<number, string> };
  /** Where the definition stands: `.maps`, `maps`, `.rodata.str1.1`, … */
  readonly section: string;
}

/** Of which of a map's two allocators: that of its elements, or that of the objects which its kptr fields, lists and trees own. */
export type AllocatorPart = 'elem' | 'kptr';

export type MapAllocators = Readonly<Partial<Record<AllocatorPart, MapAllocator>>>;

export type MapAllocator =
  /** Made with the map, as a map of type `allocator` that is defined in it. */
  | { readonly kind: 'implicit'; readonly definition: MapSpec }
  /** The allocator of a map of type `allocator`, by name. */
  | { readonly kind: 'map'; readonly map: string };

export interface ExternSpec {
  readonly name: string;
  readonly section: '.kconfig' | '.ksyms';
  readonly weak: boolean;
  /** BTF id of the var or func; 0 without. */
  readonly btfId: number;
  /** Size and alignment in bytes of a variable, 0 for a function. */
  readonly size: number;
  readonly alignment: number;
  readonly function: boolean;
  /** How a function is declared (abi/stability/shape.ts). */
  readonly shape?: string;
}
