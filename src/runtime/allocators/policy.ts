/** A policy: given all programs that are to live, which allocator each call uses, or why they cannot live together. */

import { dynamic } from './dynamic.ts';
import type { AllocatorRef, Field, ProgramFacts, Surroundings } from './facts.ts';
import { global } from './global.ts';
import { perField } from './per-field.ts';
import { perMap } from './per-map.ts';

export const policyNames = ['global', 'dynamic', 'per-field', 'per-map'] as const;
export type PolicyName = (typeof policyNames)[number];

/** What one program's calls use, by slot. */
export interface ProgramBinding {
  /** Calls that make objects; not there: what the call names when it runs. Calls that give back need nothing: the slab of an object says whose it is. */
  readonly makes: ReadonlyMap<number, AllocatorRef>;
}

export interface Binding {
  readonly programs: ReadonlyMap<number, ProgramBinding>;
  /** Fields that are bound, and to what. */
  readonly fields: ReadonlyMap<string, { readonly field: Field; readonly allocators: readonly AllocatorRef[] }>;
  /** Allocators that have to be made one for this. */
  readonly merges: readonly (readonly [AllocatorRef, AllocatorRef])[];
}

/** Why a field is to hold objects of an allocator. */
export interface Reason {
  readonly allocator: AllocatorRef;
  /** undefined: not a program, but the map's definition or objects that are there. */
  readonly program: ProgramFacts | undefined;
  /** As in `program put (moves.bpf.o) allocates from ma at moves.bpf.c:51`. */
  readonly text: string;
}

export interface Conflict {
  readonly field: Field;
  readonly first: Reason;
  readonly second: Reason;
}

export interface Policy {
  readonly name: PolicyName;
  /** Of the same programs in any order: the same verdict. Changes nothing. */
  bind(programs: readonly ProgramFacts[], surroundings: Surroundings): Binding | Conflict;
}

export const policies: Readonly<Record<PolicyName, Policy>> = {
  global,
  dynamic,
  'per-field': perField,
  'per-map': perMap,
};

export function isConflict(result: Binding | Conflict): result is Conflict {
  return 'first' in result;
}

/** Objects of one may meet those of the other in a field: both take whatever comes. */
export function getAlong(a: PolicyName, b: PolicyName): boolean {
  const free = (name: PolicyName) => name === 'global' || name === 'dynamic';
  return a === b || (free(a) && free(b));
}
