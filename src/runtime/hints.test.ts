import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { XdpHints } from './handles.ts';
import { hintsFromJson, hintsFromText, hintsToJson, hintsToText } from './hints.ts';

const u32 = fc.nat({ max: 0xffff_ffff });
const u16 = fc.nat({ max: 0xffff });
const hints: fc.Arbitrary<XdpHints> = fc.record(
  {
    timestampNs: fc.bigInt(0n, (1n << 64n) - 1n),
    hash: fc.record({ value: u32, type: u32 }),
    vlan: fc.record({ protocol: u16, tci: u16 }),
  },
  { requiredKeys: [] },
);

it('reads what it writes', () => {
  fc.assert(
    fc.property(hints, (given) => {
      expect(hintsFromText(hintsToText(given))).toEqual(given);
      expect(hintsFromJson(JSON.parse(JSON.stringify(hintsToJson(given))), 'f')).toEqual(given);
    }),
  );
});

it('has names for types and a protocol for tags', () => {
  expect(hintsFromText('hash=0x10, type=ipv4+tcp')).toEqual({ hash: { value: 16, type: 0x19 } });
  expect(hintsFromText('vlan=7')).toEqual({ vlan: { protocol: 0x8100, tci: 7 } });
  expect(hintsFromText('none')).toEqual({});
});

it.each([
  ['', /is not name=value/],
  ['hash', /is not name=value/],
  ['hash=1,hash=2', /hash is given twice/],
  ['colour=1', /no hint colour; there are timestamp, hash, type, vlan, protocol/],
  ['hash=0x100000000', /hash must be a whole number of 32 bits/],
  ['hash=-1', /hash must be/],
  ['timestamp=1.5', /timestamp must be a whole number of 64 bits/],
  ['vlan=65536', /vlan must be/],
  ['type=1', /type is that of the hash/],
  ['protocol=1', /protocol is that of the vlan tag/],
  ['hash=1,type=ipv5', /type must be a number of 32 bits, or out of none, ipv4/],
])('refuses %j', (text, message) => {
  expect(() => hintsFromText(text)).toThrow(message);
  expect(() => hintsFromText(text)).toThrow(expect.objectContaining({ code: 'SLUICE_HINTS' }));
});

it('refuses JSON that is not an object', () => {
  for (const json of [null, [], 1, 'x']) expect(() => hintsFromJson(json, 'f')).toThrow(/hints are an object/);
});
