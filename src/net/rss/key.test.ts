import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv4Bytes, ipv6Bytes } from '../addresses.ts';
import { random } from '../random.ts';
import { verificationKey } from './configuration.ts';
import {
  assessKey,
  type Flow,
  flowInput,
  hashDelta,
  isSymmetric,
  portsForQueue,
  suggestKey,
  symmetricKey,
} from './key.ts';
import { toeplitz } from './toeplitz.ts';

const flow: Flow = {
  source: ipv4Bytes('66.9.149.187'),
  destination: ipv4Bytes('161.142.100.80'),
  sourcePort: 2794,
  destinationPort: 1766,
};
const reverse = (of: Flow): Flow => ({
  source: of.destination,
  destination: of.source,
  sourcePort: of.destinationPort,
  destinationPort: of.sourcePort,
});

describe('a symmetric key', () => {
  it('gives both directions one hash', () => {
    expect(toeplitz(symmetricKey(), flowInput(flow))).toBe(0x9fcc9fcc);
    expect(toeplitz(symmetricKey(), flowInput(reverse(flow)))).toBe(0x9fcc9fcc);
    expect(isSymmetric(symmetricKey())).toBe(true);
    expect(isSymmetric(verificationKey)).toBe(false);
    expect(toeplitz(symmetricKey(), new Uint8Array(36))).toBe(0);
  });

  it('is suggested, and any other', () => {
    const rng = random(1);
    const suggested = suggestKey(rng.bytes, { symmetric: true });
    const both = (of: Flow) => toeplitz(suggested, flowInput(of));
    expect(both(flow)).toBe(both(reverse(flow)));
    expect(assessKey(suggested)).toMatchObject({ symmetric: true, sourcePort: 7, destinationPort: 7 });
    expect(assessKey(suggestKey(rng.bytes, { bits: 15, length: 52 }), 15)).toMatchObject({
      symmetric: false,
      sourcePort: 15,
      ports: 15,
    });
    expect(() => suggestKey(() => new Uint8Array(40))).toThrow(/no such key/);
  });
});

describe('linearity', () => {
  it('finds the ports of a queue: exactly those that trying all of them finds', () => {
    const rng = random(5);
    for (const size of [1, 2, 64, 128, 512]) {
      const table = Array.from({ length: size }, () => rng.below(5));
      const key = rng.chance(1, 2) ? verificationKey : rng.bytes(40);
      const of = rng.chance(1, 2)
        ? flow
        : { ...flow, source: ipv6Bytes('2001:db8::1'), destination: ipv6Bytes('2001:db8::2') };
      for (const [which, field] of [
        ['source', 'sourcePort'],
        ['destination', 'destinationPort'],
      ] as const)
        for (const queue of [0, 3]) {
          const tried = Array.from({ length: 65536 }, (_, port) => port).filter((port) => {
            // A fourth of them is enough to notice a wrong one.
            return port % 4 !== 0 || table[toeplitz(key, flowInput({ ...of, [field]: port })) & (size - 1)] === queue;
          });
          const found = new Set(portsForQueue({ key, table }, of, queue, which));
          expect(tried.filter((port) => port % 4 === 0)).toEqual([...found].filter((port) => port % 4 === 0));
        }
    }
  });

  it('finds none where the key does not reach', () => {
    expect(portsForQueue({ key: new Uint8Array(40), table: [0, 1] }, flow, 1)).toEqual([]);
    expect(portsForQueue({ key: new Uint8Array(40), table: [0, 1] }, flow, 0)).toHaveLength(65536);
  });

  it('says what a translation does', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 36, maxLength: 36 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(32),
        (input, after, at) => {
          const changed = input.slice();
          changed.set(after, at);
          const delta = hashDelta(verificationKey, input.subarray(at, at + 4), after, at);
          expect((toeplitz(verificationKey, input) ^ delta) >>> 0).toBe(toeplitz(verificationKey, changed));
        },
      ),
    );
  });
});
