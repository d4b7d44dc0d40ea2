/** Rings on the real kernel when things go wrong: full disks, peers that go, files that shrink, rings that close in the middle, programs without end. */
import { execFileSync } from 'node:child_process';
import { ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFlags, pollEvents } from '../src/abi/io-uring/call-flags.ts';
import { load } from '../src/index.ts';
import {
  ESCALATE_DEPTH,
  ESCALATE_FAULT,
  ESCALATE_INSTRUCTIONS,
  ESCALATE_REQUESTS,
  LINK_RETRY_REST,
  RING_FINALLY,
  RING_POST,
  RING_WAIT,
} from '../src/plane/layout/ring.ts';
import { SQE_CALLBACK } from '../src/plane/layout/sqe.ts';
import { clangs, compileBpf, noClang } from './clang.ts';
import { E, noRing, pairs, RingBed, skipped, sorted, sqe, type Writer } from './ring-testbed.ts';

const nop = (result = 0, options: object = {}) => sqe('nop', { result, ...options });
const root = process.getuid?.() === 0;

describe.skipIf(noRing !== undefined)(`faults${skipped}`, () => {
  let bed: RingBed;
  beforeEach(() => {
    bed = RingBed.open();
  });
  afterEach(() => bed.close());
  const run = (...writers: readonly Writer[]) => pairs(bed.run(...writers));

  it.skipIf(!root)(`a disk that is full${root ? '' : ' (skipped: not root)'}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', `sluice-${process.pid}`, folder]);
    try {
      const path = bed.put(join(folder, 'data'));
      const from = bed.allocate(65536);
      bed.registerFiles(-1);
      const fixed = { fixedFile: true } as const;
      // 96 KiB into 64 KiB: a short write, then none; the file is closed all the same.
      const results = run(
        sqe('openat', path, openFlags.CREAT | openFlags.RDWR, 0o600, { slot: 0, link: true }),
        sqe('write', 0, from, 49152, 0, { ...fixed, link: true }),
        sqe('write', 0, from, 49152, 49152, { ...fixed, link: true, policy: LINK_RETRY_REST }),
        sqe('fsync', 0, { ...fixed, link: true }),
        sqe('closeDirect', 0, { extra: RING_FINALLY }),
      );
      expect(results.map(([, res]) => res)).toEqual([0, 49152, 16384, E.CANCELED, 0]);
      const fd = bed.keep(openSync(join(folder, 'data'), 'r+'));
      expect(run(sqe('write', fd, from, 4096, 65536))).toEqual([[1, E.NOSPC]]);
      expect(run(sqe('fallocate', fd, 0, 0, 1 << 20))).toEqual([[1, E.NOSPC]]);
      bed.shut(fd);
    } finally {
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    }
  });

  it('signals while it waits (EINTR)', () => {
    bed.stage(sqe('timeout', bed.timespec(30e6)));
    // Sent by another process while this thread waits in the kernel; Node's handler runs afterwards.
    // It stays: the last signal may come later.
    process.on('SIGUSR2', () => {});
    execFileSync('sh', [
      '-c',
      `(for i in 1 2 3 4 5; do sleep 0.004; kill -USR2 ${process.pid}; done) >/dev/null 2>&1 &`,
    ]);
    expect(pairs(bed.take(1))).toEqual([[1, E.TIME]]);
  });

  it('what is not ready and must not wait (EAGAIN)', () => {
    const [read] = bed.pipe();
    const [near] = bed.sockets();
    const at = bed.allocate(8);
    const NOWAIT = 8;
    expect(run(sqe('read', read, at, 8, -1, { flags: NOWAIT }), sqe('recv', near, at, 8, { flags: 0x40 }))).toEqual([
      [1, E.AGAIN],
      [2, E.AGAIN],
    ]);
  });

  it('peers that go', () => {
    const [read, write] = bed.pipe();
    const [near, far] = bed.sockets();
    const at = bed.allocate(64);
    bed.stage(sqe('read', read, at, 64, -1), sqe('recv', near, at, 64));
    bed.ring.submit();
    bed.shut(write);
    bed.shut(far);
    expect(sorted(bed.take(2))).toEqual([
      [1, 0],
      [2, 0],
    ]);
    expect(run(sqe('send', near, at, 8))).toEqual([[1, E.PIPE]]);
    const [gone, open] = bed.pipe();
    bed.shut(gone);
    expect(run(sqe('write', open, at, 8, -1))).toEqual([[1, E.PIPE]]);
  });

  it('a connection that is reset', () => {
    const listener = bed.listener();
    const client = bed.socket();
    bed.stage(
      sqe('accept', listener.fd, { userData: 1 }),
      sqe('connect', client, listener.address, listener.length, { userData: 2 }),
    );
    const results = new Map(pairs(bed.take(2)));
    const server = bed.keep(results.get(1)!);
    const at = bed.allocate(64);
    bed.stage(sqe('recv', server, at, 64));
    bed.ring.submit();
    // SO_LINGER of 0 s: close sends a reset.
    const linger = bed.words(1, 0);
    expect(run(sqe('setSocketOption', client, 1, 13, linger, 8, { userData: 9 }))).toEqual([[9, 0]]);
    bed.shut(client);
    expect(pairs(bed.take(1))).toEqual([[1, E.CONNRESET]]);
  });

  it('files that shrink while they are read', () => {
    const size = 1 << 16;
    const fd = bed.file('data', 'x'.repeat(size));
    const at = bed.allocate(size);
    for (let i = 0; i < 8; i++) {
      const reads = Array.from({ length: 8 }, (_, part) =>
        sqe('read', fd, at + part * 8192, 8192, part * 8192, { async: true, link: part < 7, policy: LINK_RETRY_REST }),
      );
      bed.stage(...reads);
      bed.ring.submit();
      const now = size - i * 7000;
      ftruncateSync(fd, now);
      const cqes = bed.take(8);
      // Each part was read whole, or up to an end; behind the first one that was not, nothing was.
      const short = cqes.findIndex(({ res }) => res !== 8192);
      if (short >= 0) {
        expect(cqes[short]!.res).toBeGreaterThanOrEqual(0);
        for (const { res } of cqes.slice(short + 1)) expect(res).toBe(E.CANCELED);
      }
      const whole = cqes.reduce((sum, { res }) => sum + Math.max(res, 0), 0);
      expect(whole).toBeGreaterThanOrEqual(now);
    }
  });

  it('10,000 requests through a completion queue of 8: none is lost', async () => {
    const small = RingBed.open({ entries: 8, cqEntries: 8, requests: 16384, staged: 1024 });
    const [read] = small.pipe();
    const seen = new Set<number>();
    const at = small.allocate(8);
    const time = small.timespec(1e5);
    // Timeouts that all end at once are completions that the kernel has no place for.
    for (let i = 0; i < 10_000; i++)
      small.ring.stage(i % 4 === 0 ? sqe('timeout', time, { userData: i + 1 }) : nop(0, { userData: i + 1 }));
    small.ring.stage(sqe('read', read, at, 8, -1, { userData: 20_000 }));
    while (seen.size < 10_000) {
      const cqes = small.take(1);
      expect(cqes.length).toBeGreaterThan(0);
      for (const { userData } of cqes) {
        expect(seen.has(userData)).toBe(false);
        seen.add(userData);
      }
    }
    expect(small.ring.cancel(20_000n)).toBe(true);
    expect(pairs(small.take(1))).toEqual([[20_000, E.CANCELED]]);
    await small.close();
  });

  it('many become ready at once, in a queue of 8', async () => {
    const small = RingBed.open({ entries: 8, cqEntries: 8, requests: 1024 });
    const [read, write] = small.pipe();
    for (let i = 0; i < 500; i++) small.ring.stage(sqe('pollAdd', read, pollEvents.IN, { userData: i + 1 }));
    while (small.ring.issued < 500) small.ring.submit();
    small.write(write, 'x');
    const seen = new Set(small.take(500).map(({ userData }) => userData));
    expect(seen.size).toBe(500);
    await small.close();
  });

  it('a request that finds no room is refused, and the ring goes on', async () => {
    const small = RingBed.open({ requests: 4, staged: 4 });
    const time = small.timespec(100e6);
    const timeouts = () => small.ring.stage(sqe('timeout', time));
    for (let i = 0; i < 8; i++) timeouts();
    expect(timeouts).toThrow('requests are under way');
    expect(small.take(8)).toHaveLength(8);
    await small.close();
  });
});

describe.skipIf(noRing !== undefined)(`closing with everything under way${skipped}`, () => {
  it('wakes waiters, runs no program, and ends when the kernel is done', async () => {
    const bed = RingBed.open({ requests: 1024 });
    const { ring } = bed;
    let runs = 0;
    const callback = ring.programs.add('late', () => {
      runs++;
      return RING_POST;
    });
    const at = bed.allocate(65536);
    const promises: Promise<unknown>[] = [];
    const both = (write: Writer) => {
      promises.push(ring.request('x', write));
      ring.stage((view, sqeAt) => {
        write(view, sqeAt);
        view.setUint16(sqeAt + SQE_CALLBACK, callback, true);
      });
    };
    both(sqe('timeout', bed.timespec(100e9)));
    both(sqe('timeout', bed.timespec(1e5), { multishot: true }));
    both(sqe('read', bed.pipe()[0], at, 8, -1));
    both(sqe('recv', bed.sockets()[0], at, 8));
    both(sqe('accept', bed.listener().fd, { multishot: true }));
    both(sqe('pollAdd', bed.pipe()[0], pollEvents.IN, { multishot: true }));
    both(sqe('read', bed.pipe()[0], at, 8, -1, { async: true }));
    both(nop(0, { drain: true }));
    both(sqe('timeout', bed.timespec(100e9), { link: true }));
    both(nop());
    // Armed: waits for a queue that never fills.
    ring.stage(sqe('program', callback - 1, 1000, 0, { userData: 5 }));
    const settled = Promise.allSettled(promises);
    const loop = (async () => {
      for await (const _ of ring);
      return 'over';
    })();
    const stream = ring.stream('poll_add', sqe('pollAdd', bed.pipe()[0], pollEvents.IN, { multishot: true }));
    const next = stream.next();
    await new Promise((done) => setTimeout(done, 10));
    const closing = ring.close();
    const before = runs;
    await closing;
    await bed.closeBusy();
    expect(runs).toBe(before);
    expect(await loop).toBe('over');
    expect((await next).done).toBe(true);
    for (const each of await settled)
      expect(each.status === 'rejected' ? each.reason.errno : 'ok').toMatch(/ECANCELED|EINTR|ok|ETIME/);
  });

  it('writes of kernel threads are done with their memory first', async () => {
    const bed = RingBed.open();
    const fd = bed.file('data', '');
    const from = bed.allocate(65536);
    bed.runtime.bytes().fill(0x61, from, from + 65536);
    const writes = Array.from({ length: 24 }, (_, i) =>
      bed.ring.request('write', sqe('write', fd, from, 65536, i * 65536, { async: true })),
    );
    const settled = Promise.allSettled(writes);
    bed.ring.submit();
    const closing = bed.ring.close();
    const results = await settled;
    // As soon as their completions are told, other content does not reach the file.
    bed.runtime.bytes().fill(0x62, from, from + 65536);
    await closing;
    const content = readFileSync(bed.path('data'));
    expect(content.includes(0x62)).toBe(false);
    results.forEach((each, i) => {
      if (each.status !== 'fulfilled') return;
      expect(each.value).toBe(65536);
      expect(content.subarray(i * 65536, (i + 1) * 65536).every((byte) => byte === 0x61)).toBe(true);
    });
    await bed.closeBusy();
  });

  it('an aborted read settles only when the kernel has let go of its buffer', async () => {
    const bed = RingBed.open();
    const [read, write] = bed.pipe();
    const at = bed.allocate(64);
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      let done = false;
      const request = bed.ring.request('read', sqe('read', read, at, 64, -1, { async: i % 2 === 0 }), {
        signal: controller.signal,
        done: () => {
          done = true;
        },
      });
      bed.ring.submit();
      controller.abort();
      expect(done).toBe(false);
      const result = await request.catch((error: Error) => error.name);
      expect(done).toBe(true);
      expect(result).toBe('AbortError');
      // The buffer is free: what comes now goes elsewhere.
      bed.runtime.bytes()[at] = 7;
      bed.write(write, 'x');
      expect(bed.runtime.bytes()[at]).toBe(7);
      expect(bed.read(read, 8)).toBe('x');
    }
    await bed.close();
  });

  it('from a function on a completion', async () => {
    const bed = RingBed.open();
    let closing: Promise<void> | undefined;
    const callback = bed.ring.programs.add('closes', () => {
      expect(() => bed.ring.submitAndWait(1)).toThrow('must not wait');
      bed.ring.submit();
      closing = bed.ring.close();
      return RING_POST;
    });
    bed.stage(nop(0, { callback }), sqe('timeout', bed.timespec(100e9)));
    bed.ring.submit();
    await closing;
    expect(closing).toBeDefined();
    await bed.closeBusy();
  });
});

const endless = `
#include <sluice/ring.h>
__u64 spun;

static int step(__u32 index, void *context)
{
	spun++;
	return 0;
}

SEC("iouring/spin")
int spin(struct io_uring_bpf_ctx *ctx)
{
	bpf_loop(1 << 23, step, NULL, 0);
	return RING_DONE;
}

SEC("iouring/greedy")
int greedy(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe;

	for (int i = 0; i < 100; i++) {
		io_uring_prep_nop(&sqe);
		sqe.extra = RING_HIDDEN;
		bpf_ring_submit(ctx, &sqe, sizeof(sqe));
	}
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
`;

describe.skipIf(noRing !== undefined)(`programs without end${skipped}`, () => {
  let bed: RingBed;
  beforeEach(() => {
    bed = RingBed.open({ budget: { depth: 1000, requests: 10, instructions: 100_000, runs: 64 } });
  });

  const program = (number: number, userData: number): Writer => sqe('program', number - 1, 0, 0, { userData });
  /** Escalations by request: reason and result. */
  const escalations = (wanted: number, most = 200) => {
    const told: [number, number, number][] = [];
    const others: number[] = [];
    for (let i = 0; i < most && told.length < wanted; i++)
      for (const { userData, res, flags } of bed.take(1, 1e8)) {
        if ((flags & 0x4000) !== 0) told.push([userData, flags >>> 16, res]);
        else others.push(userData);
      }
    return { told, others };
  };

  it('one that arms itself for ever', async () => {
    let runs = 0;
    const number = bed.ring.programs.add('rearm', () => {
      runs++;
      return RING_WAIT;
    });
    bed.stage(program(number, 7), nop(0, { userData: 8 }), sqe('timeout', bed.timespec(1), { userData: 9 }));
    const { told, others } = escalations(1);
    expect(told).toEqual([[7, ESCALATE_DEPTH, E.LOOP]]);
    expect(runs).toBe(1000);
    // Others were served in between, as the runs of one turn are limited.
    expect(others).toEqual(expect.arrayContaining([8, 9]));
    await bed.close();
  });

  it('two that begin each other for ever', async () => {
    let runs = 0;
    const numbers: number[] = [];
    for (const other of [1, 0])
      numbers.push(
        bed.ring.programs.add(`of ${other}`, (context) => {
          runs++;
          context.submit(sqe('program', numbers[other]! - 1, 0, 0, { userData: context.userData, skipSuccess: true }));
          return 0;
        }),
      );
    bed.stage(program(numbers[0]!, 7));
    bed.stage(nop(0, { userData: 8 }));
    const { told, others } = escalations(1);
    expect(told).toEqual([[7, ESCALATE_DEPTH, E.LOOP]]);
    expect(runs).toBe(1000);
    expect(others).toContain(8);
    await bed.close();
  });

  it('one that wakes itself by completions for ever', async () => {
    const queue = bed.ring.createQueue({ entries: 4, visible: false });
    let runs = 0;
    const number = bed.ring.programs.add('wakes', (context) => {
      runs++;
      context.reap(queue.index);
      context.emit(queue.index, 1n, 0);
      context.wait(1, queue.index);
      return RING_WAIT;
    });
    bed.stage(program(number, 7), nop(0, { userData: 8 }));
    const { told } = escalations(1);
    expect(told).toEqual([[7, ESCALATE_DEPTH, E.LOOP]]);
    expect(runs).toBeGreaterThanOrEqual(1000);
    await bed.close();
  });

  it('one that fills a queue: it is full', async () => {
    const queue = bed.ring.createQueue({ entries: 8, visible: false });
    const results: number[] = [];
    const number = bed.ring.programs.add('emits', (context) => {
      for (let i = 0; i < 20; i++) results.push(context.emit(queue.index, 1n, 0));
      return 0;
    });
    expect(bed.run(program(number, 7))).toHaveLength(1);
    expect(results).toEqual([...new Array(8).fill(0), ...new Array(12).fill(-12)]);
    await bed.close();
  });

  it('one that goes round through the kernel for ever lets everything else go on', async () => {
    let runs = 0;
    let stop = false;
    const number: number = bed.ring.programs.add('nops', (context) => {
      runs++;
      if (!stop) context.submit(nop(0, { callback: number, userData: 5 }));
      return 0;
    });
    bed.stage(nop(0, { callback: number, userData: 5 }));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for (let i = 0; i < 20; i++) expect(await bed.ring.request('nop', nop(i))).toBe(i);
    await expect(bed.ring.request('timeout', sqe('timeout', bed.timespec(5e6)))).rejects.toMatchObject({
      errno: 'ETIME',
    });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
    expect(runs).toBeGreaterThan(100);
    stop = true;
    while (bed.ring.live > 0) bed.ring.submitAndWait(0);
    await bed.close();
  });

  it('a function that throws', async () => {
    const number = bed.ring.programs.add('throws', () => {
      throw new Error('of the callback');
    });
    bed.stage(nop(0, { callback: number, link: true }), nop());
    expect(escalations(1).told).toEqual([[1, ESCALATE_FAULT, E.FAULT]]);
    expect(bed.ring.lastFault).toMatchObject({ message: 'of the callback' });
    bed.take(0);
    expect(pairs(bed.run(nop(3)))).toEqual([[1, 3]]);
    await bed.close();
  });

  for (const engine of ['jit', 'interpreter'] as const)
    it.skipIf(clangs.length === 0)(`programs that spin, and that emit too much: ${engine}${noClang}`, async () => {
      const object = compileBpf(endless, { flags: ['-I', join(import.meta.dirname, '..', 'bpf', 'include')] });
      const numbers = bed.ring.programs.attach(await load(object, { runtime: bed.runtime, engine, budget: 100_000 }));
      bed.stage(program(numbers.get('spin')!, 7), nop(0, { userData: 8 }));
      const spun = escalations(1);
      expect(spun.told).toEqual([[7, ESCALATE_INSTRUCTIONS, E.TIME]]);
      bed.stage(program(numbers.get('greedy')!, 9));
      const greedy = escalations(1);
      expect(greedy.told).toEqual([[9, ESCALATE_REQUESTS, E.TWOBIG]]);
      bed.take(0);
      expect(pairs(bed.run(nop(3)))).toEqual([[1, 3]]);
      await bed.closeRing();
    });
});
