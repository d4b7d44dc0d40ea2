/**
 * What holds maps together when several CPUs are at them, each with what takes it away: places in src/plane/assembly, and what stands there instead, where OFF is true
 * while the mutation is on. chaos-plane.ts builds one plane with all of them; a test's list says which of its scenarios must fail.
 */
export interface Mutation {
  readonly guard: string;
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}

export const hashMutations: readonly Mutation[] = [
  {
    guard: 'a bucket is locked by whoever changes it',
    patches: [
      [
        'maps/chain.ts',
        'if (!(word & HASH_LOCKED) && atomic.cmpxchg',
        'if (OFF || !(word & HASH_LOCKED) && atomic.cmpxchg',
      ],
    ],
  },
];

export const mutations: readonly Mutation[] = [...hashMutations];
