/**
 * Hints for XDP packets out of text and JSON, by the same names: `timestamp` (ns), `hash` and `type` (enum xdp_rss_hash_type: a number, or names of its bits), `vlan` (TCI) and
 * `protocol` (of the tag; default 0x8100).
 */
import { InputError } from '../errors.ts';
import type { XdpHints } from './handles.ts';

/** Bits of enum xdp_rss_hash_type (include/net/xdp.h), and what drivers make of them. */
export const hashTypes = {
  none: 0,
  ipv4: 0x1,
  ipv6: 0x2,
  dynhdr: 0x4,
  l4: 0x8,
  tcp: 0x18,
  udp: 0x28,
  sctp: 0x48,
  ipsec: 0x88,
  icmp: 0x108,
} as const;

const members = ['timestamp', 'hash', 'type', 'vlan', 'protocol'];
const VLAN = 0x8100n;

/** `timestamp=1700000000000000000,hash=0x51ccc178,type=ipv4+tcp,vlan=7`; `none`: a driver that knows nothing. Throws InputError `SLUICE_HINTS`. */
export function hintsFromText(text: string): XdpHints {
  if (text === 'none') return {};
  const entries = text.split(',').map((each): [string, string] => {
    const [, name, value] = /^\s*(\w+)=(.+?)\s*$/.exec(each) ?? [];
    if (name === undefined || value === undefined) throw bad(text, `${each} is not name=value`);
    return [name, value];
  });
  const twice = entries.find(([name], i) => entries.findIndex(([other]) => other === name) !== i);
  if (twice !== undefined) throw bad(text, `${twice[0]} is given twice`);
  return hintsFromJson(Object.fromEntries(entries), text);
}

/** An object of the members above. Throws InputError `SLUICE_HINTS` naming `place`. */
export function hintsFromJson(json: unknown, place: string): XdpHints {
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    throw bad(place, `hints are an object of ${members.join(', ')}`);
  const given = json as Readonly<Record<string, unknown>>; // an object with text keys
  for (const name of Object.keys(given))
    if (!members.includes(name)) throw bad(place, `no hint ${name}; there are ${members.join(', ')}`);
  const number = (name: string, bits: number): bigint => {
    const value = integerOf(given[name]);
    if (value === undefined || value !== BigInt.asUintN(bits, value))
      throw bad(place, `${name} must be a whole number of ${bits} bits, or one as text`);
    return value;
  };
  const has = (name: string) => given[name] !== undefined;
  if (has('type') && !has('hash')) throw bad(place, 'type is that of the hash, which is not given');
  if (has('protocol') && !has('vlan')) throw bad(place, 'protocol is that of the vlan tag, which is not given');
  return {
    ...(has('timestamp') ? { timestampNs: number('timestamp', 64) } : {}),
    ...(has('hash')
      ? { hash: { value: Number(number('hash', 32)), type: has('type') ? typeOf(given['type'], place) : 0 } }
      : {}),
    ...(has('vlan')
      ? {
          vlan: {
            protocol: Number(has('protocol') ? number('protocol', 16) : VLAN),
            tci: Number(number('vlan', 16)),
          },
        }
      : {}),
  };
}

/** As hintsFromJson reads them; 64-bit numbers as text. */
export function hintsToJson({ timestampNs, hash, vlan }: XdpHints): Readonly<Record<string, number | string>> {
  return {
    ...(timestampNs === undefined ? {} : { timestamp: String(timestampNs) }),
    ...(hash === undefined ? {} : { hash: hash.value, type: hash.type }),
    ...(vlan === undefined ? {} : { vlan: vlan.tci, protocol: vlan.protocol }),
  };
}

/** `timestamp=…,hash=0x…,type=0x…,vlan=…,protocol=0x…`, as hintsFromText reads them. */
export function hintsToText({ timestampNs, hash, vlan }: XdpHints): string {
  const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`;
  const words = [
    ...(timestampNs === undefined ? [] : [`timestamp=${timestampNs}`]),
    ...(hash === undefined ? [] : [`hash=${hex(hash.value, 8)},type=${hex(hash.type, 2)}`]),
    ...(vlan === undefined ? [] : [`vlan=${vlan.tci},protocol=${hex(vlan.protocol, 4)}`]),
  ];
  return words.length === 0 ? 'none' : words.join(',');
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^(0x[0-9a-fA-F]+|\d+)$/.test(value)) return BigInt(value);
  return undefined;
}

/** A number, or names with + between them. */
function typeOf(value: unknown, place: string): number {
  const number = integerOf(value);
  if (number !== undefined && number === BigInt.asUintN(32, number)) return Number(number);
  const words = typeof value === 'string' ? value.split('+') : [];
  const bits = words.map((word) => (Object.hasOwn(hashTypes, word) ? hashTypes[word as keyof typeof hashTypes] : -1)); // as just asked
  if (bits.length === 0 || bits.includes(-1))
    throw bad(place, `type must be a number of 32 bits, or out of ${Object.keys(hashTypes).join(', ')} with + between`);
  return bits.reduce((all: number, bit) => all | bit, 0);
}

function bad(input: string, problem: string): InputError {
  return new InputError('SLUICE_HINTS', problem, { input });
}
