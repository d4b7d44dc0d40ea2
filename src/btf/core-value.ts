/** The number that a CO-RE relocation puts into an instruction. */
import type { InputError } from '../errors.ts';
import { isEnum, type Matcher } from './core-match.ts';
import { type CoreSpec, isFieldKind } from './core-spec.ts';
import type { Btf, BtfType } from './types.ts';

export interface CoreValue {
  /** What the compiler should have put there. */
  readonly original: bigint;
  readonly value: bigint;
  /** The target has no such thing, and no number says so. */
  readonly poison: boolean;
  /** The instruction must hold `original`; not so where compilers and libbpf may differ (bit fields, type ids). */
  readonly validate: boolean;
  /** Sizes in bytes of a field that is loaded or stored directly, where they differ. */
  readonly sizes: { readonly from: number; readonly to: number; readonly adjustable: boolean } | undefined;
}

interface Side {
  readonly value: bigint;
  readonly validate: boolean;
  /** Of the field, or of an element of the array that it is; for byte offsets of what is no bit field. */
  readonly access?: { readonly size: number; readonly typeId: number };
}

/** `target` undefined: nothing matched. */
export function coreValue(
  matcher: Matcher,
  local: CoreSpec,
  target: CoreSpec | undefined,
  fail: (why: string) => InputError,
): CoreValue {
  const from = sideOf(matcher.local, local, fail);
  const to = target === undefined ? absent(local) : sideOf(matcher.target, target, fail);
  if (to === undefined) return { original: from.value, value: 0n, poison: true, validate: false, sizes: undefined };
  let sizes: CoreValue['sizes'];
  if (isFieldKind(local.kind) && from.access?.size !== to.access?.size) {
    const a = matcher.local.type(from.access?.typeId ?? 0);
    const b = matcher.target.type(to.access?.typeId ?? 0);
    sizes = { from: from.access?.size ?? 0, to: to.access?.size ?? 0, adjustable: adjustable(a, b) };
  }
  return { original: from.value, value: to.value, poison: false, validate: from.validate, sizes };
}

/** Pointers (32-bit kernels), and integers that both are unsigned. */
function adjustable(a: BtfType | undefined, b: BtfType | undefined): boolean {
  return (a?.kind === 'ptr' && b?.kind === 'ptr') || (a?.kind === 'int' && b?.kind === 'int' && !a.signed && !b.signed);
}

/** What says that something is not there; undefined where only poison does. */
function absent({ kind }: CoreSpec): Side | undefined {
  const says = kind === 'field_exists' || kind === 'enumval_exists' || kind.startsWith('type_');
  return says ? { value: 0n, validate: true } : undefined;
}

function sideOf(btf: Btf, spec: CoreSpec, fail: (why: string) => InputError): Side {
  switch (spec.kind) {
    case 'field_exists':
    case 'enumval_exists':
    case 'type_exists':
    case 'type_matches':
      return { value: 1n, validate: true };
    case 'type_id_local':
    case 'type_id_target':
      return { value: BigInt(spec.rootId), validate: false };
    case 'type_size':
      return { value: BigInt(btf.sizeOf(spec.rootId)), validate: true };
    case 'enumval_value': {
      const { typeId, index } = spec.steps[0]!;
      const type = btf.type(typeId);
      if (type?.kind !== 'enum' && type?.kind !== 'enum64') throw fail('no enumerator');
      // 32-bit enumerators are taken as signed, whatever they are: an instruction's imm is.
      const { value } = type.values[index]!;
      return { value: type.kind === 'enum' ? BigInt.asIntN(32, value) : value, validate: true };
    }
    default:
      return fieldSide(btf, spec, fail);
  }
}

function fieldSide(btf: Btf, spec: CoreSpec, fail: (why: string) => InputError): Side {
  const { kind, bitOffset } = spec;
  const step = spec.steps[spec.steps.length - 1]!;
  if (step.name === undefined) {
    if (kind === 'field_byte_offset')
      return { value: BigInt(Math.floor(bitOffset / 8)), validate: true, access: accessOf(btf, step.typeId) };
    if (kind === 'field_byte_size') return { value: BigInt(btf.sizeOf(step.typeId)), validate: true };
    throw fail('array elements have only an offset and a size');
  }
  const container = btf.type(step.typeId);
  if (container?.kind !== 'struct' && container?.kind !== 'union') throw fail('no member');
  const member = container.members[step.index]!;
  const { id: fieldId, type: field } = btf.resolve(member.type);
  const isBitField = member.bitSize > 0;
  let byteSize: number;
  let byteOffset: number;
  let bits: number;
  if (isBitField) {
    // The smallest aligned load that has all bits.
    byteSize = btf.sizeOf(fieldId);
    bits = member.bitSize;
    if (byteSize === 0) throw fail('a bit field without size');
    const align = () => Math.floor(bitOffset / 8 / byteSize) * byteSize;
    byteOffset = align();
    while (bitOffset + bits - byteOffset * 8 > byteSize * 8) {
      if (byteSize >= 8) throw fail('no load of 64 bits has the whole bit field');
      byteSize *= 2;
      byteOffset = align();
    }
  } else {
    byteSize = btf.sizeOf(fieldId);
    byteOffset = Math.floor(bitOffset / 8);
    bits = byteSize * 8;
  }
  const validate = !isBitField;
  switch (kind) {
    case 'field_byte_offset':
      return isBitField
        ? { value: BigInt(byteOffset), validate }
        : { value: BigInt(byteOffset), validate, access: accessOf(btf, fieldId) };
    case 'field_byte_size':
      return { value: BigInt(byteSize), validate };
    case 'field_signed': {
      const signed =
        (field?.kind === 'int' || isEnum(field?.kind)) && field !== undefined && 'signed' in field && field.signed;
      return { value: signed ? 1n : 0n, validate: true };
    }
    case 'field_lshift_u64':
      return { value: BigInt(64 - (bitOffset + bits - byteOffset * 8)), validate };
    case 'field_rshift_u64':
      return { value: BigInt(64 - bits), validate: true };
    default:
      throw fail('not of a field');
  }
}

function accessOf(btf: Btf, typeId: number): { readonly size: number; readonly typeId: number } {
  let { id, type } = btf.resolve(typeId);
  for (let depth = 0; type?.kind === 'array' && depth < 64; depth++) ({ id, type } = btf.resolve(type.type));
  return { size: btf.sizeOf(id), typeId };
}
