// What tc finds of packets that came through XDP: along a path here, and in the kernel on a veth pair; the same object, the same packets.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { load, runPath } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { attachTcx, attachXdp } from '../src/linux/links.ts';
import { loadLinux } from '../src/linux/load.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { vlan } from '../src/net/vlan.ts';
import { readObject } from '../src/object/index.ts';

const missing = bpfRefusal() ?? vethRefusal();
const COUNT = 16;
const cases = ['none', 'a tag', 'two tags', 'room', 'less room', 'head', 'long head', 'tail', 'clone', 'pop', 'pull'];

/** The last byte of the source address says what is done to it. 9 has a tag, 12 and 13 are to others. */
function frame(i: number): Uint8Array {
  const dst = i === 12 ? '02:00:00:00:00:77' : i === 13 ? '01:00:5e:00:00:01' : 'ff:ff:ff:ff:ff:ff';
  return packet(
    ethernet({ src: `02:00:00:00:00:0${i.toString(16)}`, dst }),
    ...(i === 9 || i === 14 ? [vlan({ id: 7, priority: 2 })] : []),
    ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }),
    udp({ srcPort: 1000, dstPort: 2000 }),
    Uint8Array.from({ length: 60 }, (_, at) => at + i),
  );
}

/** Where the header has moved away from the metadata, what lies before the packet is what the buffer held: zeros here, anything in Linux. */
const known = (seen: unknown, i: number) =>
  typeof seen === 'object' && (cases[i] === 'room' || cases[i] === 'head') ? { ...seen, meta: undefined } : seen;

describe.skipIf(missing !== undefined)(
  `tc behind XDP, here and in the kernel${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const bytes = readFileSync('bpf/objects/metadata/skb_probe.bpf.o');
    let kernel: unknown[];
    let here: unknown[];

    beforeAll(async () => {
      const pair = new VethPair(`w${process.pid}`);
      const far = pair.inNamespace(() => new PacketSocket(pair.there));
      const loaded = loadLinux(readObject(bytes, 'skb_probe'));
      const links = [
        attachXdp(loaded.programs['prepend']!, pair.here, 'native'),
        attachTcx(loaded.programs['observe']!, pair.here, 'ingress'),
      ];
      try {
        for (let i = 0; i < COUNT; i++) far.send(frame(i));
        const probe = loaded.maps['probe']!;
        const done = () => [...probe.entries()].every(([, seen]) => (seen as { times: number }).times > 0);
        for (let tries = 0; tries < 300 && !done(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
        kernel = [...probe.entries()].map(([, seen]) => seen);
      } finally {
        for (const link of links) link.close();
        loaded.close();
        far.close();
        pair.remove();
      }
      const user = await load(bytes);
      const { prepend, observe } = user.programs;
      const packets = Array.from({ length: COUNT }, (_, i) => ({ data: frame(i) }));
      for (const each of runPath(packets, { xdp: [prepend!], tc: [observe!] })) expect(each.end).toBe('passed');
      here = [...user.maps['probe']!.entries()].map(([, seen]) => seen);
      user.close();
    }, 60_000);

    it.each(Array.from({ length: COUNT }, (_, i) => [i, cases[i] ?? 'none'] as const))('packet %i: %s', (i) => {
      expect(known(here[i], i)).toEqual(known(kernel[i], i));
      expect(here[i]).toMatchObject({ times: 1 });
    });
  },
);
