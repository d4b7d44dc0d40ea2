/** A step of the way that a CO-RE relocation goes into a type. */

/** One step: a named member (anonymous structs around it are passed by), an array element, an enumerator. */
export interface Accessor {
  /** Type that the index is of: struct, union, enum; for array steps the element's type. */
  readonly typeId: number;
  readonly index: number;
  /** Undefined for array steps. */
  readonly name: string | undefined;
}
