/** The ring's operations by name, on the real kernel: what node:fs and node:net see is what they did. */
import { spawn } from 'node:child_process';
import {
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollEvents } from '../src/abi/io-uring/call-flags.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { syscall } from '../src/linux/ffi.ts';
import { Ring } from '../src/ring.ts';
import { noRing, skipped } from './ring-testbed.ts';

describe.skipIf(noRing !== undefined)(`operations${skipped}`, () => {
  let ring: Ring;
  let folder: string;
  const path = (name: string) => join(folder, name);
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

  beforeEach(async () => {
    ring = await Ring.create({ entries: 32 });
    folder = mkdtempSync(join(tmpdir(), 'sluice-ops-'));
  });

  afterEach(async () => {
    expect(ring.live).toBe(0);
    await ring.close();
    rmSync(folder, { recursive: true });
  });

  it('writes, reads, measures and cuts a file', async () => {
    const fd = await ring.open(path('file'), 'w+');
    expect(await ring.write(fd, Buffer.from('hello, world'), { offset: 0 })).toBe(12);
    await ring.fsync(fd);
    const into = Buffer.alloc(5);
    expect(await ring.read(fd, into, { offset: 7 })).toBe(5);
    expect(into.toString()).toBe('world');
    expect((await ring.stat(fd)).size).toBe(12);
    await ring.truncate(fd, 5);
    await ring.fallocate(fd, 0, 4096, { mode: 0 });
    await ring.closeFd(fd);
    const stats = await ring.stat(path('file'));
    expect([stats.size, stats.isFile(), stats.ino]).toEqual([4096, true, statSync(path('file')).ino]);
    expect(readFileSync(path('file')).subarray(0, 6).toString()).toBe('hello\0');
  });

  it('reads into several buffers of the ring', async () => {
    writeFileSync(path('file'), 'abcdefgh');
    const fd = await ring.open(path('file'));
    const buffers = [ring.allocate(3), ring.allocate(10)];
    expect(await ring.readv(fd, buffers, { offset: 0 })).toBe(8);
    expect(buffers.map(({ bytes }, i) => text(bytes.slice(0, i === 0 ? 3 : 5)))).toEqual(['abc', 'defgh']);
    await ring.closeFd(fd);
    for (const buffer of buffers) buffer.free();
  });

  it('makes, renames, links and removes', async () => {
    await ring.mkdir(path('folder'));
    writeFileSync(path('folder/a'), '');
    await ring.rename(path('folder/a'), path('folder/b'));
    await ring.link(path('folder/b'), path('folder/c'));
    await ring.symlink('b', path('folder/d'));
    expect(readdirSync(path('folder')).sort()).toEqual(['b', 'c', 'd']);
    expect(readlinkSync(path('folder/d'))).toBe('b');
    expect((await ring.stat(path('folder/d'), { link: true })).isSymbolicLink()).toBe(true);
    expect((await ring.stat(path('folder/b'))).nlink).toBe(2);
    for (const name of ['b', 'c', 'd']) await ring.unlink(path(`folder/${name}`));
    await ring.rmdir(path('folder'));
    expect(existsSync(path('folder'))).toBe(false);
  });

  it('tells what failed, by name', async () => {
    await expect(ring.open(path('none'))).rejects.toMatchObject({ errno: 'ENOENT', operation: `open ${path('none')}` });
    await expect(ring.stat('a\0b')).rejects.toMatchObject({ code: 'SLUICE_RING_PATH' });
    expect(() => ring.open('x', 'q')).toThrow('no way to open is q');
    await expect(ring.read(-1, Buffer.alloc(1))).rejects.toMatchObject({ errno: 'EBADF' });
    expect(() => ring.read(1.5, Buffer.alloc(1))).toThrow('no descriptor is 1.5');
  });

  it('moves bytes by pipes, and copies them on the way', async () => {
    writeFileSync(path('file'), 'spliced');
    const fd = await ring.open(path('file'));
    const [one, two] = [await ring.pipe(), await ring.pipe()];
    expect(await ring.splice(fd, one.write, 7, { inputOffset: 0 })).toBe(7);
    expect(await ring.tee(one.read, two.write, 7)).toBe(7);
    const into = [Buffer.alloc(7), Buffer.alloc(7)];
    expect(await ring.read(one.read, into[0]!)).toBe(7);
    expect(await ring.read(two.read, into[1]!)).toBe(7);
    expect(into.map(String)).toEqual(['spliced', 'spliced']);
    for (const end of [fd, one.read, one.write, two.read, two.write]) await ring.closeFd(end);
  });

  it('serves a connection of node:net, and connects to a server of it', async () => {
    const listener = await ring.socket('ipv4');
    await ring.bind(listener, { family: 'ipv4', address: '127.0.0.1', port: 0 });
    await ring.listen(listener);
    // The kernel chose the port: connect by what /proc tells would be slow; getsockname is not a request of 6.18.
    const server = createServer((socket) => socket.end('from node'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const client = await ring.socket('ipv4');
    await ring.connect(client, { family: 'ipv4', address: '127.0.0.1', port: address.port });
    const into = Buffer.alloc(100);
    const got = await ring.recv(client, into);
    expect(into.subarray(0, got).toString()).toBe('from node');
    expect(await ring.recv(client, into)).toBe(0);
    server.close();
    for (const fd of [client, listener]) await ring.closeFd(fd);
  });

  it('accepts one connection after another over a Unix socket, and answers', async () => {
    const listener = await ring.socket('unix');
    await ring.bind(listener, { family: 'unix', path: path('socket') });
    await ring.listen(listener);
    const clients = [0, 1, 2].map(() => connect(path('socket')));
    const answers = clients.map(
      (client, i) =>
        new Promise<string>((resolve) => {
          client.on('data', (data) => resolve(String(data)));
          client.write(`ping ${i}`);
        }),
    );
    const buffer = ring.allocate(64);
    let served = 0;
    for await (const { res: fd } of ring.connections(listener)) {
      const got = await ring.recv(fd, buffer);
      await ring.send(fd, buffer, { length: got });
      await ring.shutdown(fd);
      await ring.closeFd(fd);
      if (++served === 3) break;
    }
    expect(await Promise.all(answers)).toEqual(['ping 0', 'ping 1', 'ping 2']);
    for (const client of clients) client.destroy();
    buffer.free();
    await ring.closeFd(listener);
  });

  it('bounds a request by time', async () => {
    const { read, write } = await ring.pipe();
    const into = Buffer.alloc(1);
    const settled = await Promise.allSettled([ring.read(read, into, { link: true }), ring.linkTimeout(5e6)]);
    expect(settled.map((each) => each.status === 'rejected' && each.reason.errno)).toEqual(['ECANCELED', 'ETIME']);
    for (const end of [read, write]) await ring.closeFd(end);
  });

  it('waits: for time, for readiness, for a word, for a child', async () => {
    const start = performance.now();
    await ring.delay(10e6);
    expect(performance.now() - start).toBeGreaterThan(9);
    const { read, write } = await ring.pipe();
    const ready = ring.poll(read, pollEvents.IN);
    await ring.write(write, Buffer.from('x'));
    expect((await ready) & pollEvents.IN).toBe(pollEvents.IN);
    const word = ring.allocate(4);
    const woken = ring.futexWait(word.address, 0);
    await ring.delay(1e6);
    expect(await ring.futexWake(word.address, 1)).toBe(1);
    expect(await woken).toBe(0);
    word.free();
    const child = spawn('sh', ['-c', 'exit 7']);
    expect(await ring.waitChild(child.pid!, { keep: true })).toEqual({ pid: child.pid, code: 1, status: 7 });
    for (const end of [read, write]) await ring.closeFd(end);
  });

  it('cancels what waits on a descriptor, and sends itself a message', async () => {
    const { read, write } = await ring.pipe();
    const waiting = Promise.allSettled([ring.read(read, Buffer.alloc(1)), ring.read(read, Buffer.alloc(1))]);
    await ring.nop();
    expect(await ring.cancelMatching({ fd: read, all: true })).toBe(2);
    for (const each of await waiting) expect(each).toMatchObject({ reason: { errno: 'ECANCELED' } });
    for (const end of [read, write]) await ring.closeFd(end);
  });
});

describe.skipIf(noRing !== undefined)(`plain calls${skipped}`, () => {
  it('are taken for what is in memory, and for nothing that is not alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-plain-'));
    const ring = await Ring.create({ entries: 8 });
    writeFileSync(join(folder, 'file'), 'in the page cache');
    const fd = await ring.open(join(folder, 'file'));
    const buffer = ring.allocate(17);
    const before = ring.stats.requests;
    expect(await ring.read(fd, buffer, { offset: 0 })).toBe(17);
    expect(text(buffer.bytes)).toBe('in the page cache');
    const requests = ring.stats.requests - before;
    const [choice] = ring.choices;
    // A file system that cannot decline to wait, if the folder lies on one, leaves it to the ring.
    expect(choice).toMatchObject({ operation: 'read', plain: 1 - Number(requests), ring: Number(requests) });
    // Two at once overlap, in the ring.
    const both = await Promise.all([
      ring.read(fd, buffer, { offset: 0 }),
      ring.read(fd, buffer, { offset: 3, length: 3 }),
    ]);
    expect(both).toEqual([17, 3]);
    expect(await ring.read(fd, Buffer.alloc(1), { offset: 17 })).toBe(0);
    await ring.closeFd(fd);
    buffer.free();
    await ring.close();
    rmSync(folder, { recursive: true });
  });

  it('are taken for requests of programs and staged ones too, when the kernel has no other', async () => {
    const ring = await Ring.create({ entries: 8 });
    const fd = await ring.open('/dev/shm', constants.O_RDWR | TMPFILE);
    await ring.write(fd, Buffer.from('staged'), { offset: 0 });
    const buffer = ring.allocate(16);
    const counts = () => ring.choices.find(({ operation }) => operation === 'read')?.plain ?? 0;
    const stage = (from: number, length: number, offset: number) =>
      ring.stage((view, at) => prep.read(view, at, from, buffer.address, length, offset));
    const before = ring.stats;
    stage(fd, 6, 0);
    expect(ring.submitAndWait(1)).toBe(1);
    expect(ring.completions.shift()?.res).toBe(6);
    expect(text(buffer.bytes.subarray(0, 6))).toBe('staged');
    expect([counts(), ring.stats.enters]).toEqual([1, before.enters]);
    expect(ring.stats.completions - before.completions).toBe(1n);
    // The file's own position, and two at once, are the ring's.
    stage(fd, 6, -1);
    expect(ring.submitAndWait(1)).toBe(1);
    stage(fd, 2, 0);
    stage(fd, 2, 2);
    expect(ring.submitAndWait(3)).toBe(3);
    expect(counts()).toBe(1);
    ring.completions.take(() => {});
    // What is no file gives its bytes once: the short result counts.
    const event = syscall('eventfd2', 3, 0);
    stage(event, 16, 0);
    expect(ring.submitAndWait(1)).toBe(1);
    expect(ring.completions.shift()?.res).toBe(8);
    expect(buffer.bytes[0]).toBe(3);
    // A pipe has no offsets for a plain call, and the ring ignores them.
    const { read, write } = await ring.pipe();
    await ring.write(write, Buffer.from('pipe'));
    stage(read, 16, 0);
    expect(ring.submitAndWait(1)).toBe(1);
    expect(ring.completions.shift()?.res).toBe(4);
    for (const each of [event, read, write, fd]) await ring.closeFd(each);
    buffer.free();
    await ring.close();
  });

  it('write to memory alone, and can be left out', async () => {
    for (const plain of [true, false]) {
      const ring = await Ring.create({ entries: 8, plain });
      const fd = await ring.open('/dev/shm', constants.O_RDWR | TMPFILE);
      const before = ring.stats.requests;
      expect(await ring.write(fd, Buffer.from('abc'), { offset: 0 })).toBe(3);
      const into = Buffer.alloc(3);
      expect(await ring.read(fd, into, { offset: 0 })).toBe(3);
      expect(into.toString()).toBe('abc');
      expect(ring.stats.requests - before).toBe(plain ? 0n : 2n);
      expect(ring.choices).toEqual(
        plain
          ? [
              { fileSystem: 'tmpfs', operation: 'read', plain: 1, ring: 0 },
              { fileSystem: 'tmpfs', operation: 'write', plain: 1, ring: 0 },
            ]
          : [],
      );
      await expect(ring.read(-1, into, { offset: 0 })).rejects.toMatchObject({ errno: 'EBADF' });
      await ring.closeFd(fd);
      await ring.close();
    }
  });
});

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
/** O_TMPFILE with O_DIRECTORY, of x86-64 and arm64. */
const TMPFILE = 0o20000000 | constants.O_DIRECTORY;
