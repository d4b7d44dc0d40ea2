import { createConnection } from 'node:net';
import { describe, expect, it } from 'vitest';
import { echo } from '../../src/hooks/ring/patterns/echo.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import type { Peer } from '../../src/hooks/ring/simulated/world/index.ts';
import { listening, noRing, onKernel, simulate, withRing } from './bench.ts';

/** Sends, waits for as much, and closes. */
function client(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = createConnection(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      got += data;
      if (got.length >= text.length) socket.end();
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });
}

describe.skipIf(noRing !== undefined)(`echo ${onKernel}`, () => {
  it('serves many connections, more than it has at once, without JavaScript', () =>
    withRing(async (ring) => {
      const { port, close, fd } = await listening(ring);
      const controller = new AbortController();
      const serving = echo(ring, fd, { connections: 10, buffer: 1000, signal: controller.signal });
      const { posted } = ring.stats;
      const texts = Array.from({ length: 60 }, (_, i) => `${i} `.repeat(200 + i * 20));
      const answers = await Promise.all(texts.map((text) => client(port, text)));
      expect(answers).toEqual(texts);
      const { runs } = ring.stats;
      expect(ring.stats.posted).toBe(posted);
      controller.abort();
      const result = await serving;
      expect(result).toMatchObject({
        accepted: 60,
        broken: 0,
        bytes: texts.reduce((sum, text) => sum + text.length, 0),
      });
      expect(ring.stats.posted - posted).toBe(1n);
      expect(runs).toBeGreaterThan(240n);
      await close();
    }));

  it('ends with connections open, and with the ring', () =>
    withRing(async (ring) => {
      const { port, close, fd } = await listening(ring);
      const controller = new AbortController();
      const serving = echo(ring, fd, { signal: controller.signal });
      const ended = new Promise((resolve) => {
        const socket = createConnection(port, '127.0.0.1', () => socket.write('x'));
        socket.on('data', () => controller.abort());
        socket.on('close', resolve);
        socket.on('error', () => {});
      });
      expect(await serving).toMatchObject({ accepted: 1, bytes: 1 });
      await ended;
      await close();
    }));

  it('rejects where nothing can be accepted', () =>
    withRing(async (ring) => {
      await expect(echo(ring, 1_000_000)).rejects.toMatchObject({ errno: 'EBADF', operation: 'echo' });
      await expect(echo(ring, 1, { connections: 0 })).rejects.toMatchObject({ code: 'SLUICE_RING_OPTION' });
    }));
});

describe('echo over simulated worlds', () => {
  it('sends back what came, in order, on every connection', async () => {
    let whole = 0;
    await simulate(
      150,
      () => ({ faults: chaos }),
      async ({ ring, world, seed }) => {
        const fd = world.listen(7);
        const before = world.openDescriptors.length;
        const peers: Peer[] = [];
        const texts = Array.from({ length: 6 }, (_, i) => `${seed}.${i} `.repeat(1 + ((seed * (i + 1)) % 150)));
        for (const text of texts)
          peers.push(
            world.connect(7, [{ send: text, pieces: 1 + (seed % 4) }, { receive: text.length }, { close: true }]),
          );
        const controller = new AbortController();
        world.clock.at(seed % 4 === 0 ? (seed % 50) * 10_000 : 100_000_000, () => controller.abort());
        const result = await echo(ring, fd, { connections: 1 + (seed % 7), buffer: 64, signal: controller.signal });
        for (const [i, peer] of peers.entries()) {
          const got = new TextDecoder().decode(peer.received);
          expect(texts[i]!.startsWith(got)).toBe(true);
          if (got === texts[i]) whole++;
        }
        expect(result.bytes).toBeGreaterThanOrEqual(0);
        expect(world.openDescriptors.length).toBe(before);
      },
    );
    expect(whole).toBeGreaterThan(300);
  });
});
