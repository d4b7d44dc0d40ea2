import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { formatIpv4, formatIpv6, formatMac, parseIpv4, parseIpv6, parseMac } from './addresses.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('addresses', () => {
  it('reads back what it writes', () => {
    fc.assert(
      fc.property(bytes(6), (b) => {
        expect(parseMac(formatMac(b))).toEqual(b);
      }),
    );
    fc.assert(
      fc.property(bytes(4), (b) => {
        expect(parseIpv4(formatIpv4(b))).toEqual(b);
      }),
    );
    fc.assert(
      fc.property(bytes(16), (b) => {
        expect(parseIpv6(formatIpv6(b))).toEqual(b);
      }),
    );
    // Many zero groups, where '::' decides.
    const sparse = fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(sparse, (b) => {
        expect(parseIpv6(formatIpv6(Uint8Array.from(b)))).toEqual(Uint8Array.from(b));
      }),
    );
  });

  it('writes IPv6 as RFC 5952 asks', () => {
    const canonical = [
      ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['::1', '::1'],
      ['FE80::', 'fe80::'],
      ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
      ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ] as const;
    for (const [from, to] of canonical) expect(formatIpv6(parseIpv6(from))).toBe(to);
  });

  it('takes and refuses the texts that node:net does', () => {
    const piece = fc.constantFrom('0', '1', 'ffff', '12345', ':', '::', '.', '1.2.3.4', '256', '01', 'g', 'db8', '');
    const text = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(''));
    const accepts = (parse: (text: string) => Uint8Array, t: string) => {
      try {
        parse(t);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        return false;
      }
    };
    const colons = fc.array(piece, { minLength: 2, maxLength: 9 }).map((parts) => parts.join(':'));
    fc.assert(
      fc.property(fc.oneof(text, colons), (t) => {
        expect(accepts(parseIpv4, t)).toBe(isIP(t) === 4);
        expect(accepts(parseIpv6, t)).toBe(isIP(t) === 6);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses MAC addresses of mixed separators or wrong length', () => {
    expect(parseMac('02-00-00-00-00-0A')).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 10));
    for (const text of ['02:00:00:00:00', '02:00-00:00:00:01', '02:00:00:00:00:01:02', '2:0:0:0:0:g'])
      expect(() => parseMac(text)).toThrow(InputError);
  });
});
