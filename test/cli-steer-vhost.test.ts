// `sluice steer vhost` as a user runs it, with our own front end in place of a VMM: what the guest sends comes back, with its hash, to the queue of that hash.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ringRefusal } from '../src/linux/io-uring-features.ts';
import { NetworkNamespace } from '../src/linux/netns.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { tunRefusal } from '../src/linux/tun.ts';
import { generateCapture } from '../src/net/generator.ts';
import { rss } from '../src/net/rss/compute.ts';
import { verificationKey } from '../src/net/rss/configuration.ts';
import { flowRuleOf, parseFlowRule } from '../src/net/rss/flow-rules.ts';
import { HASH_TYPES_ALL } from '../src/net/rss/hash-types.ts';
import { virtioFeature } from '../src/runtime/virtio/network-device.ts';
import { FrontEnd, GuestQueue, PHYSICAL, WRITE } from './vhost-user-front-end.ts';

const missing = ringRefusal() ?? (existsSync('dist/cli/main.js') ? undefined : 'not built: npm run build');

it.skipIf(missing !== undefined)(
  `steer vhost gives a guest back what it sends, steered${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-vhost-'));
    const socket = join(folder, 'net.sock');
    const config = join(folder, 'rss.json');
    writeFileSync(config, JSON.stringify({ table: [1, 0], unclassifiedQueue: 1 }));
    const command = spawn('node', [
      'bin/sluice.js',
      'steer',
      'vhost',
      '--socket',
      socket,
      '--pairs',
      '2',
      '--rss',
      config,
      '--json',
    ]);
    let stdout = '';
    let stderr = '';
    command.stdout.on('data', (data) => (stdout += data));
    command.stderr.on('data', (data) => (stderr += data));
    for (let i = 0; i < 400 && !existsSync(socket); i++) await sleep(25);
    const front = new FrontEnd(socket);
    try {
      const { version1, mergeableBuffers, multiqueue, hashReport } = virtioFeature;
      await front.agree(version1 | mergeableBuffers | multiqueue | hashReport);
      expect(await front.share()).toBe(0n);
      const receive = [0x10000, 0x30000].map((at) => new GuestQueue(front.memory, at, 8));
      for (const [i, queue] of receive.entries()) {
        for (let k = 0; k < 8; k++) {
          queue.describe(k, {
            address: PHYSICAL + BigInt(0x100000 * (i + 1) + k * 2048),
            length: 2048,
            flags: WRITE,
            next: 0,
          });
          queue.offer(k);
        }
        await front.start(2 * i, queue);
      }
      const transmit = new GuestQueue(front.memory, 0x50000, 8);
      await front.start(1, transmit);
      const configuration = { hashTypes: HASH_TYPES_ALL, table: [1, 0], unclassifiedQueue: 1, key: verificationKey };
      for (const { data } of generateCapture({ seed: 5, count: 6 })) {
        front.bytes.fill(0, 0x300000, 0x300014);
        front.bytes.set(data, 0x300014);
        transmit.describe(0, { address: PHYSICAL + 0x300000n, length: 20 + data.length, flags: 0, next: 0 });
        transmit.offer(0);
        transmit.notify();
        const { queue, hash, report } = rss(data, configuration);
        const [used] = await receive[queue]!.answer();
        expect(used).toMatchObject({ length: 20 + data.length });
        const at = 0x100000 * (queue + 1) + used!.id * 2048;
        expect(front.bytes.slice(at + 20, at + 20 + data.length)).toEqual(data);
        expect([front.memory.getUint32(at + 12, true), front.memory.getUint16(at + 16, true)]).toEqual([hash, report]);
        await transmit.answer();
      }
    } finally {
      front.close();
      command.kill('SIGTERM');
    }
    const [status] = await once(command, 'exit');
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('hashReport') });
    const { schema, receive, transmit, agreed, refused } = JSON.parse(stdout);
    expect({ schema, refused, receiving: agreed.receiving }).toEqual({
      schema: 'sluice.steer-vhost/1',
      refused: 0,
      receiving: 2,
    });
    expect(receive.reduce((sum: number, { packets }: { packets: string }) => sum + Number(packets), 0)).toBe(6);
    expect(transmit[0]).toMatchObject({ packets: '6' });
    expect(existsSync(socket)).toBe(false);
    rmSync(folder, { recursive: true });
  },
  30_000,
);

const withoutTap = missing ?? tunRefusal();

it.skipIf(withoutTap !== undefined)(
  `steer vhost --tap steers what the TAP has to the guest, and gives the TAP what the guest sends${withoutTap === undefined ? '' : ` (skipped: ${withoutTap})`}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-vhost-'));
    const socket = join(folder, 'net.sock');
    const files = { rss: join(folder, 'rss.json'), own: join(folder, 'own.json') };
    const configuration = { hashTypes: HASH_TYPES_ALL, table: [1, 0], unclassifiedQueue: 1, key: verificationKey };
    const own = { ...configuration, hashTypes: 1, table: [0] };
    writeFileSync(files.rss, JSON.stringify({ table: [1, 0], unclassifiedQueue: 1 }));
    writeFileSync(files.own, JSON.stringify({ hashTypes: ['ipv4'], table: [0], unclassifiedQueue: 1 }));
    const rules = ['udp4 context 4', 'tcp4 dst-port 0 m 0xfffe context 4'];
    const namespace = new NetworkNamespace(`sluice-sv${process.pid}`);
    namespace.disableIpv6();
    const options = ['--socket', socket, '--pairs', '2', '--tap', 'tap0', '--rss', files.rss, '--json'];
    const contexts = ['--context', `4=${files.own}`, ...rules.flatMap((rule) => ['--rule', rule])];
    const command = spawn('ip', [
      'netns',
      'exec',
      namespace.name,
      process.execPath,
      'bin/sluice.js',
      'steer',
      'vhost',
      ...options,
      ...contexts,
    ]);
    let stdout = '';
    let stderr = '';
    command.stdout.on('data', (data) => (stdout += data));
    command.stderr.on('data', (data) => (stderr += data));
    for (let i = 0; i < 800 && !/ends it/.test(stderr) && command.exitCode === null; i++) await sleep(25);
    expect(stderr).toContain('to and from tap0');
    const front = new FrontEnd(socket);
    const wire = namespace.run(() => new PacketSocket('tap0'));
    const COUNT = 40;
    const frames = generateCapture({ seed: 15, count: 90 })
      .map(({ data }) => data)
      // A tag would be taken off by the stack, on its way to the socket that looks.
      .filter((data) => data.length <= 1514 && ![0x8100, 0x88a8].includes((data[12]! << 8) | data[13]!))
      .slice(0, COUNT);
    let chosen = 0;
    try {
      const { version1, mergeableBuffers, multiqueue, hashReport } = virtioFeature;
      await front.agree(version1 | mergeableBuffers | multiqueue | hashReport);
      expect(await front.share()).toBe(0n);
      const receive = [0x10000, 0x30000].map((at) => new GuestQueue(front.memory, at, 64));
      for (const [i, queue] of receive.entries()) {
        for (let k = 0; k < 64; k++) {
          const address = PHYSICAL + BigInt(0x100000 * (i + 1) + k * 2048);
          queue.describe(k, { address, length: 2048, flags: WRITE, next: 0 });
          queue.offer(k);
        }
        await front.start(2 * i, queue);
      }
      const transmit = new GuestQueue(front.memory, 0x50000, 64);
      await front.start(1, transmit);

      // From the TAP to the guest: queue and hash are those of the context that a rule chose.
      const parsed = rules.map(parseFlowRule);
      for (const data of frames) {
        wire.send(data);
        const fits = flowRuleOf(data, parsed) >= 0;
        if (fits) chosen++;
        const { queue, hash, report } = rss(data, fits ? own : configuration);
        const [used] = await receive[queue]!.answer();
        expect(used).toMatchObject({ length: 20 + data.length });
        const at = 0x100000 * (queue + 1) + used!.id * 2048;
        expect(front.bytes.slice(at + 20, at + 20 + data.length)).toEqual(data);
        expect([front.memory.getUint32(at + 12, true), front.memory.getUint16(at + 16, true)]).toEqual([hash, report]);
      }
      expect(chosen).toBeGreaterThan(2);
      expect(chosen).toBeLessThan(COUNT);

      // From the guest to the TAP: many at once, and one whose header the TAP does not take.
      const seen = () => wire.receive();
      while (seen() !== undefined);
      for (const [k, data] of frames.entries()) {
        const at = 0x300000 + k * 2048;
        front.bytes.fill(0, at, at + 20);
        // A GSO type that there is not.
        if (k === 5) front.bytes[at + 1] = 0x7f;
        front.bytes.set(data, at + 20);
        transmit.describe(k, { address: PHYSICAL + BigInt(at), length: 20 + data.length, flags: 0, next: 0 });
        transmit.offer(k);
      }
      transmit.notify();
      for (let answered = 0; answered < frames.length; ) answered += (await transmit.answer()).length;
      const got: string[] = [];
      for (let i = 0; i < 200 && got.length < COUNT - 1; i++) {
        for (let frame = seen(); frame !== undefined; frame = seen()) got.push(Buffer.from(frame).toString('hex'));
        await sleep(10);
      }
      expect(got).toEqual(frames.filter((_, k) => k !== 5).map((data) => Buffer.from(data).toString('hex')));
    } finally {
      front.close();
      wire.close();
      command.kill('SIGTERM');
    }
    const [status] = await once(command, 'exit');
    namespace.remove();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { receive, transmit, refused, tap } = JSON.parse(stdout);
    expect({ refused, tap }).toEqual({ refused: 1, tap: 'tap0' });
    expect(receive.reduce((sum: number, { packets }: { packets: string }) => sum + Number(packets), 0)).toBe(COUNT);
    expect(transmit[0]).toMatchObject({ packets: String(COUNT) });
    rmSync(folder, { recursive: true });
  },
  60_000,
);
