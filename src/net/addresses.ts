/** MAC, IPv4 and IPv6 addresses between text and bytes. Text that is no address: InputError SLUICE_NET_ADDRESS. */
import { InputError } from '../errors.ts';

/** Text, or the bytes in network order. */
export type Address = string | Uint8Array;

function bad(kind: string, text: string): InputError {
  return new InputError('SLUICE_NET_ADDRESS', `'${text}' is not ${kind}`);
}

/** Six octets in hex, separated by ':' or '-'. */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}$/i.test(text)) throw bad('a MAC address', text);
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Four decimal octets; leading zeros are refused, because inet_aton reads them as octal. */
export function parseIpv4(text: string): Uint8Array {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    throw bad('an IPv4 address', text);
  return Uint8Array.from(parts, Number);
}

export function formatIpv4(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** RFC 4291 section 2.2, all three forms; no zone index. */
export function parseIpv6(text: string): Uint8Array {
  const halves = text.split('::');
  if (halves.length > 2) throw bad('an IPv6 address', text);
  const groups = halves.map((half, index) => {
    if (half === '') return [];
    const parts = half.split(':');
    const last = parts.at(-1)!;
    const bytes: number[] = [];
    // A dotted quad stands for the last two groups of the whole address.
    const dotted = index === halves.length - 1 && last.includes('.');
    for (const part of dotted ? parts.slice(0, -1) : parts) {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) throw bad('an IPv6 address', text);
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 0xff);
    }
    if (dotted) {
      try {
        bytes.push(...parseIpv4(last));
      } catch {
        throw bad('an IPv6 address', text);
      }
    }
    return bytes;
  });
  const head = groups[0]!;
  const tail = groups[1];
  // '::' stands for at least one group.
  if (tail === undefined ? head.length !== 16 : head.length + tail.length > 14) throw bad('an IPv6 address', text);
  const out = new Uint8Array(16);
  out.set(head);
  if (tail !== undefined) out.set(tail, 16 - tail.length);
  return out;
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as '::'; v4-mapped with a dotted quad. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${formatIpv4(bytes.subarray(12))}`;
  let best = 0;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) [best, bestLength] = [start, length];
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (bestLength < 2) return hex(groups);
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

function bytesOf(address: Address, size: number, parse: (text: string) => Uint8Array): Uint8Array {
  if (typeof address === 'string') return parse(address);
  if (address.length !== size)
    throw new InputError('SLUICE_NET_ADDRESS', `an address of ${address.length} bytes where ${size} are needed`);
  return address;
}

/** Bytes of an address that a caller gave as text or bytes. */
export const macBytes = (address: Address): Uint8Array => bytesOf(address, 6, parseMac);
export const ipv4Bytes = (address: Address): Uint8Array => bytesOf(address, 4, parseIpv4);
export const ipv6Bytes = (address: Address): Uint8Array => bytesOf(address, 16, parseIpv6);
