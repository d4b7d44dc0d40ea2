import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSockaddr, encodeSockaddr, type SocketAddress } from './sockaddr.ts';

const view = new DataView(new SharedArrayBuffer(160), 8);
const hex = (length: number) => Buffer.from(new Uint8Array(view.buffer, 12, length)).toString('hex');

describe('addresses of sockets', () => {
  it('have the bytes of the kernel', () => {
    expect(encodeSockaddr(view, 4, { family: 'ipv4', address: '127.0.0.1', port: 8080 })).toBe(16);
    expect(hex(16)).toBe('02001f907f0000010000000000000000');
    expect(encodeSockaddr(view, 4, { family: 'ipv6', address: '::1', port: 1, flowInfo: 5, scope: 3 })).toBe(28);
    expect(hex(28)).toBe('0a000001000000050000000000000000000000000000000103000000');
    expect(encodeSockaddr(view, 4, { family: 'unix', path: '/a' })).toBe(5);
    expect(hex(5)).toBe('01002f6100');
    expect(encodeSockaddr(view, 4, { family: 'unix', path: '\0ab' })).toBe(5);
    expect(hex(5)).toBe('0100006162');
  });

  it('come back as they went', () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    const address = fc.oneof(
      fc.record({ family: fc.constant('ipv4' as const), address: fc.ipV4(), port }),
      fc.record({
        family: fc.constant('ipv6' as const),
        address: fc.constantFrom('::', '::1', 'fe80::1', '2001:db8::ff00:42:8329', '::ffff:1.2.3.4'),
        port,
        flowInfo: word,
        scope: word,
      }),
      fc.record({
        family: fc.constant('unix' as const),
        path: fc
          .tuple(fc.constantFrom('', '\0'), fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme-ascii' }))
          .map(([first, rest]) => first + rest),
      }),
    );
    fc.assert(
      fc.property(address, (value: SocketAddress) => {
        expect(decodeSockaddr(view, 4, encodeSockaddr(view, 4, value))).toEqual(value);
      }),
    );
    expect(decodeSockaddr(view, 4, encodeSockaddr(view, 4, { family: 'unix', path: '' }))).toEqual({
      family: 'unix',
      path: '',
    });
  });

  it('are refused where there is none', () => {
    const refused = (address: SocketAddress) => {
      try {
        encodeSockaddr(view, 4, address);
        return undefined;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    expect(refused({ family: 'ipv4', address: '127.0.0.1', port: 65536 })).toBe('SLUICE_RING_SOCKADDR');
    expect(refused({ family: 'ipv4', address: 'localhost', port: 1 })).toBe('SLUICE_NET_ADDRESS');
    expect(refused({ family: 'unix', path: 'a'.repeat(108) })).toBe('SLUICE_RING_SOCKADDR');
    expect(refused({ family: 'unix', path: 'a'.repeat(107) })).toBeUndefined();
    expect(refused({ family: 'unix', path: 'a\0b' })).toBe('SLUICE_RING_SOCKADDR');
    expect(() => decodeSockaddr(view, 4, 0)).toThrow('none that is known');
    view.setUint16(4, 16, true);
    expect(() => decodeSockaddr(view, 4, 12)).toThrow('family 16');
  });
});
