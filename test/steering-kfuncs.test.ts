/** Kfuncs of steering programs in test runs: what the device answers, and what a run without one does. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load } from '../src/index.ts';
import { generateCapture } from '../src/net/generator.ts';
import { HASH_TYPES_ALL, type RssConfiguration, rss, TUNNEL_TYPES_ALL, verificationKey } from '../src/net/rss/index.ts';
import { toeplitz } from '../src/net/rss/toeplitz.ts';
import { readObject } from '../src/object/index.ts';
import { loadForTest } from '../src/testing/index.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const EOPNOTSUPP = -95 >>> 0;
const EINVAL = -22 >>> 0;
const engines = ['jit', 'interpreter'] as const;
const steering: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  tunnelTypes: TUNNEL_TYPES_ALL,
  table: Array.from({ length: 64 }, (_, index) => (index * 5) % 7),
  unclassifiedQueue: 3,
  key: verificationKey,
};
const packets = generateCapture({ seed: 21, count: 120, traffic: 'steering' })
  .map(({ data }) => data)
  .filter((data) => data.length >= 80 && data.length < 1500);

describe.skipIf(noClang !== '')(`bpf_vnet_toeplitz${noClang}`, () => {
  // The first `size` bytes behind the link header; the size is the packet's first byte there, modulo 64.
  const source = `
#include <sluice/steer.h>
SEC("socket")
int hashed(struct __sk_buff *skb)
{
	__u8 input[64] = {};
	__u32 size;

	if (bpf_skb_load_bytes(skb, 0, input, sizeof(input)))
		return 1;
	size = input[0] & 63;
	return bpf_vnet_toeplitz(skb, input, size);
}
char _license[] SEC("license") = "Dual MIT/GPL";
`;
  const object = () =>
    readObject(
      compileBpf(source, {
        flags: ['-nostdinc', '-Ibpf/include'],
        ...(clangs[0] === undefined ? {} : { clang: clangs[0] }),
      }),
      'toeplitz.bpf.o',
    );
  // As a payload of no known protocol: the program alone says what is hashed.
  const inputOf = (size: number, seed: number) => {
    const data = new Uint8Array(14 + 64).map((_, at) => at * 59 + seed * 31);
    data.set([0x88, 0xb5], 12);
    data[14] = size;
    return data;
  };

  it.each(engines)('hashes any input under the key of the device (%s)', async (engine) => {
    const { programs, close } = await load(object(), { engine });
    const program = programs['hashed']!;
    const keys = [verificationKey, Uint8Array.from({ length: 52 }, (_, at) => at * 83 + 7), new Uint8Array(40)];
    const hashes = new Set<number>();
    for (const key of keys)
      for (const size of [1, 2, 3, 4, 12, 31, 36, 48]) {
        const data = inputOf(size, key[0]! + size);
        const { returnValue } = program.run({ data, steering: { ...steering, key } });
        const expected = size + 4 > key.length ? EINVAL : toeplitz(key, data.subarray(14, 14 + size));
        expect(returnValue, `${size} bytes, key of ${key.length}`).toBe(expected);
        hashes.add(returnValue);
      }
    expect(hashes.size).toBeGreaterThan(14);
    close();
  });

  it.each(engines)('is not there without a device (%s)', async (engine) => {
    const { programs, close } = await load(object(), { engine });
    expect(programs['hashed']!.run({ data: inputOf(12, 1) }).returnValue).toBe(EOPNOTSUPP);
    expect(programs['hashed']!.run({ data: inputOf(12, 1), steering }).returnValue).not.toBe(EOPNOTSUPP);
    expect(programs['hashed']!.run({ data: inputOf(12, 1) }).returnValue).toBe(EOPNOTSUPP);
    close();
  });
});

describe.each(engines)('a test run with a device (%s)', (engine) => {
  it.each(['device_socket', 'device_vnet_hash'])('gives queue, hash and report of the reference: %s', async (name) => {
    const object = await loadForTest(readFileSync(`bpf/objects/steering/${name}.bpf.o`), { engine });
    const reports = new Set<number>();
    for (const data of packets) {
      const run = object.run({ data, steering });
      const { hash, report, queue } = rss(data, steering);
      expect(run.reported).toEqual({ hash, report });
      if (name === 'device_socket') expect(run.returnValue).toBe(queue);
      else expect(new DataView(run.context!.buffer, run.context!.byteOffset).getUint16(198, true)).toBe(queue);
      reports.add(report);
    }
    expect(reports.size).toBeGreaterThan(5);
    expect(object.run({ data: packets[0]! })).not.toHaveProperty('reported');
    object.close();
  });

  it('refuses a device of programs that none asks', async () => {
    const object = await load(readFileSync('bpf/objects/steering/device_socket.bpf.o'), { engine });
    expect(() =>
      Object.values(object.programs)[0]!.run({ data: packets[0]!, steering: { ...steering, table: [] } }),
    ).toThrow(expect.objectContaining({ code: 'SLUICE_RSS_CONFIGURATION' }));
    object.close();
    const tc = await load(readFileSync('bpf/objects/tc_nat.bpf.o'), { engine });
    expect(() => Object.values(tc.programs)[0]!.run({ data: packets[0]!, steering })).toThrow(
      /SLUICE_RUN_INPUT|asked by a steering device/,
    );
    tc.close();
  });
});
