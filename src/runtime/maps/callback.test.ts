import { beforeAll, describe, expect, it } from 'vitest';
import wabt from 'wabt';
import { WORKER_STACK_TOP } from '../../plane/layout/worker.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap, type MapAttributes } from './plane-map.ts';

const plane = createPlane(createMemory(2, 1n));
const each = plane.exports['bpf_for_each_map_elem'] as (m: bigint, f: bigint, ctx: bigint, flags: bigint) => bigint;

// Adds key and value (both u32) to the two words at ctx, and stops when the u32 at ctx + 8 has counted down to 0.
const callbackText = `(module
  (import "env" "memory" (memory 1 65536 shared))
  (func (export "callback") (param $map i64) (param $key i64) (param $value i64) (param $ctx i64) (param i64) (result i64)
    (local $c i32)
    (local.set $c (i32.wrap_i64 (local.get $ctx)))
    (i32.store (local.get $c) (i32.add (i32.load (local.get $c)) (i32.load (i32.wrap_i64 (local.get $key)))))
    (i32.store offset=4 (local.get $c)
      (i32.add (i32.load offset=4 (local.get $c)) (i32.load (i32.wrap_i64 (local.get $value)))))
    (i32.store offset=8 (local.get $c) (i32.sub (i32.load offset=8 (local.get $c)) (i32.const 1)))
    (i64.extend_i32_u (i32.eqz (i32.load offset=8 (local.get $c))))))`;
let entry = 0;

beforeAll(async () => {
  const module = (await wabt()).parseWat('callback.wat', callbackText, { threads: true });
  const { buffer } = module.toBinary({});
  const instance = new WebAssembly.Instance(new WebAssembly.Module(buffer), { env: { memory: plane.memory } });
  entry = plane.table.grow(1);
  plane.table.set(entry, instance.exports['callback']);
});

function u32(n: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(n).buffer);
}

/** Calls back for each element; the sums of keys and values that the callback saw, and what the helper returned. */
function sums(map: number, stopAfter = 0): { keys: number; values: number; calls: bigint } {
  const ctx = plane.scratch(16);
  plane.bytes().fill(0, ctx, ctx + 16);
  plane.view().setUint32(ctx + 8, stopAfter, true);
  const calls = each(BigInt(map), BigInt(entry), BigInt(ctx), 0n);
  return { keys: plane.view().getUint32(ctx, true), values: plane.view().getUint32(ctx + 4, true), calls };
}

describe('bpf_for_each_map_elem', () => {
  const cases: MapAttributes[] = [
    { type: 'hash', keySize: 4, valueSize: 4, maxEntries: 10 },
    { type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1000 },
    { type: 'lru_hash', keySize: 4, valueSize: 4, maxEntries: 1000 },
    { type: 'array', keySize: 4, valueSize: 4, maxEntries: 10 },
  ];
  for (const attributes of cases) {
    it(`${attributes.type} of ${attributes.maxEntries}: shows every element, stops when told`, () => {
      const map = createMap(plane, attributes);
      for (let i = 0; i < 10; i++) map.update(u32(i), u32(i * 100));
      const all = attributes.type === 'array' ? attributes.maxEntries : 10;
      expect(sums(map.address)).toEqual({ keys: 45, values: 4500, calls: BigInt(all) });
      expect(sums(map.address, 3).calls).toBe(3n);
      map.close();
    });
  }

  it("shows this CPU's values of a per-CPU array, and leaves the stack as it was", () => {
    const map = createMap(plane, { type: 'percpu_array', keySize: 4, valueSize: 4, maxEntries: 2 });
    const value = new Uint8Array(16);
    value[0] = 5;
    value[8] = 77;
    map.update(u32(0), value);
    map.update(u32(1), value);
    const top = plane.view().getUint32(plane.worker + WORKER_STACK_TOP, true);
    expect(sums(map.address)).toEqual({ keys: 1, values: 10, calls: 2n });
    expect(plane.view().getUint32(plane.worker + WORKER_STACK_TOP, true)).toBe(top);
    map.close();
  });

  it('refuses flags, and types that cannot be walked', () => {
    const trie = createMap(plane, { type: 'lpm_trie', keySize: 8, valueSize: 4, maxEntries: 2, flags: 1 });
    expect(each(BigInt(trie.address), BigInt(entry), 0n, 0n)).toBe(-22n);
    const array = createMap(plane, { type: 'array', keySize: 4, valueSize: 4, maxEntries: 2 });
    expect(each(BigInt(array.address), BigInt(entry), 0n, 1n)).toBe(-22n);
    trie.close();
    array.close();
  });
});
