import { InputError } from '../errors.ts';
import type { Value } from './value.ts';

/** Part of a codec: reads and writes one type anywhere in a buffer. */
export interface CodecNode {
  readonly size: number;
  /** How many values it reads at most: what decoding costs. */
  readonly weight: number;
  read(view: DataView, at: number): Value;
  write(view: DataView, at: number, value: Value, path: string): void;
  /** Sets the bits that `write` decides. */
  cover(mask: Uint8Array, at: number): void;
}

export interface Scalar {
  /** Bytes of the storage. */
  readonly size: number;
  /** Where in the storage, from its lowest bit; a bit field's may go beyond `size`. */
  readonly bitOffset: number;
  readonly bits: number;
  readonly as: 'number' | 'bigint' | 'boolean' | 'float';
  readonly signed: boolean;
}

export function scalarNode(scalar: Scalar): CodecNode {
  const { size, bitOffset, bits, as, signed } = scalar;
  if (as === 'float') return floatNode(size);
  const whole = bitOffset === 0 && bits === size * 8;
  const read = whole ? wholeReader(size, signed) : bitReader(bitOffset, bits, signed);
  return {
    size,
    weight: 1,
    read(view, at) {
      const raw = read(view, at);
      if (as === 'boolean') return Number(raw) !== 0;
      return as === 'number' ? Number(raw) : BigInt(raw);
    },
    write(view, at, value, path) {
      writeBits(view, at, bitOffset, bits, inRange(value, scalar, path));
    },
    cover(mask, at) {
      for (let bit = bitOffset; bit < bitOffset + bits; bit++) mask[at + (bit >>> 3)]! |= 1 << (bit & 7);
    },
  };
}

/** The value as an unsigned number of `bits` bits. */
function inRange(value: Value, { bits, as, signed }: Scalar, path: string): bigint {
  const bad = (why: string) => new InputError('SLUICE_VALUE', `${path}: ${why}`);
  let number: bigint;
  if (typeof value === 'bigint') number = value;
  else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value))
      throw bad(
        `${value} is no whole number${Number.isInteger(value) ? ' that a double holds exactly; use a bigint' : ''}`,
      );
    number = BigInt(value);
  } else if (typeof value === 'boolean' && as === 'boolean') number = value ? 1n : 0n;
  else throw bad(`${as === 'boolean' ? 'a boolean' : 'an integer'} is needed, not ${describe(value)}`);
  const limit = 1n << BigInt(as === 'boolean' ? 1 : bits);
  const low = signed && as !== 'boolean' ? -limit / 2n : 0n;
  const high = low + limit - 1n;
  if (number < low || number > high) throw bad(`${number} is outside of ${low} to ${high}`);
  return BigInt.asUintN(bits, number);
}

export function describe(value: Value): string {
  if (typeof value === 'string') return 'a string';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'an array';
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`;
}

function wholeReader(size: number, signed: boolean): (view: DataView, at: number) => number | bigint {
  switch (size) {
    case 1:
      return signed ? (view, at) => view.getInt8(at) : (view, at) => view.getUint8(at);
    case 2:
      return signed ? (view, at) => view.getInt16(at, true) : (view, at) => view.getUint16(at, true);
    case 4:
      return signed ? (view, at) => view.getInt32(at, true) : (view, at) => view.getUint32(at, true);
    case 8:
      return signed ? (view, at) => view.getBigInt64(at, true) : (view, at) => view.getBigUint64(at, true);
    default:
      return bitReader(0, size * 8, signed);
  }
}

function bitReader(bitOffset: number, bits: number, signed: boolean): (view: DataView, at: number) => bigint {
  const first = bitOffset >>> 3;
  const last = (bitOffset + bits - 1) >>> 3;
  const shift = BigInt(bitOffset & 7);
  return (view, at) => {
    let raw = 0n;
    for (let byte = last; byte >= first; byte--) raw = (raw << 8n) | BigInt(view.getUint8(at + byte));
    raw >>= shift;
    return signed ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
  };
}

function writeBits(view: DataView, at: number, bitOffset: number, bits: number, value: bigint): void {
  const shift = bitOffset & 7;
  let rest = value << BigInt(shift);
  let mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
  for (let byte = at + (bitOffset >>> 3); mask > 0n; byte++) {
    const own = Number(mask & 0xffn);
    view.setUint8(byte, (view.getUint8(byte) & ~own) | Number(rest & 0xffn));
    rest >>= 8n;
    mask >>= 8n;
  }
}

function floatNode(size: number): CodecNode {
  if (size !== 4 && size !== 8)
    throw new InputError('SLUICE_BTF_NO_SIZE', `floating-point numbers of ${size} bytes are not supported`);
  return {
    size,
    weight: 1,
    read: (view, at) => (size === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true)),
    write(view, at, value, path) {
      if (typeof value !== 'number')
        throw new InputError('SLUICE_VALUE', `${path}: a number is needed, not ${describe(value)}`);
      if (size === 4) view.setFloat32(at, value, true);
      else view.setFloat64(at, value, true);
    },
    cover: (mask, at) => mask.fill(0xff, at, at + size),
  };
}
