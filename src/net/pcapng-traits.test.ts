import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CapturedPacket, LINKTYPE_ETHERNET, readCapture, writePcapng } from './capture.ts';
import { commentOption, comments, queueOption } from './pcapng-options.ts';
import { type CapturedTrait, capturedTraits, traitOptions, withoutTraits } from './pcapng-traits.ts';

const traits: CapturedTrait[] = [
  { key: 1n, name: 'packet', value: Uint8Array.of(10, 0, 0, 0) },
  { key: 7n, value: new Uint8Array(0) },
  { key: (1n << 63n) + 2n, name: 'rx_timestamp', value: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
];
const packet = (options: CapturedPacket['options']): CapturedPacket => ({
  data: new Uint8Array(60),
  timestampNs: 5n,
  wireLength: 60,
  interfaceId: 0,
  linkType: LINKTYPE_ETHERNET,
  ...(options === undefined ? {} : { options }),
});

describe('traits in captures', () => {
  it.each(['little', 'big'] as const)('come back from a file, %s-endian', (byteOrder) => {
    const file = writePcapng([packet([queueOption(3), ...traitOptions(traits)]), packet([])], { byteOrder });
    const [first, second] = [...readCapture(file)];
    expect(capturedTraits(first!)).toEqual(traits);
    expect(comments(first!)).toEqual(['traits: packet=0a000000 7= rx_timestamp=0102030405060708']);
    expect(withoutTraits(first!.options)).toEqual([queueOption(3)]);
    expect(capturedTraits(second!)).toBeUndefined();
  });

  it('of any kind do', () => {
    const one = fc.record(
      {
        key: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        name: fc.string({ minLength: 1, maxLength: 16 }),
        value: fc.uint8Array({ maxLength: 16 }),
      },
      { requiredKeys: ['key', 'value'] },
    );
    fc.assert(
      fc.property(fc.array(one, { minLength: 1 }), (list) => {
        const [read] = [...readCapture(writePcapng([packet(traitOptions(list))]))];
        expect(capturedTraits(read!)).toEqual(list);
      }),
    );
  });

  it('are not found in what others wrote, nor read beyond what is cut', () => {
    const [option] = traitOptions(traits);
    const changed = (at: number) => {
      const value = option!.value.slice();
      value[at] = 0xee;
      return packet([{ code: option!.code, value }]);
    };
    for (const at of [0, 4, 7, 8]) expect(capturedTraits(changed(at))).toBeUndefined();
    expect(capturedTraits(packet([{ code: 2988, value: option!.value }]))).toBeUndefined();
    for (let length = 0; length < option!.value.length; length++) {
      const cut = capturedTraits(packet([{ code: option!.code, value: option!.value.subarray(0, length) }]));
      expect(cut ?? []).toEqual(traits.slice(0, (cut ?? []).length));
      expect((cut ?? []).length).toBeLessThan(traits.length);
    }
    expect(withoutTraits([commentOption('traits of character')])).toHaveLength(1);
    expect(traitOptions([])).toEqual([]);
  });
});
