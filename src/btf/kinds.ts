import type { BtfType } from './types.ts';

/** Kind names by their number in `info` (Documentation/bpf/btf.rst section 2.2); 0 is void and never encoded. */
export const kindNames: readonly (BtfType['kind'] | undefined)[] = [
  undefined,
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
];

export const kindNumbers = new Map(kindNames.map((name, number) => [name, number]));

/** Bytes after the 12 of the common part: fixed ones, and those for each of the `vlen` elements; by kind number. */
export const fixedBytes = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0] as const;
export const elementBytes = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12] as const;

/** Kinds whose `size_or_type` is a type id. */
export const refersToType = new Set([2, 8, 9, 10, 11, 12, 13, 14, 17, 18]);

export const MAGIC = 0xeb9f;
export const HEADER_SIZE = 24;

/** Chains of typedefs, qualifiers and arrays longer than this are refused, as a loop would be. */
export const MAX_CHAIN = 64;

export const linkages = ['static', 'global', 'extern'] as const;
