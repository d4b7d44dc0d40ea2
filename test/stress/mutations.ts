/**
 * What holds maps together when several CPUs are at them, each with what takes it away: places in src/plane/assembly, and what stands there instead, where OFF is true
 * while the mutation is on. chaos-plane.ts builds one plane with all of them; a test's list says which of its scenarios must fail.
 */
import { memoryMutations } from './memory-mutations.ts';

export interface Mutation {
  readonly guard: string;
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}

export const hashMutations: readonly Mutation[] = [
  {
    guard: 'a bucket is locked by whoever changes it',
    patches: [
      [
        'locks/bit.ts',
        'if ((word & LOCKED) != 0 || atomic.cmpxchg<u64>(at, word, word | LOCKED) != word) word =',
        'if (!OFF && ((word & LOCKED) != 0 || atomic.cmpxchg<u64>(at, word, word | LOCKED) != word)) word =',
      ],
    ],
  },
];

export const mutations: readonly Mutation[] = [...hashMutations, ...memoryMutations];
