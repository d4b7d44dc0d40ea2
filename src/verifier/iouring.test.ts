// Programs of type iouring: context, helpers of the patches of 2021, kfuncs of Sluice's own.
import { describe, expect, it } from 'vitest';
import { judge, type Short } from './testbed.ts';

const EXIT: readonly Short[] = [[0xb7, 0, 0, 0, 0], [0x95]];
const LOAD: Readonly<Record<number, number>> = { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 };
const STORE: Readonly<Record<number, number>> = { 4: 0x62, 8: 0x7a };
const load = (size: number, off: number) => judge([[LOAD[size]!, 2, 1, off], ...EXIT], {}, 'iouring');
const store = (size: number, off: number) => judge([[STORE[size]!, 1, 0, off, 1], ...EXIT], {}, 'iouring');
const zeros = (bytes: number): Short[] =>
  Array.from({ length: bytes / 8 }, (_, at): Short => [0x7a, 10, 0, -8 * (at + 1), 0]);
/** r3 = the stack below fp - bytes, r4 = size, after r2 = queue. */
const reap = (bytes: number, size: number, call: Short, from = bytes): readonly Short[] => [
  ...zeros(bytes),
  [0xb7, 2, 0, 0, 1],
  [0xbf, 3, 10],
  [0x07, 3, 0, 0, -from],
  [0xb7, 4, 0, 0, size],
  call,
  ...EXIT,
];
const helper = (id: number): Short => [0x85, 0, 0, 0, id];
const KFUNC: Short = [0x85, 0, 2, 0, 0];

describe('context of ring programs', () => {
  it('its fields are read', () => {
    for (const [size, off] of [
      [8, 0],
      [4, 0],
      [4, 8],
      [4, 12],
      [4, 16],
      [4, 20],
      [1, 24],
      [4, 28],
      [8, 32],
      [4, 40],
      [4, 44],
      [4, 48],
      [8, 8],
      [8, 40],
    ] as const)
      expect(load(size, off), `${size} bytes at ${off}`).toBe('accept');
  });
  it('nothing behind them, and nothing across two', () => {
    expect(load(4, 52)).toBe('reject 0: invalid bpf_context access off=52 size=4');
    expect(load(8, 64)).toBe('reject 0: invalid bpf_context access off=64 size=8');
    expect(load(8, 12)).toBe('reject 0: invalid bpf_context access off=12 size=8');
  });
  it('what the program waits for is written, nothing else', () => {
    expect(store(4, 8)).toBe('accept');
    expect(store(4, 12)).toBe('accept');
    expect(store(8, 8)).toBe('accept');
    for (const [size, off] of [
      [8, 0],
      [4, 16],
      [8, 16],
      [4, 20],
      [8, 32],
    ] as const)
      expect(store(size, off)).toBe(`reject 0: invalid bpf_context access off=${off} size=${size}`);
  });
});

describe('helpers of 2021', () => {
  it('reap into 16 bytes of the stack, by both numbers', () => {
    expect(judge(reap(16, 16, helper(166)), {}, 'iouring')).toBe('accept');
    expect(judge(reap(16, 16, helper(172)), {}, 'iouring')).toBe('accept');
  });
  it('refuse a completion that is not all on the stack', () =>
    expect(judge(reap(16, 16, helper(166), 8), {}, 'iouring')).toBe(
      'reject 6: invalid write to stack R3 off=-8 size=16',
    ));
  it('keep the fourth argument alive, though the helper of Linux with that number has three', () => {
    // One path leaves r4 unset: pruned as dead, the program would pass.
    const code: readonly Short[] = [
      ...zeros(16),
      [0xbf, 6, 1],
      helper(7),
      [0xb7, 2, 0, 0, 1],
      [0xbf, 3, 10],
      [0x07, 3, 0, 0, -16],
      [0xbf, 1, 6],
      [0x15, 0, 0, 2, 0],
      [0xb7, 4, 0, 0, 16],
      [0x05, 0, 0, 1],
      [0xb7, 4, 0, 0, 17],
      [0x05, 0, 0, 0],
      helper(166),
      ...EXIT,
    ];
    expect(judge(code, {}, 'iouring')).toMatch(/^reject 13: invalid write to stack R3 off=-16 size=17/);
  });
  it('are of this type alone', () => {
    expect(judge(reap(16, 16, helper(166)), {}, 'xdp')).toBe(
      'reject 6: program of this type cannot use helper bpf_sys_bpf#166',
    );
    expect(judge([helper(8), ...EXIT], {}, 'iouring')).toBe('accept');
    expect(judge([helper(44), ...EXIT], {}, 'iouring')).toBe(
      'reject 0: program of this type cannot use helper bpf_xdp_adjust_head#44',
    );
  });
  it('copy to and from user space in any program', () => {
    const code: readonly Short[] = [
      ...zeros(8),
      [0xb7, 1, 0, 0, 0],
      [0xbf, 2, 10],
      [0x07, 2, 0, 0, -8],
      [0xb7, 3, 0, 0, 8],
    ];
    expect(judge([...code, helper(167), ...EXIT], {}, 'iouring')).toBe('accept');
    const from: readonly Short[] = [
      [0xbf, 1, 10],
      [0x07, 1, 0, 0, -8],
      [0xb7, 2, 0, 0, 8],
      [0xb7, 3, 0, 0, 0],
    ];
    expect(judge([...from, helper(148), ...EXIT], {}, 'iouring')).toBe('accept');
  });
});

describe('kfuncs of rings', () => {
  const at = (code: readonly Short[]) => code.indexOf(KFUNC);
  const ask = (name: string, code: readonly Short[]) => judge(code, {}, 'iouring', { [at(code)]: name });

  it('take memory with its size', () => {
    expect(ask('bpf_ring_reap', reap(16, 16, KFUNC))).toBe('accept');
    expect(ask('bpf_ring_chain_cqe', reap(16, 16, KFUNC))).toBe('accept');
    expect(ask('bpf_ring_chain_sqe', reap(64, 64, KFUNC))).toBe('accept');
    expect(ask('bpf_ring_reap', reap(16, 16, KFUNC, 8))).toMatch(/^reject 6: invalid .* stack R3 off=-8 size=16/);
  });
  it('take the context first', () => {
    const code: readonly Short[] = [[0xb7, 1, 0, 0, 0], [0xb7, 2, 0, 0, 1], KFUNC, ...EXIT];
    expect(ask('bpf_ring_queue_ready', code)).toBe('reject 2: arg#0 expected pointer to ctx, but got scalar');
    expect(ask('bpf_ring_queue_ready', code.slice(1))).toBe('accept');
  });
  it('are of this type alone', () =>
    expect(judge([[0xb7, 2, 0, 0, 1], KFUNC, ...EXIT], {}, 'xdp', { 1: 'bpf_ring_queue_ready' })).toBe(
      'reject 1: calling kernel function bpf_ring_queue_ready is not allowed',
    ));
  it('give regions that may be none, of the size asked for', () => {
    const region = (check: boolean, off: number, size: number): readonly Short[] => [
      [0xb7, 2, 0, 0, 0],
      [0xb7, 3, 0, 0, size],
      KFUNC,
      ...(check ? ([[0x15, 0, 0, 1, 0]] satisfies Short[]) : []),
      [0x72, 0, 0, off, 1],
      ...EXIT,
    ];
    expect(ask('bpf_ring_region', region(true, 4095, 4096))).toBe('accept');
    expect(ask('bpf_ring_region', region(false, 0, 4096))).toBe("reject 3: R0 invalid mem access 'mem_or_null'");
    expect(ask('bpf_ring_region', region(true, 4096, 4096))).toMatch(/^reject 4: invalid access to memory/);
  });
});
