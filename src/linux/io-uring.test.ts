import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { opcodes } from '../abi/io-uring/opcodes.ts';
import { nopFlags } from '../abi/io-uring/request-flags.ts';
import { registerOpcodes, sqFlags } from '../abi/io-uring/ring-flags.ts';
import { CQE_SIZE, SQE_SIZE } from '../plane/layout/sqe.ts';
import { Runtime } from '../runtime/runtime.ts';
import { close, pipe, syscall } from './ffi.ts';
import { LinuxRing, type LinuxRingOptions } from './io-uring.ts';
import { ringRefusal } from './io-uring-features.ts';

const refusal = ringRefusal();

interface Completion {
  readonly userData: number;
  readonly result: number;
  readonly flags: number;
}

/** A ring, and requests written into its SQ directly. */
class Driver {
  readonly runtime = new Runtime();
  readonly ring: LinuxRing;

  constructor(options?: LinuxRingOptions) {
    this.ring = new LinuxRing(this.runtime, options);
  }

  word(address: number): number {
    return this.runtime.view().getUint32(address, true);
  }

  push(opcode: number, userData: number, fields: (view: DataView, at: number) => void = () => {}): void {
    const { sqTail, sqMask, sqes } = this.ring.addresses;
    const view = this.runtime.view();
    const tail = this.word(sqTail);
    const at = sqes + (tail & sqMask) * SQE_SIZE;
    this.runtime.bytes().fill(0, at, at + SQE_SIZE);
    view.setUint8(at, opcode);
    view.setInt32(at + 4, -1, true);
    view.setUint32(at + 32, userData, true);
    fields(view, at);
    Atomics.store(new Uint32Array(view.buffer), sqTail / 4, tail + 1);
  }

  nop(userData: number, result = 0): void {
    this.push(opcodes.nop.number, userData, (view, at) => {
      view.setInt32(at + 24, result, true);
      view.setUint32(at + 28, nopFlags.INJECT_RESULT, true);
    });
  }

  timeout(userData: number, ns: number, time: number): void {
    const view = this.runtime.view();
    view.setBigUint64(time, 0n, true);
    view.setBigUint64(time + 8, BigInt(ns), true);
    this.push(opcodes.timeout.number, userData, (view, at) => {
      view.setBigUint64(at + 16, this.ring.base + BigInt(time), true);
      view.setUint32(at + 24, 1, true);
    });
  }

  reap(): Completion[] {
    const { cqHead, cqTail, cqMask, cqes } = this.ring.addresses;
    const view = this.runtime.view();
    const taken: Completion[] = [];
    let head = this.word(cqHead);
    const tail = this.word(cqTail);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const at = cqes + (head & cqMask) * CQE_SIZE;
      taken.push({
        userData: view.getUint32(at, true),
        result: view.getInt32(at + 8, true),
        flags: view.getUint32(at + 12, true),
      });
    }
    Atomics.store(new Uint32Array(view.buffer), cqHead / 4, head);
    return taken;
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

const variants: [string, LinuxRingOptions][] = [
  ['all that the kernel has', {}],
  ['an SQ array', { without: ['NO_SQARRAY'] }],
  ['no deferred work', { without: ['DEFER_TASKRUN'] }],
  ['no flag of deferred work', { without: ['TASKRUN_FLAG'] }],
  ['rings elsewhere, as in Linux 6.3', { without: ['NO_MMAP', 'NO_SQARRAY'] }],
  [
    'the flags of Linux 5.11',
    {
      without: [
        'NO_MMAP',
        'NO_SQARRAY',
        'DEFER_TASKRUN',
        'SINGLE_ISSUER',
        'TASKRUN_FLAG',
        'COOP_TASKRUN',
        'SUBMIT_ALL',
        'registered-ring',
      ],
    },
  ],
  ['no CQ size', { without: ['CQSIZE'] }],
];

describe.skipIf(refusal !== undefined)(`io_uring${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, () => {
  const open: LinuxRing[] = [];
  function driver(options?: LinuxRingOptions): Driver {
    const made = new Driver(options);
    open.push(made.ring);
    return made;
  }
  afterEach(async () => {
    await Promise.all(open.splice(0).map((ring) => ring.close()));
  });

  describe.each(variants)('with %s', (_, options) => {
    it('takes requests out of the linear memory and completes there, also when the memory grows meanwhile', () => {
      const d = driver({ entries: 64, ...options });
      let number = 0;
      for (let batch = 0; batch < 50; batch++) {
        for (let i = 0; i < 64; i++) d.nop(number + i, -i);
        if (batch % 10 === 5) d.runtime.plane.memory.grow(1);
        expect(d.ring.enter(64, 64)).toBe(64);
        const completions = d.reap();
        expect(completions.map((each) => each.userData)).toEqual([...Array(64).keys()].map((i) => number + i));
        expect(completions.map((each) => each.result)).toEqual([...Array(64).keys()].map((i) => 0 - i));
        number += 64;
      }
    });

    it('wakes who waits, and only then', async () => {
      const d = driver({ entries: 8, ...options });
      const page = d.runtime.allocatePages(64);
      for (let round = 0; round < 3; round++) {
        d.timeout(7, 20e6, page);
        expect(d.ring.enter(1, 0)).toBe(1);
        const begin = performance.now();
        let woken = false;
        const wait = d.ring.wait().then(() => {
          woken = true;
        });
        await new Promise((resolve) => setTimeout(resolve, 4));
        if (performance.now() - begin < 15) expect(woken).toBe(false);
        await wait;
        expect(performance.now() - begin).toBeGreaterThan(15);
        d.ring.enter(0, 0);
        expect(d.reap()).toEqual([{ userData: 7, result: -62, flags: 0 }]);
      }
    });

    it('does not sleep on what has completed before', async () => {
      const d = driver({ entries: 8, ...options });
      const page = d.runtime.allocatePages(64);
      d.timeout(1, 1e6, page);
      expect(d.ring.enter(1, 0)).toBe(1);
      const until = performance.now() + 5;
      while (performance.now() < until); // keeps the event loop busy until the timeout is over
      await d.ring.wait();
      d.ring.enter(0, 0);
      expect(d.reap()).toEqual([{ userData: 1, result: -62, flags: 0 }]);
    });
  });

  it('has the flags that the kernel has, and not those that are left out', () => {
    const all = driver();
    for (const flag of ['SINGLE_ISSUER', 'SUBMIT_ALL', 'EXT_ARG', 'NODROP', 'registered-ring'])
      expect(all.ring.features, flag).toContain(flag);
    const fewer = driver({ without: ['SUBMIT_ALL', 'registered-ring', 'NO_MMAP'] });
    for (const flag of ['SUBMIT_ALL', 'registered-ring', 'NO_MMAP'])
      expect(fewer.ring.features, flag).not.toContain(flag);
    expect([...fewer.ring.features].filter((each) => each === 'mapping' || each === 'copying')).toHaveLength(1);
    expect(driver({ without: ['SINGLE_ISSUER'] }).ring.features).not.toContain('DEFER_TASKRUN');
  });

  it('knows the opcodes of the kernel', () => {
    const { ring } = driver();
    for (const name of ['nop', 'read', 'openat', 'accept', 'splice'] as const)
      expect(ring.supports(opcodes[name].number), name).toBe(true);
    expect(ring.supports(opcodes.bpf.number)).toBe(false);
  });

  it('ends waits after their timeout', () => {
    const d = driver();
    const begin = performance.now();
    expect(d.ring.enter(0, 1, 15e6)).toBe(-62);
    expect(performance.now() - begin).toBeGreaterThan(14);
    d.nop(3);
    expect(d.ring.enter(1, 1, Number.POSITIVE_INFINITY)).toBe(1);
    expect(d.reap()).toHaveLength(1);
    d.nop(4);
    expect(d.ring.enter(1, 2, 1e6)).toBe(1);
    expect(d.reap()).toEqual([{ userData: 4, result: 0, flags: 0 }]);
  });

  it('keeps completions that the CQ has no room for', () => {
    const d = driver({ entries: 8, cqEntries: 8 });
    for (let batch = 0; batch < 4; batch++) {
      for (let i = 0; i < 8; i++) d.nop(batch * 8 + i);
      d.ring.enter(8, 0);
    }
    expect(d.word(d.ring.addresses.sqFlags) & sqFlags.CQ_OVERFLOW).not.toBe(0);
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(...d.reap().map((each) => each.userData));
      d.ring.enter(0, 0);
    }
    expect(seen).toEqual([...Array(32).keys()]);
  });

  it('submits the requests behind one that the kernel refuses', () => {
    const d = driver();
    d.nop(1);
    d.push(99, 2);
    d.nop(3);
    expect(d.ring.enter(3, 3)).toBe(3);
    expect(d.reap().map(({ userData, result }) => [userData, result])).toEqual([
      [1, 0],
      [2, -22],
      [3, 0],
    ]);
  });

  it('registers files, whose arguments are in the linear memory', () => {
    const d = driver();
    const page = d.runtime.allocatePages(64);
    const [read, write] = pipe();
    d.runtime.view().setInt32(page, read, true);
    d.runtime.view().setInt32(page + 4, write, true);
    expect(d.ring.register(registerOpcodes.FILES, page, 2)).toBe(0);
    expect(d.ring.register(registerOpcodes.FILES, page, 2)).toBe(-16);
    expect(d.ring.register(registerOpcodes.UNFILES, 0, 0)).toBe(0);
    expect(d.ring.register(200, 0, 0)).toBe(-22);
    close(read);
    close(write);
  });

  it('lets the kernel use as many workers as for a large ring, and leaves it at what the user says', () => {
    const d = driver({ entries: 1 });
    const page = d.runtime.allocatePages(64);
    const workers = (bounded: number) => {
      d.runtime.view().setUint32(page, bounded, true);
      d.runtime.view().setUint32(page + 4, 0, true);
      expect(d.ring.register(registerOpcodes.IOWQ_MAX_WORKERS, page, 2)).toBe(0);
      return d.word(page);
    };
    const allowed = workers(0);
    expect(allowed).toBeGreaterThanOrEqual(4 * availableParallelism());
    expect(workers(2 * allowed)).toBe(allowed);
    driver({ entries: 4 });
    expect(workers(1)).toBe(2 * allowed);
    driver({ entries: 4 });
    expect(workers(allowed)).toBe(1);
  });

  it('says so where the ring has an eventfd of the user', async () => {
    const d = driver();
    const page = d.runtime.allocatePages(64);
    const fd = syscall('eventfd2', 0, 0);
    d.runtime.view().setInt32(page, fd, true);
    expect(d.ring.register(registerOpcodes.EVENTFD, page, 1)).toBe(0);
    await expect(d.ring.wait()).rejects.toMatchObject({ code: 'SLUICE_RING_EVENTFD' });
    expect(d.ring.register(registerOpcodes.UNEVENTFD, 0, 0)).toBe(0);
    d.timeout(1, 1e6, page);
    d.ring.enter(1, 0);
    await d.ring.wait();
    close(fd);
  });

  it('refuses sizes that no ring has', () => {
    const runtime = new Runtime();
    for (const options of [{ entries: 0 }, { entries: 40000 }, { entries: 1.5 }, { entries: 16, cqEntries: 8 }])
      expect(() => new LinuxRing(runtime, options)).toThrow(expect.objectContaining({ code: 'SLUICE_RING_ENTRIES' }));
    const big = driver({ entries: 32768, cqEntries: 65536 });
    expect(big.ring.sqEntries).toBe(32768);
    expect(driver({ entries: 5 }).ring.sqEntries).toBe(8);
  });

  it('wakes waiters when it is closed, and answers EBADF from then on', async () => {
    const d = driver();
    const wait = d.ring.wait();
    const closed = d.ring.close();
    await wait;
    expect(d.ring.enter(0, 0)).toBe(-9);
    expect(d.ring.register(registerOpcodes.UNFILES, 0, 0)).toBe(-9);
    await d.ring.wait();
    expect(d.ring.close()).toBe(closed);
    await closed;
  });

  it('leaves no descriptor, and its pages are free again, once nothing is in flight', async () => {
    const warm = new Driver();
    warm.ring.wait();
    await warm.ring.close();
    const before = descriptors();
    const runtime = new Runtime();
    const [read, write] = pipe();
    let first: number | undefined;
    for (let round = 0; round < 4; round++) {
      const probe = runtime.allocatePages(1);
      first ??= probe;
      expect(probe, 'pages of the ring before were given back').toBe(first);
      runtime.freePages(probe, 1);
      const ring = new LinuxRing(runtime, { entries: 4, ...(round % 2 === 1 ? { without: ['NO_MMAP'] } : {}) });
      const page = runtime.allocatePages(64);
      // A read that never ends by itself.
      const view = runtime.view();
      view.setUint8(ring.addresses.sqes, opcodes.read.number);
      view.setInt32(ring.addresses.sqes + 4, read, true);
      view.setBigUint64(ring.addresses.sqes + 16, ring.base + BigInt(page), true);
      view.setUint32(ring.addresses.sqes + 24, 8, true);
      view.setUint32(ring.addresses.sqTail, 1, true);
      expect(ring.enter(1, 0)).toBe(1);
      ring.wait();
      await ring.close();
      runtime.freePages(page, 64);
    }
    expect(runtime.allocatePages(1)).toBe(first);
    close(read);
    close(write);
    await new Promise((resolve) => setImmediate(resolve));
    expect(descriptors()).toBe(before);
  });
});
