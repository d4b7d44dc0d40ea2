/** Queues, buffers, messages and what moves data on the real kernel: liburing's scenarios 22 to 30 of research/ring.md, section 5. */
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  futexFlags,
  msgFlags,
  pollEvents,
  socketTypes,
  waitIdTypes,
  waitOptions,
} from '../src/abi/io-uring/call-flags.ts';
import { registerOpcodes } from '../src/abi/io-uring/ring-flags.ts';
import { CQE_F_BUFFER, CQE_F_MORE } from '../src/plane/layout/sqe.ts';
import { Ring } from '../src/ring.ts';
import {
  type Cqe,
  descriptors,
  E,
  noRing,
  pairs,
  RingBed,
  raw,
  skipped,
  sorted,
  sqe,
  type Writer,
} from './ring-testbed.ts';

const nop = (result = 0, options: object = {}) => sqe('nop', { result, ...options });

describe.skipIf(noRing !== undefined)(`queues, buffers and messages${skipped}`, () => {
  let bed: RingBed;
  beforeEach(() => {
    bed = RingBed.open();
  });
  afterEach(() => bed.close());
  const run = (...writers: readonly Writer[]) => pairs(bed.run(...writers));
  const begin = (...writers: readonly Writer[]) => {
    bed.stage(...writers);
    bed.ring.submit();
  };
  /** A ring of provided buffers, registered as group `group`; buffer i lies `size` bytes behind i - 1. */
  const buffers = (group: number, count: number, size: number) => {
    const ringAt = bed.runtime.allocatePages(65536);
    const data = bed.allocate(count * size);
    const view = bed.runtime.view();
    const give = (id: number) => {
      const tail = view.getUint16(ringAt + 14, true);
      const entry = ringAt + (tail & (count - 1)) * 16;
      view.setBigUint64(entry, BigInt(bed.base + data + id * size), true);
      view.setUint32(entry + 8, size, true);
      view.setUint16(entry + 12, id, true);
      view.setUint16(ringAt + 14, tail + 1, true);
    };
    const argument = bed.allocate(64);
    view.setBigUint64(argument, BigInt(bed.base + ringAt), true);
    view.setUint32(argument + 8, count, true);
    view.setUint16(argument + 12, group, true);
    expect(bed.backend.register(registerOpcodes.PBUF_RING, argument, 1)).toBe(0);
    for (let i = 0; i < count; i++) give(i);
    return {
      give,
      at: (id: number) => data + id * size,
      text: ({ flags, res }: Cqe) => bed.text(data + (flags >>> 16) * size, res),
      end: () => {
        expect(bed.backend.register(registerOpcodes.UNPBUF_RING, argument, 1)).toBe(0);
        bed.runtime.freePages(ringAt, 65536);
      },
    };
  };

  it('22: receives with MSG_WAITALL wait for all, of streams and datagrams', () => {
    const [near, far] = bed.sockets();
    const at = bed.allocate(64);
    begin(sqe('recv', near, at, 6, { flags: msgFlags.WAITALL }));
    bed.write(far, 'abc');
    bed.ring.submit();
    expect(bed.ring.completions.length).toBe(0);
    bed.write(far, 'def');
    expect(pairs(bed.take(1))).toEqual([[1, 6]]);
    expect(bed.text(at, 6)).toBe('abcdef');
    const [one, other] = bed.sockets(socketTypes.DGRAM);
    bed.write(other, 'abc');
    expect(run(sqe('recv', one, at, 6, { flags: msgFlags.WAITALL }))).toEqual([[1, 3]]);
  });

  it('23: a multishot receive: each arrival in a buffer, until there is none, or the peer goes', () => {
    const [near, far] = bed.sockets();
    const group = buffers(1, 4, 64);
    begin(sqe('recv', near, 0, 0, { multishot: true, bufferSelect: 1 }));
    for (const text of ['one', 'two', 'three']) {
      bed.write(far, text);
      const [cqe] = bed.take(1);
      expect(cqe!.flags & (CQE_F_MORE | CQE_F_BUFFER)).toBe(CQE_F_MORE | CQE_F_BUFFER);
      expect(group.text(cqe!)).toBe(text);
    }
    bed.write(far, 'four');
    expect(group.text(bed.take(1)[0]!)).toBe('four');
    bed.write(far, 'five');
    const [none] = bed.take(1);
    expect([none!.res, none!.flags & CQE_F_MORE]).toEqual([E.NOBUFS, 0]);
    // Given back, the buffers are used again.
    for (const id of [0, 1, 2, 3]) group.give(id);
    begin(sqe('recv', near, 0, 0, { multishot: true, bufferSelect: 1 }));
    expect(group.text(bed.take(1)[0]!)).toBe('five');
    bed.shut(far);
    const [end] = bed.take(1);
    expect([end!.res, end!.flags & CQE_F_MORE]).toEqual([0, 0]);
    group.end();
  });

  it('23: a drain waits for the end of a multishot receive', () => {
    const [near, far] = bed.sockets();
    const group = buffers(1, 4, 64);
    begin(sqe('recv', near, 0, 0, { multishot: true, bufferSelect: 1 }), nop(2, { drain: true }));
    bed.write(far, 'abc');
    expect(pairs(bed.take(1))).toEqual([[1, 3]]);
    bed.shut(far);
    expect(pairs(bed.take(2))).toEqual([
      [1, 0],
      [2, 2],
    ]);
    group.end();
  });

  it('24: a multishot read of a pipe', () => {
    const [read, write] = bed.pipe();
    const group = buffers(2, 4, 64);
    begin(sqe('readMultishot', read, 0, -1, { bufferSelect: 2 }));
    for (const text of ['a', 'bc', 'def']) {
      bed.write(write, text);
      const [cqe] = bed.take(1);
      expect(group.text(cqe!)).toBe(text);
      expect(cqe!.flags & CQE_F_MORE).toBe(CQE_F_MORE);
    }
    bed.shut(write);
    const [end] = bed.take(1);
    expect([end!.res, end!.flags & CQE_F_MORE]).toEqual([0, 0]);
    // A regular file cannot.
    const [error] = bed.run(sqe('readMultishot', bed.file('data', 'x'), 0, 0, { bufferSelect: 2 }));
    expect(error!.res).toBeLessThan(0);
    group.end();
  });

  it('25: groups of buffers: by request, by ring, several for one receive', () => {
    const at = bed.allocate(256);
    expect(run(sqe('provideBuffers', at, 64, 2, 7, 10))).toEqual([[1, 0]]);
    const file = bed.file('data', 'in a buffer of the group');
    const [cqe] = bed.run(sqe('read', file, 0, 64, 0, { bufferSelect: 7 }));
    expect(cqe!.res).toBe(24);
    expect([10, 11]).toContain(cqe!.flags >>> 16);
    expect(bed.text(at + ((cqe!.flags >>> 16) - 10) * 64, 24)).toBe('in a buffer of the group');
    expect(run(sqe('removeBuffers', 5, 7))).toEqual([[1, 1]]);
    expect(run(sqe('read', file, 0, 64, 0, { bufferSelect: 7 }))).toEqual([[1, E.NOBUFS]]);

    const [near, far] = bed.sockets();
    const group = buffers(3, 4, 8);
    bed.write(far, 'twenty bytes it has.');
    const [bundle] = bed.run(sqe('recv', near, 0, 0, { bundle: true, bufferSelect: 3 }));
    // More than one buffer has, from the first buffer on.
    expect(bundle!.res).toBeGreaterThan(8);
    expect(bundle!.flags >>> 16).toBe(0);
    expect('twenty bytes it has.'.startsWith(bed.text(group.at(0), bundle!.res))).toBe(true);
    group.end();
  });

  it('26: as many requests as the queues hold, and many times more', async () => {
    const tiny = RingBed.open({ entries: 2, cqEntries: 2 });
    expect(pairs(tiny.run(...Array.from({ length: 200 }, (_, i) => nop(i))))).toEqual(
      Array.from({ length: 200 }, (_, i) => [i + 1, i]),
    );
    // Those that belong together find their two places.
    const time = tiny.timespec(1e9);
    const limited = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? nop(i, { link: true }) : sqe('linkTimeout', time),
    );
    expect(sorted(tiny.run(...limited))).toEqual(limited.map((_, i) => [i + 1, i % 2 === 0 ? i : E.CANCELED]));
    await tiny.close();
  });

  const older: readonly (readonly [string, readonly string[]])[] = [
    ['without deferred work', ['DEFER_TASKRUN']],
    ['without a flag of deferred work', ['TASKRUN_FLAG']],
    ['with rings elsewhere', ['NO_MMAP', 'NO_SQARRAY']],
    [
      'with the flags of Linux 5.11',
      [
        'NO_MMAP',
        'NO_SQARRAY',
        'DEFER_TASKRUN',
        'SINGLE_ISSUER',
        'TASKRUN_FLAG',
        'COOP_TASKRUN',
        'SUBMIT_ALL',
        'registered-ring',
      ],
    ],
  ];
  for (const [name, without] of older)
    it(`29: ${name} the same holds`, async () => {
      const old = RingBed.open({ without, entries: 8, cqEntries: 8 });
      const time = old.timespec(1e5);
      const [read, write] = old.pipe();
      const chain = Array.from({ length: 30 }, (_, i) =>
        i % 3 === 0 ? sqe('timeout', time, { link: true, etimeSuccess: true }) : nop(i, { link: i % 3 === 1 }),
      );
      const results = sorted(old.run(...chain, raw(200)));
      expect(results).toEqual([...chain.map((_, i) => [i + 1, i % 3 === 0 ? E.TIME : i]), [31, E.INVAL]]);
      // Over the event loop, with what comes from elsewhere.
      const at = old.allocate(8);
      for (let i = 0; i < 20; i++) {
        const reading = old.ring.request('read', sqe('read', read, at, 8, -1, { async: i % 2 === 0 }));
        setTimeout(() => old.write(write, 'xyz'), i % 4);
        expect(await reading).toBe(3);
      }
      await old.close();
    });

  it('what cannot be made leaves nothing behind', async () => {
    const before = descriptors();
    await expect(Ring.create({ entries: 4, staged: 3 })).rejects.toMatchObject({ code: 'SLUICE_RING_STAGED' });
    const least = await Ring.create({ entries: 1 });
    expect(await least.request('nop', nop(3))).toBe(3);
    await least.close();
    for (let i = 0; i < 100 && descriptors() !== before; i++) await new Promise((done) => setTimeout(done, 5));
    expect(descriptors()).toBe(before);
  });

  it('27: one bad request among others: the others are submitted', () => {
    expect(sorted(bed.run(nop(1), raw(200), nop(3), sqe('read', 9999, 64, 1, 0), nop(5)))).toEqual([
      [1, 1],
      [2, E.INVAL],
      [3, 3],
      [4, E.BADF],
      [5, 5],
    ]);
  });

  it('28: messages between rings, and files from one to the other', async () => {
    const file = bed.file('data', 'passed on');
    const other = RingBed.open();
    bed.registerFiles(file);
    other.registerFiles(-1, -1);
    expect(run(sqe('messageData', other.backend.fd, 42, 77))).toEqual([[1, 0]]);
    expect(pairs(other.take(1))).toEqual([[77, 42]]);
    // Names of requests of the other ring are no danger: a message is never taken for one.
    const handles = [0x1_0000_0000n, 0x1_0000_0001n, 1n];
    other.stage(sqe('timeout', other.timespec(50e6), { userData: 5 }));
    other.ring.submit();
    for (const data of handles) expect(run(sqe('messageData', other.backend.fd, 1, data))).toEqual([[1, 0]]);
    expect(other.ring.issued).toBe(1);
    expect(other.take(3)).toHaveLength(3);
    expect(pairs(other.take(1))).toEqual([[5, E.TIME]]);
    // A registered file.
    expect(run(sqe('messageFile', other.backend.fd, 0, 1, 78))).toEqual([[1, 0]]);
    expect(pairs(other.take(1))).toEqual([[78, 0]]);
    const at = other.allocate(64);
    expect(pairs(other.run(sqe('read', 1, at, 9, 0, { fixedFile: true })))).toEqual([[1, 9]]);
    expect(other.text(at, 9)).toBe('passed on');
    expect(run(sqe('messageData', file, 1, 1))).toEqual([[1, -77]]);
    await other.close();
  });

  it('29: nops with files, results and links; submit and wait; what the kernel is asked', () => {
    bed.registerFiles(bed.pipe()[0]);
    expect(
      run(
        sqe('nop', { file: 0, fixedFile: true }),
        sqe('nop', { file: 9999 }),
        sqe('nop', { file: 5, fixedFile: true }),
      ),
    ).toEqual([
      [1, 0],
      [2, E.BADF],
      [3, E.BADF],
    ]);
    const { enters } = bed.ring.stats;
    expect(bed.run(...Array.from({ length: 16 }, () => nop()))).toHaveLength(16);
    expect(bed.ring.stats.enters - enters).toBe(1n);
    for (const feature of ['SINGLE_ISSUER', 'DEFER_TASKRUN', 'NO_MMAP', 'NO_SQARRAY'])
      expect(bed.backend.features).toContain(feature);
  });

  describe('30: what moves data, and what waits', () => {
    it('splice from file to pipe to file, and tee', () => {
      const from = bed.file('from', 'spliced through a pipe');
      const to = bed.file('to', '');
      const [read, write] = bed.pipe();
      const [teeRead, teeWrite] = bed.pipe();
      expect(
        run(
          sqe('splice', from, 0, write, -1, 22, { link: true }),
          sqe('tee', read, teeWrite, 22, { link: true }),
          sqe('splice', read, -1, to, 0, 22),
        ).map(([, res]) => res),
      ).toEqual([22, 22, 22]);
      expect(bed.content('to')).toBe('spliced through a pipe');
      expect(bed.read(teeRead, 64)).toBe('spliced through a pipe');
      expect(run(sqe('splice', from, 0, to, 0, 22))).toEqual([[1, E.INVAL]]);
    });

    it('the end of a pipe', () => {
      const [read, write] = bed.pipe();
      const at = bed.allocate(8);
      begin(sqe('read', read, at, 8, -1));
      bed.shut(write);
      expect(pairs(bed.take(1))).toEqual([[1, 0]]);
      expect(run(sqe('read', read, at, 8, -1))).toEqual([[1, 0]]);
    });

    it('sockets that are not ready wait, unless they must not', () => {
      const [near, far] = bed.sockets();
      const at = bed.allocate(64);
      begin(sqe('recv', near, at, 64));
      expect(run(sqe('recv', near, at, 64, { flags: msgFlags.DONTWAIT, userData: 2 }))).toEqual([[2, E.AGAIN]]);
      bed.write(far, 'abc');
      expect(pairs(bed.take(1))).toEqual([[1, 3]]);
    });

    it('futexes: waits, wakes, one of several', () => {
      const { SIZE_U32, PRIVATE } = futexFlags;
      const word = bed.words(7);
      const second = bed.words(9);
      const wait = (at: number, value: number, userData: number) =>
        sqe('futexWait', at, value, 0xffff_ffff, SIZE_U32 | PRIVATE, { userData });
      const wake = (at: number, count: number, userData: number) =>
        sqe('futexWake', at, count, 0xffff_ffff, SIZE_U32 | PRIVATE, { userData });
      expect(run(wait(word, 8, 1))).toEqual([[1, E.AGAIN]]);
      begin(wait(word, 7, 1), wait(word, 7, 2), wait(word, 7, 3));
      expect(sorted(bed.collect(3, wake(word, 2, 9))).length).toBe(3);
      expect(pairs(bed.collect(2, wake(word, 2, 9)))).toContainEqual([9, 1]);
      const waiters = bed.allocate(48);
      const view = bed.runtime.view();
      [word, second].forEach((at, i) => {
        view.setBigUint64(waiters + i * 24, BigInt(i === 0 ? 7 : 9), true);
        view.setBigUint64(waiters + i * 24 + 8, BigInt(bed.base + at), true);
        view.setUint32(waiters + i * 24 + 16, SIZE_U32 | PRIVATE, true);
      });
      begin(sqe('futexWaitv', waiters, 2, { userData: 5 }));
      expect(sorted(bed.collect(2, wake(second, 1, 9)))).toEqual([
        [5, 1],
        [9, 1],
      ]);
    });

    it('children', async () => {
      const child = spawn('sleep', ['0.02'], { stdio: 'ignore' });
      const { pid } = child;
      const info = bed.allocate(128);
      const result = bed.ring.request(
        'waitid',
        sqe('waitid', waitIdTypes.PID, pid!, info, waitOptions.EXITED | waitOptions.NOWAIT),
      );
      // NOWAIT leaves it to Node, which collects it too; whoever comes second finds none.
      const outcome = await result.catch((error: { errno: string }) => error.errno);
      expect([0, 'ECHILD']).toContain(outcome);
      if (child.exitCode === null) await new Promise((done) => child.once('exit', done));
      expect(child.exitCode).toBe(0);
    });

    it('polls of many files at once', () => {
      const pipes = Array.from({ length: 64 }, () => bed.pipe());
      begin(...pipes.map(([read]) => sqe('pollAdd', read, pollEvents.IN)));
      for (const [, write] of pipes) bed.write(write, 'x');
      expect(sorted(bed.take(64))).toEqual(pipes.map((_, i) => [i + 1, pollEvents.IN]));
    });
  });

  it('accepts connections as they come (multishot), also into registered slots', () => {
    const listener = bed.listener();
    begin(sqe('accept', listener.fd, { multishot: true, userData: 50 }));
    const clients = [bed.socket(), bed.socket(), bed.socket()];
    const cqes = bed.collect(6, ...clients.map((fd) => sqe('connect', fd, listener.address, listener.length)));
    const accepted = cqes.filter(({ userData }) => userData === 50);
    expect(accepted).toHaveLength(3);
    for (const { res, flags } of accepted) {
      expect(flags & CQE_F_MORE).toBe(CQE_F_MORE);
      bed.shut(bed.keep(res));
    }
    expect(bed.ring.cancel(50n)).toBe(true);
    expect(pairs(bed.take(1))).toEqual([[50, E.CANCELED]]);
  });
});
