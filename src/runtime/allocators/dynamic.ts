/**
 * Option 1 of 2022: objects of any allocator may go anywhere, and each knows its own at run time (by the slab that it lies in). A map's kptr_allocator is a hint:
 * where bpf_obj_new makes objects for fields of maps that agree on one.
 */
import type { AllocatorRef, ProgramFacts, Surroundings } from './facts.ts';
import type { Binding, Policy, ProgramBinding } from './policy.ts';

export const dynamic: Policy = {
  name: 'dynamic',
  bind(programs: readonly ProgramFacts[], surroundings: Surroundings): Binding {
    const bindings = new Map<number, ProgramBinding>();
    for (const program of programs) {
      const makes = new Map<number, AllocatorRef>();
      for (const { slot, allocator } of program.sites) {
        if (allocator === 'unknown') continue;
        makes.set(slot, allocator === 'implicit' ? hinted(program, slot, surroundings) : allocator);
      }
      bindings.set(program.id, { makes });
    }
    return { programs: bindings, fields: new Map(), merges: [] };
  },
};

function hinted({ flows }: ProgramFacts, slot: number, { maps, global }: Surroundings): AllocatorRef {
  const hints = new Set<AllocatorRef>();
  for (const { source, into } of flows) {
    if (source.kind !== 'implicit' || source.slot !== slot) continue;
    const hint = into.map === undefined ? undefined : maps.get(into.map)?.allocator;
    if (hint === undefined) return global;
    hints.add(hint);
  }
  const [one] = hints;
  return hints.size === 1 && one !== undefined ? one : global;
}
