import { describe, expect, it } from 'vitest';
import type { MapTypeName } from '../abi/map-types.ts';
import { InputError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import { lookupBatch, updateBatch } from './bpf-maps.ts';
import { cpuCount, possibleCpus } from './cpus.ts';
import { bpfRefusal } from './features.ts';
import { addressOf, pageSize } from './ffi.ts';
import { mapInfoOf } from './info.ts';
import { BPF_F_MMAPABLE, KernelMap } from './maps.ts';

const refusal = bpfRefusal();

function spec(type: MapTypeName, keySize: number, valueSize: number, maxEntries: number, flags = 0): MapSpec {
  return {
    name: `test map:${type}`,
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
const u32 = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
const u64 = (...values: bigint[]) => new Uint8Array(new BigUint64Array(values).buffer);
const code = (errno: string) => expect.objectContaining({ code: `SLUICE_MAP_${errno}` });

describe('cpuCount', () => {
  it('reads the kernel lists', () => {
    expect([cpuCount('0\n'), cpuCount('0-3\n'), cpuCount('0-3,8-11')]).toEqual([1, 4, 12]);
    expect(() => cpuCount('')).toThrow(InputError);
  });
});

describe.skipIf(refusal !== undefined)(`kernel maps${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, () => {
  function withMap<T>(spec: MapSpec, body: (map: KernelMap) => T): T {
    const map = KernelMap.create(spec);
    try {
      return body(map);
    } finally {
      map.close();
    }
  }

  it.each(['hash', 'lru_hash'] as const)('%s: elements come, go and are refused by errno', (type) => {
    withMap(spec(type, 4, 8, 4), (map) => {
      expect(map.nextKey()).toBeUndefined();
      map.update(u32(1), u64(10n), 'noexist');
      map.update(u32(2), u64(20n));
      expect(() => map.update(u32(1), u64(11n), 'noexist')).toThrow(code('EEXIST'));
      expect(() => map.update(u32(3), u64(11n), 'exist')).toThrow(code('ENOENT'));
      map.update(u32(1), u64(12n), 'exist');
      expect(map.lookup(u32(1))).toEqual(u64(12n));
      const keys = [];
      for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(key[0]);
      expect(keys.sort()).toEqual([1, 2]);
      expect([map.delete(u32(1)), map.delete(u32(1)), map.lookup(u32(1))]).toEqual([true, false, undefined]);
      expect(map.take(u32(2))).toEqual(u64(20n));
      expect(map.nextKey()).toBeUndefined();
    });
  });

  it('refuses keys and values of the wrong size, and a full hash with E2BIG', () => {
    withMap(spec('hash', 4, 8, 2), (map) => {
      expect(() => map.lookup(u64(1n))).toThrow(code('EINVAL'));
      expect(() => map.update(u32(1), u32(1))).toThrow(code('EINVAL'));
      map.update(u32(1), u64(1n));
      map.update(u32(2), u64(1n));
      expect(() => map.update(u32(3), u64(1n))).toThrow(code('E2BIG'));
    });
  });

  it('array: every index is there, none can be deleted, none beyond the end', () => {
    withMap(spec('array', 4, 8, 3), (map) => {
      expect(map.lookup(u32(2))).toEqual(u64(0n));
      map.update(u32(2), u64(7n));
      expect(map.lookup(u32(2))).toEqual(u64(7n));
      expect(map.lookup(u32(3))).toBeUndefined();
      expect(() => map.update(u32(3), u64(7n))).toThrow(code('E2BIG'));
      expect(() => map.delete(u32(2))).toThrow(code('EINVAL'));
    });
  });

  it.each(['percpu_array', 'percpu_hash', 'lru_percpu_hash'] as const)(
    '%s: one value a CPU, rounded up to 8',
    (type) => {
      withMap(spec(type, 4, 4, 4), (map) => {
        expect(map.elementSize).toBe(8 * possibleCpus());
        const values = u64(...Array.from({ length: possibleCpus() }, (_, cpu) => BigInt(100 + cpu)));
        map.update(u32(1), values);
        expect(map.lookup(u32(1))).toEqual(values);
      });
    },
  );

  it('lpm_trie: the longest prefix wins', () => {
    const prefix = (bits: number, ...address: number[]) => new Uint8Array([...u32(bits), ...address]);
    withMap(spec('lpm_trie', 8, 4, 8, 1 /* BPF_F_NO_PREALLOC */), (map) => {
      map.update(prefix(8, 10, 0, 0, 0), u32(8));
      map.update(prefix(24, 10, 1, 2, 0), u32(24));
      expect(map.lookup(prefix(32, 10, 1, 2, 3))).toEqual(u32(24));
      expect(map.lookup(prefix(32, 10, 9, 9, 9))).toEqual(u32(8));
      expect(map.lookup(prefix(32, 11, 0, 0, 1))).toBeUndefined();
    });
  });

  it('queue and stack: an empty key, push and take', () => {
    const none = new Uint8Array(0);
    for (const [type, order] of [
      ['queue', [1, 2]],
      ['stack', [2, 1]],
    ] as const)
      withMap(spec(type, 0, 4, 2), (map) => {
        map.update(none, u32(1));
        map.update(none, u32(2));
        expect(() => map.update(none, u32(3))).toThrow(code('E2BIG'));
        expect([map.take()?.[0], map.take()?.[0], map.take()]).toEqual([...order, undefined]);
      });
  });

  it('bloom_filter: knows what was pushed', () => {
    withMap(spec('bloom_filter', 0, 4, 100), (map) => {
      map.update(new Uint8Array(0), u32(42));
      expect(mapInfoOf(map.fd)).toMatchObject({ type: 30, valueSize: 4, maxEntries: 100 });
    });
  });

  it.each(['ringbuf', 'user_ringbuf'] as const)('%s can be made and has no elements', (type) => {
    withMap(spec(type, 0, 0, 4096), (map) => expect(mapInfoOf(map.fd).maxEntries).toBe(4096));
  });

  it.each([
    'stack_trace',
    'devmap',
    'devmap_hash',
    'cpumap',
    'xskmap',
    'sockmap',
    'sockhash',
    'prog_array',
    'cgroup_array',
    'perf_event_array',
    'reuseport_sockarray',
  ] as const)('%s can be made, under a name that the kernel takes', (type) => {
    withMap(spec(type, 4, type === 'stack_trace' ? 8 : 4, 2), (map) =>
      expect(mapInfoOf(map.fd)).toMatchObject({ name: `test_map_${type}`.slice(0, 15), maxEntries: 2, keySize: 4 }),
    );
  });

  it('array_of_maps and hash_of_maps hold maps by descriptor', () => {
    withMap(spec('array', 4, 4, 1), (inner) => {
      for (const type of ['array_of_maps', 'hash_of_maps'] as const) {
        const outer = KernelMap.create(spec(type, 4, 4, 2), { innerMapFd: inner.fd });
        outer.update(u32(0), u32(inner.fd));
        expect(outer.lookup(u32(0))).toEqual(u32(mapInfoOf(inner.fd).id));
        outer.close();
      }
    });
  });

  it('a mapped array shares its memory with the kernel', () => {
    withMap(spec('array', 4, 8, 512, BPF_F_MMAPABLE), (map) => {
      const memory = map.mapped();
      memory[8 * 3] = 77;
      expect(map.lookup(u32(3))).toEqual(u64(77n));
      map.update(u32(4), u64(78n));
      expect(memory[8 * 4]).toBe(78);
    });
  });

  it('an arena is mapped where its pointers say, and never over what is there', () => {
    const pages = spec('arena', 0, 0, 4, BPF_F_MMAPABLE);
    const at = 0x1000_0000_0000n;
    withMap({ ...pages, mapExtra: at }, (map) => {
      expect(map.mapped()).toHaveLength(4 * pageSize());
      expect(addressOf(map.mapped())).toBe(Number(at));
      withMap({ ...pages, mapExtra: at }, (second) => expect(() => second.mapped()).toThrow('EEXIST'));
    });
  });

  it('a frozen map can be read and not written', () => {
    withMap(spec('array', 4, 4, 1), (map) => {
      map.update(u32(0), u32(5));
      map.freeze();
      expect(() => map.update(u32(0), u32(6))).toThrow(code('EPERM'));
      expect(map.lookup(u32(0))).toEqual(u32(5));
    });
  });

  it('batches move many elements in one call', () => {
    withMap(spec('hash', 4, 4, 1000), (map) => {
      const count = 500;
      const keys = Uint32Array.from({ length: count }, (_, i) => i);
      updateBatch(map.fd, new Uint8Array(keys.buffer), new Uint8Array(keys.map((key) => key * 3).buffer), count);
      const position = new Uint8Array(4);
      const found = new Map<number, number>();
      for (let first = true, done = false; !done; first = false) {
        const k = new Uint32Array(128);
        const v = new Uint32Array(128);
        const batch = lookupBatch(map.fd, position, first, new Uint8Array(k.buffer), new Uint8Array(v.buffer), 128);
        for (let i = 0; i < batch.count; i++) found.set(k[i]!, v[i]!);
        done = batch.done;
      }
      expect(found.size).toBe(count);
      expect(found.get(499)).toBe(1497);
    });
  });

  it('is dead after close', () => {
    const map = KernelMap.create(spec('array', 4, 4, 1));
    map.close();
    map.close();
    expect(() => map.lookup(u32(0))).toThrow(code('EBADF'));
  });

  it('names the errno of a map that cannot be', () => {
    expect(() => KernelMap.create(spec('array', 8, 4, 1))).toThrow(
      expect.objectContaining({ code: 'SLUICE_LINUX_EINVAL', errno: 'EINVAL', call: 'bpf(BPF_MAP_CREATE)' }),
    );
  });
});
