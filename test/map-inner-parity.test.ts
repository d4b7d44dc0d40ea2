import { afterAll, describe, expect, it } from 'vitest';
import type { MapTypeName } from '../src/abi/map-types.ts';
import { createMap as createKernelMap, MapElements } from '../src/linux/bpf-maps.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { errnoName } from '../src/linux/syscall-error.ts';
import { createMap, type PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { createMemory } from '../src/runtime/memory.ts';
import { createPlane } from '../src/runtime/plane.ts';
import { attempt, u32 } from './map-operations.ts';

// Every kind of map offered to every kind of map of maps: what is taken and what is refused is Linux's choice.
const kinds: readonly (readonly [MapTypeName, number, number, number, number])[] = [
  ['array', 4, 4, 1, 0],
  ['array', 4, 4, 2, 0],
  ['array', 4, 8, 1, 0],
  ['array', 4, 4, 1, 0x1000],
  ['array', 4, 4, 2, 0x1000],
  ['percpu_array', 4, 4, 1, 0],
  ['percpu_array', 4, 4, 2, 0],
  ['hash', 4, 4, 1, 0],
  ['hash', 4, 4, 2, 0],
  ['hash', 8, 4, 1, 0],
  ['hash', 4, 4, 1, 1],
  ['percpu_hash', 4, 4, 1, 0],
  ['lru_hash', 4, 4, 4, 0],
  ['lpm_trie', 8, 4, 1, 1],
  ['queue', 0, 4, 1, 0],
  ['stack', 0, 4, 2, 0],
  ['bloom_filter', 0, 4, 1, 0],
  ['ringbuf', 0, 0, 4096, 0],
  ['ringbuf', 0, 0, 8192, 0],
  ['devmap', 4, 4, 1, 0],
  ['devmap', 4, 4, 2, 0],
  ['devmap_hash', 4, 8, 1, 0],
  ['cpumap', 4, 4, 1, 0],
  ['xskmap', 4, 4, 1, 0],
  ['xskmap', 4, 4, 2, 0],
  ['perf_event_array', 4, 4, 1, 0],
  ['prog_array', 4, 4, 1, 0],
];
const refusal = bpfRefusal();

describe.skipIf(refusal !== undefined)(`maps of maps${refusal ? ` (skipped: ${refusal})` : ''}`, () => {
  const plane = createPlane(createMemory(2, 1n));
  const made: { readonly ours: PlaneMap; readonly fd: number; readonly text: string }[] = [];
  if (refusal === undefined) {
    for (const [type, keySize, valueSize, maxEntries, flags] of kinds) {
      const attributes = { type, keySize, valueSize, maxEntries, flags };
      const text = `${type} ${keySize} ${valueSize} ${maxEntries} ${flags}`;
      made.push({ ours: createMap(plane, attributes), fd: createKernelMap(attributes), text });
    }
  }
  afterAll(() => {
    for (const { ours, fd } of made) {
      ours.close();
      close(fd);
    }
  });

  for (const type of ['array_of_maps', 'hash_of_maps'] as const) {
    it(`${type}: takes the same maps as the kernel's`, () => {
      const outer = { type, keySize: 4, valueSize: 4, maxEntries: 2 };
      const offered: string[] = [];
      const answered: string[] = [];
      for (const kind of made) {
        let ours: PlaneMap | undefined;
        let fd = -1;
        const created = attempt(() => {
          ours = createMap(plane, { ...outer, prototype: kind.ours });
          return 'created';
        });
        const theirs = attempt(() => {
          fd = createKernelMap({ ...outer, innerMapFd: kind.fd });
          return 'created';
        });
        offered.push(`${kind.text}: ${created}`);
        answered.push(`${kind.text}: ${theirs}`);
        if (ours === undefined || fd < 0) continue;
        const elements = new MapElements(fd, 4, 4);
        elements.key.set(u32(1));
        // Linux waits for its readers after each update, so only near relatives are offered.
        const near = made.filter(({ ours: each }) => each.type === kind.ours.type);
        for (const inner of type === 'array_of_maps' ? near : near.slice(0, 2)) {
          offered.push(
            `${kind.text} <- ${inner.text}: ${attempt(() => {
              ours!.update(u32(1), u32(inner.ours.id));
              return '0';
            })}`,
          );
          elements.value.set(u32(inner.fd));
          const result = elements.update();
          answered.push(`${kind.text} <- ${inner.text}: ${result < 0 ? errnoName(-result) : '0'}`);
        }
        // What a refused update leaves alone, a delete takes out once.
        for (let i = 0; i < (near.length > 1 ? 2 : 0); i++) {
          offered.push(attempt(() => String(ours!.delete(u32(1)))));
          const result = elements.delete();
          answered.push(result === 0 ? 'true' : result === -2 ? 'false' : errnoName(-result));
        }
        ours.close();
        close(fd);
      }
      expect(offered).toEqual(answered);
    });
  }
});
