/** Bodies of structs and unions, with padding where a compiler would not lay members out as the BTF says. */
import { alignmentOf } from './layout.ts';
import type { Btf, BtfMember, BtfType } from './types.ts';

type Composite = Extract<BtfType, { readonly kind: 'struct' | 'union' }>;

/** `{`, the members, `}`; all lines but the first begin with `tab`. */
export function structLines(
  btf: Btf,
  id: number,
  type: Composite,
  tab: string,
  declare: (member: BtfMember) => string,
): string[] {
  const align = type.members.length === 0 ? 1 : alignmentOf(btf, id);
  const packed = align === 1 && type.members.some((member) => alignmentOf(btf, member.type) > 1);
  const lines = ['{'];
  const write = (text: string) => lines.push(`${tab}\t${text};`);
  /** Bits that the members before take. */
  let end = 0;
  const pad = (to: number) => {
    for (const { unit, bits } of paddings(end, to))
      write(bits > 64 ? `char pad_${id}_${end}_[${bits / 8}]` : `${unit}: ${bits}`);
    end = to;
  };
  for (const member of type.members) {
    if (type.kind === 'struct' && member.bitOffset > placeOf(btf, member, end, packed)) pad(member.bitOffset);
    const size = member.bitSize > 0 ? member.bitSize : btf.sizeOf(member.type) * 8;
    write(declare(member) + (member.bitSize > 0 ? `: ${member.bitSize}` : ''));
    end = Math.max(end, type.kind === 'struct' ? member.bitOffset + size : size);
  }
  const natural = Math.ceil(end / (align * 8)) * align;
  if (type.kind === 'struct' && natural < type.size) pad(type.size * 8);
  // A union has one member that is as large as it: the whole of it as an unnamed one.
  else if (type.kind === 'union' && natural < type.size) write(`struct { char pad_${id}_[${type.size}]; }`);
  lines.push(`${tab}}${packed ? ' __attribute__((packed))' : ''}`);
  return lines;
}

/** Where a compiler puts the member, in bits, if the ones before it take `end`. */
function placeOf(btf: Btf, member: BtfMember, end: number, packed: boolean): number {
  if (member.bitSize === 0) {
    const align = packed ? 8 : alignmentOf(btf, member.type) * 8;
    return Math.ceil(end / align) * align;
  }
  const unit = btf.sizeOf(member.type) * 8;
  return !packed && (end % unit) + member.bitSize > unit ? Math.ceil(end / unit) * unit : end;
}

const units = [
  { unit: 'long', bits: 64 },
  { unit: 'int', bits: 32 },
  { unit: 'short', bits: 16 },
  { unit: 'char', bits: 8 },
] as const;

/** So many bits and more are an array. */
const LONG = 512;

/** Unnamed bit fields from one bit to another: none crosses a border that it may not cross. More than 64 bits at once: whole bytes. */
function* paddings(from: number, to: number): Generator<{ readonly unit: string; readonly bits: number }> {
  for (let at = from; at < to; ) {
    const fit = units.find(({ bits }) => at % bits === 0 && at + bits <= to);
    const long = at % 8 === 0 && to - at >= LONG ? to - at - ((to - at) % 8) : undefined;
    const bits = long ?? fit?.bits ?? Math.min(8 - (at % 8), to - at);
    yield { unit: fit?.unit ?? 'char', bits };
    at += bits;
  }
}
