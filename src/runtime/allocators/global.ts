/** Linux: one allocator for all programs, whatever they name. Quotas and allocators are only names then. */
import type { AllocatorRef, ProgramFacts, Surroundings } from './facts.ts';
import type { Binding, Policy, ProgramBinding } from './policy.ts';

export const global: Policy = {
  name: 'global',
  bind(programs: readonly ProgramFacts[], surroundings: Surroundings): Binding {
    const bindings = new Map<number, ProgramBinding>();
    for (const { id, sites } of programs) {
      const makes = new Map<number, AllocatorRef>();
      for (const { slot } of sites) makes.set(slot, surroundings.global);
      bindings.set(id, { makes });
    }
    return { programs: bindings, fields: new Map(), merges: [] };
  },
};
