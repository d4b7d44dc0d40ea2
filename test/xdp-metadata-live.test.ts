// Metadata on a veth pair: from a program in the kernel over data_meta to tc, and through AF_XDP to programs and readers here; the driver's hints; checksums
// that the kernel fills in; redirects to other interfaces.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UnsupportedError } from '../src/errors.ts';
import { veth } from '../src/hooks/xdp/device.ts';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { AfXdpSocket } from '../src/linux/af-xdp.ts';
import { AfXdpAttachment, type AfXdpAttachOptions } from '../src/linux/af-xdp-attachment.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachTcx, attachXdp } from '../src/linux/links.ts';
import type { LiveFrame } from '../src/linux/live-frame.ts';
import { loadLinux } from '../src/linux/load.ts';
import { interfaceIndex } from '../src/linux/netdev.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { fold16, sum16 } from '../src/net/checksum.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { readObject } from '../src/object/index.ts';
import { writeObject } from '../src/object/write.ts';
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

    it('gives metadata as it is, sealed or of a length that is known, and says what was lost', async () => {
      const ingress = { object: spec('flow_traits'), program: 'stamp' };
      const area = (i: number) => [...bytes(34, 0, 0, 0), ...bytes(i + 1, source(i).address, source(i).length)];
      const header = (metadata: Uint8Array) => [...metadata.subarray(16)];
      const sealed = await through('packet_id', 'give_id', { mode: 'generic', ingress, metadata: 'opaque' });
      expect(sealed.seen.map(({ metadata }) => header(metadata))).toEqual(frames.map((_, i) => area(i).slice(16)));
      // Placement front: the program's own traits lie elsewhere.
      expect(sealed.seen.map(({ traits }) => [...traits!])).toEqual(frames.map((_, i) => [[1, bytes(i + 1)]]));
      await sealed.attachment.close();
      const fixed = await through('packet_id', 'give_id', { mode: 'native', ingress, metadata: 28 });
      expect(fixed.seen.map(({ metadata }) => header(metadata))).toEqual(frames.map((_, i) => area(i).slice(16)));
      await fixed.attachment.close();
      const { insns, functions } = assemble(
        // 212 bytes of metadata leave no room for a seal of 8.
        'fill:\nr2 = -212\ncall 54\nr0 = 2\nexit',
        { syntax: 'llvm' },
      );
      const object = readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'fill');
      const lost = await through('packet_id', 'give_id', {
        mode: 'native',
        ingress: { object, program: 'fill' },
        metadata: 'traits',
      });
      expect(lost.attachment.counters()).toMatchObject({ packets: COUNT, withMetadata: 0, metadataLost: COUNT });
    });

    it("reads the driver's hints in the kernel, and here as the kernel reads them", async () => {
      let refusal: unknown;
      const loaded = (() => {
        try {
          return keep(loadLinux(spec('rx_hints'), { device: pair.here }));
        } catch (error) {
          refusal = error;
          return undefined;
        }
      })();
      if (loaded === undefined) throw refusal;
      const link = keep(attachXdp(loaded.programs['note_hints']!, pair.here, 'native'));
      for (const frame of frames) far.send(frame);
      const hints = loaded.maps['hints']!;
      for (let tries = 0; tries < 200 && [...hints.entries()].length < COUNT; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      const kernel = new Map(hints.entries());
      expect(kernel.size).toBe(COUNT);
      // veth of 6.18: a time, which an sk_buff of a packet socket has not; a hash, of any kind; no VLAN tag.
      expect(kernel.get(2000)).toMatchObject({ timestamp_result: 0, hash_result: 0, vlan_result: -61 });
      link.close();
      const here = await through('rx_hints', 'note_hints', { hints: true });
      const ours = new Map(here.loaded.maps['hints']!.entries());
      expect(ours).toEqual(kernel);
      // The modelled veth says the same, but for the hash's value, whose key is the kernel's.
      const model = keep(await loadUser(new Runtime(), [xdpHook], spec('rx_hints')));
      for (const data of frames) {
        const { hints } = veth().receive({ data, timestampNs: 0n });
        model.programs['note_hints']!.run({ data, hints: hints! });
      }
      const unhashed = (entries: Iterable<[unknown, unknown]>) =>
        new Map([...entries].map(([port, value]) => [port, { ...(value as object), hash: 0 }])); // a struct
      expect(unhashed(model.maps['hints']!.entries())).toEqual(unhashed(kernel));
      // The same program without hints has none: as from a driver without them.
      await here.attachment.close();
      const without = await through('rx_hints', 'note_hints', {});
      expect(new Map(without.loaded.maps['hints']!.entries()).get(2000)).toMatchObject({
        timestamp_result: -95,
        hash_result: -95,
        vlan_result: -95,
      });
    });

    it('hints and traits come together', async () => {
      const ingress = { object: spec('flow_traits'), program: 'stamp' };
      const { loaded, seen } = await through('rx_hints', 'note_hints', { ingress, metadata: 'traits', hints: true });
      expect(new Map(loaded.maps['hints']!.entries()).get(2000)).toMatchObject({ hash_result: 0, vlan_result: -61 });
      expect(seen.map(({ traits }) => traits!.get(1))).toEqual(frames.map((_, i) => bytes(i + 1)));
    });

    it('a driver without rx metadata is told of', () => {
      expect(() => loadLinux(spec('rx_hints'), { device: 'lo' })).toThrow(UnsupportedError);
    });

    describe('redirects', () => {
      let other: VethPair;
      let third: VethPair;
      let reached: PacketSocket[];
      beforeAll(() => {
        other = new VethPair(`n${process.pid}`);
        third = new VethPair(`q${process.pid}`);
        reached = [other, third].map((each) => each.inNamespace(() => new PacketSocket(each.there)));
      });
      afterAll(() => {
        for (const each of reached ?? []) each.close();
        other?.remove();
        third?.remove();
      });

      it.each(['jit', 'interpreter'] as const)('leave by the interfaces that they name (%s)', async (engine) => {
        const kinds = [0, 1, 2, 3, 4, 5, 6];
        const sent = kinds.flatMap((kind) =>
          [0, 1, 2].map((i) =>
            packet(
              ethernet(),
              ipv4({ src: '192.0.2.1', dst: `10.0.0.${kind}` }),
              udp({ srcPort: i, dstPort: kind }),
              new Uint8Array(30),
            ),
          ),
        );
        const of = (...wanted: number[]) => wanted.flatMap((kind) => sent.slice(kind * 3, kind * 3 + 3));
        const runtime = new Runtime({ seed: 1n });
        const loaded = keep(await loadUser(runtime, [xdpHook], spec('redirects'), { engine }));
        const [here, first, second] = [pair, other, third].map((each) => interfaceIndex(each.here));
        loaded.maps['.bss']!.set(0, { out: first! });
        loaded.maps['devices']!.set(0, second!);
        for (const [key, ifindex] of [here!, first!, second!].entries()) loaded.maps['group']!.set(key, ifindex);
        loaded.maps['sockets']!.set(0, 0);
        loaded.maps['cpus']!.set(0, 64);
        const attachment = keep(
          new AfXdpAttachment(runtime, pair.here, loaded.programs['redirects']!.executable, { frames: 256 }),
        );
        for (const frame of sent) far.send(frame);
        await attachment.serve({ count: sent.length, signal: AbortSignal.timeout(5000) });
        expect(await received(reached[0]!, 6)).toEqual(of(1, 3));
        expect(await received(reached[1]!, 6)).toEqual(of(2, 3));
        expect(attachment.counters()).toMatchObject({
          packets: 21,
          verdicts: [0, 0, 3, 0, 18, 0],
          sent: 0,
          forwarded: 12,
          delivered: 3,
          // The cpumap leads to the stack, as there is no --pass-to; interface 2147483647 is not there.
          unreachable: 6,
          txFull: 0,
        });
      });
    });

    describe('checksums', () => {
      /** With the sum of the pseudo header in place of a checksum, as a local sender leaves it (CHECKSUM_PARTIAL). */
      const unfinished = frames.map((frame) => {
        const bare = frame.slice();
        bare.set([0xab, 0xcd], 40);
        return bare;
      });

      it.each([
        ['none', unfinished],
        ['software', frames],
      ] as const)('of what a program sends back: %s', async (checksums, expected) => {
        const ingress = { object: spec('flow_traits'), program: 'stamp' };
        const { attachment } = await through(
          'flow_traits',
          'reply',
          { mode: 'generic', ingress, metadata: 'traits', checksums },
          'front',
          unfinished,
        );
        expect(attachment.counters()).toMatchObject({ sent: COUNT, checksums: checksums === 'none' ? 0 : COUNT });
        expect(await received(far, COUNT)).toEqual(expected);
      });

      it('of packets that are sent from here', async () => {
        const runtime = new Runtime({ seed: 1n });
        const socket = keep(
          new AfXdpSocket(runtime, interfaceIndex(pair.here), { frames: 128, checksums: 'software' }),
        );
        const requested = frames.slice(0, 3).map((frame) => {
          const bare = frame.slice();
          const pseudo = fold16(sum16(frame, 26, 34) + 17 + (frame.length - 34));
          bare.set([pseudo >> 8, pseudo & 255], 40);
          return bare;
        });
        for (const frame of requested)
          expect(socket.transmit(frame, { checksum: { start: 34, offset: 6 } })).toBe(true);
        // The fourth asks for nothing; four frames are spare.
        expect(socket.transmit(unfinished[3]!)).toBe(true);
        expect(socket.transmit(frames[4]!)).toBe(false);
        socket.send();
        expect(await received(far, 4)).toEqual([...frames.slice(0, 3), unfinished[3]]);
        // Their frames come back.
        socket.prepare();
        expect(() => socket.transmit(frames[0]!, { checksum: { start: 60, offset: 6 } })).toThrow('beyond');
      });
    });
  },
);
