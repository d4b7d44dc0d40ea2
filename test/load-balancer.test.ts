// bpf/xdp_load_balancer.bpf.c on each engine and in the kernel: expected packets are built from nothing, backends are computed from the ring.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addressBytes, balancerMaps, maglev, RING_SIZE } from '../bpf/control/load-balancer.mjs';
import { bpfRefusal } from '../src/linux/features.ts';
import { mapInputFromJson } from '../src/runtime/json-value.ts';
import {
  ethernet,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  loadForTest,
  packet,
  type TestEngine,
  type TestObject,
  tcp,
  udp,
} from '../src/testing/index.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
const refusal = bpfRefusal();
const near = '02:00:00:00:00:0a';
const far = '02:00:00:00:00:0b';

/** Each way of getting there: by family of the backend, and encapsulation. */
const backends = {
  1: { address: '192.168.7.1', mac: '02:00:c0:a8:07:01' },
  2: { address: '192.168.7.2', mac: '02:00:c0:a8:07:02', encapsulation: 'gue' },
  3: { address: 'fd00:7::3', mac: '02:00:c0:a8:07:03' },
  4: { address: 'fd00:7::4', mac: '02:00:c0:a8:07:04', encapsulation: 'gue' },
  5: { address: '192.168.7.5', mac: '02:00:c0:a8:07:05' },
} as const;
const numbers = [1, 2, 3, 4, 5] as const;
type BackendNumber = (typeof numbers)[number];
const plan = {
  backends,
  services: [
    { address: '203.0.113.80', port: 443, protocol: 'tcp', backends: numbers },
    { address: '2001:db8:80::80', port: 443, protocol: 'tcp', backends: numbers },
    { address: '203.0.113.81', port: 53, protocol: 'udp', backends: [] },
  ],
} as const;
const input = mapInputFromJson(JSON.parse(JSON.stringify(balancerMaps(plan))), 'plan');
const slots = maglev(numbers.map((number) => ({ number, name: backends[number].address })));

const mix = (hash: number, word: number) => {
  let h = hash ^ word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};
/** Of a connection to port 443: words as a little-endian machine reads them from the packet. */
function hashOf(client: string, clientPort: number, service: string): number {
  const bytes = Buffer.alloc(36);
  bytes.set(addressBytes(client).bytes, 0);
  bytes.set(addressBytes(service).bytes, 16);
  bytes.writeUInt16BE(clientPort, 32);
  bytes.writeUInt16BE(443, 34);
  const words = Array.from({ length: 9 }, (_, i) => bytes.readUInt32LE(4 * i));
  return [...words, 6].reduce(mix, 0x9e3779b9);
}
const backendAt = (slot: number) => slots[slot % RING_SIZE] as BackendNumber; // the ring has no others

const families = {
  IPv4: { service: '203.0.113.80', client: (i: number) => `198.51.${i >> 7}.${i & 127}` },
  IPv6: { service: '2001:db8:80::80', client: (i: number) => `2001:db8:c::${i.toString(16)}` },
} as const;
type Family = keyof typeof families;

function request(family: Family, client: string, clientPort: number, length = 5, tos = 0): Uint8Array {
  const { service: dst } = families[family];
  return packet(
    ethernet({ src: near, dst: far }),
    family === 'IPv4'
      ? ipv4({ src: client, dst, tos, options: Uint8Array.of(1, 1, 1, 0) })
      : ipv6({ src: client, dst, trafficClass: tos }),
    tcp({ srcPort: clientPort, dstPort: 443, flags: ['syn'] }),
    new Uint8Array(length).fill(0x61),
  );
}

/** `given` on its way to the backend. */
function forwarded(given: Uint8Array, number: BackendNumber, hash: number, tos = 0): string {
  const { address, mac, ...rest } = backends[number];
  const inner = given.slice(14);
  const gue = 'encapsulation' in rest;
  const protocol = gue ? 17 : inner[0]! >> 4 === 6 ? 41 : 4;
  return hex(
    packet(
      ethernet({ src: far, dst: mac }),
      address.includes(':')
        ? ipv6({ src: 'fdff::1', dst: address, nextHeader: protocol, trafficClass: tos, hopLimit: 64 })
        : ipv4({ src: '10.255.0.1', dst: address, protocol, dontFragment: true, tos }),
      ...(gue ? [udp({ srcPort: 0xc000 | (hash & 0x3fff), dstPort: 6080, checksum: 0 })] : []),
      inner,
    ),
  );
}

async function open(engine: TestEngine): Promise<TestObject> {
  const object = await loadForTest(path('objects/xdp_load_balancer.bpf.o'), { engine, maps: input });
  onTestFinished(() => object.close());
  return object;
}

for (const engine of ['jit', 'interpreter', 'linux'] as const) {
  const reason = engine === 'linux' ? refusal : undefined;
  describe.skipIf(reason !== undefined)(`${engine}${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
    describe.each(['IPv4', 'IPv6'] as const)('%s', (family) => {
      const { service, client } = families[family];

      it('gives each connection to the backend of its slot, in its encapsulation', async () => {
        const object = await open(engine);
        const perBackend = new Map<number, bigint>();
        for (let i = 1; i <= 400; i++) {
          const hash = hashOf(client(i), 1000 + i, service);
          const number = backendAt(hash % RING_SIZE);
          perBackend.set(number, (perBackend.get(number) ?? 0n) + 1n);
          const given = request(family, client(i), 1000 + i, i % 60, i & 0xff);
          const run = object.run(given);
          expect(run).toHaveVerdict('XDP_TX');
          expect(hex(run.data)).toBe(forwarded(given, number, hash, i & 0xff));
        }
        expect([...perBackend.keys()].sort()).toEqual(numbers);
        for (const [number, packets] of perBackend)
          expect(object.maps['backend_counters']).toHaveEntry(number, { packets, connections: packets });
        expect(object.maps['counters']).toHaveEntry(1, { packets: 400n });
      });

      it('stays at a backend when the ring changes and while it drains, and leaves it when it is down', async () => {
        const object = await open(engine);
        const at = client(7);
        const given = request(family, at, 4242);
        const hash = hashOf(at, 4242, service);
        const first = backendAt(hash % RING_SIZE);
        const other = numbers.find((number) => number !== first)!;
        const to = () => hex(object.run(given).data);
        expect(to()).toBe(forwarded(given, first, hash));
        object.maps['rings']!.set(0, { slots: new Uint8Array(RING_SIZE).fill(other) });
        expect(to()).toBe(forwarded(given, first, hash));
        object.maps['health']!.set(first, 2);
        expect(to()).toBe(forwarded(given, first, hash));
        object.maps['health']!.set(first, 0);
        expect(to()).toBe(forwarded(given, other, hash));
        object.maps['health']!.set(first, 1);
        expect(to()).toBe(forwarded(given, other, hash));
        // Known, chosen, moved
        for (const [outcome, packets] of [
          [0, 3n],
          [1, 1n],
          [2, 1n],
        ] as const)
          expect(object.maps['counters']).toHaveEntry(outcome, { packets });
        expect(object.maps['backend_counters']).toHaveEntry(first, { packets: 3n, connections: 1n });
        expect(object.maps['backend_counters']).toHaveEntry(other, { packets: 2n, connections: 1n });
      });

      it('skips backends that are down or drain, always to the same one, over the end of the ring', async () => {
        const object = await open(engine);
        // One of them has the last slot.
        const down = backendAt(RING_SIZE - 1);
        const draining = down === 1 ? 2 : 1;
        object.maps['health']!.set(down, 0);
        object.maps['health']!.set(draining, 2);
        const gone = (slot: number) => backendAt(slot) === down || backendAt(slot) === draining;
        let skipped = 0;
        let wrapped = 0;
        for (let port = 1; port < 2500; port++) {
          const hash = hashOf(client(2), port, service);
          let slot = hash % RING_SIZE;
          if (!gone(slot)) continue;
          while (gone(slot)) slot++;
          skipped++;
          if (slot >= RING_SIZE) wrapped++;
          const given = request(family, client(2), port);
          expect(hex(object.run(given).data)).toBe(forwarded(given, backendAt(slot), hash));
        }
        expect(skipped).toBeGreaterThan(400);
        expect(wrapped).toBeGreaterThan(0);
      });

      it('takes errors about an answer to the backend that sent it', async () => {
        const object = await open(engine);
        const at = client(9);
        const hash = hashOf(at, 777, service);
        const number = backendAt(hash % RING_SIZE);
        const ends = { src: service, dst: at };
        const answer = packet(
          family === 'IPv4' ? ipv4(ends) : ipv6(ends),
          tcp({ srcPort: 443, dstPort: 777, flags: ['ack'] }),
          new Uint8Array(30),
        );
        const about = (type: number, inner: Uint8Array) =>
          packet(
            ethernet({ src: near, dst: far }),
            family === 'IPv4'
              ? ipv4({ src: '192.0.2.99', dst: service })
              : ipv6({ src: '2001:db8:f::1', dst: service }),
            family === 'IPv4' ? icmp({ type, code: 4, rest: 1400 }) : icmpv6({ type, rest: 1400 }),
            inner,
          );
        const tooBig = family === 'IPv4' ? 3 : 2;
        const given = about(tooBig, answer.slice(0, family === 'IPv4' ? 28 : 48));
        expect(hex(object.run(given).data)).toBe(forwarded(given, number, hash));
        expect(object.run(about(family === 'IPv4' ? 8 : 128, answer))).toPass();
        // Nothing to tell the connection by.
        expect(object.run(about(tooBig, answer.slice(0, family === 'IPv4' ? 23 : 43)))).toDrop();
      });
    });

    it('drops without a backend, over the limit and what is cut; passes what is no service', async () => {
      const object = await open(engine);
      const to = (dst: string, dstPort: number) =>
        packet(ethernet(), ipv4({ src: '192.0.2.1', dst }), udp({ srcPort: 9, dstPort }), Uint8Array.of(1));
      expect(object.run(to('203.0.113.81', 53))).toHaveVerdict('XDP_DROP');
      expect(object.run(to('203.0.113.80', 443))).toHaveVerdict('XDP_PASS');
      expect(object.run(to('203.0.113.80', 443))).toLeavePacketUnchanged();
      for (const number of numbers) if (number !== 4) object.maps['health']!.set(number, 0);
      // 24 + 20 bytes of headers, and 40 + 8 around them: 1408 bytes of payload fit.
      expect(object.run(request('IPv4', '192.0.2.1', 1, 1408))).toHaveVerdict('XDP_TX');
      expect(object.run(request('IPv4', '192.0.2.1', 1, 1409))).toHaveVerdict('XDP_DROP');
      expect(object.run(request('IPv4', '192.0.2.1', 1).slice(0, 60))).toHaveVerdict('XDP_DROP');
      object.maps['health']!.set(4, 0);
      expect(object.run(request('IPv4', '192.0.2.1', 1))).toHaveVerdict('XDP_DROP');
      // Known, chosen, no service, no backend, too long, malformed
      for (const [outcome, packets] of [
        [0, 0n],
        [1, 1n],
        [3, 2n],
        [4, 2n],
        [5, 1n],
        [6, 1n],
      ] as const)
        expect(object.maps['counters']).toHaveEntry(outcome, { packets });
    });
  });
}

it('Maglev: slots are shared evenly, and a backend that goes takes few others with it', () => {
  const count = (ring: Uint8Array, number: number) => ring.filter((each) => each === number).length;
  for (const number of numbers) expect(Math.abs(count(slots, number) - RING_SIZE / 5)).toBeLessThan(2);
  const without = maglev(
    numbers.filter((number) => number !== 3).map((number) => ({ number, name: backends[number].address })),
  );
  const moved = slots.filter((number, slot) => number !== 3 && without[slot] !== number).length;
  expect(moved).toBeLessThan(RING_SIZE / 8);
  expect(count(without, 3)).toBe(0);
});

it("the example's maps are what its services give", () => {
  const services = JSON.parse(readFileSync(path('examples/services.json'), 'utf8'));
  expect(JSON.parse(readFileSync(path('examples/load_balancer.maps.json'), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(balancerMaps(services))),
  );
});
