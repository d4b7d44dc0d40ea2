/** What of an interface must not change, as 16 hexadecimal digits: equal exactly if the canonical text is, but for a chance of 2^-64. */

const MASK = (1n << 64n) - 1n;

/** FNV-1a of 64 bits over the UTF-8 of the text (draft-eastlake-fnv). No protection against one who looks for a collision: none is needed. */
export function fingerprint(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  return hash.toString(16).padStart(16, '0');
}
