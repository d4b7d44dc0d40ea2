import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MapTypeName } from '../src/abi/map-types.ts';
import { createMap as createKernelMap } from '../src/linux/bpf-maps.ts';
import { possibleCpus } from '../src/linux/cpus.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { KernelMap } from '../src/linux/maps.ts';
import type { MapSpec } from '../src/object/spec.ts';
import { createMap } from '../src/runtime/maps/plane-map.ts';
import { createMemory } from '../src/runtime/memory.ts';
import { createPlane } from '../src/runtime/plane.ts';
import { attempt, fewKeys, indices, operations, prefixes, replay } from './map-operations.ts';

const none = fc.constant(new Uint8Array(0));
const pairs = (...values: number[][]) =>
  fc.constantFrom(...values.map((each) => new Uint8Array(Uint32Array.from(each).buffer)));
const words = (...values: number[]) => pairs(...values.map((each) => [each]));

const refusal = bpfRefusal();

function spec(type: MapTypeName, keySize: number, valueSize: number, maxEntries: number, flags = 0): MapSpec {
  return {
    name: type,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags,
    mapExtra: 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId: 0,
    inner: undefined,
    contents: { kind: 'none' },
    section: '.maps',
  };
}

describe.skipIf(refusal !== undefined)(`maps here and in the kernel${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  const cpus = refusal === undefined ? possibleCpus() : 1;
  const plane = createPlane(createMemory(cpus, 1n));

  const cases: [string, MapSpec, Parameters<typeof operations>[0]][] = [
    ['array', spec('array', 4, 9, 5), { keys: indices(8), valueSize: 9, ordered: true }],
    ['per-CPU array', spec('percpu_array', 4, 5, 5), { keys: indices(8), valueSize: 8 * cpus, ordered: true }],
    ['hash', spec('hash', 4, 12, 6), { keys: fewKeys(4, 10), valueSize: 12, ordered: false }],
    ['hash without prealloc', spec('hash', 8, 12, 6, 1), { keys: fewKeys(8, 10), valueSize: 12, ordered: false }],
    ['hash of 20-byte keys', spec('hash', 20, 3, 6), { keys: fewKeys(20, 10), valueSize: 3, ordered: false }],
    ['hash, taking', spec('hash', 4, 12, 6), { keys: fewKeys(4, 10), valueSize: 12, ordered: false, take: true }],
    [
      'per-CPU hash',
      spec('percpu_hash', 4, 5, 6),
      { keys: fewKeys(4, 10), valueSize: 8 * cpus, ordered: false, take: true },
    ],
    [
      'per-CPU hash without prealloc',
      spec('percpu_hash', 12, 16, 6, 1),
      { keys: fewKeys(12, 10), valueSize: 16 * cpus, ordered: false, take: true },
    ],
    ['array, taking', spec('array', 4, 4, 3), { keys: indices(4), valueSize: 4, ordered: true, take: true }],
    ['queue', spec('queue', 0, 7, 4), { keys: none, valueSize: 7, ordered: true, take: true }],
    ['stack', spec('stack', 0, 7, 4), { keys: none, valueSize: 7, ordered: true, take: true }],
    ['queue of one', spec('queue', 0, 4, 1), { keys: none, valueSize: 4, ordered: true, take: true }],
    ['devmap', spec('devmap', 4, 4, 4), { keys: indices(6), valueSize: 4, ordered: true, values: words(0, 1) }],
    [
      'devmap of 8 bytes',
      spec('devmap', 4, 8, 4),
      { keys: indices(6), valueSize: 8, ordered: true, values: pairs([0, 0], [1, 0], [0, 1]) },
    ],
    [
      'devmap_hash',
      spec('devmap_hash', 4, 4, 4),
      { keys: indices(6), valueSize: 4, ordered: false, values: words(0, 1) },
    ],
    [
      'cpumap',
      spec('cpumap', 4, 4, cpus + 2),
      { keys: indices(cpus + 4), valueSize: 4, ordered: true, values: words(0, 1, 192, 16384, 16385) },
    ],
    ['LPM trie, IPv4', spec('lpm_trie', 8, 8, 10, 1), { keys: prefixes(4), valueSize: 8, ordered: true }],
    ['LPM trie, IPv6', spec('lpm_trie', 20, 8, 10, 1), { keys: prefixes(16), valueSize: 8, ordered: true }],
    ['LPM trie, 3 bytes', spec('lpm_trie', 7, 8, 10, 1), { keys: prefixes(3), valueSize: 8, ordered: true }],
  ];
  for (const [title, map, shape] of cases) {
    it(`${title}: the same operations have the same results`, () => {
      fc.assert(
        fc.property(operations(shape), (sequence) => {
          const ours = createMap(plane, map);
          const theirs = KernelMap.create(map);
          try {
            expect(replay(ours, sequence, shape.ordered)).toEqual(replay(theirs, sequence, shape.ordered));
          } finally {
            ours.close();
            theirs.close();
          }
        }),
        { numRuns: 30 },
      );
    });
  }

  // Which element goes depends on the CPU that the kernel runs on: ours is CPU 0.
  const pinned = refusal === undefined && spawnSync('taskset', ['-V']).status === 0;
  describe.skipIf(!pinned)(`LRU hash on one CPU${pinned ? '' : ' (skipped: no taskset)'}`, () => {
    let before = '';
    beforeAll(() => {
      before = spawnSync('taskset', ['-p', String(process.pid)], { encoding: 'utf8' })
        .stdout.split(' ')
        .at(-1)!
        .trim();
      expect(spawnSync('taskset', ['-p', '1', String(process.pid)]).status).toBe(0);
    });
    afterAll(() => {
      spawnSync('taskset', ['-p', before, String(process.pid)]);
    });

    for (const [type, maxEntries, flags] of [
      ['lru_hash', 1, 0],
      ['lru_hash', 7, 0],
      ['lru_hash', 40, 0],
      ['lru_hash', 300, 0],
      ['lru_hash', 7, 2],
      ['lru_hash', 40, 2],
      ['lru_percpu_hash', 7, 0],
      ['lru_percpu_hash', 40, 0],
      ['lru_percpu_hash', 40, 2],
    ] as const) {
      it(`${type} of ${maxEntries}, flags ${flags}: the same elements are pushed out`, () => {
        const map = spec(type, 4, 4, maxEntries, flags);
        const valueSize = type === 'lru_hash' ? 4 : 8 * cpus;
        const keys = indices(Math.ceil(maxEntries * 1.6) + 2);
        fc.assert(
          fc.property(
            operations({ keys, valueSize, ordered: false, take: true, maxLength: maxEntries * 6 + 40 }),
            (sequence) => {
              const ours = createMap(plane, map);
              const theirs = KernelMap.create(map);
              try {
                expect(replay(ours, sequence, false)).toEqual(replay(theirs, sequence, false));
              } finally {
                ours.close();
                theirs.close();
              }
            },
          ),
          { numRuns: 25 },
        );
      });
    }
  });

  it('refuses the same attributes with the same errno', () => {
    const bit = (n: number) => 1 << n;
    const attributes = fc.record({
      type: fc.constantFrom<MapTypeName>(
        'array',
        'percpu_array',
        'prog_array',
        'hash',
        'lru_hash',
        'lpm_trie',
        'ringbuf',
        'percpu_hash',
        'lru_percpu_hash',
        'queue',
        'stack',
        'bloom_filter',
        'devmap',
        'devmap_hash',
        'cgroup_array',
        'stack_trace',
        'cpumap',
        'xskmap',
        'perf_event_array',
        'array_of_maps',
        'hash_of_maps',
        'arena',
        'user_ringbuf',
        'sockmap',
        'sockhash',
        'reuseport_sockarray',
        'cgroup_storage',
        'percpu_cgroup_storage',
      ),
      keySize: fc.oneof(
        { weight: 3, arbitrary: fc.constant(4) },
        { weight: 2, arbitrary: fc.constantFrom(0, 1, 5, 8, 260, 261, 512) },
      ),
      valueSize: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(4, 8) },
        {
          weight: 2,
          arbitrary: fc.constantFrom(
            0,
            1,
            32761,
            32768,
            32769,
            0x3f_fed8,
            0x3f_fee8,
            0x3f_fee9,
            0x3f_ffcb,
            0x3f_ffcc,
            0x40_0000,
            0x8000_0000,
          ),
        },
      ),
      maxEntries: fc.constantFrom(0, 1, 2, 3, 4096, 8192),
      mapExtra: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, fc.constantFrom(3n, 15n, 16n, 1n << 32n)),
      flags: fc.array(fc.constantFrom(0, ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 18, 20, 31].map(bit)), {
        maxLength: 3,
      }),
    });
    const held = createMap(plane, { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    const theirHeld = createKernelMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    fc.assert(
      fc.property(attributes, (chosen) => {
        // Large elements in number only fill the machine's memory.
        // CONFIG_NR_CPUS, which bounds cpumaps, is not the same in all kernels.
        const few = chosen.valueSize > 1000 || chosen.type === 'cpumap';
        const maxEntries = few ? Math.min(chosen.maxEntries, 2) : chosen.maxEntries;
        // LPM tries and NO_PREALLOC, arenas and MMAPABLE belong together in most cases.
        const first: Partial<Record<MapTypeName, number>> = { lpm_trie: 1, arena: 1 << 10 };
        const flags = chosen.flags.reduce((all, flag) => all | flag, first[chosen.type] ?? 0) >>> 0;
        // Queues and filters have no keys, mostly.
        const keyless =
          ['queue', 'stack', 'bloom_filter', 'arena', 'user_ringbuf'].includes(chosen.type) && chosen.keySize === 4;
        const bare = ['arena', 'user_ringbuf', 'ringbuf'].includes(chosen.type) && chosen.valueSize === 4;
        const sizes = { keySize: keyless ? 0 : chosen.keySize, valueSize: bare ? 0 : chosen.valueSize };
        const map = { ...chosen, ...sizes, maxEntries, flags };
        const ours = attempt(() => {
          createMap(plane, { ...map, prototype: held }).close();
          return 'created';
        });
        const theirs = attempt(() => {
          close(createKernelMap({ ...map, innerMapFd: theirHeld }));
          return 'created';
        });
        expect(ours).toBe(theirs);
      }),
      { numRuns: 3000 },
    );
    held.close();
    close(theirHeld);
  });
});
