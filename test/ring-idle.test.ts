// What a ring does on which nothing is under way: it sleeps, hears messages of other rings, and fires work of programs.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { load } from '../src/index.ts';
import type { LinuxRing } from '../src/linux/io-uring.ts';
import { readObject } from '../src/object/index.ts';
import { Ring, type RingOptions } from '../src/ring.ts';
import { clangs, compileBpf, noClang } from './clang.ts';
import { noRing } from './ring-testbed.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const drivers = ['inline', 'worker'] as const;
const fdOf = (ring: Ring) => (ring.backend as LinuxRing).fd; // or WorkerRing's, which has one too

async function withRings<T>(options: RingOptions, run: (ring: Ring, other: Ring) => Promise<T>): Promise<T> {
  const ring = await Ring.create({ entries: 8, ...options });
  const other = await Ring.create({ entries: 8 });
  try {
    return await run(ring, other);
  } finally {
    await ring.close();
    await other.close();
  }
}

describe.skipIf(noRing !== undefined)(`an idle ring${noRing === undefined ? '' : ` (skipped: ${noRing})`}`, () => {
  it.each(drivers)('hears messages of other rings: %s', (driver) =>
    withRings({ driver }, async (ring, other) => {
      const heard: [bigint, number][] = [];
      const listening = (async () => {
        for await (const { userData, res } of ring) {
          heard.push([userData, res]);
          if (heard.length === 3) break;
        }
      })();
      for (let i = 0; i < 3; i++) {
        await sleep(20);
        await other.message(fdOf(ring), 40 + i, i);
      }
      await listening;
      expect(heard).toEqual([
        [0n, 40],
        [1n, 41],
        [2n, 42],
      ]);
    }),
  );

  it.each(drivers)('ends the loop of who listens when it is closed: %s', (driver) =>
    withRings({ driver }, async (ring) => {
      let heard = 0;
      const listening = (async () => {
        for await (const _ of ring) heard++;
      })();
      await sleep(20);
      await ring.close();
      await listening;
      expect(heard).toBe(0);
    }),
  );

  it.each(drivers)('keeps the process alive for who listens, and nobody else: %s', async (driver) => {
    const ring = JSON.stringify(new URL('../dist/ring.js', import.meta.url).href);
    const script = (listens: boolean) => `
      const { Ring } = await import(${ring});
      const ring = await Ring.create({ entries: 8, driver: '${driver}' });
      process.on('exit', () => console.log('ended'));
      setTimeout(() => ring.close(), 100).unref();
      if (${listens}) for await (const _ of ring);
      if (${listens}) console.log('heard');`;
    const run = async (listens: boolean) =>
      (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script(listens)])).stdout;
    expect(await run(true)).toBe('heard\nended\n');
    expect(await run(false)).toBe('ended\n');
  });

  it.each(drivers)('sleeps while it is waited for: %s', (driver) =>
    withRings({ driver }, async (ring) => {
      const time = ring.allocate(16);
      prep.writeTimespec(new DataView(time.bytes.buffer), time.address, 100_000_000);
      const { enters } = ring.stats;
      ring.stage((view, at) => prep.timeout(view, at, time.address, { userData: 7 }));
      for await (const { userData } of ring) {
        expect(userData).toBe(7n);
        break;
      }
      expect(ring.stats.enters - enters).toBeLessThan(100n);
    }),
  );

  describe.skipIf(noClang !== '')(`work of programs${noClang}`, () => {
    const compile = () => {
      const source = readFileSync(folder('objects/ring-work.bpf.c'), 'utf8');
      const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
      return readObject(
        compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }),
        'timer',
      );
    };

    it.each(drivers)('is done: %s', (driver) =>
      withRings({ driver }, async (ring) => {
        const object = await load(compile(), { runtime: ring.runtime });
        const callback = ring.programs.attach(object).get('begin')!;
        ring.stage((view, at) => prep.nop(view, at, { callback }));
        ring.submitAndWait(1);
        const done = () => (object.maps['.bss']!.get(0) as { done: bigint }).done;
        if (driver === 'inline') await sleep(200);
        // JavaScript's own thread does nothing at all.
        else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
        expect(done()).toBe(20n);
      }),
    );
  });
});
