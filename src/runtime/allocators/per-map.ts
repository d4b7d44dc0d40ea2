/**
 * Option 3 of 2022: each map takes the objects of all its fields from one allocator for as long as it is there: its kptr_allocator, or the global one. Fields of objects
 * have what programs put there, one allocator for all fields of a struct.
 */
import type { Field, ProgramFacts, Surroundings } from './facts.ts';
import { infer } from './inference.ts';
import type { Binding, Conflict, Policy, Reason } from './policy.ts';

export const perMap: Policy = {
  name: 'per-map',
  bind: (programs: readonly ProgramFacts[], surroundings: Surroundings): Binding | Conflict =>
    infer(programs, surroundings, { keyOf, saysOf, globalFits: false }),
};

function keyOf({ key, map }: Field): string {
  if (map !== undefined) return `map:${map}`;
  // All of a struct.
  return key.slice(0, key.lastIndexOf(':'));
}

function saysOf({ map }: Field, { maps, global }: Surroundings): Reason | undefined {
  if (map === undefined) return undefined;
  const says = maps.get(map);
  // A map of maps says nothing: the maps in it do.
  if (says === undefined && map.startsWith('template:')) return undefined;
  const allocator = says?.allocator ?? global;
  const text =
    says === undefined
      ? `its map has no kptr_allocator, and takes objects from ${allocator.name}`
      : `map ${says.name} takes its objects from ${allocator.name}, its kptr_allocator`;
  return { allocator, program: undefined, text };
}
