// Programs of type vnet_hash: the context of the patches of October 2023 (vnet_hash_is_valid_access), and kfuncs of steering.
import { describe, expect, it } from 'vitest';
import { judge, type Short } from './testbed.ts';

const EXIT: readonly Short[] = [[0xb7, 0, 0, 0, 0], [0x95]];
const LOAD: Readonly<Record<number, number>> = { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 };
const STORE: Readonly<Record<number, number>> = { 1: 0x72, 2: 0x6a, 4: 0x62, 8: 0x7a };

const load = (size: number, off: number, type: 'vnet_hash' | 'socket_filter' = 'vnet_hash') =>
  judge([[LOAD[size]!, 2, 1, off], ...EXIT], {}, type);
const store = (size: number, off: number) => judge([[STORE[size]!, 1, 0, off, 1], ...EXIT], {}, 'vnet_hash');

describe('the context of vnet_hash', () => {
  it('has hash, report and queue behind struct __sk_buff, whole', () => {
    for (const [off, size] of [
      [192, 4],
      [196, 2],
      [198, 2],
    ] as const) {
      expect(load(size, off)).toBe('accept');
      expect(store(size, off)).toBe('accept');
    }
    for (const [off, size] of [
      [192, 1],
      [192, 2],
      [194, 2],
      [192, 8],
      [196, 4],
      [196, 1],
      [199, 1],
      [200, 4],
    ] as const) {
      expect(load(size, off), `load ${off} ${size}`).toMatch(/^reject 0: invalid bpf_context access/);
      expect(store(size, off), `store ${off} ${size}`).toMatch(/^reject 0: invalid bpf_context access/);
    }
  });

  it('is that of a socket filter otherwise', () => {
    expect(load(4, 0)).toBe('accept'); // len
    expect(load(4, 76)).toMatch(/^reject/); // data
    expect(store(4, 48)).toBe('accept'); // cb
    expect(store(4, 8)).toMatch(/^reject/); // mark
  });

  it('is not a socket filter’s', () => {
    for (const [off, size] of [
      [192, 4],
      [196, 2],
      [198, 2],
    ] as const)
      expect(load(size, off, 'socket_filter')).toMatch(/^reject 0: invalid bpf_context access/);
  });
});
