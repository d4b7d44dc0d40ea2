/**
 * net/rss: receive-side scaling as virtio 1.3 has it (device-types/net, "Hash calculation for incoming packets"), bit by bit: the reference that
 * the data plane and programs are held against, and what explains a hash. Not for the packet path.
 *
 * This file: the Toeplitz hash.
 */
import { InputError } from '../../errors.ts';

/** Bytes that a key must have beyond the input: the window of the last bit. */
export const TOEPLITZ_WINDOW = 4;

/** 32 bits of the key from bit `at` on: what a set bit of the input at that place adds to the hash. */
export function keyWindow(key: Uint8Array, at: number): number {
  let window = 0;
  for (let bit = at; bit < at + 32; bit++) window = (window << 1) | ((key[bit >> 3]! >> (7 - (bit & 7))) & 1);
  return window >>> 0;
}

/** Unsigned 32-bit hash. Throws InputError `SLUICE_RSS_KEY` for a key shorter than the input and 4 bytes. */
export function toeplitz(key: Uint8Array, input: Uint8Array): number {
  if (key.length < input.length + TOEPLITZ_WINDOW)
    throw new InputError(
      'SLUICE_RSS_KEY',
      `a key of ${key.length} bytes: ${input.length} bytes of input need one of ${input.length + TOEPLITZ_WINDOW}`,
    );
  let hash = 0;
  for (let bit = 0; bit < input.length * 8; bit++)
    if (((input[bit >> 3]! >> (7 - (bit & 7))) & 1) === 1) hash ^= keyWindow(key, bit);
  return hash >>> 0;
}
