/** What a codec reads and writes. */

/**
 * Values as BTF describes them: integers and enums up to 32 bits number, wider ones and pointers bigint, bool boolean, floats
 * number, structs and unions objects (anonymous members' members stand in the object around them), arrays arrays, arrays of
 * one-byte integers Uint8Array.
 */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [member: string]: Value };
