/**
 * Option 2 of 2022: each field holds objects of one allocator, which the verifier's facts say: where programs put objects, and which objects they move from field to
 * field. What no program has said yet is open: the fields are one class, and get an allocator with the first program that allocates. A map's
 * kptr_allocator says it for all its fields. The global allocator never conflicts: nobody counts its objects.
 */
import type { Field, ProgramFacts, Surroundings } from './facts.ts';
import { infer } from './inference.ts';
import type { Binding, Conflict, Policy, Reason } from './policy.ts';

export const perField: Policy = {
  name: 'per-field',
  bind: (programs: readonly ProgramFacts[], surroundings: Surroundings): Binding | Conflict =>
    infer(programs, surroundings, { keyOf: ({ key }) => key, saysOf, globalFits: true }),
};

function saysOf({ map }: Field, { maps }: Surroundings): Reason | undefined {
  const says = map === undefined ? undefined : maps.get(map);
  if (says === undefined || says.allocator.global) return undefined;
  const { allocator, name } = says;
  return { allocator, program: undefined, text: `map ${name} was made with ${allocator.name} as its kptr_allocator` };
}
