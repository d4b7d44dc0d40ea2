import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { packet } from '../net/packet.ts';
import { udp } from '../net/udp.ts';
import { readObject } from '../object/index.ts';
import { writeObject } from '../object/write.ts';
import type { MapHandle } from '../runtime/handles.ts';
import type { UserObject } from '../runtime/load.ts';
import { AfXdpAttachment } from './af-xdp-attachment.ts';
import { bpfRefusal } from './features.ts';
import { attachXdp } from './links.ts';
import { loadLinux } from './load.ts';
import { PacketSocket } from './packet-socket.ts';
import { VethPair, vethRefusal } from './veth.ts';

const missing = bpfRefusal() ?? vethRefusal();

/** What the firewall's blocklist, reflector and the rest get: a third each. */
const frames = Array.from({ length: 300 }, (_, i) => {
  const src = i % 3 === 0 ? '198.51.100.7' : '192.0.2.1';
  const dstPort = i % 3 === 1 ? 7 : 4000;
  const payload = new Uint8Array(4 + ((i * 37) % 1300)).fill(i);
  return packet(ethernet(), ipv4({ src, dst: '10.0.0.1' }), udp({ srcPort: 1000 + i, dstPort }), payload);
});

const digest = (bytes: Uint8Array) => `${bytes.length} ${createHash('sha1').update(bytes).digest('hex')}`;
const descriptors = () =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((what) => /bpf|XDP|socket/.test(what));
    } catch {
      return []; // that of the folder itself
    }
  }).length;

describe.skipIf(missing !== undefined)(
  `AF_XDP on a veth pair${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const object = readObject(readFileSync('bpf/objects/xdp_firewall.bpf.o'), 'xdp_firewall.bpf.o');
    let pair: VethPair;
    let far: PacketSocket;

    beforeAll(() => {
      pair = new VethPair(`t${process.pid}`);
      far = pair.inNamespace(() => new PacketSocket(pair.there));
    });
    afterAll(() => {
      far?.close();
      pair?.remove();
    });

    const block = (maps: Readonly<Record<string, MapHandle>>) =>
      maps['blocklist_v4']!.set(
        { prefix_length: 24, address: Uint8Array.of(198, 51, 100, 0) },
        { rule: 16, action: 1 },
      );
    const verdicts = (maps: Readonly<Record<string, MapHandle>>) =>
      JSON.stringify(maps['.bss']!.get(0), (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));

    /** What comes back to the far end, in order, until there was nothing for 200 ms. */
    async function echoes(): Promise<string[]> {
      const got: string[] = [];
      while (await far.wait(200))
        for (let one = far.receive(); one !== undefined; one = far.receive()) got.push(digest(one));
      return got;
    }

    async function inKernel() {
      const loaded = loadLinux(object);
      block(loaded.maps);
      const link = attachXdp(loaded.programs['xdp_firewall']!, pair.here, 'generic');
      for (const frame of frames) far.send(frame);
      const result = { echoes: await echoes(), verdicts: verdicts(loaded.maps) };
      link.close();
      loaded.close();
      return result;
    }

    async function here(
      mode: 'generic' | 'native',
      use: (loaded: UserObject, attachment: AfXdpAttachment, stop: AbortController) => Promise<void>,
      engine: 'jit' | 'interpreter' = 'jit',
      buffers = 1024,
    ) {
      const loaded = await load(object, { engine });
      block(loaded.maps);
      const attachment = new AfXdpAttachment(loaded.runtime, pair.here, loaded.programs['xdp_firewall']!.executable, {
        mode,
        frames: buffers,
      });
      const stop = new AbortController();
      const serving = attachment.serve({ signal: stop.signal });
      try {
        await use(loaded, attachment, stop);
        stop.abort();
        await serving;
        return { counters: attachment.counters(), statistics: attachment.statistics() };
      } finally {
        await attachment.close();
        loaded.close();
      }
    }

    it.each([
      ['generic', 'jit'],
      ['native', 'jit'],
      ['generic', 'interpreter'],
    ] as const)('gives what the kernel gives (%s, %s)', async (mode, engine) => {
      const kernel = await inKernel();
      expect(kernel.echoes).toHaveLength(100);
      const { counters, statistics } = await here(
        mode,
        async (loaded) => {
          for (const frame of frames) far.send(frame);
          expect(await echoes()).toEqual(kernel.echoes);
          expect(verdicts(loaded.maps)).toBe(kernel.verdicts);
        },
        engine,
      );
      expect(counters).toMatchObject({
        packets: 300,
        bytes: frames.reduce((sum, { length }) => sum + length, 0),
        verdicts: [0, 100, 100, 100, 0, 0],
        sent: 100,
        txFull: 0,
      });
      expect(statistics).toMatchObject({ rxDropped: 0, txInvalidDescriptors: 0 });
    });

    it('runs more packets than it has frames, without losing one', async () => {
      const { counters } = await here(
        'native',
        async (_, attachment) => {
          // Each round once the one before is through: on a busy machine the kernel drops what finds no frame, which is not what is tested.
          for (let round = 0; round < 20; round++) {
            for (const frame of frames.slice(0, 120)) far.send(frame);
            for (let i = 0; i < 200 && attachment.counters().packets < (round + 1) * 120; i++)
              await new Promise((resolve) => setTimeout(resolve, 5));
          }
          expect(await echoes()).toHaveLength(800);
        },
        'jit',
        512,
      );
      expect(counters).toMatchObject({ packets: 2400, verdicts: [0, 800, 800, 800, 0, 0], sent: 800 });
    });

    it('ends at a fault of the program, with its frames dropped and the interface free', async () => {
      // Far outside of the memory: the sandbox stops it.
      const { insns, functions } = assemble('fault:\nr1 = 0xfffffff0 ll\nr0 = *(u64 *)(r1 + 0)\nexit', {
        syntax: 'llvm',
      });
      const loaded = await load(writeObject({ section: 'xdp', license: 'MIT', insns, functions }), {
        unverified: true,
      });
      const attachment = new AfXdpAttachment(loaded.runtime, pair.here, loaded.programs['fault']!.executable, {
        frames: 128,
      });
      try {
        const serving = attachment.serve();
        far.send(frames[0]!);
        await expect(serving).rejects.toMatchObject({ code: 'SLUICE_FAULT_TRAP' });
        expect(attachment.counters()).toMatchObject({ packets: 1, verdicts: [1, 0, 0, 0, 0, 0], sent: 0 });
      } finally {
        await attachment.close();
        loaded.close();
      }
      await here('generic', async () => {});
    });

    it('leaves no descriptor and no program behind', async () => {
      await here('generic', async () => {});
      const before = descriptors();
      await here('generic', async () => {
        far.send(frames[1]!);
        expect(await echoes()).toHaveLength(1);
      });
      expect(descriptors()).toBe(before);
      // The interface takes another program, so none is left.
      const loaded = loadLinux(object);
      attachXdp(loaded.programs['xdp_firewall']!, pair.here, 'native').close();
      loaded.close();
    });
  },
);
