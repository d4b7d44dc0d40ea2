import { describe, expect, it } from 'vitest';
import { SkbPool } from '../hooks/skb/frames.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import { SKB_HASH, SKB_HASH_VALID, SKB_HWTSTAMP, SKB_MARK } from '../plane/layout/skb.ts';
import {
  TRAIT_ENTRY_BYTES,
  TRAIT_ENTRY_KEY,
  TRAIT_ENTRY_OFFSET,
  TRAIT_ENTRY_RESULT,
  TRAIT_ENTRY_SIZE,
} from '../plane/layout/trait.ts';
import { SYSTEM_KEY, wellKnownTraits } from '../traits/well-known.ts';
import { Runtime } from './runtime.ts';

const [EINVAL, ENOENT, ENOSPC, EOPNOTSUPP] = [-22, -2, -28, -95];
const packet = new Uint8Array(64);
packet.set([0x08, 0x00, 0x45], 12);

/** The kfuncs on one packet; keys are those of wellKnownTraits by name, or given. */
function callsOn(runtime: Runtime, kind: 'xdp' | 'skb', descriptor: number) {
  const at = runtime.plane.scratch(128);
  const call = (name: string, ...args: bigint[]): number =>
    Number(
      BigInt.asIntN(
        64,
        (runtime.plane.exports[`bpf_${kind}_trait_${name}`] as (...args: bigint[]) => bigint)(
          BigInt(descriptor),
          ...args,
        ),
      ),
    );
  const keyOf = (key: string | bigint) => (typeof key === 'bigint' ? key : SYSTEM_KEY + BigInt(index(key)));
  const index = (name: string) => wellKnownTraits.findIndex((trait) => trait.name === name);
  const size = (key: string | bigint) => (typeof key === 'bigint' ? 4 : wellKnownTraits[index(key)]!.size);
  return {
    at,
    call,
    keyOf,
    set(key: string | bigint, value: bigint, length = size(key), flags = 0n): number {
      runtime.view().setBigUint64(at, value, true);
      return call('set', keyOf(key), BigInt(at), BigInt(length), flags);
    },
    get(key: string | bigint, length = size(key)): number | bigint {
      runtime.view().setBigUint64(at, 0n, true);
      const result = call('get', keyOf(key), BigInt(at), BigInt(length));
      if (result < 0) return result;
      expect(result).toBe(size(key));
      return runtime.view().getBigUint64(at, true);
    },
    isSet: (key: string | bigint) => call('is_set', keyOf(key)),
    del: (key: string | bigint) => call('del', keyOf(key)),
  };
}

function frame(hints: Parameters<FramePool['fill']>[2] = {}) {
  const runtime = new Runtime({ seed: 1n });
  const pool = new FramePool(runtime, 1);
  pool.fill(0, packet, hints);
  return { runtime, pool, ...callsOn(runtime, 'xdp', pool.descriptor(0)) };
}

function skb() {
  const runtime = new Runtime({ seed: 1n });
  const pool = new SkbPool(runtime, 1);
  pool.fill(0, packet, 'link', {});
  const field = (offset: number) => runtime.view().getUint32(pool.descriptor(0) + offset, true);
  return { runtime, pool, field, ...callsOn(runtime, 'skb', pool.descriptor(0)) };
}

describe('well-known traits of a frame', () => {
  it('are what the driver says', () => {
    const { get, isSet, del } = frame({
      ingressIfindex: 7,
      timestampNs: 5n,
      hints: { hash: { value: 0xdead_beef, type: 0x19 }, vlan: { protocol: 0x8100, tci: 42 }, timestampNs: 99n },
    });
    expect(['rx_hash', 'rx_hash_type', 'rx_timestamp', 'vlan', 'ifindex'].map((name) => get(name))).toEqual([
      0xdead_beefn,
      0x19n,
      99n,
      0x0081n | (42n << 16n),
      7n,
    ]);
    expect(isSet('rx_hash')).toBe(1);
    // What the driver says is not a program's to take back.
    expect(del('rx_hash')).toBe(EOPNOTSUPP);
  });

  it('are not there where nobody said them', () => {
    const { get, isSet, del, set } = frame();
    for (const name of ['rx_hash', 'rx_hash_type', 'rx_timestamp', 'vlan', 'packet_id']) {
      expect(get(name)).toBe(ENOENT);
      expect(isSet(name)).toBe(0);
    }
    for (const name of ['rx_hash', 'rx_timestamp', 'vlan', 'packet_id']) expect(del(name)).toBe(ENOENT);
    expect(set('rx_hash_type', 1n)).toBe(ENOENT);
  });

  it('are what programs store, before the driver, and again the driver when taken back', () => {
    const { get, set, del, pool } = frame({ hints: { hash: { value: 1, type: 2 } } });
    expect(set('rx_hash', 5n)).toBe(0);
    expect([get('rx_hash'), get('rx_hash_type')]).toEqual([5n, 2n]);
    expect(set('rx_hash_type', 0x29n)).toBe(0);
    expect([get('rx_hash'), get('rx_hash_type')]).toEqual([5n, 0x29n]);
    expect(del('rx_hash')).toBe(0);
    expect([get('rx_hash'), get('rx_hash_type')]).toEqual([1n, 2n]);
    for (const [name, value] of [
      ['rx_timestamp', 1n << 40n],
      ['vlan', 0x0064_a888n],
      ['packet_id', 0xffff_ffff_ffff_ffffn],
    ] as const) {
      expect(set(name, value)).toBe(0);
      expect(get(name)).toBe(value);
      expect(del(name)).toBe(0);
      expect(get(name)).toBe(ENOENT);
      expect(set(name, value)).toBe(0);
    }
    // The next packet in the frame begins anew.
    pool.fill(0, packet);
    expect(get('packet_id')).toBe(ENOENT);
    expect(get('vlan')).toBe(ENOENT);
  });

  it('a time of the capture is the receive time where there is no other', () => {
    const { get, set, del } = frame({ timestampNs: 5n });
    expect(get('rx_timestamp')).toBe(5n);
    expect(set('rx_timestamp', 6n)).toBe(0);
    expect(get('rx_timestamp')).toBe(6n);
    expect(del('rx_timestamp')).toBe(0);
    expect(get('rx_timestamp')).toBe(5n);
    expect(del('rx_timestamp')).toBe(EOPNOTSUPP);
  });

  it('refuse other lengths, other keys, what a frame does not have, and what is read only', () => {
    const { get, set, del, isSet } = frame({ hints: { hash: { value: 1, type: 2 } } });
    expect(set('rx_hash', 1n, 8)).toBe(EINVAL);
    expect(set('rx_hash', 1n, 4, 1n)).toBe(EINVAL);
    expect(get('rx_hash', 2)).toBe(ENOSPC);
    expect(get('rx_hash', 8)).toBe(1n);
    for (const key of [SYSTEM_KEY + 8n, (1n << 64n) - 1n, SYSTEM_KEY - 1n, 64n])
      expect([get(key), set(key, 1n), del(key), isSet(key)]).toEqual([EINVAL, EINVAL, EINVAL, EINVAL]);
    for (const name of ['mark', 'csum'])
      expect([get(name), set(name, 1n), del(name), isSet(name)]).toEqual([
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
        EOPNOTSUPP,
      ]);
    expect([set('ifindex', 1n), del('ifindex'), isSet('ifindex'), get('ifindex')]).toEqual([
      EOPNOTSUPP,
      EOPNOTSUPP,
      1,
      1n,
    ]);
  });

  it('take no room in the store', () => {
    const { runtime, set, pool } = frame();
    for (const name of ['rx_hash', 'rx_timestamp', 'vlan', 'packet_id']) expect(set(name, 1n)).toBe(0);
    expect((runtime.plane.exports['frame_traits'] as (frame: number) => number)(pool.descriptor(0))).toBe(0);
  });

  it('go with others in a batch, all or none', () => {
    const { runtime, call, at, keyOf, get, isSet } = frame();
    const view = runtime.view();
    const [entries, values] = [at, at + 100];
    const entry = (i: number, key: bigint, size: number, offset: number) => {
      const entryAt = entries + i * TRAIT_ENTRY_BYTES;
      view.setBigUint64(entryAt + TRAIT_ENTRY_KEY, key, true);
      view.setUint32(entryAt + TRAIT_ENTRY_SIZE, size, true);
      view.setUint32(entryAt + TRAIT_ENTRY_OFFSET, offset, true);
    };
    const batch = (name: string, count: number) =>
      call(name, BigInt(entries), BigInt(count * TRAIT_ENTRY_BYTES), BigInt(values), 16n);
    view.setUint32(values, 11, true);
    view.setBigUint64(values + 8, 22n, true);
    entry(0, 3n, 4, 0);
    entry(1, keyOf('packet_id'), 8, 8);
    entry(2, keyOf('mark'), 4, 0);
    expect(batch('set_batch', 3)).toBe(EOPNOTSUPP);
    expect([isSet(3n), isSet('packet_id')]).toEqual([0, 0]);
    entry(2, keyOf('packet_id'), 8, 8);
    expect(batch('set_batch', 3)).toBe(EINVAL);
    entry(1, keyOf('packet_id'), 8, 12);
    expect(batch('set_batch', 2)).toBe(EINVAL);
    entry(1, keyOf('packet_id'), 8, 8);
    expect(batch('set_batch', 2)).toBe(0);
    expect(batch('get_batch', 2)).toBe(2);
    expect(view.getInt32(entries + TRAIT_ENTRY_BYTES + TRAIT_ENTRY_RESULT, true)).toBe(8);
    expect([get(3n), get('packet_id')]).toEqual([11n, 22n]);
  });
});

describe('well-known traits of an sk_buff', () => {
  it('are its fields', () => {
    const { set, get, field, del, isSet, runtime, pool } = skb();
    expect(set('mark', 9n)).toBe(0);
    expect([field(SKB_MARK), get('mark')]).toEqual([9, 9n]);
    expect([del('mark'), field(SKB_MARK), get('mark'), isSet('mark')]).toEqual([0, 0, 0n, 1]);
    expect(get('rx_hash')).toBe(ENOENT);
    expect(set('rx_hash', 0n)).toBe(0);
    expect([field(SKB_HASH_VALID), get('rx_hash'), isSet('rx_hash')]).toEqual([1, 0n, 1]);
    expect([del('rx_hash'), del('rx_hash'), field(SKB_HASH)]).toEqual([0, ENOENT, 0]);
    expect(set('rx_timestamp', 77n)).toBe(0);
    expect(runtime.view().getBigUint64(pool.descriptor(0) + SKB_HWTSTAMP, true)).toBe(77n);
    expect([get('rx_timestamp'), del('rx_timestamp')]).toEqual([77n, 0]);
    expect([get('packet_id'), set('packet_id', 8n), get('packet_id'), del('packet_id'), get('packet_id')]).toEqual([
      ENOENT,
      0,
      8n,
      0,
      ENOENT,
    ]);
  });

  it('are read only, or not there', () => {
    const { set, get, del, isSet } = skb();
    for (const name of ['vlan', 'csum', 'ifindex'])
      expect([set(name, 1n), del(name)]).toEqual([EOPNOTSUPP, EOPNOTSUPP]);
    expect([isSet('vlan'), get('vlan'), get('csum')]).toEqual([0, ENOENT, 0n]);
    expect([get('rx_hash_type'), set('rx_hash_type', 1n)]).toEqual([EOPNOTSUPP, EOPNOTSUPP]);
    const none = SYSTEM_KEY + 8n;
    expect([get(none), set(none, 1n), del(none), isSet(none)]).toEqual([EINVAL, EINVAL, EINVAL, EINVAL]);
    expect([set('mark', 1n, 8), get('mark', 1)]).toEqual([EINVAL, ENOSPC]);
  });
});
