/**
 * runtime/allocators/: which allocators objects may come from and go back to: handles, the four policies, and who keeps an allocator alive.
 *
 * This file: what a policy is told of a program. The verifier's facts (verifier/ownership.ts) speak of maps by the object's names and of structs by ids of its
 * BTF; here both are what they are in this runtime, so that facts of programs from several objects can be held together.
 */

/** An allocator as policies know it. */
export interface AllocatorRef {
  /** Unique in a memory. */
  readonly id: number;
  /** For messages: `ma`, `hash.elem_allocator`, `the global allocator`. */
  readonly name: string;
  /** The one that always is there, which nobody counts. */
  readonly global: boolean;
}

/** A place that can own objects. */
export interface Field {
  /** Equal for the same place, whichever program and object speaks of it: by map id, or by a struct's name and layout. */
  readonly key: string;
  /** For messages: `m1.object`, `struct foo.next`. */
  readonly text: string;
  /** Key of the map it is in the values of, the same for all fields of one map; undefined: in objects. Maps inside of a map of maps go by their template. */
  readonly map: string | undefined;
}

/** Where an object comes from. */
export type Source =
  /** An allocation at that slot that names no allocator: bpf_obj_new. */
  | { readonly kind: 'implicit'; readonly slot: number }
  | { readonly kind: 'allocator'; readonly slot: number; readonly allocator: AllocatorRef }
  | { readonly kind: 'field'; readonly slot: number; readonly field: Field };

/** An object from there may go into this field. */
export interface Flow {
  readonly slot: number;
  readonly source: Source;
  readonly into: Field;
}

/** A call that makes objects. */
export interface Site {
  readonly slot: number;
  /** The allocator that it names, if that is the same on all paths; `unknown`: it names one, and which is known only when it runs. */
  readonly allocator: AllocatorRef | 'implicit' | 'unknown';
}

/** An object says that fields of a map hold objects of an allocator: `.kptr_allocator = { &ma }`. */
export interface Claim {
  readonly map: string;
  /** Name of the map, for messages. */
  readonly name: string;
  readonly allocator: AllocatorRef;
}

export interface ProgramFacts {
  /** Unique among all that were ever loaded into the memory; above 0: the holder of its reservations. */
  readonly id: number;
  readonly program: string;
  readonly object: string;
  readonly sites: readonly Site[];
  readonly flows: readonly Flow[];
  /** Fields that it takes objects out of. */
  readonly taken: readonly Field[];
  readonly claims: readonly Claim[];
  /** For messages: where a slot is in the source. */
  readonly place?: (slot: number) => string;
}

/** What holds at the moment beside the programs. */
export interface Surroundings {
  /** Live objects: which allocators those in a field come from. */
  readonly contents: Iterable<{ readonly field: Field; readonly allocators: Iterable<AllocatorRef> }>;
  /** Allocators that maps say their fields hold objects of, by key of the map (Field.map). */
  readonly maps: ReadonlyMap<string, { readonly name: string; readonly allocator: AllocatorRef }>;
  /** Fields of maps that are in a map of maps, each with the field of its template. */
  readonly inner: Iterable<readonly [inner: Field, template: Field]>;
  readonly global: AllocatorRef;
  /** What an allocation that names no allocator was bound to when its program was loaded; undefined: the program is not loaded yet. */
  bound(program: number, slot: number): AllocatorRef | undefined;
  /** Whether the two may be made one, or are. */
  canMerge(a: AllocatorRef, b: AllocatorRef): boolean;
}
