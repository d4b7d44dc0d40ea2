import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RingContext } from './hooks/ring/context.ts';
import { attachToRings } from './hooks/ring/global-programs.ts';
import { placeCallback } from './hooks/ring/placement.ts';
import { load } from './index.ts';
import { ringRefusal } from './linux/io-uring-features.ts';
import { IORING_OP_BPF, RING_POST } from './plane/layout/ring.ts';
import {
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
  SQE_ADDR,
  SQE_CALLBACK,
  SQE_FD,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_USER_DATA,
} from './plane/layout/sqe.ts';
import { Ring } from './ring.ts';
import { isArray } from './runtime/handles.ts';
import type { UserObject } from './runtime/load.ts';
import { Runtime } from './runtime/runtime.ts';

const reason = ringRefusal();

const NOP_INJECT_RESULT = 1;
const OP_TIMEOUT = 11;
const OP_READ = 22;

/** A nop that ends with `res`. */
const nop =
  (res = 0, flags = 0, callback = 0, userData = 0) =>
  (view: DataView, at: number) => {
    view.setUint8(at + SQE_FLAGS, flags);
    view.setInt32(at + SQE_LEN, res, true);
    view.setUint32(at + SQE_OP_FLAGS, NOP_INJECT_RESULT, true);
    view.setUint32(at + SQE_USER_DATA, userData, true);
    view.setUint16(at + SQE_CALLBACK, callback, true);
  };

describe.skipIf(reason !== undefined)(
  `a ring of this kernel${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  () => {
    let ring: Ring;

    beforeEach(async () => {
      ring = await Ring.create({ entries: 32 });
    });

    afterEach(async () => {
      expect(ring.issued).toBe(0);
      expect(ring.live).toBe(0);
      await ring.close();
    });

    const timeout = (ns: number) => {
      const time = ring.allocate(16);
      new DataView(time.bytes.buffer, time.address).setBigUint64(0, BigInt(Math.floor(ns / 1e9)), true);
      new DataView(time.bytes.buffer, time.address).setUint32(8, ns % 1e9, true);
      return (view: DataView, at: number) => {
        view.setUint8(at + SQE_OPCODE, OP_TIMEOUT);
        view.setUint32(at + SQE_ADDR, time.address, true);
        view.setUint32(at + SQE_LEN, 1, true);
      };
    };

    it('completes more requests than it has entries, in one turn of JavaScript', async () => {
      const results = await Promise.all(Array.from({ length: 1000 }, (_, i) => ring.request('nop', nop(i))));
      expect(results).toEqual(Array.from({ length: 1000 }, (_, i) => i));
      expect(ring.stats.enters).toBeLessThan(100n);
    });

    it('reads a file into its memory', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-ring-'));
      writeFileSync(join(folder, 'text'), 'hello, ring');
      const fd = openSync(join(folder, 'text'), 'r');
      const buffer = ring.allocate(100);
      const res = await ring.request('read', (view, at) => {
        view.setUint8(at + SQE_OPCODE, OP_READ);
        view.setInt32(at + SQE_FD, fd, true);
        view.setUint32(at + SQE_ADDR, buffer.address, true);
        view.setUint32(at + SQE_LEN, buffer.length, true);
      });
      expect(new TextDecoder().decode(buffer.bytes.slice(0, res))).toBe('hello, ring');
      buffer.free();
      rmSync(folder, { recursive: true });
    });

    it('rejects with the errno', async () => {
      await expect(ring.request('nop', nop(-5))).rejects.toMatchObject({
        code: 'SLUICE_RING_EIO',
        errno: 'EIO',
        res: -5,
        operation: 'nop',
      });
    });

    it('cancels what follows a failed request by links, but not by hard links', async () => {
      const settled = await Promise.allSettled([
        ring.request('a', nop(0, IOSQE_IO_LINK)),
        ring.request('b', nop(-5, IOSQE_IO_HARDLINK)),
        ring.request('c', nop(-6, IOSQE_IO_LINK)),
        ring.request('d', nop(0, IOSQE_IO_LINK)),
        ring.request('e', nop()),
      ]);
      expect(settled.map((each) => (each.status === 'fulfilled' ? 'ok' : each.reason.errno))).toEqual([
        'ok',
        'EIO',
        'ENXIO',
        'ECANCELED',
        'ECANCELED',
      ]);
    });

    it('waits for time to pass while the event loop goes on', async () => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      await expect(ring.request('timeout', timeout(60e6))).rejects.toMatchObject({ errno: 'ETIME' });
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(2);
    });

    it('ends a request when its signal aborts', async () => {
      const controller = new AbortController();
      const request = ring.request('timeout', timeout(100e9), { signal: controller.signal });
      setTimeout(() => controller.abort(), 5);
      await expect(request).rejects.toMatchObject({ name: 'AbortError' });
    });

    it('gives completions to whoever iterates over it', async () => {
      for (let i = 1; i <= 3; i++) ring.stage(nop(i, 0, 0, i));
      const seen: [bigint, number][] = [];
      for await (const { userData, res } of ring) if (seen.push([userData, res]) === 3) break;
      expect(seen).toEqual([
        [1n, 1],
        [2n, 2],
        [3n, 3],
      ]);
    });

    it('runs a function on completions, whose requests run it again', async () => {
      let runs = 0;
      const again: number = ring.programs.add('again', (context) => {
        runs++;
        if (runs === 100) return RING_POST;
        context.submit(nop(runs, 0, again, Number(context.userData)));
      });
      ring.stage(nop(0, 0, again, 7));
      expect(ring.submitAndWait(1)).toBe(1);
      expect(ring.completions.shift()).toMatchObject({ userData: 7n, res: 99 });
      expect(runs).toBe(100);
    });

    it('runs a program request once a queue has enough', () => {
      const queue = ring.createQueue({ entries: 8 });
      const results: number[] = [];
      const number = ring.programs.add('gather', (context) => {
        for (let cqe = context.reap(queue.index); cqe !== undefined; cqe = context.reap(queue.index))
          results.push(cqe.res);
        return 0;
      });
      ring.stage((view, at) => {
        view.setUint8(at + SQE_OPCODE, IORING_OP_BPF);
        view.setUint32(at + SQE_OFF, number - 1, true);
        view.setUint32(at + SQE_LEN, 3, true);
        view.setUint32(at + SQE_OP_FLAGS, queue.index, true);
        view.setUint32(at + SQE_USER_DATA, 9, true);
      });
      for (let i = 1; i <= 3; i++) {
        expect(results).toEqual([]);
        ring.stage((view, at) => {
          nop(i)(view, at);
          view.setUint16(at + 56, queue.index, true);
        });
        ring.submitAndWait(0);
      }
      expect(ring.submitAndWait(1)).toBe(1);
      expect(results).toEqual([1, 2, 3]);
      expect(ring.completions.shift()).toMatchObject({ userData: 9n, res: 0 });
    });
  },
);

describe.skipIf(reason !== undefined)('closing a ring', () => {
  it('rejects what is under way, and closes, where nobody can be woken for it', async () => {
    const ring = await Ring.create({ entries: 8 });
    const argument = ring.allocate(16);
    const view = new DataView(argument.bytes.buffer);
    const failure = new Error('no wakeup');
    ring.backend.wait = () => Promise.reject(failure);
    view.setUint32(argument.address, 1000, true);
    const request = ring.request('timeout', (sqe, at) => {
      sqe.setUint8(at + SQE_OPCODE, OP_TIMEOUT);
      sqe.setUint32(at + SQE_ADDR, argument.address, true);
      sqe.setUint32(at + SQE_LEN, 1, true);
    });
    await expect(request).rejects.toBe(failure);
    expect(ring.lastFault).toBe(failure);
    expect(ring.issued).toBe(1);
    expect(await ring.request('nop', nop(3))).toBe(3);
    await ring.close();
  });

  it('rejects what is under way, and gives everything back', async () => {
    const ring = await Ring.create({ entries: 8 });
    const time = ring.allocate(16);
    new DataView(time.bytes.buffer, time.address).setUint32(0, 1000, true);
    const requests = Array.from({ length: 20 }, () =>
      ring.request('timeout', (view, at) => {
        view.setUint8(at + SQE_OPCODE, OP_TIMEOUT);
        view.setUint32(at + SQE_ADDR, time.address, true);
        view.setUint32(at + SQE_LEN, 1, true);
      }),
    );
    const settled = Promise.allSettled(requests);
    await ring.close();
    for (const each of await settled)
      expect(each).toMatchObject({ status: 'rejected', reason: { errno: 'ECANCELED' } });
    expect(() => ring.stage(() => {})).toThrow('the ring is closed');
  });
});

describe.skipIf(reason !== undefined)('programs of all rings', () => {
  const object = readFileSync(new URL('../bpf/objects/ring/nops.bpf.o', import.meta.url));

  it('are attached to those that are there and to those that come', async () => {
    const runtime = new Runtime();
    const nops = await load(object, { runtime });
    const before = await Ring.create({ runtime, entries: 8 });
    expect(before.programs.names).toEqual([]);
    attachToRings(nops);
    const after = await Ring.create({ runtime, entries: 8 });
    for (const ring of [before, after]) {
      // No requests are left to be made, and one is running: the program tells queue 0 at its end.
      new DataView(runtime.plane.memory.buffer, bss(nops)).setUint32(8, 1, true);
      ring.stage(nop(0, 0, ring.programs.number('nops'), 5));
      expect(ring.submitAndWait(1)).toBe(1);
      expect(ring.completions.shift()).toMatchObject({ userData: 5n, res: 0 });
      expect(ring.stats.runs).toBe(1n);
    }
    await before.close();
    await after.close();
    nops.close();
  });

  it('or a function stand in one place, by a flag', async () => {
    for (const side of ['program', 'javascript'] as const) {
      const ring = await Ring.create({ entries: 8 });
      const nops = await load(object, { runtime: ring.runtime });
      let called = 0;
      const javascript = (context: RingContext) => {
        called++;
        context.emit(0, context.userData, 0);
        return undefined;
      };
      const number = placeCallback(ring, { name: 'nops', object: nops, javascript }, side);
      new DataView(ring.runtime.plane.memory.buffer, bss(nops)).setUint32(8, 1, true);
      ring.stage(nop(0, 0, number, 6));
      expect(ring.submitAndWait(1)).toBe(1);
      expect(ring.completions.shift()).toMatchObject({ userData: 6n, res: 0 });
      expect(called).toBe(side === 'javascript' ? 1 : 0);
      await ring.close();
      nops.close();
    }
  });
});

/** Address of the object's `left` and `running`. */
function bss(object: UserObject): number {
  const map = object.maps['.bss'];
  if (map === undefined || !isArray(map)) throw new Error('nops.bpf.o has no .bss');
  return map.bytes().byteOffset;
}

describe('options of a ring', () => {
  it('that are not there are refused, not ignored', async () => {
    const create = (options: object) => Ring.create(options);
    await expect(create({ sqPoll: true })).rejects.toMatchObject({
      code: 'SLUICE_UNSUPPORTED',
      feature: 'IORING_SETUP_SQPOLL',
    });
    await expect(create({ depth: 4 })).rejects.toMatchObject({ code: 'SLUICE_RING_OPTION' });
  });
});
