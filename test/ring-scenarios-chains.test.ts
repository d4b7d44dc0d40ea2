/** Chains on the real kernel: liburing's scenarios 1 to 10, 12 to 14 of research/ring.md, section 5. */
import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFlags, pollEvents, socketTypes } from '../src/abi/io-uring/call-flags.ts';
import { opcodes } from '../src/abi/io-uring/opcodes.ts';
import { FILE_INDEX_ALLOC } from '../src/abi/io-uring/request-flags.ts';
import {
  LINK_ALWAYS,
  LINK_EOF_OK,
  LINK_PASS_FD,
  LINK_PASS_LENGTH,
  LINK_PASS_OFFSET,
  LINK_RETRY_REST,
  LINK_SHORT_OK,
  RING_FINALLY,
  RING_HIDDEN,
  RING_QUIET_CANCEL,
} from '../src/plane/layout/ring.ts';
import { descriptors, E, noRing, pairs, RingBed, raw, skipped, sorted, sqe, type Writer } from './ring-testbed.ts';

const link = { link: true } as const;
const hard = { hardlink: true } as const;
const skip = { skipSuccess: true } as const;

describe.skipIf(noRing !== undefined)(`chains${skipped}`, () => {
  let bed: RingBed;
  beforeEach(() => {
    bed = RingBed.open();
  });
  afterEach(() => bed.close());

  const nop = (result = 0, options: object = {}) => sqe('nop', { result, ...options });
  const run = (...writers: readonly Writer[]) => pairs(bed.run(...writers));

  describe('1: links', () => {
    it('one, and two beside each other', () => {
      expect(run(nop(0, link), nop())).toEqual([
        [1, 0],
        [2, 0],
      ]);
      expect(sorted(bed.run(nop(0, link), nop(E.IO), nop(0, link), nop(7)))).toEqual([
        [1, 0],
        [2, E.IO],
        [3, 0],
        [4, 7],
      ]);
    });

    it('what fails early cancels the whole rest, and nothing else', () => {
      const chain = Array.from({ length: 20 }, (_, i) => nop(i === 3 ? E.IO : i, i < 19 ? link : {}));
      const results = sorted(bed.run(...chain, nop(99)));
      expect(results.map(([, res]) => res)).toEqual([0, 1, 2, E.IO, ...new Array(16).fill(E.CANCELED), 99]);
    });

    it('hard links go on after failures, plain ones not', () => {
      expect(run(nop(E.IO, hard), nop(E.NXIO, hard), nop(1))).toEqual([
        [1, E.IO],
        [2, E.NXIO],
        [3, 1],
      ]);
    });

    it('chains that are longer than the kernel’s queue', () => {
      const results = run(...Array.from({ length: 500 }, (_, i) => nop(i, i < 499 ? link : {})));
      expect(results).toEqual(Array.from({ length: 500 }, (_, i) => [i + 1, i]));
    });

    it('chains across the end of the staging ring stay whole', async () => {
      const small = RingBed.open({ staged: 8 });
      const ended: number[][] = [];
      for (let chain = 0; chain < 50; chain++)
        for (let i = 0; i < 3; i++) {
          small.ring.stage((view, at) => nop(i === 0 ? E.IO : 0, i < 2 ? link : {})(view, at));
        }
      for (const { res } of small.take(150)) ended.push([res]);
      expect(ended.flat().filter((res) => res === E.IO)).toHaveLength(50);
      expect(ended.flat().filter((res) => res === E.CANCELED)).toHaveLength(100);
      await small.close();
    });

    it('a chain that finds no place in the staging ring is refused as a whole', async () => {
      const small = RingBed.open({ staged: 4 });
      small.stage(nop(7));
      const promise = small.ring.request('nop', nop(0, link));
      for (let i = 0; i < 3; i++) small.ring.stage(nop(0, link));
      expect(() => small.ring.stage(nop())).toThrow('a chain of more than 4 requests');
      await expect(promise).rejects.toMatchObject({ errno: 'ECANCELED' });
      small.stage(nop(8));
      expect(pairs(small.take(2))).toEqual([
        [1, 7],
        [1, 8],
      ]);
      await small.close();
    });

    it('a chain of more requests than the ring has room for, too', async () => {
      const small = RingBed.open({ requests: 4 });
      expect(pairs(small.run(...Array.from({ length: 6 }, (_, i) => nop(i, i < 5 ? link : {})), nop(9)))).toEqual([
        [1, E.TWOBIG],
        [2, E.TWOBIG],
        [3, E.TWOBIG],
        [4, E.TWOBIG],
        [5, E.TWOBIG],
        [6, E.TWOBIG],
        [7, 9],
      ]);
      await small.close();
    });
  });

  describe('2: completions that are skipped', () => {
    it('successes are, failures never', () => {
      expect(run(nop(0, skip), nop(E.IO, skip), nop(0))).toEqual([
        [2, E.IO],
        [3, 0],
      ]);
    });

    it('in links and hard links', () => {
      expect(run(nop(0, { ...link, ...skip }), nop(E.IO, { ...link, ...skip }), nop(0, skip))).toEqual([
        [2, E.IO],
        [3, E.CANCELED],
      ]);
      expect(run(nop(E.IO, { ...hard, ...skip }), nop(0, { ...hard, ...skip }), nop(5))).toEqual([
        [1, E.IO],
        [3, 5],
      ]);
    });

    it('with a timeout that fires, and one that does not', () => {
      const [read] = bed.pipe();
      const fired = run(
        sqe('read', read, bed.allocate(8), 8, -1, { ...link, ...skip }),
        sqe('linkTimeout', bed.timespec(1e6), skip),
      );
      expect(fired.sort((a, b) => a[0] - b[0])).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
      // One that is not needed any more ends with ECANCELED, which is no success.
      expect(run(nop(0, { ...link, ...skip }), sqe('linkTimeout', bed.timespec(1e9), skip))).toEqual([[2, E.CANCELED]]);
    });
  });

  describe('3: timeouts of links', () => {
    const empty = (options: object = {}) => sqe('read', bed.pipe()[0], bed.allocate(8), 8, -1, options);
    const limit = (ns: number, options: object = {}) => sqe('linkTimeout', bed.timespec(ns), options);

    it('chain 1: after a request that hangs', () => {
      expect(sorted(bed.run(empty(link), limit(1e6)))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
    });

    it('chain 2: of the second request', () => {
      expect(sorted(bed.run(nop(0, link), empty(link), limit(1e6)))).toEqual([
        [1, 0],
        [2, E.CANCELED],
        [3, E.TIME],
      ]);
    });

    it('chain 3: what follows is cancelled', () => {
      expect(sorted(bed.run(empty(link), limit(1e6, link), nop(0, link), nop()))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
        [3, E.CANCELED],
        [4, E.CANCELED],
      ]);
    });

    it('chain 4: what follows by a hard link goes on', () => {
      expect(sorted(bed.run(empty(hard), limit(1e6, link), nop(4)))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
        [3, 4],
      ]);
    });

    it('chain 5: one for each of several requests', () => {
      expect(sorted(bed.run(nop(0, link), limit(1e9, link), empty(link), limit(1e6, link), nop()))).toEqual([
        [1, 0],
        [2, E.CANCELED],
        [3, E.CANCELED],
        [4, E.TIME],
        [5, E.CANCELED],
      ]);
    });

    it('a request that fails at once ends its timeout', () => {
      expect(sorted(bed.run(nop(E.IO, link), limit(1e9)))).toEqual([
        [1, E.IO],
        [2, E.CANCELED],
      ]);
      expect(sorted(bed.run(nop(E.IO, link), empty(link), limit(1e9)))).toEqual([
        [1, E.IO],
        [2, E.CANCELED],
        [3, E.CANCELED],
      ]);
    });

    it('alone it is nothing, nor behind another timeout', () => {
      expect(run(limit(1e6))).toEqual([[1, E.INVAL]]);
      const results = sorted(bed.run(empty(link), limit(2e6, link), limit(1e6)));
      expect(results.slice(0, 2)).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
      expect([E.INVAL, E.CANCELED]).toContain(results[2]?.[1]);
    });

    it('a timeout has a timeout (ception)', () => {
      expect(sorted(bed.run(sqe('timeout', bed.timespec(1e9), link), limit(1e6)))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
    });

    it('gets another time while it runs', () => {
      bed.stage(empty({ ...link, userData: 1 }), limit(100e9, { userData: 2 }));
      bed.ring.submit();
      expect(run(sqe('timeoutUpdate', 2, bed.timespec(1e6), { linked: true, userData: 3 }))).toContainEqual([3, 0]);
      expect(sorted(bed.take(2))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
    });

    it('a point in time that is past', () => {
      expect(sorted(bed.run(empty(link), limit(1, { absolute: true })))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
      ]);
    });

    it('is cancelled with its request', () => {
      bed.stage(empty(link), limit(100e9));
      bed.ring.submit();
      expect(bed.ring.cancel(1n)).toBe(true);
      expect(sorted(bed.take(2))).toEqual([
        [1, E.CANCELED],
        [2, E.CANCELED],
      ]);
    });
  });

  describe('4 to 6: drains', () => {
    it('waits for all before it, and holds up all behind it', () => {
      const order = run(
        sqe('timeout', bed.timespec(3e6)),
        sqe('timeout', bed.timespec(1e6)),
        nop(3, { drain: true }),
        nop(4),
        nop(5),
      );
      expect(order).toEqual([
        [2, E.TIME],
        [1, E.TIME],
        [3, 3],
        [4, 4],
        [5, 5],
      ]);
    });

    it('chains drain as a whole', () => {
      expect(run(sqe('timeout', bed.timespec(1e6)), nop(2, { drain: true, ...link }), nop(3), nop(4))).toEqual([
        [1, E.TIME],
        [2, 2],
        [3, 3],
        [4, 4],
      ]);
    });

    it('other groups go on', () => {
      bed.ring.setGroup(1, { parallel: true });
      const order = run(
        sqe('timeout', bed.timespec(3e6), { group: 1 }),
        nop(2, { drain: true, group: 1 }),
        nop(3),
        nop(4, { drain: true }),
        nop(5, { group: 1 }),
      );
      expect(order).toEqual([
        [3, 3],
        [4, 4],
        [1, E.TIME],
        [2, 2],
        [5, 5],
      ]);
    });

    it('requests of a serial group follow each other', () => {
      const order = run(
        sqe('timeout', bed.timespec(2e6), { group: 2 }),
        nop(E.IO, { group: 2 }),
        nop(3, { group: 2 }),
        nop(4),
      );
      expect(order).toEqual([
        [4, 4],
        [1, E.TIME],
        [2, E.IO],
        [3, 3],
      ]);
    });

    it('those that wait are cancelled, and whoever waited for them goes on', () => {
      bed.stage(sqe('timeout', bed.timespec(10e6)), nop(2, { drain: true, ...link }), nop(3), nop(4, { drain: true }));
      bed.ring.submit();
      expect(bed.ring.cancel(2n)).toBe(true);
      expect(pairs(bed.take(4))).toEqual([
        [2, E.CANCELED],
        [3, E.CANCELED],
        [1, E.TIME],
        [4, 4],
      ]);
    });

    it('any order of requests, multishot ones among them (6)', async () => {
      // Requests of several kinds, drains in between, from a seed: each completes after all that a drain put before it.
      let seed = 20260;
      const random = (below: number) => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return (seed >>> 8) % below;
      };
      for (let round = 0; round < 40; round++) {
        const count = 5 + random(25);
        const epochs: number[] = [];
        const writers: Writer[] = [];
        let epoch = 0;
        const shots = new Map<number, number>();
        for (let i = 0; i < count; i++) {
          const drain = random(4) === 0;
          if (drain) epoch++;
          epochs.push(epoch);
          const kind = random(3);
          if (kind === 0) writers.push(nop(i, { drain }));
          else if (kind === 1) writers.push(sqe('timeout', bed.timespec(random(300) * 1000), { drain }));
          else {
            const shotCount = 1 + random(3);
            shots.set(i, shotCount);
            writers.push(sqe('timeout', bed.timespec(20_000), { drain, multishot: true, count: shotCount }));
          }
          // A drain is followed by the next epoch.
          if (drain) epoch++;
        }
        bed.stage(...writers);
        const total = count + [...shots.values()].reduce((sum, each) => sum + each - 1, 0);
        const cqes = bed.take(total);
        expect(cqes).toHaveLength(total);
        let last = -1;
        const seen = new Map<number, number>();
        for (const { userData } of cqes) {
          seen.set(userData, (seen.get(userData) ?? 0) + 1);
          const of = epochs[userData - 1]!;
          expect(of, `round ${round}`).toBeGreaterThanOrEqual(last);
          last = of;
        }
        for (const [i, expected] of shots) expect(seen.get(i + 1)).toBe(expected);
      }
    }, 20_000);
  });

  describe('7: requests that cannot be', () => {
    for (let place = 0; place < 4; place++)
      it(`at place ${place + 1} of a chain of four: what is before it is done, what is behind it is cancelled`, () => {
        const chain = Array.from({ length: 4 }, (_, i) =>
          i === place ? raw(200, i < 3 ? 4 : 0) : nop(i + 1, i < 3 ? link : {}),
        );
        expect(run(...chain).map(([, res]) => res)).toEqual(
          [0, 1, 2, 3].map((i) => (i < place ? i + 1 : i === place ? E.INVAL : E.CANCELED)),
        );
      });

    it('hard links go on behind it', () => {
      expect(run(raw(200, 8), nop(2))).toEqual([
        [1, E.INVAL],
        [2, 2],
      ]);
    });

    it('one that only the kernel refuses', () => {
      const bad: Writer = (view, at) => {
        nop(0, link)(view, at);
        view.setUint32(at + 28, 0x8000, true);
      };
      expect(sorted(bed.run(nop(1, link), bad, nop(3), nop(4)))).toEqual([
        [1, 1],
        [2, E.INVAL],
        [3, E.CANCELED],
        [4, 4],
      ]);
    });

    it('queues, callbacks and groups that are not there', () => {
      expect(sorted(bed.run(nop(0, { queue: 77 }), nop(0, { callback: 77 }), nop(0, { group: 60000 })))).toEqual([
        [1, E.INVAL],
        [2, E.INVAL],
        [3, E.INVAL],
      ]);
    });
  });

  describe('8: short reads', () => {
    const file = () => bed.file('data', 'abcdefghij');

    it('end a link, unless its policy says otherwise', () => {
      const at = bed.allocate(64);
      expect(run(sqe('read', file(), at, 64, 4, link), nop())).toEqual([
        [1, 6],
        [2, E.CANCELED],
      ]);
      expect(bed.text(at, 6)).toBe('efghij');
      expect(run(sqe('read', file(), at, 64, 4, { ...link, policy: LINK_SHORT_OK }), nop())).toEqual([
        [1, 6],
        [2, 0],
      ]);
      expect(run(sqe('read', file(), at, 64, 4, { ...link, policy: LINK_RETRY_REST }), nop())).toEqual([
        [1, 6],
        [2, E.CANCELED],
      ]);
      expect(run(sqe('read', file(), at, 64, 4, { ...link, policy: LINK_EOF_OK }), nop())).toEqual([
        [1, 6],
        [2, 0],
      ]);
      expect(run(sqe('read', file(), at, 64, 4, { ...link, policy: LINK_ALWAYS }), nop())).toEqual([
        [1, 6],
        [2, 0],
      ]);
    });

    it('what is missing is read as it comes: pipes and sockets', async () => {
      const [read, write] = bed.pipe();
      const [near, far] = bed.sockets();
      const at = bed.allocate(64);
      bed.write(write, 'abc');
      bed.write(far, 'ABC');
      bed.stage(
        sqe('read', read, at, 6, -1, { ...link, policy: LINK_RETRY_REST }),
        nop(2),
        sqe('recv', near, at + 32, 6, { ...link, policy: LINK_RETRY_REST }),
        nop(4),
      );
      bed.ring.submit();
      expect(bed.ring.completions.length).toBe(0);
      bed.write(write, 'd');
      bed.write(far, 'D');
      bed.ring.submit();
      bed.write(write, 'ef');
      bed.write(far, 'EF');
      expect(sorted(bed.take(4))).toEqual([
        [1, 6],
        [2, 2],
        [3, 6],
        [4, 4],
      ]);
      expect([bed.text(at, 6), bed.text(at + 32, 6)]).toEqual(['abcdef', 'ABCDEF']);
    });

    it('splices what is left', () => {
      const [read, write] = bed.pipe();
      const to = bed.file('to', '');
      bed.write(write, 'abc');
      bed.stage(sqe('splice', read, -1, to, 0, 6, { ...link, policy: LINK_RETRY_REST }), nop(2));
      bed.ring.submit();
      bed.write(write, 'def');
      expect(pairs(bed.take(2))).toEqual([
        [1, 6],
        [2, 2],
      ]);
      expect(bed.content('to')).toBe('abcdef');
    });

    it('a peer that goes in the middle: what came is told, and the chain ends', () => {
      const [near, far] = bed.sockets();
      const at = bed.allocate(64);
      bed.write(far, 'abc');
      bed.stage(sqe('recv', near, at, 6, { ...link, policy: LINK_RETRY_REST }), nop());
      bed.ring.submit();
      bed.shut(far);
      expect(pairs(bed.take(2))).toEqual([
        [1, 3],
        [2, E.CANCELED],
      ]);
    });

    it('the result becomes the next one’s length', () => {
      const at = bed.allocate(64);
      const to = bed.file('to', '');
      const read = sqe('read', file(), at, 64, 0, { ...link, policy: LINK_SHORT_OK | LINK_PASS_LENGTH });
      expect(run(read, sqe('write', to, at, 64, 0))).toEqual([
        [1, 10],
        [2, 10],
      ]);
      expect(bed.content('to')).toBe('abcdefghij');
    });

    it('is added to its offset', () => {
      const at = bed.allocate(64);
      const to = bed.file('to', '____________');
      const read = sqe('read', file(), at, 64, 7, { ...link, policy: LINK_SHORT_OK | LINK_PASS_OFFSET });
      expect(run(read, sqe('write', to, at, 3, 2))).toEqual([
        [1, 3],
        [2, 3],
      ]);
      expect(bed.content('to')).toBe('_____hij____');
    });

    it('becomes its descriptor', () => {
      file();
      const at = bed.allocate(64);
      const open = sqe('openat', bed.put(bed.path('data')), openFlags.CLOEXEC, 0, { ...link, policy: LINK_PASS_FD });
      const [opened, read] = run(open, sqe('read', -1, at, 64, 0));
      expect(read).toEqual([2, 10]);
      closeSync(opened![1]);
    });
  });

  describe('9, 10, 12: registered files in chains', () => {
    it('a chain of reads and writes over them (9)', () => {
      const from = bed.file('from', 'fixed file');
      const to = bed.file('to', '');
      bed.registerFiles(from, to);
      const at = bed.allocate(64);
      const fixed = { fixedFile: true } as const;
      expect(
        run(
          sqe('read', 0, at, 10, 0, { ...fixed, ...link }),
          sqe('write', 1, at, 10, 0, { ...fixed, ...link }),
          sqe('fsync', 1, { ...fixed, ...link }),
          sqe('read', 9, at, 10, 0, { ...fixed, ...link }),
          nop(),
        ).map(([, res]) => res),
      ).toEqual([10, 10, 0, E.BADF, E.CANCELED]);
      expect(bed.content('to')).toBe('fixed file');
    });

    it('a file that the request before it has opened (10)', () => {
      bed.file('data', 'opened in a slot');
      bed.registerFiles(-1, -1);
      const before = descriptors();
      const at = bed.allocate(64);
      for (let i = 0; i < 3; i++)
        expect(
          run(
            sqe('openat', bed.put(bed.path('data')), 0, 0, { slot: 1, ...link }),
            sqe('read', 1, at, 16, 0, { fixedFile: true, ...link }),
            sqe('closeDirect', 1, { extra: RING_FINALLY }),
          ).map(([, res]) => res),
        ).toEqual([0, 16, 0]);
      expect(bed.text(at, 16)).toBe('opened in a slot');
      expect(descriptors()).toBe(before);
    });

    it('the slot that the kernel picked (11)', () => {
      bed.file('data', 'picked');
      bed.registerFiles(-1, -1);
      const path = bed.put(bed.path('data'));
      const open = () => sqe('openat', path, 0, 0, { slot: 'alloc' as const });
      expect(run(open(), open())).toEqual([
        [1, 0],
        [2, 1],
      ]);
      expect(run(open())).toEqual([[1, -23]]);
      const at = bed.allocate(64);
      expect(run(sqe('closeDirect', 0, link), open())).toEqual([
        [1, 0],
        [2, 0],
      ]);
      expect(run(sqe('read', 0, at, 6, 0, { fixedFile: true }))).toEqual([[1, 6]]);
      // Picked, and passed on within one chain.
      expect(run(sqe('closeDirect', 0), sqe('closeDirect', 1)).map(([, res]) => res)).toEqual([0, 0]);
      const [opened, read] = run(
        sqe('openat', path, 0, 0, { slot: 'alloc', ...link, policy: LINK_PASS_FD }),
        sqe('read', -1, at, 6, 0, { fixedFile: true }),
      );
      expect(read).toEqual([2, 6]);
      expect(run(sqe('closeDirect', opened![1]))).toEqual([[1, 0]]);
    });

    it('a slot is freed although reads on it are under way (12)', () => {
      const [read, write] = bed.pipe();
      bed.registerFiles(read);
      bed.stage(sqe('read', 0, bed.allocate(8), 8, -1, { fixedFile: true, userData: 1 }));
      bed.ring.submit();
      expect(run(sqe('closeDirect', 0, { ...link, userData: 2 }), nop(3, { userData: 3 }))).toEqual([
        [2, 0],
        [3, 3],
      ]);
      bed.write(write, 'late');
      expect(pairs(bed.take(1))).toEqual([[1, 4]]);
    });

    it('a descriptor is closed between two uses', () => {
      bed.file('data', 'x');
      const fd = openSync(bed.path('data'), 'r');
      const at = bed.allocate(8);
      expect(
        run(sqe('read', fd, at, 1, 0, link), sqe('close', fd, link), sqe('read', fd, at, 1, 0)).map(([, res]) => res),
      ).toEqual([1, 0, E.BADF]);
    });

    it('FILE_INDEX_ALLOC is what prep writes for a slot that the kernel picks', () => {
      expect(FILE_INDEX_ALLOC).toBe(0xffff_ffff);
    });
  });

  describe('13, 14: readiness and connections in chains', () => {
    it('a poll, then the read that it allows', () => {
      const [read, write] = bed.pipe();
      const at = bed.allocate(8);
      bed.stage(sqe('pollAdd', read, pollEvents.IN, link), sqe('read', read, at, 8, -1));
      bed.ring.submit();
      expect(bed.ring.completions.length).toBe(0);
      bed.write(write, 'ready');
      expect(pairs(bed.take(2))).toEqual([
        [1, pollEvents.IN],
        [2, 5],
      ]);
    });

    it('a poll that takes too long', () => {
      const [read] = bed.pipe();
      expect(
        sorted(
          bed.run(
            sqe('pollAdd', read, pollEvents.IN, link),
            sqe('linkTimeout', bed.timespec(1e6), link),
            sqe('read', read, bed.allocate(8), 8, -1),
          ),
        ),
      ).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
        [3, E.CANCELED],
      ]);
    });

    it('accept, receive, answer, close: the descriptor goes along the chain', () => {
      const listener = bed.listener();
      const at = bed.allocate(64);
      const client = bed.socket();
      bed.stage(
        sqe('accept', listener.fd, { flags: socketTypes.CLOEXEC, ...link, policy: LINK_PASS_FD, userData: 1 }),
        sqe('recv', -1, at, 64, { userData: 2 }),
      );
      bed.stage(
        sqe('connect', client, listener.address, listener.length, { ...link, userData: 3 }),
        sqe('send', client, bed.put('ping'), 4, { userData: 4 }),
      );
      const results = new Map(pairs(bed.take(4)));
      expect([results.get(2), results.get(3), results.get(4)]).toEqual([4, 0, 4]);
      expect(bed.text(at, 4)).toBe('ping');
      bed.shut(bed.keep(results.get(1)!));
    });

    it('an accept that nobody answers ends with its chain', () => {
      const { fd } = bed.listener();
      expect(sorted(bed.run(sqe('accept', fd, link), sqe('linkTimeout', bed.timespec(1e6), link), nop()))).toEqual([
        [1, E.CANCELED],
        [2, E.TIME],
        [3, E.CANCELED],
      ]);
    });

    it('connect is refused: what was to be sent is not', () => {
      const { fd, address, length } = bed.listener();
      bed.shut(fd);
      const client = bed.socket();
      expect(run(sqe('connect', client, address, length, link), sqe('send', client, address, 1))).toEqual([
        [1, E.CONNREFUSED],
        [2, E.CANCELED],
      ]);
    });
  });

  describe('what is told', () => {
    it('finalisers run after failures and cancellations, once', () => {
      expect(
        run(nop(E.IO, link), nop(2, link), nop(3, { ...link, extra: RING_FINALLY }), nop(4)).map(([, res]) => res),
      ).toEqual([E.IO, E.CANCELED, 3, 4]);
      bed.stage(sqe('timeout', bed.timespec(100e9), link), nop(2, link), nop(3, { extra: RING_FINALLY }));
      bed.ring.submit();
      expect(bed.ring.cancel(1n)).toBe(true);
      expect(pairs(bed.take(3))).toEqual([
        [1, E.CANCELED],
        [2, E.CANCELED],
        [3, 3],
      ]);
    });

    it('cancellations can be left out, and whole completions', () => {
      expect(
        run(
          nop(E.IO, link),
          nop(2, { ...link, extra: RING_QUIET_CANCEL }),
          nop(3, { extra: RING_QUIET_CANCEL }),
          nop(4),
        ).sort(),
      ).toEqual([
        [1, E.IO],
        [4, 4],
      ]);
      expect(run(nop(E.IO, { ...hard, extra: RING_HIDDEN }), nop(2))).toEqual([[2, 2]]);
    });

    it('every opcode that this kernel lacks ends with EINVAL, in a chain as alone', () => {
      for (const { number } of Object.values(opcodes)) {
        if (number >= 63 && number !== 128) expect(run(raw(number))).toEqual([[1, E.INVAL]]);
      }
    });
  });
});
