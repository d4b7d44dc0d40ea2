/**
 * btf/: BPF Type Format (Documentation/bpf/btf.rst): parse, write, CO-RE, print as C and as TypeScript. Pure.
 *
 * This file: the types as data. A type refers to another by id; id 0 is void.
 */

export type BtfType =
  | {
      readonly kind: 'int';
      readonly name: string;
      readonly size: number;
      readonly bits: number;
      readonly offset: number;
      readonly signed: boolean;
      readonly bool: boolean;
      readonly char: boolean;
    }
  | { readonly kind: 'ptr'; readonly name: ''; readonly type: number }
  | {
      readonly kind: 'array';
      readonly name: '';
      readonly type: number;
      readonly indexType: number;
      readonly length: number;
    }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: 'enum';
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly BtfEnumValue[];
    }
  | {
      readonly kind: 'enum64';
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly BtfEnumValue[];
    }
  | { readonly kind: 'fwd'; readonly name: string; readonly union: boolean }
  | { readonly kind: 'typedef' | 'volatile' | 'const' | 'restrict'; readonly name: string; readonly type: number }
  | { readonly kind: 'type_tag'; readonly name: string; readonly type: number; readonly attribute: boolean }
  | {
      readonly kind: 'func';
      readonly name: string;
      readonly type: number;
      readonly linkage: 'static' | 'global' | 'extern';
    }
  | { readonly kind: 'func_proto'; readonly name: ''; readonly returns: number; readonly params: readonly BtfParam[] }
  | {
      readonly kind: 'var';
      readonly name: string;
      readonly type: number;
      readonly linkage: 'static' | 'global' | 'extern';
    }
  | { readonly kind: 'datasec'; readonly name: string; readonly size: number; readonly vars: readonly BtfSectionVar[] }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | {
      readonly kind: 'decl_tag';
      readonly name: string;
      readonly type: number;
      readonly component: number;
      readonly attribute: boolean;
    };

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** Offset in bits from the start of the struct. */
  readonly bitOffset: number;
  /** Width in bits of a bit field, 0 for an ordinary member. */
  readonly bitSize: number;
}
export interface BtfEnumValue {
  readonly name: string;
  /** Sign- or zero-extended by the enum's own sign. */
  readonly value: bigint;
}
export interface BtfParam {
  readonly name: string;
  /** 0 with an empty name: the `...` of a variadic function. */
  readonly type: number;
}
export interface BtfSectionVar {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

/** What every consumer of BTF uses. Made by `parseBtf`; a split BTF answers for its base's ids too. */
export interface Btf {
  /** Number of types, void (id 0) included. */
  readonly typeCount: number;
  /** The bytes that were parsed (or written), in little-endian, for bpf(2)'s BPF_BTF_LOAD. */
  readonly bytes: Uint8Array;
  /** Size of a pointer in bytes: 8 for BPF and for 64-bit kernels. */
  readonly pointerSize: number;
  /** Type by id; undefined for void. Throws InputError for an id that is out of range. */
  type(id: number): BtfType | undefined;
  /** Id of the first type with that name (and kind), or undefined. */
  find(name: string, kind?: BtfType['kind']): number | undefined;
  /** All ids with that name. */
  findAll(name: string): readonly number[];
  /** All ids whose name without a `___flavor` is that: the candidates of CO-RE. */
  findEssential(name: string): readonly number[];
  /** Follows typedef, const, volatile, restrict and type_tag. */
  resolve(id: number): { readonly id: number; readonly type: BtfType | undefined };
  /** Size in bytes of a type with storage. Throws InputError for void, func, fwd, or an array that overflows. */
  sizeOf(id: number): number;
}
