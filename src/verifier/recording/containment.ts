/** Whether what a register or a stack slot really holds lies inside what the verifier knew of it. Slow and plain: for tests and replays. */
import * as k from '../kinds.ts';
import {
  AUX,
  BYTES,
  FLAGS,
  KIND,
  MASK,
  OFFSET,
  RECORD,
  SMAX,
  SMAX32,
  SMIN,
  SMIN32,
  UMAX,
  UMAX32,
  UMIN,
  UMIN32,
  VALUE,
} from '../layout.ts';

/** A register as the checked engine has it. */
export interface ConcreteRegister {
  readonly value: bigint;
  /** What it points into, with the engine's name for the kind; undefined for a number. */
  readonly object:
    | { readonly kind: string; readonly name: string | undefined; readonly base: number; readonly size: number }
    | undefined;
}

export interface Surroundings {
  /** Name by index of map. */
  readonly mapName: (index: number) => string | undefined;
  /** Address just above the stack of the frame at that depth. */
  readonly stackTop: (depth: number) => bigint;
}

const WORDS = RECORD / 4;
const u64 = (data: Int32Array, at: number) => (BigInt(data[at + 1]! >>> 0) << 32n) | BigInt(data[at]! >>> 0);
const i64 = (data: Int32Array, at: number) => BigInt.asIntN(64, u64(data, at));

/** What of a number contradicts the record's bits and ranges; undefined if nothing does. `at` is the index of the record's first word. */
export function outsideNumber(data: Int32Array, at: number, value: bigint): string | undefined {
  const unsigned = BigInt.asUintN(64, value);
  const signed = BigInt.asIntN(64, value);
  const low = Number(unsigned & 0xffffffffn);
  const known = u64(data, at + VALUE / 4);
  const mask = u64(data, at + MASK / 4);
  if (((unsigned ^ known) & ~mask & 0xffffffffffffffffn) !== 0n)
    return `0x${unsigned.toString(16)} is not among the bits (0x${known.toString(16)}; 0x${mask.toString(16)})`;
  const range = (name: string, least: bigint | number, most: bigint | number, it: bigint | number) =>
    it < least || it > most ? `${it} is outside of the ${name} range ${least} to ${most}` : undefined;
  return (
    range('unsigned', u64(data, at + UMIN / 4), u64(data, at + UMAX / 4), unsigned) ??
    range('signed', i64(data, at + SMIN / 4), i64(data, at + SMAX / 4), signed) ??
    range('unsigned 32-bit', data[at + UMIN32 / 4]! >>> 0, data[at + UMAX32 / 4]! >>> 0, low) ??
    range('signed 32-bit', data[at + SMIN32 / 4]!, data[at + SMAX32 / 4]!, low | 0)
  );
}

/** Engine's kinds by the verifier's; kinds that are not here are not compared. */
const kinds: Readonly<Record<number, readonly string[]>> = {
  [k.CTX]: ['context'],
  [k.STACK]: ['stack'],
  [k.MAP_PTR]: ['map'],
  [k.MAP_VALUE]: ['map value', 'global data'],
  [k.MAP_KEY]: ['map key'],
  [k.PACKET]: ['packet'],
  [k.PACKET_META]: ['packet metadata'],
  [k.PACKET_END]: ['packet'],
  [k.FUNC]: ['function'],
};
const nulls = new Set(['null map value', 'null memory']);

/** What of a register contradicts the record; undefined if nothing does. */
export function outsideRecord(
  data: Int32Array,
  at: number,
  register: ConcreteRegister | undefined,
  surroundings: Surroundings,
): string | undefined {
  const kind = data[at + KIND / 4]!;
  if (kind === k.NOT_INIT) return undefined;
  const name = k.kindName(kind, data[at + FLAGS / 4]!);
  if (register === undefined) return `holds nothing, the verifier knows ${name}`;
  if (kind === k.SCALAR) return outsideNumber(data, at, register.value);
  const { object, value } = register;
  const isNull = value === 0n && (object === undefined || nulls.has(object.kind));
  if ((data[at + FLAGS / 4]! & k.MAYBE_NULL) !== 0 && isNull) return undefined;
  if (isNull && kind !== k.PACKET_META) return `is NULL, the verifier knows ${name}`;
  const expected = kinds[kind];
  if (expected === undefined) return undefined;
  // What a lookup in a map of maps gives becomes a map at its NULL check only.
  if (kind === k.MAP_VALUE && (data[at + FLAGS / 4]! & k.MAYBE_NULL) !== 0 && object?.kind === 'map') return undefined;
  if (object === undefined || !expected.includes(object.kind))
    return `holds ${object?.kind ?? `0x${value.toString(16)}`}, the verifier knows ${name}`;
  const { base, size } = object;
  const offset = BigInt(data[at + OFFSET / 4]!);
  const aux = data[at + AUX / 4]!;
  const from = (start: bigint) => {
    const problem = outsideNumber(data, at, value - start - offset);
    return problem === undefined
      ? undefined
      : `${name} at ${value - start}, of which ${offset} is constant: ${problem}`;
  };
  switch (kind) {
    case k.STACK:
      return from(surroundings.stackTop(aux));
    case k.MAP_PTR:
    case k.MAP_VALUE: {
      const map = surroundings.mapName(aux);
      if (object.name !== undefined && map !== undefined && object.name !== map)
        return `points into map ${object.name}, the verifier knows ${map}`;
      return kind === k.MAP_PTR ? undefined : from(BigInt(base));
    }
    case k.PACKET_END:
      return value === BigInt(base + size) ? undefined : 'is not the end of the packet';
    case k.PACKET:
    case k.PACKET_META: {
      const end = BigInt(base + size);
      const start = value - offset;
      if (aux > 0 && start + BigInt(aux) > end)
        return `${name}: ${end - start} bytes are left, the verifier knows of ${aux}`;
      if (aux === k.BEYOND_END && value <= end) return `${name} is not beyond the end`;
      if (aux === k.AT_END && value < end) return `${name} is before the end`;
      return from(BigInt(base));
    }
    case k.CTX:
    case k.MAP_KEY:
      return from(BigInt(base));
    default:
      return undefined;
  }
}

/** As outsideRecord for the eight bytes of a stack slot; saved pointers are compared when they are loaded. */
export function outsideSlot(data: Int32Array, at: number, value: bigint): string | undefined {
  let spills = 0;
  for (let i = 0; i < 8; i++) {
    // Byte 0 is the one at the highest address.
    const type = (data[at + BYTES / 4 + (i >> 2)]! >>> ((i & 3) * 8)) & 0xff;
    const byte = (value >> BigInt(56 - i * 8)) & 0xffn;
    if (type === k.ZERO && byte !== 0n) return `byte ${7 - i} is 0x${byte.toString(16)}, the verifier knows zero`;
    if (type === k.SPILL) spills++;
  }
  if (spills === 0 || data[at + KIND / 4] !== k.SCALAR) return undefined;
  const bits = BigInt(spills * 8);
  const low = BigInt.asUintN(spills * 8, value);
  if (spills === 8) return outsideNumber(data, at, low);
  const known = u64(data, at + VALUE / 4);
  const mask = u64(data, at + MASK / 4);
  if (((low ^ known) & ~mask & ((1n << bits) - 1n)) !== 0n)
    return `lowest ${spills} bytes 0x${low.toString(16)} are not among the bits (0x${known.toString(16)}; 0x${mask.toString(16)})`;
  const most = u64(data, at + UMAX / 4);
  return most < 1n << bits ? outsideNumber(data, at, low) : undefined;
}

export { WORDS };
