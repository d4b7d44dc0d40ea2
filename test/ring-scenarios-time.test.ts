/** Timeouts, waits, cancellation and polls on the real kernel: liburing's scenarios 15 to 21 of research/ring.md, section 5. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollEvents } from '../src/abi/io-uring/call-flags.ts';
import { registerOpcodes } from '../src/abi/io-uring/ring-flags.ts';
import { CQE_F_MORE } from '../src/plane/layout/sqe.ts';
import { E, noRing, pairs, RingBed, skipped, sorted, sqe, type Writer } from './ring-testbed.ts';

describe.skipIf(noRing !== undefined)(`time and cancellation${skipped}`, () => {
  let bed: RingBed;
  beforeEach(() => {
    bed = RingBed.open();
  });
  afterEach(() => bed.close());

  const nop = (result = 0, options: object = {}) => sqe('nop', { result, ...options });
  const timeout = (ns: number, options: object = {}) => sqe('timeout', bed.timespec(ns), options);
  const run = (...writers: readonly Writer[]) => pairs(bed.run(...writers));
  const empty = (options: object = {}) => sqe('read', bed.pipe()[0], bed.allocate(8), 8, -1, options);
  /** Handed over, without waiting. */
  const begin = (...writers: readonly Writer[]) => {
    bed.stage(...writers);
    bed.ring.submit();
  };
  const elapsed = (of: () => void) => {
    const start = performance.now();
    of();
    return performance.now() - start;
  };

  describe('15: timeouts', () => {
    it('in the order of their times', () => {
      expect(run(timeout(6e6), timeout(2e6), timeout(4e6)).map(([which]) => which)).toEqual([2, 3, 1]);
    });

    it('relative, absolute, on each clock', () => {
      const monotonic = performance.timeOrigin === 0 ? 0 : Number(process.hrtime.bigint());
      const took = elapsed(() => {
        expect(run(timeout(monotonic + 5e6, { absolute: true }))).toEqual([[1, E.TIME]]);
      });
      expect(took).toBeGreaterThan(3);
      const realtime = bed.timespec(BigInt(Date.now() + 5) * 1_000_000n);
      expect(run(sqe('timeout', realtime, { absolute: true, clock: 'realtime' }))).toEqual([[1, E.TIME]]);
      expect(run(timeout(1e6, { clock: 'boottime' }))).toEqual([[1, E.TIME]]);
      expect(run(timeout(0))).toEqual([[1, E.TIME]]);
    });

    it('after a number of completions', () => {
      begin(timeout(10e9, { count: 2, userData: 9 }));
      expect(bed.ring.completions.length).toBe(0);
      bed.stage(nop(), nop());
      expect(sorted(bed.take(3))).toEqual([
        [1, 0],
        [2, 0],
        [9, 0],
      ]);
    });

    it('gets another time, is removed, or is not there', () => {
      begin(timeout(100e9, { userData: 7 }));
      expect(run(sqe('timeoutUpdate', 7, bed.timespec(1e6)))).toContainEqual([1, 0]);
      expect(pairs(bed.take(1))).toEqual([[7, E.TIME]]);
      begin(timeout(100e9, { userData: 8 }));
      expect(sorted(bed.collect(2, sqe('timeoutRemove', 8)))).toEqual([
        [1, 0],
        [8, E.CANCELED],
      ]);
      expect(run(sqe('timeoutRemove', 8), sqe('timeoutUpdate', 8, bed.timespec(1)))).toEqual([
        [1, E.NOENT],
        [2, E.NOENT],
      ]);
    });

    it('again and again, as often as asked', () => {
      bed.stage(timeout(1e6, { multishot: true, count: 4 }));
      const cqes = bed.take(4);
      expect(cqes.map(({ res }) => res)).toEqual([E.TIME, E.TIME, E.TIME, E.TIME]);
      expect(cqes.map(({ flags }) => flags & CQE_F_MORE)).toEqual([CQE_F_MORE, CQE_F_MORE, CQE_F_MORE, 0]);
      begin(timeout(1e6, { multishot: true, userData: 5 }));
      expect(bed.take(3).length).toBeGreaterThanOrEqual(3);
      expect(bed.ring.cancel(5n)).toBe(true);
      let last = bed.take(1);
      while ((last.at(-1)!.flags & CQE_F_MORE) !== 0) last = bed.take(1);
      expect(last.at(-1)!.res).toBe(E.CANCELED);
    });

    it('is no failure for links if it says so', () => {
      expect(run(timeout(1e6, { etimeSuccess: true, link: true }), nop(2, { link: true }), nop(3))).toEqual([
        [1, E.TIME],
        [2, 2],
        [3, 3],
      ]);
    });

    it('a time that is none', () => {
      const time = bed.timespec(0);
      bed.runtime.view().setBigInt64(time, -1n, true);
      expect(run(sqe('timeout', time))).toEqual([[1, E.INVAL]]);
    });
  });

  describe('16, 17: waiting', () => {
    it('for completions, for a time at most', () => {
      begin(timeout(50e6));
      const took = elapsed(() => expect(bed.ring.submitAndWait(1, 5e6)).toBe(0));
      expect(took).toBeGreaterThan(4);
      expect(took).toBeLessThan(45);
      expect(pairs(bed.take(1))).toEqual([[1, E.TIME]]);
    });

    it('not at all, without anything to wait for', () => {
      expect(elapsed(() => expect(bed.ring.submitAndWait(5)).toBe(0))).toBeLessThan(20);
      expect(elapsed(() => expect(bed.run(nop()).length).toBe(1))).toBeLessThan(20);
    });

    it('for several, which come one by one', () => {
      bed.stage(timeout(1e6), timeout(2e6), timeout(3e6));
      expect(bed.ring.submitAndWait(3)).toBe(3);
      expect(bed.take(0)).toHaveLength(3);
    });

    it('of the event loop, which goes on', async () => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      await expect(bed.ring.request('timeout', timeout(20e6))).rejects.toMatchObject({ errno: 'ETIME' });
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(2);
    });
  });

  describe('18, 19: cancellation', () => {
    it('by user_data, whatever the request waits for', () => {
      const kinds: readonly Writer[] = [
        empty({ userData: 50 }),
        timeout(100e9, { userData: 50 }),
        sqe('pollAdd', bed.pipe()[0], pollEvents.IN, { userData: 50 }),
        sqe('recv', bed.sockets()[0], bed.allocate(8), 8, { userData: 50 }),
        sqe('accept', bed.listener().fd, { userData: 50 }),
      ];
      for (const kind of kinds) {
        begin(kind);
        expect(sorted(bed.collect(2, sqe('cancel', { userData: 50 })))).toEqual([
          [1, 0],
          [50, E.CANCELED],
        ]);
      }
      expect(run(sqe('cancel', { userData: 50 }))).toEqual([[1, E.NOENT]]);
    });

    it('one of several with the same user_data, or all', () => {
      begin(empty({ userData: 50 }), empty({ userData: 50 }), empty({ userData: 50 }));
      expect(sorted(bed.collect(2, sqe('cancel', { userData: 50 })))).toEqual([
        [1, 0],
        [50, E.CANCELED],
      ]);
      expect(sorted(bed.collect(3, sqe('cancel', { userData: 50, all: true })))).toEqual([
        [1, 2],
        [50, E.CANCELED],
        [50, E.CANCELED],
      ]);
    });

    it('by descriptor: first, all, with user_data', () => {
      const [read] = bed.pipe();
      const [other] = bed.pipe();
      const at = bed.allocate(8);
      const reads = () =>
        begin(
          sqe('read', read, at, 8, -1, { userData: 11 }),
          sqe('read', read, at, 8, -1, { userData: 12 }),
          sqe('read', other, at, 8, -1, { userData: 13 }),
        );
      reads();
      expect(sorted(bed.collect(3, sqe('cancel', { fd: read, all: true })))).toEqual([
        [1, 2],
        [11, E.CANCELED],
        [12, E.CANCELED],
      ]);
      expect(sorted(bed.collect(2, sqe('cancel', { fd: other })))).toEqual([
        [1, 0],
        [13, E.CANCELED],
      ]);
      reads();
      expect(sorted(bed.collect(2, sqe('cancel', { fd: read, userData: 12 })))).toEqual([
        [1, 0],
        [12, E.CANCELED],
      ]);
      expect(run(sqe('cancel', { fd: read, userData: 13 }))).toEqual([[1, E.NOENT]]);
      expect(run(sqe('cancel', { fd: read, userData: 13, all: true }))).toEqual([[1, 0]]);
      expect(sorted(bed.collect(3, sqe('cancel', { any: true })))).toEqual([
        [1, 2],
        [11, E.CANCELED],
        [13, E.CANCELED],
      ]);
    });

    it('by registered file', () => {
      const [read] = bed.pipe();
      bed.registerFiles(read);
      begin(sqe('read', 0, bed.allocate(8), 8, -1, { fixedFile: true, userData: 21 }));
      expect(sorted(bed.collect(2, sqe('cancel', { fd: 0, fixed: true, all: true })))).toEqual([
        [1, 1],
        [21, E.CANCELED],
      ]);
    });

    it('by opcode', () => {
      begin(
        empty({ userData: 31 }),
        timeout(100e9, { userData: 32 }),
        sqe('pollAdd', bed.pipe()[0], pollEvents.IN, { userData: 33 }),
      );
      expect(sorted(bed.collect(2, sqe('cancel', { opcode: 'poll_add' })))).toEqual([
        [1, 0],
        [33, E.CANCELED],
      ]);
      expect(sorted(bed.collect(2, sqe('cancel', { opcode: 'read', all: true })))).toEqual([
        [1, 1],
        [31, E.CANCELED],
      ]);
      expect(sorted(bed.collect(2, sqe('cancel', { opcode: 'timeout', userData: 32 })))).toEqual([
        [1, 0],
        [32, E.CANCELED],
      ]);
    });

    it('of what has not begun: chains, drains and what is armed end at once', () => {
      begin(
        timeout(100e9, { userData: 41, link: true }),
        nop(0, { userData: 42 }),
        nop(0, { userData: 43, drain: true }),
      );
      // In a group of their own: what is staged behind a drain waits for it, cancellations too.
      const cancels = [43, 42].map((userData) => sqe('cancel', { userData }, { group: 3 }));
      expect(sorted(bed.collect(4, ...cancels))).toEqual([
        [1, 0],
        [2, 0],
        [42, E.CANCELED],
        [43, E.CANCELED],
      ]);
      expect(bed.ring.cancel(41n)).toBe(true);
      expect(pairs(bed.take(1))).toEqual([[41, E.CANCELED]]);
    });

    it('races with completion: whoever wins, there is one completion, and its result is true', () => {
      const at = bed.allocate(8);
      let cancelled = 0;
      let done = 0;
      for (let i = 0; i < 300; i++) {
        const [read, write] = bed.pipe();
        begin(sqe('read', read, at, 8, -1, { userData: 1000 + i }));
        if (i % 3 !== 0) bed.write(write, 'x');
        if (i % 3 === 1) bed.ring.submit();
        bed.stage(sqe('cancel', { userData: 1000 + i }, { userData: 9 }));
        if (i % 3 === 0) bed.write(write, 'x');
        const results = new Map(pairs(bed.take(2)));
        expect(results.size).toBe(2);
        const [res, answer] = [results.get(1000 + i)!, results.get(9)!];
        if (res === E.CANCELED) {
          cancelled++;
          expect(answer).toBe(0);
          // What was not read is still there.
          expect(bed.read(read, 8)).toBe('x');
        } else {
          done++;
          expect(res).toBe(1);
          expect([E.NOENT, E.ALREADY, 0]).toContain(answer);
        }
        bed.shut(read);
        bed.shut(write);
      }
      expect(cancelled + done).toBe(300);
      expect(done).toBeGreaterThan(0);
    });

    it('by AbortSignal, before and in the middle', async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const requests = [empty(), timeout(100e9), empty()].map((write) => bed.ring.request('x', write, { signal }));
      const settled = Promise.allSettled(requests);
      setTimeout(() => controller.abort(), 2);
      for (const each of await settled)
        expect(each).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } });
      expect(() => bed.ring.request('x', nop(), { signal })).toThrow();
    });
  });

  describe('20: synchronous cancellation', () => {
    /** struct io_uring_sync_cancel_reg: u64 addr, s32 fd, u32 flags, timespec, u8 opcode. */
    const syncCancel = (fd: number, flags: number, ns: bigint) => {
      const at = bed.allocate(64);
      const view = bed.runtime.view();
      view.setInt32(at + 8, fd, true);
      view.setUint32(at + 12, flags, true);
      view.setBigInt64(at + 16, ns < 0n ? -1n : ns / 1_000_000_000n, true);
      view.setBigInt64(at + 24, ns < 0n ? -1n : ns % 1_000_000_000n, true);
      return bed.backend.register(registerOpcodes.SYNC_CANCEL, at, 1);
    };
    const FD = 2;
    const ALL = 1;

    it('by descriptor; the completions come as usual', () => {
      const [read] = bed.pipe();
      const at = bed.allocate(8);
      begin(sqe('read', read, at, 8, -1), sqe('read', read, at, 8, -1));
      expect(syncCancel(read, FD | ALL, -1n)).toBe(2);
      expect(pairs(bed.take(2))).toEqual([
        [1, E.CANCELED],
        [2, E.CANCELED],
      ]);
      expect(syncCancel(read, FD, -1n)).toBe(E.NOENT);
    });
  });

  describe('21: polls', () => {
    it('ready at once, later, or for another reason', () => {
      const [read, write] = bed.pipe();
      expect(run(sqe('pollAdd', write, pollEvents.OUT))).toEqual([[1, pollEvents.OUT]]);
      begin(sqe('pollAdd', read, pollEvents.IN));
      bed.write(write, 'x');
      expect(pairs(bed.take(1))).toEqual([[1, pollEvents.IN]]);
      expect(bed.read(read, 8)).toBe('x');
      begin(sqe('pollAdd', read, pollEvents.IN));
      bed.shut(write);
      expect(pairs(bed.take(1))).toEqual([[1, pollEvents.HUP]]);
    });

    it('is removed', () => {
      const [read] = bed.pipe();
      begin(sqe('pollAdd', read, pollEvents.IN, { userData: 60 }));
      expect(sorted(bed.collect(2, sqe('pollRemove', 60)))).toEqual([
        [1, 0],
        [60, E.CANCELED],
      ]);
      expect(run(sqe('pollRemove', 60))).toEqual([[1, E.NOENT]]);
    });

    it('each time, until it is removed', () => {
      const [read, write] = bed.pipe();
      begin(sqe('pollAdd', read, pollEvents.IN, { multishot: true, userData: 61 }));
      for (let i = 0; i < 5; i++) {
        bed.write(write, 'x');
        expect(bed.take(1)).toEqual([{ userData: 61, res: pollEvents.IN, flags: CQE_F_MORE }]);
        expect(bed.read(read, 8)).toBe('x');
      }
      expect(sorted(bed.collect(2, sqe('pollRemove', 61)))).toEqual([
        [1, 0],
        [61, E.CANCELED],
      ]);
    });

    it('gets another name alone', () => {
      const [read, write] = bed.pipe();
      begin(sqe('pollAdd', read, pollEvents.IN, { userData: 64 }));
      expect(run(sqe('pollUpdate', 64, { newUserData: 65 }), sqe('pollUpdate', 99, { newUserData: 66 }))).toEqual([
        [1, 0],
        [2, E.NOENT],
      ]);
      bed.write(write, 'x');
      expect(pairs(bed.take(1))).toEqual([[65, pollEvents.IN]]);
    });

    it('gets other events, and another name', () => {
      const [read, write] = bed.sockets();
      begin(sqe('pollAdd', read, pollEvents.PRI, { multishot: true, userData: 62 }));
      bed.write(write, 'x');
      expect(bed.take(0)).toEqual([]);
      const update = bed.run(
        sqe('pollUpdate', 62, { events: pollEvents.IN, newUserData: 63, multishot: true, userData: 5 }),
      );
      const all = [...update, ...bed.take(update.length > 1 ? 0 : 1)];
      expect(pairs(all)).toContainEqual([5, 0]);
      expect(pairs(all)).toContainEqual([63, pollEvents.IN]);
      expect(bed.ring.cancel(62n)).toBe(false);
      expect(bed.ring.cancel(63n)).toBe(true);
      expect(pairs(bed.take(1))).toEqual([[63, E.CANCELED]]);
    });
  });
});
