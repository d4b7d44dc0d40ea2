// Known bits ("tnum", tristate numbers: Vishwanathan et al., CGO 2022): a value and a mask of unknown bits, disjoint. A result is left
// in `value` and `mask`.

export let value: u64 = 0;
export let mask: u64 = 0;

@inline
export function set(v: u64, m: u64): void {
  value = v;
  mask = m;
}

export function add(av: u64, am: u64, bv: u64, bm: u64): void {
  const sum = av + bv;
  const changed = (am + bm + sum) ^ sum;
  const unknown = changed | am | bm;
  set(sum & ~unknown, unknown);
}

export function sub(av: u64, am: u64, bv: u64, bm: u64): void {
  const difference = av - bv;
  const unknown = ((difference + am) ^ (difference - bm)) | am | bm;
  set(difference & ~unknown, unknown);
}

export function and(av: u64, am: u64, bv: u64, bm: u64): void {
  const known = av & bv;
  set(known, (av | am) & (bv | bm) & ~known);
}

export function or(av: u64, am: u64, bv: u64, bm: u64): void {
  const ones = av | bv;
  set(ones, (am | bm) & ~ones);
}

export function xor(av: u64, am: u64, bv: u64, bm: u64): void {
  const unknown = am | bm;
  set((av ^ bv) & ~unknown, unknown);
}

/** Long multiplication: each partial product is added, not added, or either. */
export function mul(av: u64, am: u64, bv: u64, bm: u64): void {
  let sumV: u64 = 0;
  let sumM: u64 = 0;
  while ((av | am) != 0) {
    if (av & 1) {
      add(sumV, sumM, bv, bm);
      sumV = value;
      sumM = mask;
    } else if (am & 1) {
      add(sumV, sumM, bv, bm);
      const unknown = (sumV ^ value) | sumM | mask;
      sumV = sumV & value & ~unknown;
      sumM = unknown;
    }
    av >>= 1;
    am >>= 1;
    bv <<= 1;
    bm <<= 1;
  }
  set(sumV, sumM);
}

/** What both know: the values that lie in both. */
export function intersect(av: u64, am: u64, bv: u64, bm: u64): void {
  const unknown = am & bm;
  set((av | bv) & ~unknown, unknown);
}

/** The smallest that holds all of min..max. */
export function range(min: u64, max: u64): void {
  const bits = 64 - clz(min ^ max);
  const unknown: u64 = bits > 63 ? ~(0 as u64) : ((1 as u64) << bits) - 1;
  set(min & ~unknown, unknown);
}

/** Every value of b lies in a. */
@inline
export function contains(av: u64, am: u64, bv: u64, bm: u64): bool {
  return (bm & ~am) == 0 && (bv & ~am) == av;
}
