/**
 * A seeded generator of numbers that gives the same sequence on every machine: sfc32 (Chris Doty-Humphrey's small fast counting
 * generator, 128 bits of state, public domain), seeded by splitmix32 and run 12 steps ahead. Integer operations only.
 */
export interface Random {
  /** Uniform in 0..2^32-1. */
  u32(): number;
  /** Uniform in 0..bound-1, for a bound of 1 to 2^32. */
  below(bound: number): number;
  /** True in `numerator` of `denominator` cases. */
  chance(numerator: number, denominator: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  bytes(length: number): Uint8Array;
}

/** `seed`: any integer; its lower 32 bits count. */
export function random(seed: number): Random {
  let mixer = seed | 0;
  const split = () => {
    mixer = (mixer + 0x9e3779b9) | 0;
    let z = mixer;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = split();
  let b = split();
  let c = split();
  let counter = 1;
  const u32 = () => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let i = 0; i < 12; i++) u32();
  // IEEE doubles round alike everywhere. Values differ in probability by at most bound / 2^32.
  const below = (bound: number) => Math.floor((u32() / 0x1_0000_0000) * bound);
  return {
    u32,
    below,
    chance: (numerator, denominator) => below(denominator) < numerator,
    pick: (choices) => choices[below(choices.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => u32() >>> 24),
  };
}
