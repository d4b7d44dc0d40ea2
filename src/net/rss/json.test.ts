// Configurations as users write them: what is left out, what is refused, and that it says where.
import { expect, it } from 'vitest';
import { verificationKey } from './configuration.ts';
import { HASH_TYPES_ALL } from './hash-types.ts';
import { rssFromJson } from './json.ts';

it('has what is left out as drivers begin', () => {
  expect(rssFromJson({}, 'f', 3)).toEqual({
    hashTypes: HASH_TYPES_ALL,
    tunnelTypes: 0,
    table: Array.from({ length: 128 }, (_, i) => i % 3),
    unclassifiedQueue: 0,
    key: verificationKey,
  });
  expect(rssFromJson({ automatic: true, hashTypes: ['tcpv4'], tunnelTypes: ['vxlan'] }, 'f', 3)).toEqual({
    hashTypes: 2,
    tunnelTypes: 0x10,
    table: Array.from({ length: 128 }, (_, i) => i % 3),
    unclassifiedQueue: 0,
    key: verificationKey,
    automatic: true,
  });
  expect(rssFromJson({ hashTypes: 1, key: '6d:5a 56da 25 5b 0e c241 6725 3d' }, 'f', 1).key).toHaveLength(12);
});

it.each([
  [[1], 'must be an object'],
  [null, 'must be an object'],
  [{ tabel: [0] }, 'has no field tabel'],
  [{ table: [0, 1, 2] }, '3 entries: must be a power of two'],
  [{ table: [] }, '0 entries'],
  [{ table: Array(65536).fill(0) }, '65536 entries'],
  [{ table: 'even' }, 'a list of queues'],
  [{ table: [0, 70000] }, '70000 is no number of a queue'],
  [{ table: [0, 0.5] }, '0.5 is no number'],
  [{ unclassifiedQueue: -1 }, '-1 is no number'],
  [{ key: '6d5' }, 'two each'],
  [{ key: 40 }, 'hexadecimal'],
  [{ key: '6d5a' }, 'a key of 2 bytes: the hash types need 40'],
  [{ key: '6d'.repeat(256) }, 'a key of 256 bytes: at most 255'],
  [{ hashTypes: ['toString'] }, 'no "toString"; there are ipv4'],
  [{ hashTypes: [1] }, 'no 1;'],
  [{ hashTypes: 'some' }, '"all"'],
  [{ hashTypes: 0x200 }, 'hash types 0x200 are not supported'],
  [{ tunnelTypes: ['vlan'] }, 'no "vlan"; there are gre2784'],
  [{ automatic: 1 }, 'true or false'],
  [{ automatic: true, table: [0] }, 'without table'],
  [{ automatic: true, unclassifiedQueue: 0 }, 'without table'],
] as const)('refuses what is wrong, and says which file (%#)', (json, text) => {
  const attempt = () => rssFromJson(json, 'rss.json', 4);
  expect(attempt).toThrow(text);
  expect(attempt).toThrow(
    expect.objectContaining({
      location: { input: 'rss.json' },
      code: expect.stringMatching(/^SLUICE_(STEER_RSS|RSS_CONFIGURATION)$/),
    }),
  );
});
