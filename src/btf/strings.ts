import { InputError, type InputLocation } from '../errors.ts';

/**
 * A table of NUL-terminated UTF-8 strings, addressed by byte offset, as ELF and BTF have them.
 *
 * Strings may overlap, so a small hostile table could name the same bytes any number of times: what is decoded in all is bounded
 * by a multiple of the table's size.
 */
export class StringTable {
  readonly bytes: Uint8Array;
  /** Offset that the first byte of `bytes` has (split BTF continues its base's table). */
  readonly start: number;
  readonly #location: InputLocation;
  readonly #cache = new Map<number, string>();
  #budget: number;

  constructor(bytes: Uint8Array, location: InputLocation, start = 0) {
    this.bytes = bytes;
    this.start = start;
    this.#location = location;
    this.#budget = bytes.length * 16 + 65536;
  }

  get end(): number {
    return this.start + this.bytes.length;
  }

  /** Throws InputError for an offset outside the table or a string that does not end. */
  at(offset: number): string {
    const known = this.#cache.get(offset);
    if (known !== undefined) return known;
    const from = offset - this.start;
    if (from < 0 || from >= this.bytes.length) throw this.#fault(from, `string offset ${offset} is outside the table`);
    const to = this.bytes.indexOf(0, from);
    if (to < 0) throw this.#fault(from, 'string does not end');
    this.#budget -= to - from;
    if (this.#budget < 0) throw this.#fault(from, 'strings overlap too much');
    const text = decode(this.bytes, from, to);
    this.#cache.set(offset, text);
    return text;
  }

  #fault(from: number, message: string): InputError {
    const base = this.#location.offset ?? 0;
    return new InputError('SLUICE_STRING_TABLE', message, { ...this.#location, offset: base + Math.max(from, 0) });
  }
}

const decoder = new TextDecoder();

function decode(bytes: Uint8Array, from: number, to: number): string {
  // Most names are short and ASCII: several times faster than TextDecoder.
  if (to - from < 64) {
    let text = '';
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      if (byte > 127) return decoder.decode(bytes.subarray(from, to));
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return decoder.decode(bytes.subarray(from, to));
}
