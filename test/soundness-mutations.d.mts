import type { Mutation } from '../scripts/soundness.mjs';

export const mutations: readonly Mutation[];
