/**
 * `bench steer`: ns a packet for parsing, hash, report and queue: the device's own computation, programs that ask it, and programs that compute in bitwise C, in our JIT;
 * beside the same program in the kernel's JIT and a computation by tables in C. And the hash of 36 bytes alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InternalError } from '../errors.ts';
import { fillRssMaps } from '../hooks/steering/rss-maps.ts';
import { Steering } from '../hooks/steering/steering.ts';
import { load } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { ipv6Bytes } from '../net/addresses.ts';
import { concat } from '../net/bytes.ts';
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { destinationOptions, hopByHop, ipv6, routing } from '../net/ipv6.ts';
import { type Layer, packet } from '../net/packet.ts';
import { type Random, random } from '../net/random.ts';
import { rss } from '../net/rss/compute.ts';
import { type RssConfiguration, verificationKey } from '../net/rss/configuration.ts';
import { HASH_TYPES_ALL, TUNNEL_TYPES_ALL } from '../net/rss/hash-types.ts';
import { tcp } from '../net/tcp.ts';
import { udp } from '../net/udp.ts';
import { readObject } from '../object/index.ts';
import { WASM_PAGE } from '../plane/layout/memory.ts';
import type { LoadedObject, ProgramHandle } from '../runtime/handles.ts';
import { Runtime } from '../runtime/runtime.ts';
import { SteeringFrames } from '../runtime/steering/frames.ts';
import { steeringPlane } from '../runtime/steering/plane.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { checkOf, SteerPeer } from './steer-peer.ts';
import { median, minima, type Timed, wall } from './timing.ts';

export interface SteerBenchOptions {
  /** Folders bpf/ and bench/peers/ of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  readonly rounds: number;
  readonly targetMs: number;
  /** Cases whose name contains it. */
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

/** Packets of a batch, each of a flow of its own. */
const FRAMES = 64;
const QUEUES = 8;

const configuration: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  table: Array.from({ length: 128 }, (_, index) => index % QUEUES),
  unclassifiedQueue: 0,
  key: verificationKey,
};

type Kind = (rng: Random) => Uint8Array;

const ports = (rng: Random) => ({ srcPort: 1024 + rng.below(60000), dstPort: 443 });
const v4 = (rng: Random) =>
  ipv4({ src: `10.0.${rng.below(256)}.${1 + rng.below(254)}`, dst: `192.0.2.${1 + rng.below(254)}` });
const address6 = (rng: Random) => `2001:db8::${(1 + rng.below(65535)).toString(16)}`;
const v6 = (rng: Random) => ipv6({ src: address6(rng), dst: address6(rng) });
const payload = new Uint8Array(64);
const vni = Uint8Array.of(8, 0, 0, 0, 0, 0, 7, 0);
const raw = (bytes: Uint8Array, ipProtocol: number): Layer => ({
  ipProtocol,
  encode: (behind) => concat([bytes, behind]),
});

/** A name, a packet, and whether its tunnel is opened: the portable program and the kernel have no such thing. */
const kinds: readonly { readonly name: string; readonly make: Kind; readonly tunnel?: true }[] = [
  { name: 'IPv4 TCP', make: (rng) => packet(ethernet(), v4(rng), tcp(ports(rng)), payload) },
  { name: 'IPv4 UDP', make: (rng) => packet(ethernet(), v4(rng), udp(ports(rng)), payload) },
  { name: 'IPv6 TCP', make: (rng) => packet(ethernet(), v6(rng), tcp(ports(rng)), payload) },
  {
    name: 'IPv6 TCP, home address and routing header (EX)',
    make: (rng) =>
      packet(
        ethernet(),
        v6(rng),
        hopByHop(),
        routing({ address: address6(rng) }),
        destinationOptions({ body: concat([Uint8Array.of(1, 2, 0, 0, 0xc9, 16), ipv6Bytes(address6(rng))]) }),
        tcp(ports(rng)),
        payload,
      ),
  },
  {
    name: 'VXLAN, IPv4 TCP in it',
    tunnel: true,
    make: (rng) =>
      packet(
        ethernet(),
        v4(rng),
        udp({ srcPort: 50000, dstPort: 4789 }),
        vni,
        packet(ethernet(), v4(rng), tcp(ports(rng)), payload),
      ),
  },
  {
    name: 'GRE, IPv6 UDP in it',
    tunnel: true,
    make: (rng) =>
      packet(ethernet(), v4(rng), raw(Uint8Array.of(0, 0, 0x86, 0xdd), 47), packet(v6(rng), udp(ports(rng)), payload)),
  },
];

export async function benchSteer(options: SteerBenchOptions): Promise<BenchResult> {
  const read = (name: string) =>
    readObject(readFileSync(join(options.bpf, 'objects', `${name}.bpf.o`)), `${name}.bpf.o`);
  const refusal = bpfRefusal();
  const peer = new SteerPeer(options.peers);
  const runtime = new Runtime({ cpus: 1, seed: 1n });
  const objects: LoadedObject[] = [];
  const open = async (name: string, target: 'user' | 'linux') => {
    const loaded = target === 'user' ? await load(read(name), { runtime }) : await load(read(name), { target });
    objects.push(loaded);
    return loaded;
  };
  const cases: BenchCase[] = [];
  const wanted = (name: string) => options.filter === undefined || name.includes(options.filter);
  try {
    const bitwise = await open('steering/rss_vnet_hash', 'user');
    const kfuncs = await open('steering/device_socket', 'user');
    const contexts = await open('steering/device_vnet_hash', 'user');
    fillRssMaps(bitwise.maps, configuration);
    const kernel = refusal === undefined ? await open('steering/rss_socket', 'linux') : undefined;
    if (kernel !== undefined) fillRssMaps(kernel.maps, configuration);
    for (const [done, { name, make, tunnel }] of kinds.entries()) {
      if (!wanted(name)) continue;
      options.progress(done, kinds.length + 1, name);
      const rng = random(7);
      const packets = Array.from({ length: FRAMES }, () => make(rng));
      const with_ = tunnel === undefined ? configuration : { ...configuration, tunnelTypes: TUNNEL_TYPES_ALL };
      const ways: (readonly [string, LoadedObject | undefined])[] = [
        ['device', undefined],
        ['socket filter, kfuncs', kfuncs],
        ['vnet_hash, kfunc', contexts],
        ...(tunnel === undefined ? ([['vnet_hash, bitwise C', bitwise]] as const) : []),
      ];
      const expected = packets.map((each) => rss(each, with_));
      const devices = ways.map(
        ([way, object]) => new Device(runtime, with_, packets, object, `${name}: ${way}`, expected),
      );
      const table = peer.absent === undefined ? peer.prepare(with_, packets) : undefined;
      if (table !== undefined && table.check !== checkOf(expected))
        throw new InternalError(`${name}: bench/peers/steer.c computes something else`);
      const inKernel = tunnel === undefined ? kernel : undefined;
      const sides: Timed[] = [
        ...devices.map(({ timed }) => timed),
        ...(table === undefined ? [] : [table.timed]),
        ...(inKernel === undefined
          ? []
          : [kernelRuns(Object.values(inKernel.programs)[0]!, packets[0]!, expected[0]!.queue)]),
      ];
      await warm(devices);
      const times = await minima(sides, options.rounds, options.targetMs);
      const c = table === undefined ? undefined : times[devices.length]!;
      const linux = inKernel === undefined ? undefined : times.at(-1)!;
      for (const [index, [way]] of ways.entries())
        cases.push({
          case: `${name}: ${way}`,
          ours: times[index]!,
          peers: {
            ...(linux === undefined ? {} : { 'linux-jit': linux }),
            ...(c === undefined ? {} : { 'c-table': c }),
          },
        });
      for (const device of devices) device.close();
    }
    if (wanted('hash of 36 bytes')) {
      options.progress(kinds.length, kinds.length + 1, 'hash of 36 bytes');
      cases.push(await hashAlone(runtime, peer, options));
    }
    return benchResult('steer', cases, [
      `a batch of ${FRAMES} packets of as many flows; ours: steer_batch in the plane with counters and virtio-net headers written, programs called through the function table; c-table: bench/peers/steer.c, gcc -O2`,
      'linux-jit: bpf/steering/rss_socket.bpf.c (bitwise, as the program that QEMU ships), one packet again and again by BPF_PROG_TEST_RUN; it reports nothing, and opens no tunnels',
      ...(peer.absent === undefined ? [] : [`c-table is absent: ${peer.absent}`]),
      ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
    ]);
  } finally {
    peer.close();
    for (const each of objects) each.close();
  }
}

/** The plane is shared by all cases: on a busy machine V8 is late with what it compiles for hot code. */
async function warm(devices: readonly Device[]): Promise<void> {
  for (let round = 0; round < 5; round++) {
    for (const { timed } of devices) timed.run(FRAMES * 200);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** One way over a batch that lies in memory. */
class Device {
  readonly timed: Timed;
  readonly #steering: Steering;
  readonly #frames: SteeringFrames;

  constructor(
    runtime: Runtime,
    with_: RssConfiguration,
    packets: readonly Uint8Array[],
    object: LoadedObject | undefined,
    name: string,
    expected: readonly { readonly hash: number; readonly report: number; readonly queue: number }[],
  ) {
    this.#steering = new Steering({ queues: QUEUES, runtime, configuration: with_ });
    if (object !== undefined) {
      const program = Object.values(object.programs)[0]!;
      if (!isUser(program)) throw new InternalError(`${name} is not a program of this target`);
      this.#steering.attach(program);
    }
    this.#frames = new SteeringFrames(runtime, FRAMES, 2048);
    for (const [index, each] of packets.entries()) this.#frames.fill(index, each);
    const { device } = this.#steering;
    const { address } = this.#frames;
    device.steer(address, FRAMES);
    for (const [index, { hash, report, queue }] of expected.entries()) {
      const result = this.#frames.result(index);
      if (result.hash !== hash || result.report !== report || result.queue !== queue)
        throw new InternalError(`${name}: packet ${index} gives ${JSON.stringify(result)}`);
    }
    this.timed = {
      run(count) {
        const batches = Math.ceil(count / FRAMES);
        const ns = wall(() => {
          for (let batch = 0; batch < batches; batch++) device.steer(address, FRAMES);
        });
        return (ns * count) / (batches * FRAMES);
      },
    };
  }

  close(): void {
    this.#frames.free();
    this.#steering.close();
  }
}

function isUser(program: ProgramHandle): program is Parameters<Steering['attach']>[0] & ProgramHandle {
  return program.target === 'user';
}

function kernelRuns(program: ProgramHandle, data: Uint8Array, queue: number): Timed {
  const { returnValue } = program.run({ data });
  if (returnValue !== queue) throw new InternalError(`linux-jit: queue ${returnValue}, not ${queue}`);
  // As in bench jit: what the kernel waits for around the runs is no run's.
  const begin = median(Array.from({ length: 5 }, () => wall(() => program.run({ data, repeat: 2 }))));
  return {
    weight: 4,
    run(repeat) {
      let durationNs = 0;
      const ns = wall(() => {
        durationNs = program.run({ data, repeat }).durationNs;
      });
      return Math.max(durationNs * repeat, Math.min(ns - begin, (durationNs + 1) * repeat));
    },
  };
}

async function hashAlone(runtime: Runtime, peer: SteerPeer, options: SteerBenchOptions): Promise<BenchCase> {
  const steering = new Steering({ queues: 1, runtime, configuration });
  const at = runtime.allocatePages(WASM_PAGE);
  for (let i = 0; i < FRAMES; i++)
    for (let byte = 0; byte < 36; byte++) runtime.bytes()[at + i * 64 + byte] = i * 41 + byte * 7;
  const plane = steeringPlane(runtime);
  const block = steering.device.block()!.address;
  const ours: Timed = {
    run(count) {
      plane.rss_toeplitz36(block, at, count);
      return undefined;
    },
  };
  const times = await minima(
    [ours, ...(peer.absent === undefined ? [peer.toeplitz36(configuration)] : [])],
    options.rounds,
    options.targetMs,
  );
  runtime.freePages(at, WASM_PAGE);
  steering.close();
  return { case: 'hash of 36 bytes', ours: times[0]!, peers: times[1] === undefined ? {} : { 'c-table': times[1] } };
}
