/**
 * verifier/memory/: what each kind of pointer points to, and which accesses of it are allowed.
 *
 * This file: access to memory through a register: which rule holds for which kind of pointer, and whether the bounds are proven.
 */

import type { SpecialField } from '../../btf/special-fields.ts';
import type { MapSpec } from '../../object/spec.ts';
import * as k from '../kinds.ts';
import { OFFSET } from '../layout.ts';
import { accessKptr } from '../resources/kptr.ts';
import {
  arithmetic,
  auxOf,
  bitsText,
  constantOf,
  flagsOf,
  idOf,
  isConstant,
  kindOf,
  makeConstant,
  makeUnknown,
  offsetOf,
  set,
  sminOf,
  umaxOf,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { btfPointerAccess } from './btf-pointer.ts';
import { contextAccess, flowKeysAccess, socketAccess } from './context.ts';
import { specialFields } from './map-fields.ts';
import { mapPointerAccess } from './map-pointer.ts';
import { coerceLoaded, readStack, writeStack } from './stack.ts';

export const MAX_OFFSET = 1 << 29;
const BPF_F_RDONLY_PROG = 1 << 7;
const BPF_F_WRONLY_PROG = 1 << 8;

/** The register has a value. */
export function checkReadable(v: Verification, number: number): void {
  if (kindOf(v.register(number)) !== k.NOT_INIT) return;
  v.refuse(
    'uninitialised-register',
    'Register Type Safety',
    `R${number} !read_ok`,
    `On this path nothing was put into R${number}, or a call has overwritten it.`,
  );
}

/** `size` bytes at `off` from the pointer of register `number`; `kind` says what the object is called in messages. */
export function checkBounds(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  objectSize: number,
  zeroAllowed: boolean,
): void {
  const least = sminOf(pointer);
  if (least < 0 && (least + off < 0 || least < -(2 ** 31)))
    v.refuse(
      'negative-offset',
      'Memory Safety',
      `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`,
      `The offset may be as low as ${least + off}, which is before the start of the object.`,
    );
  checkRange(v, number, pointer, least + off, size, objectSize, zeroAllowed, 'min');
  if (umaxOf(pointer) >= MAX_OFFSET)
    v.refuse(
      'unbounded-offset',
      'Memory Safety',
      `R${number} unbounded memory access, make sure to bounds check any such access`,
      'The variable part of the offset has no useful upper limit.',
    );
  checkRange(v, number, pointer, umaxOf(pointer) + off, size, objectSize, zeroAllowed, 'max');
}

function checkRange(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  objectSize: number,
  zeroAllowed: boolean,
  side: 'min' | 'max' | 'packet',
): void {
  if (off >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && off + size <= objectSize) return;
  const problem = accessText(number, pointer, off, size, objectSize);
  const outside =
    side === 'packet'
      ? `R${number} offset is outside of the packet`
      : `R${number} ${side} value is outside of the allowed memory range`;
  v.refuse(
    'out-of-bounds',
    'Memory Safety',
    `${problem}\n${outside}`,
    size === 1
      ? `Byte ${off} is touched; ${objectSize} bytes are known to be there.`
      : `Bytes ${off} to ${off + size - 1} are touched; ${objectSize} bytes are known to be there.`,
  );
}

function accessText(number: number, pointer: number, off: number, size: number, objectSize: number): string {
  switch (kindOf(pointer)) {
    case k.MAP_KEY:
      return `invalid access to map key, key_size=${objectSize} off=${off} size=${size}`;
    case k.MAP_VALUE:
      return `invalid access to map value, value_size=${objectSize} off=${off} size=${size}`;
    case k.PACKET:
    case k.PACKET_META:
    case k.PACKET_END:
      return `invalid access to packet, off=${off} size=${size}, R${number}(id=${idOf(pointer)},off=${off},r=${objectSize})`;
    default:
      return `invalid access to memory, mem_size=${objectSize} off=${off} size=${size}`;
  }
}

export function checkPacketBounds(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
): void {
  if (sminOf(pointer) < 0)
    v.refuse(
      'negative-offset',
      'Memory Safety',
      `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`,
      'The offset in the packet may be negative.',
    );
  const range = auxOf(pointer);
  if (range < 0)
    v.refuse(
      'out-of-bounds',
      'Memory Safety',
      `R${number} offset is outside of the packet`,
      'The pointer is known to be at or beyond the end of the packet.',
    );
  checkRange(v, number, pointer, off, size, range, zeroAllowed, 'packet');
}

export function checkMapBounds(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
  direct = false,
): SpecialField | undefined {
  const map = v.code.maps[auxOf(pointer)]!;
  checkBounds(v, number, pointer, off, size, map.valueSize, zeroAllowed);
  let kptr: SpecialField | undefined;
  for (const field of specialFields(v, map)) {
    const from = sminOf(pointer) + off;
    const to = umaxOf(pointer) + off + size;
    if (from < field.offset + field.size && field.offset < to) {
      if (field.pointer !== undefined) {
        checkKptrPlace(v, field, pointer, off, size, direct);
        kptr = field;
        continue;
      }
      v.refuse(
        'special-field',
        'Memory Safety',
        `${field.kind} cannot be accessed directly by load/store`,
        'Fields that the kernel manages are only reached through its functions.',
      );
    }
  }
  return kptr;
}

/** Pointer fields are touched whole, at a known place, by an instruction. */
function checkKptrPlace(
  v: Verification,
  field: SpecialField,
  pointer: number,
  off: number,
  size: number,
  direct: boolean,
): void {
  const refuse = (problem: string): never =>
    v.refuse('kptr-access', 'Memory Safety', `${field.kind} ${problem}`, 'The kernel tracks what the field points to.');
  if (!direct) refuse('cannot be accessed indirectly by helper');
  if (!isConstant(pointer)) refuse('access cannot have variable offset');
  const at = off + constantOf(pointer);
  if (field.offset !== at) refuse(`access misaligned expected=${field.offset} off=${at}`);
  if (size !== 8) refuse('access size must be BPF_DW');
}

/** Size and bounds of a map whose value may be touched in that way. */
export function checkMapAccess(v: Verification, map: MapSpec, off: number, size: number, write: boolean): void {
  const refused = write ? BPF_F_RDONLY_PROG : BPF_F_WRONLY_PROG;
  if ((map.flags & refused) === 0) return;
  const what = write ? 'write into map forbidden' : 'read from map forbidden';
  v.refuse(
    'map-access',
    'Memory Safety',
    `${what}, value_size=${map.valueSize} off=${off} size=${size}`,
    `Programs may not ${write ? 'write to' : 'read from'} map ${map.name}.`,
  );
}

/** Pointer with no variable part and no offset (unless allowed). */
export function checkPlain(v: Verification, number: number, pointer: number, offsetAllowed: boolean): void {
  const name = k.kindName(kindOf(pointer), flagsOf(pointer));
  const off = offsetOf(pointer);
  if (off < 0)
    v.refuse(
      'negative-offset',
      'Memory Safety',
      `negative offset ${name} ptr R${number} off=${off} disallowed`,
      'The pointer was moved before the start of its object.',
    );
  if (!offsetAllowed && off !== 0)
    v.refuse(
      'modified-pointer',
      'Memory Safety',
      `dereference of modified ${name} ptr R${number} off=${off} disallowed`,
      'A pointer of this kind must be used as it was given.',
    );
  if (!isConstant(pointer) || constantOf(pointer) !== 0)
    v.refuse(
      'variable-offset',
      'Memory Safety',
      `variable ${name} access var_off=${bitsText(pointer)} disallowed`,
      'A pointer of this kind may only have a constant offset.',
    );
}

/** Alignment where it matters: always on the stack, never in an arena, elsewhere if asked for. */
export function checkAlignment(v: Verification, pointer: number, off: number, size: number, strictOnce: boolean): void {
  const kind = kindOf(pointer);
  const strict = v.strictAlignment || strictOnce || kind === k.STACK;
  if (!strict || size === 1 || kind === k.ARENA) return;
  const packet = kind === k.PACKET || kind === k.PACKET_META;
  const extra = packet && v.strictAlignment ? 2 : 0;
  arithmetic.unknown(SCRATCH_SUM);
  makeConstant(SCRATCH_OFF, extra + offsetOf(pointer) + off, (extra + offsetOf(pointer) + off) >> 31);
  arithmetic.pointerOffset(SCRATCH_SUM, pointer, SCRATCH_OFF, 0);
  if (alignedTo(SCRATCH_SUM, size)) return;
  const where: Record<number, string> = {
    [k.STACK]: 'stack ',
    [k.CTX]: 'context ',
    [k.MAP_VALUE]: 'value ',
    [k.MAP_KEY]: 'key ',
  };
  const problem = packet
    ? `misaligned packet access off ${extra}+${bitsText(pointer)}+${offsetOf(pointer)}+${off} size ${size}`
    : `misaligned ${where[kind] ?? ''}access off ${bitsText(pointer)}+${offsetOf(pointer)}+${off} size ${size}`;
  v.refuse('misaligned', 'Memory Safety', problem, `The address may not be a multiple of ${size}.`);
}

const SCRATCH_SUM = 0x400 + 7 * 128;
const SCRATCH_OFF = 0x400 + 8 * 128;

function alignedTo(r: number, size: number): boolean {
  return ((lowWord(r, 32) | lowWord(r, 40)) & (size - 1)) === 0;
}

import { words } from '../states/records.ts';

function lowWord(r: number, field: number): number {
  return words[(r + field) >> 2]!;
}

export interface Access {
  readonly write: boolean;
  /** Register loaded into, or stored; -1 for none. */
  readonly number: number;
  readonly signed: boolean;
  readonly strict: boolean;
}

function refuseReadOnly(v: Verification, number: number, kind: number, flags: number): void {
  if ((flags & k.READ_ONLY) === 0) return;
  const problem = `R${number} cannot write into ${k.kindName(kind, flags)}`;
  v.refuse('read-only', 'Memory Safety', problem, 'The memory is read only.');
}

/** One load or store of `size` bytes at `off` from register `pointerNumber`; fills the register that is loaded. */
export function accessMemory(
  v: Verification,
  pointerNumber: number,
  off: number,
  size: number,
  write: boolean,
  number: number,
  signed: boolean,
  strict: boolean,
): void {
  const pointer = v.register(pointerNumber);
  const kind = kindOf(pointer);
  const flags = flagsOf(pointer);
  checkAlignment(v, pointer, off, size, strict);
  const total = off + offsetOf(pointer);
  if (kind === k.SCALAR || (flags & k.MAYBE_NULL) !== 0) invalidKind(v, pointerNumber, pointer);
  switch (kind) {
    case k.STACK:
      if (write) writeStack(v, pointerNumber, pointer, total, size, number);
      else {
        readStack(v, pointerNumber, pointer, total, size, number);
        if (number >= 0) coerceLoaded(v.register(number), size, signed);
      }
      return;
    case k.MAP_VALUE: {
      const map = v.code.maps[auxOf(pointer)]!;
      checkMapAccess(v, map, total, size, write);
      const kptr = checkMapBounds(v, pointerNumber, pointer, total, size, false, true);
      if (kptr !== undefined) accessKptr(v, kptr, number);
      else if (!write && number >= 0) {
        if (loadConstant(v, map, pointer, total, size, number, signed)) return;
        makeUnknown(v.register(number));
        coerceLoaded(v.register(number), size, signed);
      }
      return;
    }
    case k.MAP_KEY: {
      if (write)
        v.refuse(
          'map-key-write',
          'Memory Safety',
          `write to change key R${pointerNumber} not allowed`,
          'Keys are read only.',
        );
      checkBounds(v, pointerNumber, pointer, total, size, v.code.maps[auxOf(pointer)]!.keySize, false);
      break;
    }
    case k.MEM:
      if (write) refuseReadOnly(v, pointerNumber, kind, flags);
      // What was loaded from the kernel without a promise is read by an access that cannot fault.
      if ((flags & (k.READ_ONLY | k.UNTRUSTED)) !== (k.READ_ONLY | k.UNTRUSTED))
        checkBounds(v, pointerNumber, pointer, total, size, auxOf(pointer), false);
      break;
    case k.BTF_ID:
      btfPointerAccess(v, pointerNumber, pointer, total, size, write, number, signed);
      return;
    case k.BUF:
      if (write) refuseReadOnly(v, pointerNumber, kind, flags);
      checkBuffer(v, pointerNumber, pointer, total, size);
      break;
    case k.TP_BUFFER:
      checkBuffer(v, pointerNumber, pointer, total, size);
      break;
    case k.CTX:
      checkPlain(v, pointerNumber, pointer, false);
      contextAccess(v, total, size, write, number, signed);
      return;
    case k.PACKET:
    case k.PACKET_META:
      if (write && !v.declarationAllowsPacketWrites())
        v.refuse(
          'packet-write',
          'Memory Safety',
          'cannot write into packet',
          'Programs of this type only read packets.',
        );
      checkPacketBounds(v, pointerNumber, pointer, total, size, false);
      break;
    case k.SOCKET:
    case k.SOCK_COMMON:
    case k.TCP_SOCK:
    case k.XDP_SOCK:
      checkPlain(v, pointerNumber, pointer, false);
      socketAccess(v, pointerNumber, total, size, write, number, signed);
      return;
    case k.FLOW_KEYS:
      checkPlain(v, pointerNumber, pointer, true);
      flowKeysAccess(v, total, size);
      break;
    case k.MAP_PTR:
      mapPointerAccess(v, pointerNumber, pointer, total, size, write, number, signed);
      return;
    case k.ARENA:
      break;
    default:
      invalidKind(v, pointerNumber, pointer);
  }
  if (!write && number >= 0) {
    makeUnknown(v.register(number));
    coerceLoaded(v.register(number), size, signed);
  }
}

function invalidKind(v: Verification, number: number, pointer: number): never {
  const name = k.kindName(kindOf(pointer), flagsOf(pointer));
  v.refuse(
    'invalid-pointer',
    'Memory Safety',
    `R${number} invalid mem access '${name}'`,
    (flagsOf(pointer) & k.MAYBE_NULL) !== 0
      ? 'The pointer may be NULL here: compare it with 0 first.'
      : `The register holds ${name}, through which memory cannot be reached.`,
  );
}

/** Memory whose size is known only when the program is attached: Linux compares then what was touched here. */
export function checkBuffer(v: Verification, number: number, pointer: number, off: number, size: number): void {
  const shown =
    kindOf(pointer) === k.TP_BUFFER ? 'tracepoint' : (flagsOf(pointer) & k.READ_ONLY) !== 0 ? 'rdonly' : 'rdwr';
  if (off < 0)
    v.refuse(
      'negative-offset',
      'Memory Safety',
      `R${number} invalid ${shown} buffer access: off=${off}, size=${size}`,
      'The access is before the buffer.',
    );
  if (!isConstant(pointer) || constantOf(pointer) !== 0)
    v.refuse(
      'variable-offset',
      'Memory Safety',
      `R${number} invalid variable buffer offset: off=${off}, var_off=${bitsText(pointer)}`,
      'The offset in the buffer must be known.',
    );
}

/** Frozen read-only data: what is there is known. */
function loadConstant(
  v: Verification,
  map: MapSpec,
  pointer: number,
  off: number,
  size: number,
  number: number,
  signed: boolean,
): boolean {
  if (!isConstant(pointer) || map.type !== 'array' || (map.flags & BPF_F_RDONLY_PROG) === 0) return false;
  if (map.contents.kind !== 'bytes') return false;
  const at = off + constantOf(pointer);
  const { bytes } = map.contents;
  if (at + size > bytes.length) return false;
  const r = v.register(number);
  let low = 0;
  let high = 0;
  for (let i = Math.min(size, 4) - 1; i >= 0; i--) low = (low << 8) | bytes[at + i]!;
  if (size === 8) for (let i = 7; i >= 4; i--) high = (high << 8) | bytes[at + i]!;
  makeConstant(r, low, high);
  if (signed) arithmetic.signExtend(r, size * 8);
  set(r, OFFSET, 0);
  return true;
}
