import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeVirtioNetHeader, encodeVirtioNetHeader } from '../virtio-net-header.ts';
import {
  decodeHashConfig,
  decodeRssConfig,
  encodeHashConfig,
  encodeRssConfig,
  verificationKey,
} from './configuration.ts';
import { encodeRssContext, encodeTunnelTypes, RssControl } from './control.ts';
import { hashType, TUNNEL_TYPES_ALL } from './hash-types.ts';

const configuration = { hashTypes: 0x3f, table: [0, 1, 2, 3], unclassifiedQueue: 3, key: verificationKey };

describe('wire formats', () => {
  it('lay struct virtio_net_rss_config out', () => {
    const bytes = encodeRssConfig(configuration, 4);
    expect(Buffer.from(bytes.subarray(0, 19)).toString('hex')).toBe(
      '3f000000' + '0300' + '0300' + '0000010002000300' + '0400' + '28',
    );
    expect(bytes.subarray(19)).toEqual(verificationKey);
    expect(decodeRssConfig(bytes)).toEqual({ configuration, maxTxQueues: 4 });
  });

  it('lay struct virtio_net_hash_config out', () => {
    const bytes = encodeHashConfig({ hashTypes: 0x1ff, key: verificationKey });
    expect(Buffer.from(bytes.subarray(0, 13)).toString('hex')).toBe('ff010000' + '0000000000000000' + '28');
    expect(decodeHashConfig(bytes)).toEqual({ hashTypes: 0x1ff, key: verificationKey });
    expect(() => decodeHashConfig(bytes.with(5, 1))).toThrow(/reserved/);
  });

  it('come back as they were, and are refused where they are cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0x1ff }),
        fc.integer({ min: 0, max: 8 }),
        fc.uint8Array({ minLength: 40, maxLength: 255, size: 'max' }),
        fc.integer({ min: 0, max: 0x7fff }),
        (hashTypes, bits, key, unclassifiedQueue) => {
          const given = {
            hashTypes,
            key,
            unclassifiedQueue,
            table: Array.from({ length: 1 << bits }, (_, i) => i * 3),
          };
          const bytes = encodeRssConfig(given, 2);
          expect(decodeRssConfig(bytes).configuration).toEqual(given);
          expect(() => decodeRssConfig(bytes.subarray(0, -1))).toThrow(/cut/);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('have headers of 10, 12 and 20 bytes', () => {
    const hash = { value: 0x51ccc178, report: 2 };
    const bytes = encodeVirtioNetHeader({
      flags: 2,
      gsoType: 1,
      hdrLen: 54,
      gsoSize: 1448,
      csumStart: 34,
      csumOffset: 16,
      hash,
    });
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '0201' + '3600' + 'a805' + '2200' + '1000' + '0100' + '78c1cc51' + '0200' + '0000',
    );
    expect(decodeVirtioNetHeader(bytes, 20)).toMatchObject({ gsoSize: 1448, numBuffers: 1, hash });
    expect(decodeVirtioNetHeader(bytes, 12).hash).toBeUndefined();
    expect(decodeVirtioNetHeader(bytes, 10).numBuffers).toBe(0);
    expect(encodeVirtioNetHeader()).toHaveLength(12);
    expect(() => decodeVirtioNetHeader(bytes, 16)).toThrow(/SLUICE_VNET_HEADER|10, 12 and 20/);
    expect(() => decodeVirtioNetHeader(bytes.subarray(0, 19), 20)).toThrow(/shorter/);
  });
});

describe('control', () => {
  const control = () => new RssControl({ maxPairs: 4 });

  it('begins with nothing', () => {
    expect(control().effective()).toMatchObject({ hashTypes: 0, tunnelTypes: 0, unclassifiedQueue: 0 });
    expect(new Set(control().effective().table)).toEqual(new Set([0]));
  });

  it('takes the last of the commands', () => {
    const device = control();
    expect(device.command(4, 1, encodeRssConfig(configuration))).toEqual({ ack: 0 });
    expect(device.effective()).toEqual({ ...configuration, tunnelTypes: 0 });
    expect(device.command(7, 0, encodeTunnelTypes(TUNNEL_TYPES_ALL))).toEqual({ ack: 0 });
    expect(device.effective().tunnelTypes).toBe(TUNNEL_TYPES_ALL);
    expect(device.command(4, 0, Uint8Array.of(3, 0))).toEqual({ ack: 0 });
    expect(new Set(device.effective().table)).toEqual(new Set([0, 1, 2]));
    expect(device.effective().hashTypes).toBe(0);
    expect(device.command(4, 2, encodeHashConfig({ hashTypes: hashType.tcpv4, key: verificationKey }))).toEqual({
      ack: 0,
    });
    expect(device.effective()).toMatchObject({ hashTypes: hashType.tcpv4, unclassifiedQueue: 0 });
    expect(new Set(device.effective().table)).toEqual(new Set([0, 1, 2]));
    device.reset();
    expect(device.effective()).toEqual(control().effective());
  });

  it('keeps RSS contexts', () => {
    const device = control();
    expect(device.command(9, 0, new Uint8Array())).toEqual({ ack: 0, result: Uint8Array.of(31, 0) });
    expect(device.command(9, 2, encodeRssContext(1, configuration)).ack).toBe(1);
    expect(device.command(9, 1, encodeRssContext(1, configuration)).ack).toBe(0);
    expect(device.command(9, 1, encodeRssContext(1, configuration)).reason).toMatch(/is there already/);
    expect(device.command(9, 2, encodeRssContext(1, { ...configuration, hashTypes: 1 })).ack).toBe(0);
    expect(device.contexts.get(1)?.hashTypes).toBe(1);
    expect(device.command(4, 0, Uint8Array.of(1, 0)).reason).toMatch(/RSS contexts/);
    expect(device.command(9, 3, Uint8Array.of(1, 0)).ack).toBe(0);
    expect(device.command(9, 3, Uint8Array.of(1, 0)).ack).toBe(1);
    expect(device.command(9, 1, encodeRssContext(32, configuration)).reason).toMatch(/1 to 31/);
  });

  it.each([
    [4, 1, encodeRssConfig({ ...configuration, unclassifiedQueue: 4 }), /queue 4: there are 4/],
    [4, 1, encodeRssConfig(configuration).with(0, 0).with(1, 2), /hash types 0x200/],
    [4, 1, new Uint8Array(7), /cut/],
    [4, 0, Uint8Array.of(5, 0), /1 to 4/],
    [4, 0, Uint8Array.of(0, 0), /1 to 4/],
    [7, 0, encodeTunnelTypes(0x200), /tunnel types 0x200/],
    [7, 0, new Uint8Array(3), /cut/],
    [4, 9, new Uint8Array(), /no command 9/],
    [1, 0, new Uint8Array(), /class 1/],
  ])('refuses class %i command %i that is not valid, and stays as it is', (commandClass, command, data, reason) => {
    const device = control();
    device.command(4, 1, encodeRssConfig(configuration));
    const before = device.effective();
    const result = device.command(commandClass, command, data);
    expect(result.ack).toBe(1);
    expect(result.reason).toMatch(reason);
    expect(device.effective()).toEqual(before);
  });

  it('never throws, whatever a driver sends', () => {
    const device = control();
    fc.assert(
      fc.property(
        fc.constantFrom(0, 4, 7, 9),
        fc.integer({ min: 0, max: 4 }),
        fc.uint8Array({ maxLength: 80, size: 'max' }),
        (c, n, data) => {
          expect([0, 1]).toContain(device.command(c, n, data).ack);
        },
      ),
    );
  });
});
