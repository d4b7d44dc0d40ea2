import { type AddressInfo, createConnection, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { proxy } from '../../src/hooks/ring/patterns/proxy.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { isReplay, listening, noRing, onKernel, simulate, withRing } from './bench.ts';

const upstreamOf = (port: number) => ({ family: 'ipv4', address: '127.0.0.1', port }) as const;

describe.skipIf(noRing !== undefined)(`proxy ${onKernel}`, () => {
  it('passes bytes and ends on, both ways, without JavaScript', () =>
    withRing(async (ring) => {
      // Answers only when the client has sent its last byte.
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        const parts: Buffer[] = [];
        socket.on('data', (part) => parts.push(part));
        socket.on('end', () => socket.end(Buffer.concat([Buffer.from('got '), ...parts])));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port, close, fd } = await listening(ring);
      const controller = new AbortController();
      const upstream = upstreamOf((server.address() as AddressInfo).port);
      const serving = proxy(ring, fd, upstream, { connections: 4, signal: controller.signal });
      const { posted } = ring.stats;
      const texts = Array.from({ length: 20 }, (_, i) => `${i} `.repeat(1 + i * 20_000));
      const answers = await Promise.all(
        texts.map(
          (text) =>
            new Promise<string>((resolve, reject) => {
              let got = '';
              const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(text));
              socket.setEncoding('latin1');
              socket.on('data', (data) => {
                got += data;
              });
              socket.on('end', () => resolve(got));
              socket.on('error', reject);
            }),
        ),
      );
      expect(answers).toEqual(texts.map((text) => `got ${text}`));
      expect(ring.stats.posted).toBe(posted);
      controller.abort();
      const sent = texts.reduce((sum, text) => sum + text.length, 0);
      expect(await serving).toMatchObject({ accepted: 20, broken: 0, sent, received: sent + 20 * 4 });
      expect(ring.stats.posted - posted).toBe(1n);
      server.close();
      await close();
    }));

  it('closes clients where nobody is upstream, and ends with connections open', () =>
    withRing(async (ring) => {
      const { port, close, fd } = await listening(ring);
      const controller = new AbortController();
      const serving = proxy(ring, fd, upstreamOf(1), { signal: controller.signal });
      await new Promise((resolve) =>
        createConnection(port, '127.0.0.1')
          .on('error', () => {})
          .on('close', resolve),
      );
      controller.abort();
      expect(await serving).toMatchObject({ accepted: 1, broken: 1 });
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const again = new AbortController();
      const open = proxy(ring, fd, upstreamOf((server.address() as AddressInfo).port), { signal: again.signal });
      const connected = new Promise((resolve) => server.once('connection', resolve));
      const client = createConnection(port, '127.0.0.1').on('error', () => {});
      const gone = new Promise((resolve) => client.on('close', resolve));
      await connected;
      again.abort();
      expect(await open).toMatchObject({ accepted: 1 });
      await gone;
      server.close();
      await close();
      await expect(proxy(ring, 1_000_000, upstreamOf(1))).rejects.toMatchObject({ errno: 'EBADF', operation: 'proxy' });
    }));
});

describe('proxy over simulated worlds', () => {
  it('passes bytes on in order, and closes everything', async () => {
    let whole = 0;
    await simulate(
      100,
      () => ({ faults: chaos }),
      async ({ ring, world, seed }) => {
        world.serve(80, { data: (peer, bytes) => peer.send(bytes) });
        const fd = world.listen(8080);
        const before = world.openDescriptors.length;
        const texts = Array.from({ length: 5 }, (_, i) => `${seed}.${i} `.repeat(1 + ((seed * (i + 1)) % 400)));
        const peers = texts.map((text) =>
          world.connect(8080, [{ send: text, pieces: 3 }, { receive: text.length }, { close: true }]),
        );
        const controller = new AbortController();
        world.clock.at(seed % 4 === 0 ? (seed % 50) * 20_000 : 200_000_000, () => controller.abort());
        await proxy(ring, fd, upstreamOf(80), { connections: 1 + (seed % 5), signal: controller.signal });
        for (const [i, peer] of peers.entries()) {
          const got = new TextDecoder().decode(peer.received);
          expect(texts[i]!.startsWith(got)).toBe(true);
          if (got === texts[i]) whole++;
        }
        expect(world.openDescriptors.length).toBe(before);
      },
      // A poll that was to be cancelled while a worker began it waited for ever.
      [704],
    );
    if (!isReplay) expect(whole).toBeGreaterThan(100);
  });

  it('closes everything where the ring has no request left for it', async () => {
    let failed = 0;
    await simulate(
      60,
      (seed) => ({ faults: chaos, requests: 4 + (seed % 6) }),
      async ({ ring, world, seed }) => {
        world.serve(80, { data: (peer, bytes) => peer.send(bytes) });
        const fd = world.listen(8080);
        const before = world.openDescriptors.length;
        for (let i = 0; i < 5; i++)
          world.connect(8080, [{ send: 'x'.repeat(300), pieces: 3 }, { receive: 300 }, { close: true }]);
        const controller = new AbortController();
        world.clock.at(seed % 2 === 0 ? 100_000 : 200_000_000, () => controller.abort());
        const errno = await proxy(ring, fd, upstreamOf(80), { connections: 5, signal: controller.signal }).then(
          () => undefined,
          (error: unknown) => (error instanceof RequestError ? error.errno : error),
        );
        if (errno !== undefined) expect(errno).toBe('ENOMEM');
        if (errno !== undefined) failed++;
        expect(world.openDescriptors.length).toBe(before);
      },
      // No request was left to cancel a poll with.
      [4121],
    );
    if (!isReplay) expect(failed).toBeGreaterThan(0);
  });
});
