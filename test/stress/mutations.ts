/**
 * What holds maps together when several CPUs are at them, each with what takes it away: places in src/plane/assembly, and what stands there instead, where OFF is true
 * while the mutation is on. chaos-plane.ts builds one plane with all of them; a test's list says which of its scenarios must fail.
 */
import { frameMutations } from './frame-mutations.ts';
import { hashMutations } from './hash-mutations.ts';
import { mapMutations } from './map-mutations.ts';
import { memoryMutations } from './memory-mutations.ts';
import { timerMutations } from './timer-mutations.ts';

export interface Mutation {
  readonly guard: string;
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}

export const mutations: readonly Mutation[] = [
  ...hashMutations,
  ...memoryMutations,
  ...mapMutations,
  ...timerMutations,
  ...frameMutations,
];
