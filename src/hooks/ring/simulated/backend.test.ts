import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openFlags } from '../../../abi/io-uring/call-flags.ts';
import { cqeFlags, recvSendFlags, sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { sqFlags } from '../../../abi/io-uring/ring-flags.ts';
import { InputError } from '../../../errors.ts';
import { random } from '../../../net/random.ts';
import { Runtime } from '../../../runtime/runtime.ts';
import { SimulatedBackend, type SimulationOptions } from './backend.ts';
import { cachedLatency, chaos } from './faults.ts';
import type { History } from './history.ts';
import { RawRing } from './raw-ring.ts';
import { World } from './world/index.ts';

const runtime = new Runtime({ seed: 1n });
const BUFFER = runtime.allocatePages(1 << 20);
const { memory } = runtime.plane;

async function withRing<T>(
  options: SimulationOptions,
  use: (ring: RawRing, backend: SimulatedBackend) => T,
): Promise<T> {
  const backend = new SimulatedBackend(runtime, options);
  try {
    return use(new RawRing(backend, memory), backend);
  } finally {
    await backend.close();
  }
}

function put(text: string, at = BUFFER): number {
  runtime.bytes().set(new TextEncoder().encode(`${text}\0`), at);
  return at;
}

function text(at: number, length: number): string {
  return new TextDecoder().decode(runtime.bytes().slice(at, at + length));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** A run over files, pipes and sockets with everything going wrong: what it answered. */
function busyRun(
  seed: number,
  faults = chaos,
): Promise<{ history: History; finals: Map<number, number>; open: number[] }> {
  const world = new World();
  world.file('/a', new Uint8Array(20_000).fill(7));
  const source = random(seed ^ 0x5eed);
  return withRing({ seed, world, faults }, (ring, backend) => {
    const [reader, writer] = world.pipe();
    const [near, far] = world.socketPair();
    const file = world.open('/a', openFlags.RDWR);
    const finals = new Map<number, number>();
    const take = () => {
      for (const { user, flags } of ring.take())
        if ((flags & cqeFlags.MORE) === 0) finals.set(user, (finals.get(user) ?? 0) + 1);
    };
    for (let user = 1; user <= 100; user++) {
      const flags = source.chance(1, 8) ? sqeFlags.IO_LINK : source.chance(1, 16) ? sqeFlags.IO_HARDLINK : 0;
      const words = { user, flags, addr: BUFFER + 4096 * source.below(16), len: 1 + source.below(4096) };
      source.pick([
        () => ring.push('read', { ...words, fd: file, off: source.below(20_000) }),
        () => ring.push('write', { ...words, fd: file, off: source.below(20_000) }),
        () => ring.push('write', { ...words, fd: writer }),
        () => ring.push('read', { ...words, fd: reader }),
        () => ring.push('send', { ...words, fd: far }),
        () => ring.push('recv', { ...words, fd: near }),
        () => ring.push('fsync', { user, flags, fd: file }),
        () => ring.push('async_cancel', { user, flags, addr: 1 + source.below(user) }),
        () => ring.push('nop', { user, flags }),
      ])();
      if (source.chance(1, 6)) ring.submit();
      take();
    }
    ring.submit();
    for (let rest = backend.inFlight; rest > 0; rest = backend.inFlight) {
      backend.advance(1e9);
      take();
      if (backend.inFlight < rest) continue;
      ring.push('async_cancel', { opFlags: 4, user: 1000 });
      ring.submit();
    }
    backend.advance(1e9);
    take();
    return { history: backend.history, finals, open: world.openDescriptors };
  });
}

describe('the simulated ring', () => {
  it('repeats itself exactly with a seed, and differs with another', async () => {
    const first = await busyRun(42);
    const second = await busyRun(42);
    const text = first.history.text();
    expect(second.history.text()).toBe(text);
    expect(second.history.digest()).toBe(first.history.digest());
    expect((await busyRun(43)).history.digest()).not.toBe(first.history.digest());
    expect(text).toContain('> #1 ');
    expect(text).toMatch(/< #\d+ \w+ = -ECANCELED/);
  });

  it('ends every request exactly once, whatever goes wrong', async () => {
    const counts = { failed: 0 };
    for (let seed = 0; seed < 100; seed++) {
      const { finals, history, open } = await busyRun(seed);
      for (let user = 1; user <= 100; user++)
        if (finals.get(user) !== 1)
          counts.failed++ || expect(finals.get(user), `seed ${seed}, request ${user}\n${history.text()}`).toBe(1);
      expect(open).toHaveLength(5);
    }
    expect(counts.failed).toBe(0);
  });

  it('lets virtual time pass only as far as someone waits for it', async () => {
    await withRing({ latency: cachedLatency }, (ring, backend) => {
      const view = runtime.view();
      view.setBigInt64(BUFFER, 3n, true);
      view.setBigInt64(BUFFER + 8, 500n, true);
      ring.push('timeout', { addr: BUFFER, len: 1 });
      ring.submit();
      const start = backend.now;
      expect(ring.take()).toEqual([]);
      backend.advance(1e9);
      expect(ring.take()).toEqual([]);
      expect(ring.run(1)[0]?.res).toBe(-62);
      expect(backend.now - start).toBeGreaterThanOrEqual(3e9 + 300);
      expect(backend.now - start).toBeLessThan(3e9 + 1000);
    });
  });

  it('gives up a wait after its time, with -ETIME', async () => {
    await withRing({}, (_ring, backend) => {
      const start = backend.now;
      expect(backend.enter(0, 1, 5000)).toBe(-62);
      expect(backend.now - start).toBe(5000);
    });
  });

  it('says so where a wait would never end', async () => {
    await withRing({ seed: 9 }, (ring, backend) => {
      const [reader] = backend.world.pipe();
      ring.push('read', { fd: reader, addr: BUFFER, len: 1 });
      expect(() => ring.submit(1)).toThrow(InputError);
      expect(() => backend.enter(0, 1)).toThrow(/seed 9.*\n.*read fd 3/s);
    });
  });

  it('wakes who waits once something has happened', async () => {
    const world = new World();
    const backend = new SimulatedBackend(runtime, { world });
    const ring = new RawRing(backend, memory);
    const { fd, peer } = world.connected();
    ring.push('recv', { fd, addr: BUFFER, len: 10 });
    ring.submit();
    let woken = false;
    const waiting = backend.wait().then(() => {
      woken = true;
    });
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(woken).toBe(false);
    peer.send('now');
    await waiting;
    expect(ring.take()[0]?.res).toBe(3);
    const closing = backend.wait();
    await backend.close();
    await closing;
    expect(backend.enter(0, 0)).toBe(-9);
  });

  it('refuses sizes that no ring has', () => {
    expect(() => new SimulatedBackend(runtime, { entries: 100 })).toThrow(/power of two/);
    expect(() => new SimulatedBackend(runtime, { cqEntries: 1 << 20 })).toThrow(InputError);
  });

  it('keeps completions that find no room until there is', async () => {
    await withRing({ entries: 4, cqEntries: 4, latency: cachedLatency }, (ring, backend) => {
      for (let round = 0; round < 3; round++) {
        for (let index = 0; index < 4; index++) ring.push('nop', { user: round * 4 + index });
        expect(ring.submit()).toBe(4);
      }
      const flags = () => runtime.view().getUint32(backend.addresses.sqFlags, true);
      expect(flags() & sqFlags.CQ_OVERFLOW).toBe(sqFlags.CQ_OVERFLOW);
      const seen: number[] = [];
      for (let round = 0; round < 3; round++) {
        seen.push(...ring.take().map(({ user }) => user));
        backend.enter(0, 0);
      }
      expect(seen).toEqual([...Array(12).keys()]);
      expect(flags() & sqFlags.CQ_OVERFLOW).toBe(0);
    });
  });

  it('stops a submission at what it refuses, without SUBMIT_ALL', async () => {
    for (const submitAll of [true, false]) {
      await withRing({ submitAll, latency: cachedLatency }, (ring, backend) => {
        ring.push('nop');
        ring.push(200);
        ring.push('nop');
        expect(ring.submit()).toBe(submitAll ? 3 : 2);
        expect(backend.features.has('SUBMIT_ALL')).toBe(submitAll);
      });
    }
  });
});

describe('bytes', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 20 });

  it('come out of a pipe as they went in, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer(), async (writes, seed) => {
        const faults = { shortTransfer: 0.5, again: 0.1, interrupted: 0.1, punt: 0.3, overflow: 0.1 };
        await withRing({ seed, faults }, (ring, backend) => {
          const [reader, writer] = backend.world.pipe(4096);
          const total = writes.reduce((sum, size) => sum + size, 0);
          runtime.bytes().set(random(seed).bytes(total), BUFFER);
          const sent = runtime.bytes().slice(BUFFER, BUFFER + total);
          let [written, read] = [0, 0];
          const into = BUFFER + (1 << 19);
          let [writing, reading] = [false, false];
          while (read < total) {
            if (!writing && written < total) {
              ring.push('write', {
                fd: writer,
                addr: BUFFER + written,
                len: Math.min(writes[0]!, total - written),
                user: 1,
              });
              writing = true;
            }
            if (!reading) {
              ring.push('read', { fd: reader, addr: into + read, len: writes.at(-1)!, user: 2 });
              reading = true;
            }
            for (const { user, res } of ring.run(1)) {
              if (user === 1) writing = false;
              else reading = false;
              if (res < 0) continue;
              if (user === 1) written += res;
              else read += res;
            }
          }
          expect(same(runtime.bytes().slice(into, into + total), sent)).toBe(true);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('reach a peer and come back in order, with short sends, split arrivals and small buffers', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer(), async (parts, seed) => {
        const world = new World({ socketBuffer: 1024 });
        const faults = { shortTransfer: 0.5, split: 0.7, again: 0.1, interrupted: 0.1 };
        await withRing({ seed, world, faults }, (ring) => {
          const total = parts.reduce((sum, size) => sum + size, 0);
          const source = random(seed).bytes(total);
          runtime.bytes().set(source, BUFFER);
          const { fd, peer } = world.connected({
            data: (self, bytes) => self.send(bytes),
            end: (self) => self.shutdown(),
          });
          const into = BUFFER + (1 << 19);
          let [sent, received, ended] = [0, 0, false];
          ring.push('send', { fd, addr: BUFFER, len: parts[0]!, user: 1 });
          ring.push('recv', { fd, addr: into, len: 700, user: 2 });
          while (!ended) {
            for (const { user, res } of ring.run(1)) {
              if (user === 1) {
                sent += Math.max(0, res);
                if (sent < total)
                  ring.push('send', { fd, addr: BUFFER + sent, len: Math.min(parts.at(-1)!, total - sent), user: 1 });
                else ring.push('shutdown', { fd, len: 1, user: 3 });
              } else if (user === 2) {
                received += Math.max(0, res);
                ended = res === 0;
                if (!ended) ring.push('recv', { fd, addr: into + received, len: 700, user: 2 });
              }
            }
          }
          expect(same(peer.received, source)).toBe(true);
          expect(same(runtime.bytes().slice(into, into + received), source)).toBe(true);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('of a zero-copy send are read when they arrive: a buffer that is used again too early shows', async () => {
    for (const early of [true, false]) {
      const world = new World();
      await withRing({ world }, (ring, backend) => {
        const { fd, peer } = world.connected();
        ring.push('send_zc', { fd, addr: put('precious'), len: 8, ioprio: recvSendFlags.ZC_REPORT_USAGE });
        const [first] = ring.run(1);
        expect(first).toEqual({ user: 0, res: 8, flags: cqeFlags.MORE });
        if (early) put('garbage!');
        const [second] = ring.run(1);
        expect(second?.flags).toBe(cqeFlags.NOTIF);
        if (!early) put('garbage!');
        backend.advance(1e6);
        expect(new TextDecoder().decode(peer.received)).toBe(early ? 'garbage!' : 'precious');
      });
    }
  });
});

describe('the world', () => {
  it('has files of any size, made up as they are read', async () => {
    const world = new World();
    world.file('/big/one', { size: 2 ** 40, source: (offset, target) => target.fill(offset % 251) });
    await withRing({ world, latency: cachedLatency }, (ring) => {
      const fd = world.open('/big/one');
      expect(ring.one('read', { fd, addr: BUFFER, len: 4, off: 2 ** 39 })).toBe(4);
      expect(runtime.bytes()[BUFFER]).toBe(2 ** 39 % 251);
      expect(ring.one('read', { fd, addr: BUFFER, len: 100, off: 2 ** 40 - 6 })).toBe(6);
    });
  });

  it('runs out of space where it is told to', async () => {
    await withRing({ faults: { spaceBytes: 8192 }, latency: cachedLatency }, (ring, backend) => {
      const fd = backend.world.open('/f', openFlags.CREAT | openFlags.RDWR);
      expect(ring.one('write', { fd, addr: BUFFER, len: 12_000 })).toBe(8192);
      expect(ring.one('write', { fd, addr: BUFFER, len: 10, off: 8192 })).toBe(-28);
      expect(ring.one('write', { fd, addr: BUFFER, len: 10, off: 10 })).toBe(10);
      expect(ring.one('ftruncate', { fd, off: 0 })).toBe(0);
      expect(ring.one('write', { fd, addr: BUFFER, len: 10, off: 0 })).toBe(10);
    });
  });

  it('takes scripts for peers: clients that come before or after the server, and servers', async () => {
    const world = new World();
    const early = world.connect(80, [{ send: 'hello', pieces: 2 }, { receive: 2 }, { close: true }]);
    const upstream = world.serve(90, (index) => [{ send: `you are ${index}` }, { receive: 'end' }, { close: true }]);
    await withRing({ world }, (ring, backend) => {
      const listener = world.listen(80);
      const fd = ring.one('accept', { fd: listener });
      let got = '';
      while (got.length < 5) got += text(BUFFER, ring.one('recv', { fd, addr: BUFFER, len: 100 }));
      expect(got).toBe('hello');
      expect(ring.one('send', { fd, addr: put('ok'), len: 2 })).toBe(2);
      expect(ring.one('recv', { fd, addr: BUFFER, len: 100 })).toBe(0);
      expect(early.isDone).toBe(true);
      const view = runtime.view();
      for (const index of [0, 1]) {
        view.setUint16(BUFFER, 2, true);
        view.setUint16(BUFFER + 2, 90, false);
        const client = ring.one('socket', { fd: 2, off: 1 });
        expect(ring.one('connect', { fd: client, addr: BUFFER, off: 16 })).toBe(0);
        expect(text(BUFFER, ring.one('recv', { fd: client, addr: BUFFER, len: 100 }))).toBe(`you are ${index}`);
        expect(ring.one('close', { fd: client })).toBe(0);
      }
      view.setUint16(BUFFER, 2, true);
      view.setUint16(BUFFER + 2, 91, false);
      expect(ring.one('connect', { fd: ring.one('socket', { fd: 2, off: 1 }), addr: BUFFER, off: 16 })).toBe(-111);
      backend.advance(1e9);
      expect(upstream.map((peer) => peer.isDone)).toEqual([true, true]);
    });
  });

  it('resets connections: the next use says so, later ones find none', async () => {
    const world = new World();
    await withRing({ world }, (ring, backend) => {
      const { fd } = world.connected([{ send: 'lost' }, { wait: 1000 }, { reset: true }]);
      backend.advance(1e9);
      expect(ring.one('recv', { fd, addr: BUFFER, len: 10 })).toBe(-104);
      expect(ring.one('recv', { fd, addr: BUFFER, len: 10 })).toBe(0);
      expect(ring.one('send', { fd, addr: BUFFER, len: 10 })).toBe(-32);
    });
  });
});

describe('a crash', () => {
  const runtimeOf = () => new Runtime({ seed: 1n });

  /** Writes an old version, syncs it, writes a new one over it, and crashes. */
  async function crashed(seed: number, sync: boolean, strict = false) {
    const own = runtimeOf();
    const world = new World({ strict });
    const buffer = own.allocatePages(65536);
    world.file('/data', new Uint8Array(16384).fill(1));
    const backend = new SimulatedBackend(own, { seed, world });
    const ring = new RawRing(backend, own.plane.memory);
    own.bytes().fill(2, buffer, buffer + 32768);
    own.bytes().set(new TextEncoder().encode('/new\0/renamed\0'), buffer + 40000);
    const fd = world.open('/data', openFlags.RDWR);
    ring.one('write', { fd, addr: buffer, len: 20_000, off: 0 });
    const created = ring.one('openat', {
      fd: -100,
      addr: buffer + 40000,
      opFlags: openFlags.CREAT | openFlags.WRONLY,
      len: 0o644,
    });
    ring.one('write', { fd: created, addr: buffer, len: 100, off: 0 });
    if (sync) {
      ring.one('fsync', { fd });
      ring.one('fsync', { fd: created });
    }
    expect(world.isSynced('/data')).toBe(sync);
    ring.one('renameat', { fd: -100, addr: buffer + 40000, len: -100 >>> 0, off: buffer + 40005 });
    world.crash();
    expect(backend.enter(0, 0)).toBe(-9);
    expect(world.openDescriptors).toEqual([]);
    await backend.close();
    return { data: world.read('/data'), names: world.list('/'), world };
  }

  it('keeps what was synced', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { data, names, world } = await crashed(seed, true);
      expect([data.length, data.every((byte) => byte === 2)]).toEqual([20_000, true]);
      const name = names.find((each) => each !== 'data')!;
      expect(['new', 'renamed']).toContain(name);
      expect(world.read(`/${name}`)).toEqual(new Uint8Array(100).fill(2));
    }
  });

  it('leaves what was not synced in every state between', async () => {
    const sizes = new Set<number>();
    const names = new Set<string>();
    let [torn, mixed] = [0, 0];
    for (let seed = 0; seed < 200; seed++) {
      const run = await crashed(seed, false);
      sizes.add(run.data.length);
      names.add(run.names.join());
      const chunks = [0, 1, 2, 3].map((index) => new Set(run.data.subarray(index * 4096, (index + 1) * 4096)));
      for (const chunk of chunks) for (const byte of chunk) expect([1, 2]).toContain(byte);
      if (chunks.some((chunk) => chunk.size === 2)) torn++;
      if (new Set(chunks.map((chunk) => [...chunk].join())).size > 1) mixed++;
    }
    expect([...sizes].sort()).toEqual([16384, 20000]);
    expect([...names].sort()).toEqual(['data', 'data,new', 'data,renamed']);
    expect(torn).toBeGreaterThan(20);
    expect(mixed).toBeGreaterThan(100);
  });

  it('loses names whose directory was not synced, in a strict world', async () => {
    const names = new Set<string>();
    for (let seed = 0; seed < 50; seed++) names.add((await crashed(seed, true, true)).names.join());
    expect(names).toContain('data');
  });
});
