/**
 * What the verifier has found out about objects of a program's own types: which type each call is about, and from where to where objects go.
 * Facts only: which allocators may meet in a field is for a policy to say (runtime/allocators/).
 */

/** A place that can own objects: a kptr field, a list head or a tree root. */
export type OwnerField =
  /** In the values of a map, or of the maps in it (`inner`). */
  | { readonly kind: 'map'; readonly map: string; readonly inner: boolean; readonly offset: number }
  /** In objects of a struct of the program (id in its BTF). */
  | { readonly kind: 'object'; readonly struct: number; readonly offset: number };

/** An allocator map, or what a map draws its elements, or objects in their fields, from. */
export interface AllocatorName {
  readonly map: string;
  readonly part: 'map' | 'elem' | 'kptr';
}

/** Where an object came from, as far as the program shows it. */
export type Origin =
  /** bpf_obj_new: the allocator is implicit. */
  | { readonly kind: 'implicit'; readonly slot: number }
  /** bpf_mem_alloc from an allocator map, or from one of the two of a map. */
  | ({ readonly kind: 'allocator'; readonly slot: number } & AllocatorName)
  /** Taken out of a field: exchanged, popped or removed. */
  | { readonly kind: 'field'; readonly slot: number; readonly field: OwnerField };

/** An object of this origin may go into this field at this slot. */
export interface OwnershipEdge {
  readonly slot: number;
  readonly origin: Origin;
  readonly struct: number;
  readonly into: OwnerField;
}

/** A call that makes, gives back or links objects. */
export interface ObjectCall {
  /** Helper or kfunc. */
  readonly name: string;
  /** Struct in the program's BTF: of the object, or of the elements of the list or tree. 0 for calls that are given no record and on paths differ. */
  readonly struct: number;
  /**
   * Structs that other paths come to the instruction with: compilers make one call of two that end two branches. They are given back alike, or tell
   * themselves apart by their size: the larger has at least twice the bytes of the smaller, and of 16, so that their objects are of different classes.
   */
  readonly others: readonly number[];
  /** Offset of the node in the struct, for lists and trees; else 0. */
  readonly node: number;
  readonly percpu: boolean;
  /** Of bpf_mem_alloc and its like: the allocator, if it is the same on all paths. */
  readonly allocator?: AllocatorName | undefined;
  /** Of calls that take an object: all origins that it may have. */
  readonly origins: readonly Origin[];
}

export interface Ownership {
  /** By slot of the call. */
  readonly calls: ReadonlyMap<number, ObjectCall>;
  readonly edges: readonly OwnershipEdge[];
  /** Structs of which the program keeps pointers that it does not own (loads of kptr fields, references that stay after an unlock). */
  readonly shared: ReadonlySet<number>;
}
