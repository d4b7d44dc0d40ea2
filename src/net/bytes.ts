/** Big-endian stores and loads of single fields, and joining of byte strings: what every header shares. */

export function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function put32(bytes: Uint8Array, offset: number, value: number): void {
  put16(bytes, offset, value >>> 16);
  put16(bytes, offset + 2, value);
}

/** The caller has checked that the field lies inside `bytes`. */
export function get16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Unsigned. The caller has checked that the field lies inside `bytes`. */
export function get32(bytes: Uint8Array, offset: number): number {
  return ((get16(bytes, offset) << 16) | get16(bytes, offset + 2)) >>> 0;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** `bytes` with zeros behind, so that its length is a multiple of `multiple`; the same array if it is already. */
export function padTo(bytes: Uint8Array, multiple: number): Uint8Array {
  const rest = bytes.length % multiple;
  return rest === 0 ? bytes : concat([bytes, new Uint8Array(multiple - rest)]);
}
