/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624). */

/**
 * One's-complement sum of big-endian 16-bit words, not folded: add such sums and fold at the end. An odd last byte counts
 * as the high byte of a word, so only the last of several added parts may be odd.
 */
export function sum16(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let sum = 0;
  let i = start;
  for (; i + 1 < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i < end) sum += bytes[i]! << 8;
  return sum;
}

/** Folds a sum (below 2^48) into 16 bits. */
export function fold16(sum: number): number {
  let s = sum;
  while (s > 0xffff) s = (s % 0x10000) + Math.floor(s / 0x10000);
  return s;
}

/** The checksum field for bytes whose checksum field is zero; `initial` is an unfolded sum, e.g. of a pseudo header. */
export function internetChecksum(bytes: Uint8Array, initial = 0): number {
  return ~fold16(sum16(bytes) + initial) & 0xffff;
}

/** RFC 1624, equation 3: the checksum after one 16-bit word of the covered data went from `before` to `after`. */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~fold16((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}
