/** Maglev's table (Eisenbud and others, NSDI 2016, section 3.4) for the rings of bpf/xdp_load_balancer.bpf.c. */

/** Slots of a ring; a prime. */
export const RING_SIZE = 1021;

/** FNV-1a, 32 bits. */
function hash(text: string, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

/** Backend numbers by slot: each backend takes the next free slot of its own permutation in turn. */
export function maglev(backends: readonly { readonly number: number; readonly name: string }[]): Uint8Array {
  const slots = new Uint8Array(RING_SIZE);
  const taken = new Uint8Array(RING_SIZE);
  const walks = backends.map(({ number, name }) => ({
    number,
    at: hash(name, 1) % RING_SIZE,
    step: 1 + (hash(name, 2) % (RING_SIZE - 1)),
  }));
  for (let filled = 0; filled < RING_SIZE; ) {
    for (const walk of walks) {
      if (filled === RING_SIZE) break;
      while (taken[walk.at] === 1) walk.at = (walk.at + walk.step) % RING_SIZE;
      slots[walk.at] = walk.number;
      taken[walk.at] = 1;
      filled++;
    }
  }
  return slots;
}
