/** Steps of recovery, each with what leaves it out: as test/stress/mutations.ts. */
import type { Mutation } from '../stress/mutations.ts';

export const recoveryMutations: readonly Mutation[] = [
  {
    guard: 'an element in hand is given back',
    patches: [['cpus/recovery.ts', '  element_recover(report);', '  if (!OFF) element_recover(report);']],
  },
  {
    guard: 'locks of maps are let go',
    patches: [['cpus/recovery.ts', '  maps_repair(report);', '  if (!OFF) maps_repair(report);']],
  },
  {
    guard: 'locks in buckets are let go',
    patches: [['cpus/recovery.ts', '  bit_lock_repair(report);', '  if (!OFF) bit_lock_repair(report);']],
  },
  {
    guard: 'locks of allocators are let go',
    patches: [['cpus/recovery.ts', '  allocators_recover(report);', '  if (!OFF) allocators_recover(report);']],
  },
  {
    guard: 'lists of a depot are made anew',
    patches: [['cpus/recovery.ts', '    depot_repair(depot);', '    if (!OFF) depot_repair(depot);']],
  },
];
