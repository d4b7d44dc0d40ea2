/**
 * Keys, and what follows from the hash being linear over GF(2): hash(a ^ b) = hash(a) ^ hash(b). Ports that give a wanted queue are the solutions of linear equations, as in
 * DPDK's predictable RSS; what a translation of addresses does to a hash is an XOR.
 */
import { InputError } from '../../errors.ts';
import { put16 } from '../bytes.ts';
import type { RssConfiguration } from './configuration.ts';
import { keyWindow, toeplitz } from './toeplitz.ts';

/** Gives both directions of a flow one hash: it repeats every 16 bits, which is what addresses and ports are multiples of. */
export function symmetricKey(length = 40): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index % 2 === 0 ? 0x6d : 0x5a));
}

/** The key repeats every 16 bits: exchanging source and destination does not change a hash. */
export function isSymmetric(key: Uint8Array): boolean {
  return key.every((byte, index) => index < 2 || byte === key[index - 2]);
}

export interface KeyAssessment {
  readonly symmetric: boolean;
  /**
   * How many of the lower `bits` bits of the hash can be had independently by the source port, the destination port, the two together, and the addresses of IPv4. Less than
   * `bits`: whatever flows there are that differ only so, some entries of a table of 2^bits are not reached.
   */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ports: number;
  readonly addresses: number;
}

/** Bits of input from bit `from` on, `count` of them, as what each adds to the masked hash. */
function contributions(key: Uint8Array, from: number, count: number, mask: number): number[] {
  return Array.from({ length: count }, (_, bit) => (keyWindow(key, from + bit) & mask) >>> 0);
}

/** Number of independent ones among them. */
function rank(vectors: readonly number[]): number {
  return eliminate(vectors).basis.length;
}

/** What a key makes of IPv4 flows in a table of 2^bits entries. `bits` from 1 to 15. Throws InputError `SLUICE_RSS_KEY` for a key under 16 bytes. */
export function assessKey(key: Uint8Array, bits = 7): KeyAssessment {
  if (key.length < 16) throw new InputError('SLUICE_RSS_KEY', `a key of ${key.length} bytes: IPv4 flows need 16`);
  const mask = 2 ** bits - 1;
  const of = (from: number, count: number) => rank(contributions(key, from, count, mask));
  return {
    symmetric: isSymmetric(key),
    sourcePort: of(64, 16),
    destinationPort: of(80, 16),
    ports: of(64, 32),
    addresses: of(0, 64),
  };
}

/**
 * A key whose lower `bits` bits of the hash depend independently on each port: no entry of the table is out of reach of either. `random` gives bytes. A symmetric one repeats
 * every 16 bits, with half of its bits set at most, so that it spreads over both.
 */
export function suggestKey(
  random: (length: number) => Uint8Array,
  options: { readonly length?: number; readonly bits?: number; readonly symmetric?: boolean } = {},
): Uint8Array {
  const { length = 40, bits = 7, symmetric = false } = options;
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const bytes = random(symmetric ? 2 : length);
    const key = symmetric ? Uint8Array.from({ length }, (_, index) => bytes[index % 2]!) : bytes;
    const { sourcePort, destinationPort } = assessKey(key, bits);
    if (sourcePort === bits && destinationPort === bits) return key;
  }
  throw new InputError(
    'SLUICE_RSS_KEY',
    `no such key in 10000 attempts: ${length} bytes for tables of 2^${bits} entries`,
  );
}

export interface Flow {
  /** 4 or 16 bytes each, in network order. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Hash input of a TCP or UDP flow. */
export function flowInput(flow: Flow): Uint8Array {
  const size = flow.source.length;
  const input = new Uint8Array(size * 2 + 4);
  input.set(flow.source, 0);
  input.set(flow.destination, size);
  put16(input, size * 2, flow.sourcePort);
  put16(input, size * 2 + 2, flow.destinationPort);
  return input;
}

/**
 * Ports in ascending order that, in place of the flow's own one, bring it to an entry of the table with that queue; empty: none does. Solved, not tried: each entry
 * is one system of linear equations in the 16 bits of the port.
 */
export function portsForQueue(
  configuration: Pick<RssConfiguration, 'key' | 'table'>,
  flow: Flow,
  queue: number,
  which: 'source' | 'destination' = 'source',
): number[] {
  const { key, table } = configuration;
  const mask = table.length - 1;
  const rest = toeplitz(key, flowInput({ ...flow, [which === 'source' ? 'sourcePort' : 'destinationPort']: 0 })) & mask;
  const from = (flow.source.length * 2 + (which === 'source' ? 0 : 2)) * 8;
  const system = eliminate(contributions(key, from, 16, mask));
  const ports: number[] = [];
  for (const [entry, at] of table.entries()) if (at === queue) ports.push(...solutions(system, entry ^ rest));
  return ports.sort((a, b) => a - b);
}

/** What changing bytes of an input at `offset` adds to its hash: XOR it. Addresses and ports that a translation replaces need no second look at the others. */
export function hashDelta(key: Uint8Array, before: Uint8Array, after: Uint8Array, offset = 0): number {
  const change = new Uint8Array(offset + before.length);
  for (const [index, byte] of before.entries()) change[offset + index] = byte ^ after[index]!;
  return toeplitz(key, change);
}

interface System {
  /** Reduced vectors, and which of the bits (highest first, of 16) each is the sum of. */
  readonly basis: readonly { readonly value: number; readonly bits: number }[];
  /** Sets of bits that add nothing. */
  readonly kernel: readonly number[];
}

/** Gaussian elimination over GF(2); vector n is that of bit 15 - n of a port. */
function eliminate(vectors: readonly number[]): System {
  const basis: { value: number; bits: number }[] = [];
  const kernel: number[] = [];
  for (const [n, vector] of vectors.entries()) {
    let { value, bits } = { value: vector, bits: n < 16 ? 0x8000 >>> n : 0 };
    for (const row of basis)
      if ((value ^ row.value) >>> 0 < value) {
        value = (value ^ row.value) >>> 0;
        bits ^= row.bits;
      }
    if (value === 0) kernel.push(bits);
    else {
      basis.push({ value, bits });
      basis.sort((a, b) => b.value - a.value);
    }
  }
  return { basis, kernel };
}

/** All sets of bits whose sum is `target`. */
function solutions({ basis, kernel }: System, target: number): number[] {
  let value = target;
  let bits = 0;
  for (const row of basis)
    if ((value ^ row.value) >>> 0 < value) {
      value = (value ^ row.value) >>> 0;
      bits ^= row.bits;
    }
  if (value !== 0) return [];
  let found = [bits];
  for (const nothing of kernel) found = [...found, ...found.map((each) => each ^ nothing)];
  return found;
}
