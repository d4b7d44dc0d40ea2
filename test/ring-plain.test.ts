/** Requests that are alone take a short way (plane/assembly/ring/plain.ts): a run that does more with what it has emitted sees it as if it had not begun. */
import { describe, expect, it } from 'vitest';
import { pollEvents } from '../src/abi/io-uring/call-flags.ts';
import type { RingCallback } from '../src/hooks/ring/context.ts';
import { LINK_EXACT } from '../src/plane/layout/ring.ts';
import { E, noRing, pairs, RingBed, skipped, sqe } from './ring-testbed.ts';

const nop = (userData: number, result = 0) => sqe('nop', { result, userData });

/** Completions of what a function does on the completion of a nop, whose own is not told; and the bed. */
async function emitted(count: number, callback: (bed: RingBed) => RingCallback) {
  const bed = RingBed.open();
  const number = bed.ring.programs.add('emits', callback(bed));
  bed.stage(sqe('nop', { userData: 99, callback: number }));
  const told = pairs(bed.take(count, 2e9)).sort(([left], [right]) => left! - right!);
  const { issued, live, lastFault } = bed.ring;
  await bed.close();
  return { told, issued, live, lastFault };
}

describe.skipIf(noRing !== undefined)(`plain requests${skipped}`, () => {
  it('can be dropped and linked by the run that emitted them', async () => {
    const answers: number[] = [];
    const { told, issued, live } = await emitted(4, () => (context) => {
      const [first, second, third, fourth] = [nop(1, 5), nop(2), nop(3), nop(4)].map((each) => context.submit(each));
      answers.push(context.drop(second!), context.link(first!, third!, LINK_EXACT), context.cancel(second!));
      expect(fourth).toBeGreaterThan(0n);
      return 0;
    });
    // A nop of no bytes with a result: all of it was done.
    expect(told).toEqual([
      [1, 5],
      [2, E.CANCELED],
      [3, 0],
      [4, 0],
    ]);
    expect(answers).toEqual([0, 0, E.NOENT]);
    expect([issued, live]).toEqual([0, 0]);
  });

  it('can be cancelled through the ring before the kernel has them', async () => {
    const { told } = await emitted(2, (bed) => (context) => {
      context.submit(sqe('pollAdd', bed.pipe()[0], pollEvents.IN, { userData: 5 }));
      context.submit(nop(6));
      expect(bed.ring.cancel(5n)).toBe(true);
      expect(bed.ring.stats.cancelled).toBe(1n);
      return 0;
    });
    expect(told).toEqual([
      [5, E.CANCELED],
      [6, 0],
    ]);
  });

  it('do not begin where the run that emitted them fails', async () => {
    const failure = new Error('of the function');
    const { told, lastFault, live } = await emitted(2, () => (context) => {
      context.submit(nop(7));
      throw failure;
    });
    expect(told.filter(([userData]) => userData === 7)).toEqual([[7, E.CANCELED]]);
    expect(lastFault).toBe(failure);
    expect(live).toBe(0);
  });
});
