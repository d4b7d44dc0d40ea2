/** What the verifier knew of a register, for people. */
import type { MapSpec } from '../../object/spec.ts';
import * as k from '../kinds.ts';
import { AUX, FLAGS, KIND, MASK, OFFSET, SMAX, SMIN, UMAX, UMIN, VALUE } from '../layout.ts';

const u64 = (data: Int32Array, at: number) => (BigInt(data[at + 1]! >>> 0) << 32n) | BigInt(data[at]! >>> 0);
const i64 = (data: Int32Array, at: number) => BigInt.asIntN(64, u64(data, at));
const MAX_U64 = (1n << 64n) - 1n;

/** Fields of a recorded register; `at` is the index of the record's first word. */
export function fieldsOf(data: Int32Array, at: number) {
  const mask = u64(data, at + MASK / 4);
  return {
    kind: data[at + KIND / 4]!,
    flags: data[at + FLAGS / 4]!,
    offset: data[at + OFFSET / 4]!,
    aux: data[at + AUX / 4]!,
    constant: mask === 0n,
    value: i64(data, at + VALUE / 4),
    mask,
    umin: u64(data, at + UMIN / 4),
    umax: u64(data, at + UMAX / 4),
    smin: i64(data, at + SMIN / 4),
    smax: i64(data, at + SMAX / 4),
  };
}

export type Fields = ReturnType<typeof fieldsOf>;

/** A number: `5`, `0 to 255`, `0 to 60 in steps of 4`, `any 32-bit number`. */
export function numberText(fields: Fields): string {
  const { constant, value, mask, umin, umax, smin, smax } = fields;
  if (constant) return value < -4096n || value > 65535n ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);
  let step = 1n;
  while ((mask & step) === 0n && step < 1n << 32n) step <<= 1n;
  const steps = step > 1n && (value & (step - 1n)) === 0n ? ` in steps of ${step}` : '';
  const large = (number: bigint) =>
    number > 1n << 24n || number < -(1n << 24n) ? `0x${number.toString(16)}`.replace('0x-', '-0x') : String(number);
  if (umin === 0n && umax === MAX_U64 && smin < 0n && smax > 1n << 62n) return `any number${steps}`;
  if (umin === 0n && umax === 0xffffffffn) return `any 32-bit number${steps}`;
  if (umax < 1n << 63n) return `${large(umin)} to ${large(umax)}${steps}`;
  if (smin > -(1n << 63n) || smax < (1n << 63n) - 1n) return `${large(smin)} to ${large(smax)}${steps}`;
  return `${large(umin)} to ${large(umax)}${steps} (unsigned)`;
}

const names: Readonly<Record<number, string>> = {
  [k.CTX]: 'ctx',
  [k.STACK]: 'stack',
  [k.PACKET]: 'packet',
  [k.PACKET_META]: 'packet metadata',
  [k.PACKET_END]: 'end of packet',
};

/** A register: `packet+14, 20 bytes proven`, `value of map flows, may be NULL`, `0 to 255`. */
export function valueText(data: Int32Array, at: number, maps: readonly MapSpec[]): string {
  const fields = fieldsOf(data, at);
  const { kind, flags, offset, aux, constant, value } = fields;
  if (kind === k.NOT_INIT) return 'nothing';
  if (kind === k.SCALAR) return numberText(fields);
  const map = maps[aux]?.name;
  const nameOf = () => {
    if (kind === k.MAP_VALUE) return `value of map ${map ?? '?'}`;
    if (kind === k.MAP_PTR) return `map ${map ?? '?'}`;
    if (kind === k.MAP_KEY) return `key of map ${map ?? '?'}`;
    if (kind === k.MEM) return `${aux} bytes of ${(flags & k.RINGBUF) !== 0 ? 'ringbuf ' : ''}memory`;
    return names[kind] ?? k.kindName(kind, flags & ~k.MAYBE_NULL);
  };
  const moved = BigInt(offset) + (constant ? value : 0n);
  const parts = [
    moved === 0n ? '' : moved > 0n ? `+${moved}` : String(moved),
    constant ? '' : ` + (${numberText(fields)})`,
  ];
  const notes: string[] = [];
  if ((flags & k.MAYBE_NULL) !== 0) notes.push('may be NULL');
  if (kind === k.PACKET || kind === k.PACKET_META) {
    if (aux >= 0) notes.push(aux === 0 ? 'no bytes proven' : `${aux} bytes proven${constant ? ' from its start' : ''}`);
    else notes.push(aux === k.BEYOND_END ? 'beyond the end' : 'at or beyond the end');
  }
  return `${nameOf()}${parts.join('')}${notes.map((note) => `, ${note}`).join('')}`;
}
