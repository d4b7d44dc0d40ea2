/** Registers and stack slots as Linux 6.18's log prints them (print_reg_state and print_verifier_state, kernel/bpf/log.c). */
import * as k from '../kinds.ts';
import { BYTES, PRECISE, SMAX, SMAX32, SMIN, SMIN32, UMAX, UMAX32, UMIN, UMIN32, VALUE } from '../layout.ts';
import {
  auxOf,
  bitsText,
  bytes,
  flagsOf,
  idOf,
  isConstant,
  kindOf,
  longs,
  offsetOf,
  REGISTERS,
  referenceOf,
  registerAt,
  slotAt,
  ulongs,
  words,
} from '../states/records.ts';
import type { Frame } from '../states/state.ts';
import type { Verification } from '../verification.ts';

/** Numbers of 16 bits are decimal, larger ones hexadecimal. */
function signedText(value: bigint, bits = 64): string {
  return value >= -0x8000n && value <= 0x7fffn ? String(value) : `0x${BigInt.asUintN(bits, value).toString(16)}`;
}
function unsignedText(value: bigint): string {
  return value <= 0xffffn ? String(value) : `0x${value.toString(16)}`;
}

const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;
const U64_MAX = (1n << 64n) - 1n;

/** The eight bounds that say something; equal ones share their number. */
function rangesText(r: number): string[] {
  const smin32 = words[(r + SMIN32) >> 2]!;
  const smax32 = words[(r + SMAX32) >> 2]!;
  const umin32 = words[(r + UMIN32) >> 2]! >>> 0;
  const umax32 = words[(r + UMAX32) >> 2]! >>> 0;
  const all: [string, bigint, boolean][] = [
    ['smin', longs[(r + SMIN) >> 3]!, longs[(r + SMIN) >> 3]! === S64_MIN],
    ['smax', longs[(r + SMAX) >> 3]!, longs[(r + SMAX) >> 3]! === S64_MAX],
    ['umin', ulongs[(r + UMIN) >> 3]!, ulongs[(r + UMIN) >> 3]! === 0n],
    ['umax', ulongs[(r + UMAX) >> 3]!, ulongs[(r + UMAX) >> 3]! === U64_MAX],
    ['smin32', BigInt(smin32), smin32 === -0x8000_0000],
    ['smax32', BigInt(smax32), smax32 === 0x7fff_ffff],
    ['umin32', BigInt(umin32), umin32 === 0],
    ['umax32', BigInt(umax32), umax32 === 0xffff_ffff],
  ];
  const told = all.filter(([, , omitted]) => !omitted);
  const texts: string[] = [];
  while (told.length > 0) {
    const [name, value] = told.shift()!;
    const names = [name];
    for (let i = 0; i < told.length; ) {
      if (told[i]![1] === value) names.push(told.splice(i, 1)[0]![0]);
      else i++;
    }
    const bits = name.endsWith('32') ? 32 : 64;
    texts.push(`${names.join('=')}=${name.startsWith('s') ? signedText(value, bits) : unsignedText(value)}`);
  }
  return texts;
}

/** What a record holds: `scalar(umax=255,var_off=(0x0; 0xff))`, `pkt(off=14,r=14)`. `frame` is the one that it stands in. */
export function registerText(v: Verification, r: number, frame: number): string {
  const kind = kindOf(r);
  const flags = flagsOf(r);
  const fixed = isConstant(r);
  const value = longs[(r + VALUE) >> 3]!;
  if (kind === k.SCALAR) {
    const precise = words[(r + PRECISE) >> 2] === 0 ? '' : 'P';
    if (fixed) return precise + signedText(value);
    const parts: string[] = [];
    if (idOf(r) !== 0) {
      const distance = offsetOf(r);
      const added = (flags & k.ADD_CONST) === 0 ? '' : `${distance < 0 ? '' : '+'}${distance}`;
      parts.push(`id=${idOf(r)}${added}`);
    }
    parts.push(...rangesText(r));
    const bits = bitsText(r);
    if (bits !== '(0x0; 0xffffffffffffffff)') parts.push(`var_off=${bits}`);
    return `${precise}scalar(${parts.join(',')})`;
  }
  let text = k.kindName(kind, flags);
  if (kind === k.STACK) {
    if (auxOf(r) !== frame) text += `[${auxOf(r)}]`;
    if (fixed) return text + signedText(value + BigInt(offsetOf(r)));
  }
  return `${text}(${pointerParts(v, r, fixed, value).join(',')})`;
}

function pointerParts(v: Verification, r: number, fixed: boolean, value: bigint): string[] {
  const kind = kindOf(r);
  const parts: string[] = [];
  if (idOf(r) !== 0) parts.push(`id=${idOf(r)}`);
  if (referenceOf(r) !== 0) parts.push(`ref_obj_id=${referenceOf(r)}`);
  if (kind === k.MAP_PTR || kind === k.MAP_VALUE || kind === k.MAP_KEY) {
    const map = v.code.maps[auxOf(r)];
    if (map !== undefined) parts.push(`map=${map.name.slice(0, 15)}`, `ks=${map.keySize}`, `vs=${map.valueSize}`);
  }
  if (offsetOf(r) !== 0) parts.push(`off=${signedText(BigInt(offsetOf(r)))}`);
  if (kind === k.PACKET || kind === k.PACKET_META) parts.push(`r=${Math.max(0, auxOf(r))}`);
  if (kind === k.MEM) parts.push(`sz=${auxOf(r)}`);
  if (!fixed) {
    parts.push(...rangesText(r));
    const bits = bitsText(r);
    if (bits !== '(0x0; 0xffffffffffffffff)') parts.push(`var_off=${bits}`);
  } else if (value !== 0n) parts.push(`imm=${signedText(value)}`);
  return parts;
}

/** One letter a byte of a stack slot, by the values of kinds.ts. */
const BYTE_LETTERS = '?rm0';

/** A slot, or nothing if none of its bytes is known: `fp-8=mmmm????`. */
export function slotText(v: Verification, frame: number, slot: number): string | undefined {
  const r = slotAt(frame, slot);
  const kinds = Array.from({ length: 8 }, (_, i) => bytes[r + BYTES + i]!);
  if (kinds.every((each) => each === k.INVALID)) return undefined;
  const letters = kinds.map((each) => BYTE_LETTERS[each] ?? '*').join('');
  const spilled = letters.indexOf('r');
  const text = spilled < 0 ? letters : letters.slice(0, spilled) + registerText(v, r, frame);
  return `fp-${(slot + 1) * 8}=${text}`;
}

/** A frame's registers and slots, and the references held. `touched`: only those (registers as bits, a slot by number). `of`: the frame, if it was left. */
export function frameText(
  v: Verification,
  frame: number,
  slots: number,
  touched?: { readonly registers: number; readonly slot: number },
  of: Frame | undefined = v.state.frames[frame],
): string {
  const parts: string[] = [];
  for (let register = 0; register < REGISTERS; register++) {
    const r = registerAt(frame, register);
    if (kindOf(r) === k.NOT_INIT || (touched !== undefined && (touched.registers & (1 << register)) === 0)) continue;
    parts.push(`R${register}=${registerText(v, r, frame)}`);
  }
  for (let slot = 0; slot < slots; slot++) {
    if (touched !== undefined && touched.slot !== slot) continue;
    const text = slotText(v, frame, slot);
    if (text !== undefined) parts.push(text);
  }
  if (touched === undefined && v.state.references.length > 0)
    parts.push(`refs=${v.state.references.map(({ id }) => id).join(',')}`);
  if (parts.length > 0) {
    if (of?.callback === true) parts.push('cb');
    if (of?.asynchronous === true) parts.push('async_cb');
  }
  return `${frame === 0 ? '' : `frame${frame}: `}${parts.join(' ')}`;
}
