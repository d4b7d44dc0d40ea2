import { describe, expect, it } from 'vitest';
import { createMap, type MapAttributes, type PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { PlaneRingbuf } from '../src/runtime/maps/ringbuf.ts';
import { createMemory } from '../src/runtime/memory.ts';
import { createPlane } from '../src/runtime/plane.ts';
import { keysOf } from './map-operations.ts';
import { runWorkers, type StressWorker } from './stress/workers.ts';

// Several workers over one memory, each a CPU of its own, with the same plane; CPU 0 is this thread.
const WORKERS = 3;

function setUp(attributes: MapAttributes) {
  const memory = createMemory(WORKERS + 1, 1n);
  const plane = createPlane(memory, { hashSeed: 3n });
  return createMap(plane, attributes);
}

/** Runs `body` in all workers; the sum of what they return. */
async function together(map: PlaneMap, rounds: number, body: (worker: StressWorker) => number): Promise<number> {
  const { results } = await runWorkers(map.plane, map.address, body, { workers: WORKERS, rounds, seed: 1 });
  return results.reduce((sum, each) => sum + each, 0);
}

function u32(n: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(n).buffer);
}

describe('maps under several workers', () => {
  // Keys below 32 are only ever replaced; those from 32 to 63 come and go.
  const churn = ({ call, view, map, scratch, rounds, random }: StressWorker) => {
    let missing = 0;
    for (let i = 0; i < rounds; i++) {
      view.setUint32(scratch, random(32), true);
      if (call('hash_lookup', map, scratch) === 0) missing++;
      view.setUint32(scratch, random(32), true);
      if (call('hash_update', map, scratch, scratch + 8, 0n) !== 0) missing++;
      view.setUint32(scratch, 32 + random(32), true);
      if (random(2)) call('hash_update', map, scratch, scratch + 8, 0n);
      else call('hash_delete', map, scratch);
    }
    return missing;
  };

  it('hash: a key that is only replaced is always found, and no element is lost', async () => {
    const map = setUp({ type: 'hash', keySize: 4, valueSize: 16, maxEntries: 64 });
    for (let i = 0; i < 32; i++) map.update(u32(i), new Uint8Array(16));
    expect(await together(map, 30_000, churn)).toBe(0);
    for (let i = 32; i < 64; i++) map.delete(u32(i));
    expect(keysOf(map).length).toBe(32);
    for (let i = 0; i < 32; i++) map.update(u32(1000 + i), new Uint8Array(16), 'noexist');
    expect(() => map.update(u32(5000), new Uint8Array(16))).toThrow('E2BIG');
  });

  for (const flags of [0, 2]) {
    it(`LRU hash, flags ${flags}: no element is lost or doubled`, async () => {
      const maxEntries = 64;
      const map = setUp({ type: 'lru_hash', keySize: 4, valueSize: 16, maxEntries, flags });
      const work = ({ call, view, map, scratch, rounds, random }: StressWorker) => {
        for (let i = 0; i < rounds; i++) {
          view.setUint32(scratch, random(200), true);
          call('lru_hash_lookup', map, scratch);
          view.setUint32(scratch, random(200), true);
          call('lru_hash_update', map, scratch, scratch + 8, 0n);
          view.setUint32(scratch, random(200), true);
          if (random(8) === 0) call('lru_hash_delete', map, scratch);
        }
        return 0;
      };
      await together(map, 30_000, work);
      const keys = keysOf(map).map((key) => new DataView(key.buffer).getUint32(0, true));
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys.length).toBeLessThanOrEqual(maxEntries);
      for (const key of keys) expect(map.delete(u32(key))).toBe(true);
      // All that this CPU can reach is free again: as many fit as before.
      const reach = flags === 2 ? maxEntries / (WORKERS + 1) : 8;
      for (let i = 0; i < reach; i++) map.update(u32(9000 + i), new Uint8Array(16), 'noexist');
      expect(keysOf(map).length).toBe(reach);
    });
  }

  it('LPM trie: a prefix that is only replaced is always found', async () => {
    const map = setUp({ type: 'lpm_trie', keySize: 8, valueSize: 8, maxEntries: 200, flags: 1 });
    const key = (length: number, value: number) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint32(0, length, true);
      new DataView(bytes.buffer).setUint32(4, value);
      return bytes;
    };
    for (let i = 0; i < 16; i++) map.update(key(20, i << 28), new Uint8Array(8));
    const work = ({ call, view, map, scratch, rounds, random }: StressWorker) => {
      let missing = 0;
      for (let i = 0; i < rounds; i++) {
        view.setUint32(scratch, 32, true);
        view.setUint32(scratch + 4, (random(16) << 28) | random(4096));
        if (call('lpm_trie_lookup', map, scratch) === 0) missing++;
        view.setUint32(scratch, 20, true);
        view.setUint32(scratch + 4, random(16) << 28);
        if (call('lpm_trie_update', map, scratch, scratch + 8, 0n) !== 0) missing++;
        view.setUint32(scratch, 1 + random(32), true);
        view.setUint32(scratch + 4, (random(16) << 28) | (1 << 20) | random(16));
        if (view.getUint32(scratch, true) === 20) continue;
        if (random(2)) call('lpm_trie_update', map, scratch, scratch + 8, 0n);
        else call('lpm_trie_delete', map, scratch);
      }
      return missing;
    };
    expect(await together(map, 20_000, work)).toBe(0);
    for (const found of keysOf(map)) expect(map.delete(found)).toBe(true);
    for (let i = 0; i < 200; i++) map.update(key(32, i * 0x01020304), new Uint8Array(8), 'noexist');
    expect(() => map.update(key(31, 0x7f00_0000), new Uint8Array(8))).toThrow('ENOSPC');
  });

  it('ringbuf: every record that was reserved arrives, in the order of its producer', async () => {
    const map = setUp({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 1 << 24 });
    const work = ({ call, view, map, cpu, rounds, random }: StressWorker) => {
      let sent = 0;
      for (let i = 0; i < rounds; i++) {
        const size = 8 + random(60);
        const sample = call('bpf_ringbuf_reserve', BigInt(map), BigInt(size), 0n);
        if (sample === 0) continue;
        view.setUint32(sample, cpu, true);
        view.setUint32(sample + 4, i, true);
        if (random(5) === 0) call('bpf_ringbuf_discard', BigInt(sample), 0n);
        else {
          call('bpf_ringbuf_submit', BigInt(sample), 0n);
          sent++;
        }
      }
      return sent;
    };
    const ring = new PlaneRingbuf(map);
    const last = new Map<number, number>();
    let received = 0;
    const drain = () => {
      for (let record = ring.take(); record !== undefined; record = ring.take()) {
        const view = new DataView(record.buffer);
        const [cpu, number] = [view.getUint32(0, true), view.getUint32(4, true)];
        expect(number).toBeGreaterThan(last.get(cpu) ?? -1);
        last.set(cpu, number);
        received++;
      }
    };
    let sent: number | undefined;
    const done = together(map, 100_000, work).then((sum) => {
      sent = sum;
    });
    while (sent === undefined) {
      drain();
      await ring.wait(ring.wakes(), AbortSignal.timeout(5));
    }
    await done;
    drain();
    expect(received).toBe(sent);
    expect(received).toBeGreaterThan(100);
  });
});
