/**
 * An area of traits as bytes (plane/layout/trait.ts), read without a plane: what lies in front of a packet of placement `meta`, in a capture or in a frame of AF_XDP.
 * Headers are not trusted: a value that would end behind the bytes is not there.
 */
import {
  TRAIT_KEYS,
  TRAITS_0_4_8,
  TRAITS_2_4_8,
  TRAITS_4_8_16,
  TRAITS_TLV,
  TRAITS_TLV_HEADER,
  TRAITS_WIDE,
} from '../plane/layout/trait.ts';

/** Lengths by code, the code being the header's bits of the key, those of the first word highest. Code 7 of three words is nobody's: it takes room and is no value. */
const codes: ReadonlyMap<number, readonly number[]> = new Map([
  [TRAITS_2_4_8, [0, 2, 4, 8]],
  [TRAITS_0_4_8, [0, 0, 4, 8]],
  [TRAITS_4_8_16, [0, 4, 8, 16]],
  [TRAITS_WIDE, [0, 0, 1, 2, 4, 8, 16, 21]],
]);
const LONGEST = 16;

/** Values by key, in the order of their keys, as copies. `layout`: TRAITS_* with a header of bits, or TRAITS_TLV; other areas say nothing by themselves: undefined. */
export function readArea(bytes: Uint8Array, layout: number): ReadonlyMap<number, Uint8Array> | undefined {
  if (layout === TRAITS_TLV) return readList(bytes);
  const sizes = codes.get(layout);
  if (sizes === undefined) return undefined;
  const found = new Map<number, Uint8Array>();
  const words = sizes.length === 8 ? 3 : 2;
  if (bytes.length < words * 8) return found;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = Array.from({ length: words }, (_, word) => view.getBigUint64(word * 8, true));
  let at = words * 8;
  for (let key = 0; key < TRAIT_KEYS; key++) {
    const code = header.reduce((code, word) => code * 2 + Number((word >> BigInt(key)) & 1n), 0);
    if (code === 0) continue;
    const size = sizes[code]!;
    if (size <= LONGEST && at + size <= bytes.length) found.set(key, Uint8Array.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return found;
}

/** Entries of u16 key, u16 length, value padded to 4 bytes; of a key that comes twice, the first counts. */
function readList(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  if (bytes.length < TRAITS_TLV_HEADER) return found;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(TRAITS_TLV_HEADER + view.getUint16(0, true), bytes.length);
  for (let at = TRAITS_TLV_HEADER; at + 4 <= end; ) {
    const [key, size] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const value = at + 4;
    if (value + size > end) break;
    if (key < TRAIT_KEYS && size <= LONGEST && !found.has(key))
      found.set(key, Uint8Array.from(bytes.subarray(value, value + size)));
    at = value + ((size + 3) & ~3);
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}
