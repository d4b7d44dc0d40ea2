// QEMU and Linux as the other side of the back end: what they agree to, and skb->hash in a guest against the reference. The guest's kernel is one that is installed, or that of an unpacked
// kernel package of Debian's which SLUICE_GUEST_KERNEL names.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ringRefusal } from '../src/linux/io-uring-features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { rss } from '../src/net/rss/compute.ts';
import { verificationKey } from '../src/net/rss/configuration.ts';
import { HASH_TYPES_ALL } from '../src/net/rss/hash-types.ts';
import { virtioFeature } from '../src/runtime/virtio/network-device.ts';
import { VhostUserDevice } from '../src/vhost-user.ts';

/** Folder of `boot` and `lib/modules`, and the newest release in them that has its driver as a module that is not compressed. */
const kernel = process.env['SLUICE_GUEST_KERNEL'] ?? '/';
const release = (existsSync(join(kernel, 'lib/modules')) ? readdirSync(join(kernel, 'lib/modules')) : [])
  .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))
  .filter((name) => existsSync(join(kernel, 'boot', `vmlinuz-${name}`)))
  .findLast((name) => existsSync(join(kernel, 'lib/modules', name, 'kernel/drivers/net/virtio_net.ko')));
const QEMU = '/usr/bin/qemu-system-x86_64';
const missing =
  ringRefusal() ??
  [QEMU, '/usr/bin/gcc', '/usr/bin/cpio'].filter((path) => !existsSync(path)).map((path) => `no ${path}`)[0] ??
  (release === undefined
    ? `no kernel in ${join(kernel, 'boot')} with its modules; SLUICE_GUEST_KERNEL names a folder that has one`
    : undefined);

/** In the order in which they need each other. */
const modules = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
];
const END = 0xffff;

it.skipIf(missing !== undefined)(
  `gives a guest of QEMU the hash of every packet${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-qemu-'));
    const configuration = {
      hashTypes: HASH_TYPES_ALL,
      table: [0, 1],
      unclassifiedQueue: 0,
      key: verificationKey,
    };
    let sent = 0;
    let features = 0n;
    const device = await VhostUserDevice.listen({
      path: join(folder, 's'),
      pairs: 2,
      configuration,
      transmitted: (packets) => {
        sent += packets.filter(({ data }) => data.length === 400 && data[12] === 0x88 && data[13] === 0xb5).length;
      },
      changed: (state) => {
        if (state.receiving === 2) features = state.features;
      },
    });
    try {
      const packets = generateCapture({ seed: 4, count: 60, traffic: 'steering' })
        .map(({ data }) => data)
        .filter(({ length }) => length <= 1514)
        .map((data, i) => {
          // Long enough for the guest's filters; what is behind a packet is not hashed.
          const frame = new Uint8Array(Math.max(400, data.length));
          frame.set(data);
          frame.set([i >> 8, i & 255], 10);
          return frame;
        });
      const last = packets[0]!.slice();
      last.set([END >> 8, END & 255], 10);
      let delivered = 0;
      const text = await boot(folder, () => {
        delivered = device.deliver(packets);
        // Behind all others, whichever queue they are in.
        setTimeout(() => device.deliver([last]), 1000);
      });
      expect(text).toContain('guest rxhash on');
      expect(features & (virtioFeature.hashReport | virtioFeature.multiqueue)).toBe(
        virtioFeature.hashReport | virtioFeature.multiqueue,
      );
      // The control queue is the front end's, and RSS without its eBPF nobody's.
      expect(features & (virtioFeature.controlQueue | virtioFeature.rss)).toBe(0n);
      expect(delivered).toBe(packets.length);
      expect(sent).toBe(8);
      const seen = new Map<number, number[]>();
      for (const [, id, byte, value] of text.matchAll(/packet (\d+) byte (\d) = (\d+)/g)) {
        const bytes = seen.get(Number(id)) ?? [];
        bytes[Number(byte)] = Number(value);
        seen.set(Number(id), bytes);
      }
      const results = packets.map((packet) => rss(packet, configuration));
      expect(results.filter(({ report }) => report !== 0).length).toBeGreaterThan(20);
      expect(new Set(results.map(({ queue }) => queue)).size).toBe(2);
      expect([...seen].sort(([a], [b]) => a - b)).toEqual(
        results.map(({ hash, queue }, i) => [
          i,
          // The stack counts receive queues from 1: 0 is none.
          [hash & 255, (hash >>> 8) & 255, (hash >>> 16) & 255, hash >>> 24, queue + 1],
        ]),
      );
    } finally {
      await device.close();
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);

/** The guest's console; `ready` once it waits for packets. */
async function boot(folder: string, ready: () => void): Promise<string> {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'modules'), { recursive: true });
  execFileSync('gcc', ['-O1', '-static', '-o', join(root, 'init'), 'test/vhost-user-guest.c']);
  const folders = join(kernel, 'lib/modules', release!, 'kernel');
  // What is not there as a module is built in.
  for (const [i, name] of modules.filter((each) => existsSync(join(folders, each))).entries())
    copyFileSync(join(folders, name), join(root, 'modules', `${i}.ko`));
  execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet > ../initrd'], { cwd: root });
  const memory = 'memory-backend-memfd,id=m,size=256M,share=on';
  // No MSI-X: QEMU 7.2 without KVM ends by a null pointer in its notifiers when vhost starts.
  const nic = 'virtio-net-pci,netdev=n,mq=on,hash=on,rss=on,vectors=0,romfile=';
  const child = spawn(
    QEMU,
    `-accel tcg -cpu qemu64 -smp 2 -m 256 -nographic -no-reboot -kernel ${join(kernel, 'boot', `vmlinuz-${release}`)} -initrd ${folder}/initrd -object ${memory} -machine pc,memory-backend=m -chardev socket,id=c,path=${folder}/s -netdev vhost-user,id=n,chardev=c,queues=2 -device ${nic}`
      .split(' ')
      .concat('-append', 'console=ttyS0 quiet panic=-1'),
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: 45_000 },
  );
  let text = '';
  let told = false;
  child.stdout.on('data', (part) => {
    text += part;
    if (told || !text.includes('guest ready')) return;
    told = true;
    ready();
  });
  await new Promise((resolve) => child.on('close', resolve));
  return text;
}
