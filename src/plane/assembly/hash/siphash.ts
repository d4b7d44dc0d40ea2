// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"). The four words of the state live in the caller's scratch.
const V0: usize = 0;
const V1: usize = 8;
const V2: usize = 16;
const V3: usize = 24;
/** Bytes of scratch. */
export const SIPHASH_STATE: usize = 32;

function rounds(state: usize, count: u32): void {
  let v0 = load<u64>(state, V0);
  let v1 = load<u64>(state, V1);
  let v2 = load<u64>(state, V2);
  let v3 = load<u64>(state, V3);
  for (let i: u32 = 0; i < count; i++) {
    v0 += v1; v1 = rotl<u64>(v1, 13) ^ v0; v0 = rotl<u64>(v0, 32);
    v2 += v3; v3 = rotl<u64>(v3, 16) ^ v2;
    v0 += v3; v3 = rotl<u64>(v3, 21) ^ v0;
    v2 += v1; v1 = rotl<u64>(v1, 17) ^ v2; v2 = rotl<u64>(v2, 32);
  }
  store<u64>(state, v0, V0);
  store<u64>(state, v1, V1);
  store<u64>(state, v2, V2);
  store<u64>(state, v3, V3);
}

/** Hash of `words` words of 8 bytes at `from` under the 16 bytes at `key`. */
export function siphashWords(state: usize, key: usize, from: usize, words: u32): u64 {
  const k0 = load<u64>(key);
  const k1 = load<u64>(key, 8);
  store<u64>(state, k0 ^ 0x736f6d6570736575, V0);
  store<u64>(state, k1 ^ 0x646f72616e646f6d, V1);
  store<u64>(state, k0 ^ 0x6c7967656e657261, V2);
  store<u64>(state, k1 ^ 0x7465646279746573, V3);
  for (let i: u32 = 0; i <= words; i++) {
    // The last word has the length in its highest byte.
    const word = i < words ? load<u64>(from + (<usize>i << 3)) : <u64>(words << 3) << 56;
    store<u64>(state, load<u64>(state, V3) ^ word, V3);
    rounds(state, 2);
    store<u64>(state, load<u64>(state, V0) ^ word, V0);
  }
  store<u64>(state, load<u64>(state, V2) ^ 0xff, V2);
  rounds(state, 4);
  return load<u64>(state, V0) ^ load<u64>(state, V1) ^ load<u64>(state, V2) ^ load<u64>(state, V3);
}
