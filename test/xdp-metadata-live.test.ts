// Metadata on a veth pair: from a program in the kernel over data_meta to tc, and through AF_XDP to programs and readers here; the driver's hints; checksums
// that the kernel fills in; redirects to other interfaces.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { AfXdpAttachment, type AfXdpAttachOptions } from '../src/linux/af-xdp-attachment.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachTcx, attachXdp } from '../src/linux/links.ts';
import type { LiveFrame } from '../src/linux/live-frame.ts';
import { loadLinux } from '../src/linux/load.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { readObject } from '../src/object/index.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import type { TraitPlacement } from '../src/runtime/traits.ts';

const missing = bpfRefusal() ?? vethRefusal();
const spec = (name: string) =>
  readObject(readFileSync(new URL(`../bpf/objects/metadata/${name}.bpf.o`, import.meta.url)), `${name}.bpf.o`);
const COUNT = 40;
const frames = Array.from({ length: COUNT }, (_, i) =>
  packet(
    ethernet(),
    ipv4({ src: `192.0.2.${i + 1}`, dst: '10.0.0.1' }),
    udp({ srcPort: 2000 + i, dstPort: 4000 }),
    new Uint8Array(20 + i * 7).fill(i),
  ),
);
/** What `stamp` says of the i-th frame: struct source. */
const source = (i: number) => ({ address: (192 | (2 << 16) | ((i + 1) << 24)) >>> 0, length: frames[i]!.length });

describe.skipIf(missing !== undefined)(
  `metadata on a veth pair${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let pair: VethPair;
    let far: PacketSocket;
    const open: { close(): void | Promise<void> }[] = [];
    const keep = <T extends { close(): void | Promise<void> }>(each: T): T => {
      open.push(each);
      return each;
    };

    beforeAll(() => {
      pair = new VethPair(`m${process.pid}`);
      far = pair.inNamespace(() => new PacketSocket(pair.there));
    });
    afterEach(async () => {
      for (const each of open.splice(0).reverse()) await each.close();
    });
    afterAll(() => {
      far?.close();
      pair?.remove();
    });

    async function received(socket: PacketSocket, count: number): Promise<Uint8Array[]> {
      const got: Uint8Array[] = [];
      while (got.length < count && (await socket.wait(2000)))
        for (let one = socket.receive(); one !== undefined; one = socket.receive()) got.push(one);
      return got;
    }

    /** Frames that have come through a program here, which goes on until `count` were seen. */
    async function through(
      object: string,
      program: string,
      attach: AfXdpAttachOptions,
      placement: TraitPlacement = 'front',
      send: readonly Uint8Array[] = frames,
      engine: 'jit' | 'interpreter' = 'jit',
    ) {
      const runtime = new Runtime({ seed: 1n, metadata: { placement } });
      const loaded = keep(await loadUser(runtime, [xdpHook], spec(object), { engine, programs: [program] }));
      const options = { frames: 512, ...attach };
      const attachment = keep(new AfXdpAttachment(runtime, pair.here, loaded.programs[program]!.executable, options));
      const seen: { verdict: number; data: Uint8Array; metadata: Uint8Array; traits: LiveFrame['traits'] }[] = [];
      for (const frame of send) far.send(frame);
      await attachment.serve({
        count: send.length,
        signal: AbortSignal.timeout(5000),
        each: ({ verdict, data, metadata, traits }) =>
          seen.push({ verdict, data: data.slice(), metadata: metadata.slice(), traits }),
      });
      return { loaded, attachment, seen };
    }

    const bytes = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);

    it('in the kernel: what XDP leaves in data_meta, tc finds', async () => {
      const loaded = keep(loadLinux(spec('flow_traits'), { programs: ['stamp', 'collect'] }));
      keep(attachXdp(loaded.programs['stamp']!, pair.here, 'native'));
      keep(attachTcx(loaded.programs['collect']!, pair.here, 'ingress'));
      for (const frame of frames) far.send(frame);
      const packets = loaded.maps['packets']!;
      for (let tries = 0; tries < 200 && [...packets.entries()].length < COUNT; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      const found = new Map([...packets.entries()].map(([id, seen]) => [id, seen]));
      expect(found.size).toBe(COUNT);
      for (let i = 0; i < COUNT; i++) expect(found.get(i + 1)).toEqual({ source: source(i), answer: i + 1, times: 1 });
      expect(loaded.maps['.bss']!.get(0)).toMatchObject({ bare: 0, failed: 0 });
    });

    it.each([
      ['front', 'jit'],
      ['meta', 'jit'],
      ['side', 'jit'],
      ['meta', 'interpreter'],
    ] as const)(
      'through AF_XDP: traits of the kernel are those of the packet here (%s, %s)',
      async (placement, engine) => {
        const ingress = { object: spec('flow_traits'), program: 'stamp' };
        const { loaded, attachment, seen } = await through(
          'flow_traits',
          'reply',
          { mode: 'generic', ingress, metadata: 'traits' },
          placement,
          frames,
          engine,
        );
        expect(seen.map(({ traits }) => [...traits!])).toEqual(
          frames.map((_, i) => [
            [1, bytes(i + 1)],
            [5, bytes(source(i).address, source(i).length)],
            [40, bytes(2 * (i + 1))],
          ]),
        );
        expect(seen.map(({ data }) => data)).toEqual(frames);
        // In placement meta they lie before the packet: header, 4, 8 and 4 bytes.
        expect(seen.map(({ metadata }) => metadata.length)).toEqual(frames.map(() => (placement === 'meta' ? 32 : 0)));
        const found = new Map(loaded.maps['packets']!.entries());
        for (let i = 0; i < COUNT; i++)
          expect(found.get(i + 1)).toEqual({ source: source(i), answer: 2 * (i + 1), times: 1 });
        expect(attachment.counters()).toMatchObject({
          packets: COUNT,
          verdicts: [0, 0, 0, COUNT, 0, 0],
          sent: COUNT,
          withMetadata: COUNT,
          metadataLost: 0,
        });
        expect(await received(far, COUNT)).toEqual(frames);
      },
    );
  },
);
