// Dynptrs, iterators and interrupt flags on the stack, and what else kfuncs are called with.
import { describe, expect, it } from 'vitest';
import type { MapSpec } from '../../object/spec.ts';
import { isFormat } from '../calls/const-string.ts';
import { judge, map, type Short } from '../testbed.ts';

const CALL: Short = [0x85, 0, 2, 0, -1];
const EXIT: readonly Short[] = [[0xb7, 0, 0, 0, 0], [0x95]];
/** r = r10 + off. */
const stack = (register: number, off: number): readonly Short[] => [
  [0xbf, register, 10],
  [0x07, register, 0, 0, off],
];
const constant = (register: number, value: number): Short => [0xb7, register, 0, 0, value];
const kfuncs = (code: readonly Short[], names: readonly string[]) => {
  const slots = code.flatMap((insn, slot) => (insn === CALL ? [slot] : []));
  return Object.fromEntries(slots.map((slot, i) => [slot, names[i]!]));
};
const tc = (code: readonly Short[], ...names: string[]) => judge(code, {}, 'sched_cls', kfuncs(code, names));

describe('dynptrs', () => {
  const fromSkb: readonly Short[] = [constant(2, 0), ...stack(3, -16), CALL];
  it('are used by calls', () =>
    expect(tc([...fromSkb, ...stack(1, -16), CALL, ...EXIT], 'bpf_dynptr_from_skb', 'bpf_dynptr_size')).toBe('accept'));
  it('must be there', () =>
    expect(tc([...stack(1, -16), CALL, ...EXIT], 'bpf_dynptr_size')).toBe(
      'reject 2: Expected an initialized dynptr as arg #0',
    ));
  it('are not read', () =>
    expect(tc([...fromSkb, [0x79, 1, 10, -16], ...EXIT], 'bpf_dynptr_from_skb')).toBe(
      'reject 4: invalid read from stack off -16+0 size 8',
    ));
  it('are void when a byte of them is overwritten', () =>
    expect(
      tc([...fromSkb, [0x72, 10, 0, -3, 1], ...stack(1, -16), CALL, ...EXIT], 'bpf_dynptr_from_skb', 'bpf_dynptr_size'),
    ).toBe('reject 7: Expected an initialized dynptr as arg #0'));
  it('slices end where the packet changes', () => {
    const slice: readonly Short[] = [...stack(1, -16), constant(2, 0), constant(3, 0), constant(4, 8), CALL];
    const read: readonly Short[] = [[0x15, 7, 0, 1, 0], [0x71, 0, 7, 0], ...EXIT];
    const code: readonly Short[] = [[0xbf, 6, 1], ...fromSkb, ...slice, [0xbf, 7, 0]];
    expect(tc([...code, ...read], 'bpf_dynptr_from_skb', 'bpf_dynptr_slice')).toBe('accept');
    const pull: readonly Short[] = [[0xbf, 1, 6], constant(2, 0), [0x85, 0, 0, 0, 39]];
    expect(tc([...code, ...pull, ...read], 'bpf_dynptr_from_skb', 'bpf_dynptr_slice')).toMatch(
      /R7 invalid mem access 'scalar'$/,
    );
  });
  it('of another program type', () =>
    expect(tc([...fromSkb, ...EXIT], 'bpf_dynptr_from_xdp')).toBe(
      'reject 3: calling kernel function bpf_dynptr_from_xdp is not allowed',
    ));
});

describe('iterators', () => {
  const begin: readonly Short[] = [...stack(1, -8), constant(2, 0), constant(3, 10), CALL];
  const end: readonly Short[] = [...stack(1, -8), CALL, ...EXIT];
  const names = ['bpf_iter_num_new', 'bpf_iter_num_next', 'bpf_iter_num_destroy'];
  it('a loop over one comes to an end, with a counter in it', () =>
    expect(
      tc(
        [
          ...begin,
          constant(6, 0),
          ...stack(1, -8),
          CALL,
          [0x15, 0, 0, 2, 0],
          [0x07, 6, 0, 0, 1],
          [0x05, 0, 0, -6],
          ...end,
        ],
        ...names,
      ),
    ).toBe('accept'));
  it('an element may be missing', () =>
    expect(tc([...begin, ...stack(1, -8), CALL, [0x61, 1, 0, 0], ...end], ...names)).toBe(
      "reject 8: R0 invalid mem access 'scalar'",
    ));
  it('must be destroyed', () =>
    expect(tc([...begin, ...EXIT], names[0]!)).toBe(
      'reject 6: Unreleased reference id=1 alloc_insn=4\nBPF_EXIT instruction in main prog would lead to reference leak',
    ));
  it('once', () =>
    expect(tc([...begin, ...stack(1, -8), CALL, ...end], names[0]!, names[2]!, names[2]!)).toBe(
      'reject 10: expected an initialized iter_num as arg #0',
    ));
  it('a loop inside one that goes nowhere is infinite', () =>
    expect(tc([...begin, ...stack(1, -8), CALL, [0x15, 0, 0, 1, 0], [0x05, 0, 0, -1], ...end], ...names)).toMatch(
      /infinite loop detected/,
    ));
});

describe('interrupt flags and preemption', () => {
  const save: readonly Short[] = [...stack(1, -8), CALL];
  it('are restored in reverse order', () => {
    const two: readonly Short[] = [...save, ...stack(1, -16), CALL];
    const names = ['bpf_local_irq_save', 'bpf_local_irq_save', 'bpf_local_irq_restore', 'bpf_local_irq_restore'];
    expect(tc([...two, ...stack(1, -16), CALL, ...save, ...EXIT], ...names)).toBe('accept');
    expect(tc([...two, ...save, ...EXIT], ...names)).toBe(
      'reject 8: cannot restore irq state out of order, expected id=2 acquired at insn_idx=5',
    );
  });
  it('may not be left', () =>
    expect(tc([...save, ...EXIT], 'bpf_local_irq_save')).toBe(
      'reject 4: BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region',
    ));
  it('preemption is enabled once for each time', () => {
    expect(tc([CALL, ...EXIT], 'bpf_preempt_disable')).toMatch(/bpf_preempt_disable-ed region$/);
    expect(tc([CALL, ...EXIT], 'bpf_preempt_enable')).toMatch(/unmatched attempt to enable preemption/);
  });
});

describe('exceptions', () => {
  it('end the path, with the cookie as the result', () => {
    expect(tc([constant(1, 0), CALL, ...EXIT], 'bpf_throw')).toBe('accept');
    const xdp = (cookie: number) => judge([constant(1, cookie), CALL, ...EXIT], {}, 'cgroup_sock', { 1: 'bpf_throw' });
    expect(xdp(1)).toBe('accept');
    expect(xdp(64)).toBe('reject 1: At program exit the register R1 has smin=64 smax=64 should have been in [0, 1]');
  });
});

describe('arenas', () => {
  const arena: MapSpec = { ...map, name: 'a', type: 'arena', keySize: 0, valueSize: 0, maxEntries: 1, flags: 1 << 10 };
  const refer: readonly Short[] = [[0x18, 1, 1], [0]];
  const cast: Short = [0xbf, 2, 2, 1, 1];
  const run = (...code: readonly Short[]) =>
    judge([...refer, constant(2, 64), ...code, ...EXIT], { 0: 'a' }, 'sched_cls', {}, [arena]);
  it('any arithmetic, any access', () =>
    expect(run(cast, [0x0f, 2, 2], [0x27, 2, 0, 0, 3], [0x7b, 2, 1, 40], [0x79, 3, 2, -8])).toBe('accept'));
  it('only after the cast', () => expect(run([0x79, 3, 2, 0])).toBe("reject 3: R2 invalid mem access 'scalar'"));
  it('not without an arena', () =>
    expect(judge([constant(2, 0), cast, ...EXIT])).toBe(
      'reject 1: addr_space_cast insn can only be used in a program that has an associated arena',
    ));
});

describe('format strings', () => {
  const takes = (text: string, count: number) => isFormat(new TextEncoder().encode(text), count);
  it('take what the kernel prints', () => {
    expect(takes('%d %+05llu %-8x%% %s %pI4 %pks.', 6)).toBe(true);
    expect(takes('übrig %c', 1)).toBe(true);
  });
  it('and nothing else', () => {
    for (const text of ['%', '%f', '%sd', '%pz', '%pI5', '\x07']) expect(takes(text, 3), text).toBe(false);
    expect(takes('%d %d', 1)).toBe(false);
  });
});
