// Rings that a thread of their own turns, on this kernel.
import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checksum } from '../src/hooks/ring/patterns/checksum.ts';
import { copy } from '../src/hooks/ring/patterns/copy.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { load, Runtime } from '../src/index.ts';
import { RING_SLOTS } from '../src/plane/layout/ring.ts';
import {
  IOSQE_CQE_SKIP_SUCCESS,
  IOSQE_IO_LINK,
  SQE_ADDR,
  SQE_CALLBACK,
  SQE_EXTRA,
  SQE_FLAGS,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_USER_DATA,
} from '../src/plane/layout/sqe.ts';
import { Ring } from '../src/ring.ts';
import { noRing } from './ring-testbed.ts';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const built = existsSync(join(dist, 'linux/io-uring-thread.js'));
const reason = noRing ?? (built ? undefined : 'dist is not built');

const NOP_INJECT_RESULT = 1;
const OP_TIMEOUT = 11;

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

const nops = readFileSync(fileURLToPath(new URL('../bpf/objects/ring/nops.bpf.o', import.meta.url)));

const open = () => Ring.create({ driver: 'worker', entries: 32 });

/** Ends after so many seconds. */
const timeout = (ring: Ring, seconds: number, ns = 0) => {
  const time = ring.allocate(16);
  const view = new DataView(time.bytes.buffer);
  view.setUint32(time.address, seconds, true);
  view.setUint32(time.address + 8, ns, true);
  return (sqe: DataView, at: number) => {
    sqe.setUint8(at + SQE_OPCODE, OP_TIMEOUT);
    sqe.setUint32(at + SQE_ADDR, time.address, true);
    sqe.setUint32(at + SQE_LEN, 1, true);
  };
};

describe.skipIf(reason !== undefined)(
  `a ring on a thread of its own${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  () => {
    let ring: Ring;

    beforeEach(async () => {
      ring = await open();
    });

    afterEach(async () => {
      await ring.close();
    });

    it('completes more requests than it has entries', async () => {
      const results = await Promise.all(Array.from({ length: 3000 }, (_, i) => ring.request('nop', nop(i))));
      expect(results).toEqual(Array.from({ length: 3000 }, (_, i) => i));
      expect(ring.stats.requests).toBe(3000n);
      expect(ring.stats.enters).toBeGreaterThan(0n);
    });

    it('completes one request after the other', async () => {
      for (let i = 0; i < 500; i++) expect(await ring.request('nop', nop(i))).toBe(i);
    });

    it('rejects with the errno, and cancels what follows by a link', async () => {
      const settled = await Promise.allSettled([
        ring.request('a', nop(0, IOSQE_IO_LINK)),
        ring.request('b', nop(-5, IOSQE_IO_LINK)),
        ring.request('c', nop()),
        ring.request('d', nop(7)),
      ]);
      expect(settled.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.errno))).toEqual([
        0,
        'EIO',
        'ECANCELED',
        7,
      ]);
    });

    it('waits for time to pass while the event loop goes on', async () => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      await expect(ring.request('timeout', timeout(ring, 0, 60e6))).rejects.toMatchObject({ errno: 'ETIME' });
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(2);
    });

    it('takes what is staged while it sleeps in the kernel', async () => {
      const long = ring.request('timeout', timeout(ring, 100)).catch((error: unknown) => error);
      for (let i = 0; i < 20; i++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        const start = performance.now();
        expect(await ring.request('nop', nop(i))).toBe(i);
        // A wait of the thread ends by itself after a second.
        expect(performance.now() - start).toBeLessThan(900);
      }
      await ring.close();
      expect(await long).toMatchObject({ errno: 'ECANCELED' });
    });

    it('ends a request when its signal aborts', async () => {
      const controller = new AbortController();
      const request = ring.request('timeout', timeout(ring, 100), { signal: controller.signal });
      setTimeout(() => controller.abort(), 5);
      await expect(request).rejects.toMatchObject({ name: 'AbortError' });
    });

    it('cancels by user_data', async () => {
      ring.stage((view, at) => {
        timeout(ring, 100)(view, at);
        view.setUint32(at + SQE_USER_DATA, 77, true);
      });
      expect(ring.cancel(77n)).toBe(true);
      expect(ring.submitAndWait(1, 5e9)).toBe(1);
      expect(ring.completions.shift()).toMatchObject({ userData: 77n, res: -125 });
      expect(ring.cancel(77n)).toBe(false);
    });

    it('gives completions to whoever iterates over it, and to other queues', async () => {
      const queue = ring.createQueue({ entries: 4 });
      for (let i = 1; i <= 3; i++) ring.stage(nop(i, 0, 0, i));
      ring.stage((view, at) => {
        nop(9, 0, 0, 9)(view, at);
        view.setUint16(at + 56, queue.index, true);
      });
      const seen: number[] = [];
      for await (const { res } of ring) if (seen.push(res) === 3) break;
      expect(seen).toEqual([1, 2, 3]);
      for await (const { res } of queue) {
        expect(res).toBe(9);
        break;
      }
    });

    it('blocks for completions, for a time, and not for what cannot come', () => {
      for (let i = 0; i < 100; i++) ring.stage(nop(i));
      expect(ring.submitAndWait(100)).toBe(100);
      expect(ring.submitAndWait(101)).toBe(100);
      ring.stage(timeout(ring, 100));
      const start = performance.now();
      expect(ring.submitAndWait(101, 20e6)).toBe(100);
      expect(performance.now() - start).toBeGreaterThan(15);
    });

    it('runs programs while JavaScript is busy', async () => {
      const object = await load(nops, { runtime: ring.runtime });
      const callback = ring.programs.attach(object).get('nops')!;
      const left = 1_000_000_000n;
      const data = object.maps['.bss'] ?? object.maps.bss!;
      data.set(0, { left, running: 1 });
      ring.stage(nop(0, 0, callback, 5));
      ring.submit();
      const before = ring.stats.runs;
      const until = performance.now() + 200;
      while (performance.now() < until);
      const during = ring.stats.runs - before;
      expect(during).toBeGreaterThan(1000n);
      // Its last request tells queue 0.
      data.set(0, { left: 0n, running: 1 });
      for await (const { userData } of ring) {
        expect(userData).toBe(5n);
        break;
      }
      expect(ring.lastFault).toBeUndefined();
    });

    it('has programs that are loaded later, and while it sleeps', async () => {
      for (let i = 0; i < 3; i++) {
        const object = await load(nops, { runtime: ring.runtime, variables: { callback: i + 1 } });
        const data = object.maps['.bss'] ?? object.maps.bss!;
        data.set(0, { left: 100n, running: 1 });
        const before = ring.stats.runs;
        // Names are of one object each.
        if (i > 0) {
          expect(() => ring.programs.attach(object)).toThrow('has a program nops already');
          continue;
        }
        ring.stage(nop(0, 0, ring.programs.attach(object).get('nops')!, 5));
        expect(ring.submitAndWait(1)).toBe(1);
        expect(ring.stats.runs - before).toBe(101n);
      }
    });

    it('refuses what only JavaScript can run', async () => {
      const refused = expect.objectContaining({ code: 'SLUICE_RING_DRIVER', message: expect.stringMatching(/inline/) });
      expect(() => ring.programs.add('function', () => 0)).toThrow(refused);
      const object = await load(nops, { runtime: ring.runtime, engine: 'interpreter' });
      expect(() => ring.programs.attach(object)).toThrow(refused);
      await expect(Ring.create({ driver: 'worker', runtime: ring.runtime })).rejects.toMatchObject({
        code: 'SLUICE_CPU',
      });
    });

    it('copies files by a program', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-ring-worker-'));
      const content = Buffer.from(Uint8Array.from({ length: 1_000_003 }, (_, i) => (i * 7919) >> 3));
      writeFileSync(join(folder, 'from'), content);
      for (let i = 0; i < 5; i++) {
        const from = openSync(join(folder, 'from'), 'r');
        const to = openSync(join(folder, 'to'), 'w');
        expect(await copy(ring, from, to, { block: 16384, depth: 8 })).toEqual({ bytes: content.length });
        expect(readFileSync(join(folder, 'to')).equals(content)).toBe(true);
        closeSync(from);
        closeSync(to);
      }
      rmSync(folder, { recursive: true });
    });

    it('registers files, buffers and rings of buffers, which its thread does', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-ring-worker-'));
      writeFileSync(join(folder, 'text'), 'hello, thread');
      const fd = openSync(join(folder, 'text'), 'r');
      const files = ring.registerFiles(4);
      files.set(2, fd);
      const buffer = ring.allocate(4096);
      const buffers = ring.registerBuffers([buffer]);
      const read = await ring.request('read', (view, at) =>
        prep.readFixed(view, at, 2, buffer.address, 100, 0, 0, { fixedFile: true }),
      );
      expect(Buffer.from(buffer.bytes.slice(0, read)).toString()).toBe('hello, thread');
      const group = ring.createBufferRing({ group: 1, count: 4, size: 64 });
      const stream = ring.stream('read', (view, at) => prep.read(view, at, fd, 0, 64, 0, { bufferSelect: 1 }));
      for await (const { res, flags } of stream) {
        const [part] = group.take(res, flags);
        expect(Buffer.from(part!.bytes.slice()).toString()).toBe('hello, thread');
      }
      files.close();
      await expect(
        ring.request('read', (view, at) => prep.read(view, at, 2, buffer.address, 100, 0, { fixedFile: true })),
      ).rejects.toMatchObject({ errno: 'EBADF' });
      buffers.close();
      closeSync(fd);
      rmSync(folder, { recursive: true });
    });

    it('closes with everything in flight', async () => {
      const requests = Array.from({ length: 200 }, () => ring.request('timeout', timeout(ring, 1000)));
      const settled = Promise.allSettled(requests);
      await ring.close();
      for (const each of await settled)
        expect(each).toMatchObject({ status: 'rejected', reason: { errno: 'ECANCELED' } });
      expect(() => ring.stage(() => {})).toThrow('the ring is closed');
      // Its CPU is free again.
      await (await Ring.create({ driver: 'worker', runtime: ring.runtime })).close();
    });

    it('rejects what is under way when its thread fails', async () => {
      const request = ring.request('timeout', timeout(ring, 1000));
      await new Promise((resolve) => setTimeout(resolve, 10));
      // Slots outside of the memory: the plane itself is stopped, no program.
      ring.runtime.view().setUint32(ring.address + RING_SLOTS, 0xffff_0000, true);
      const second = ring.request('nop', nop());
      await expect(request).rejects.toMatchObject({ code: 'SLUICE_INTERNAL' });
      await expect(second).rejects.toMatchObject({ code: 'SLUICE_INTERNAL' });
      expect(ring.lastFault).toBeInstanceOf(Error);
      expect(() => ring.stage(nop())).toThrow(/memory access out of bounds/);
      await ring.close();
    });
  },
);

describe.skipIf(reason !== undefined)('a process with a ring on a thread', () => {
  /** Runs a script over dist; what it printed. */
  async function run(body: string): Promise<{ stdout: string; ms: number }> {
    const script = `
      import { Ring } from ${JSON.stringify(join(dist, 'ring.js'))};
      const ring = await Ring.create({ driver: 'worker', entries: 8 });
      const hidden = (view, at) => { view.setUint8(at + ${SQE_FLAGS}, ${IOSQE_CQE_SKIP_SUCCESS}); view.setUint8(at + ${SQE_EXTRA}, 0); };
      const timeout = (seconds, ns) => {
        const time = ring.allocate(16);
        const view = new DataView(time.bytes.buffer);
        view.setUint32(time.address, seconds, true);
        view.setUint32(time.address + 8, ns, true);
        return (sqe, at) => {
          sqe.setUint8(at + ${SQE_OPCODE}, ${OP_TIMEOUT});
          sqe.setUint32(at + ${SQE_ADDR}, time.address, true);
          sqe.setUint32(at + ${SQE_LEN}, 1, true);
          sqe.setUint32(at + ${SQE_OFF}, 0, true);
        };
      };
      ${body}`;
    const start = performance.now();
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 8000,
    });
    return { stdout, ms: performance.now() - start };
  }

  it('ends when nothing is under way, waits for what is, and exits in the middle', async () => {
    const [idle, waits, exits, silent] = await Promise.all([
      run("console.log('idle')"),
      run("ring.request('timeout', timeout(0, 300e6)).catch(({ errno }) => console.log(errno))"),
      run("ring.request('timeout', timeout(1000, 0)).catch(() => {}); setTimeout(() => process.exit(0), 100)"),
      run('for (let i = 0; i < 10; i++) ring.stage(hidden); setTimeout(() => console.log(ring.live), 20)'),
    ]);
    expect(idle.stdout).toBe('idle\n');
    expect(waits.stdout).toBe('ETIME\n');
    expect(exits.stdout).toBe('');
    expect(silent.stdout).toBe('0\n');
    for (const { ms } of [idle, waits, exits, silent]) expect(ms).toBeLessThan(8000);
  });
});

describe.skipIf(reason !== undefined)(
  `two threads of one runtime${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  () => {
    it('run the same pattern side by side, and do not disturb each other', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-two-'));
      const runtime = new Runtime({ cpus: 3 });
      const rings = [
        await Ring.create({ runtime, driver: 'worker' }),
        await Ring.create({ runtime, driver: 'worker' }),
      ];
      try {
        const fds = ['a\n', 'bcd\n'].map((text, i) => {
          const path = join(folder, String(i));
          writeFileSync(path, Buffer.alloc(4_000_000, text));
          return openSync(path, 'r');
        });
        const alone = [await checksum(rings[0]!, fds[0]!), await checksum(rings[1]!, fds[1]!)];
        for (let i = 0; i < 5; i++)
          expect(await Promise.all(rings.map((ring, n) => checksum(ring, fds[n]!)))).toEqual(alone);
        for (const fd of fds) closeSync(fd);
      } finally {
        for (const ring of rings) await ring.close();
        rmSync(folder, { recursive: true });
      }
    });
  },
);
