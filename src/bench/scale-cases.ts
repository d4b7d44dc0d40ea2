/** What `bench scale` measures: programs of bpf/bench/, the packets of each thread, and what must be in the maps before. */
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { packet } from '../net/packet.ts';
import { rss } from '../net/rss/compute.ts';
import { verificationKey } from '../net/rss/configuration.ts';
import { HASH_TYPES_ALL } from '../net/rss/hash-types.ts';
import { tcp } from '../net/tcp.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { fillMaps } from '../runtime/json-value.ts';

export interface ScaleCase {
  readonly name: string;
  /** Below bpf/objects/. */
  readonly object: string;
  readonly program: string;
  /** Operations of a run. */
  readonly operations: number;
  /** What it returns. */
  readonly verdict: number;
  /** Ring buffer that one more thread reads: its records are counted, in place of runs. */
  readonly ring?: string;
  /** True if the packets that the program leaves, run one after the other on a new object, are the same wherever it runs. */
  readonly repeatable: boolean;
  prepare(object: LoadedObject): void;
  /** Packets of each of so many threads. */
  packets(threads: number): readonly (readonly Uint8Array[])[];
}

const PASS = 2;
const TX = 3;
/** Of bpf/bench/scale.bpf.c: keys of the tables, rounds of a run. */
const KEYS = 16384;
const ROUNDS = 512;

/** struct bench_packet (bpf/bench/bench.h). */
function benchPacket(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x0008, true);
  view.setUint32(16, count, true);
  view.setUint32(20, seed, true);
  return bytes;
}

function fill(object: LoadedObject): void {
  for (let first = 0; first < KEYS; first += ROUNDS) object.programs['fill']!.run({ data: benchPacket(ROUNDS, first) });
}

function onMaps(name: string, program: string, repeatable: boolean, ring?: string): ScaleCase {
  return {
    name,
    object: 'bench/scale.bpf.o',
    program,
    operations: ROUNDS,
    verdict: PASS,
    repeatable,
    ...(ring === undefined ? {} : { ring }),
    prepare: fill,
    packets: (threads) => Array.from({ length: threads }, (_, i) => [benchPacket(ROUNDS, 0x9e3779b9 * (i + 1))]),
  };
}

/** Connections to the load balancer's service, each one packet. */
const FLOWS = 256;
const SERVICE = '203.0.113.80';
const BACKENDS = [1, 2, 3, 4];

const flows = (): Uint8Array[] =>
  Array.from({ length: FLOWS }, (_, i) =>
    packet(
      ethernet({ src: '02:00:00:00:00:0a', dst: '02:00:00:00:00:0b' }),
      ipv4({ src: `198.51.100.${i}`, dst: SERVICE }),
      tcp({ srcPort: 1024 + 7 * i, dstPort: 443, flags: ['ack'] }),
      new Uint8Array(64),
    ),
  );

/** As a device with so many queues gives packets to CPUs. */
function spread(packets: readonly Uint8Array[], queues: number): Uint8Array[][] {
  const table = Array.from({ length: 128 }, (_, i) => i % queues);
  const configuration = { hashTypes: HASH_TYPES_ALL, table, unclassifiedQueue: 0, key: verificationKey };
  const out: Uint8Array[][] = Array.from({ length: queues }, () => []);
  for (const each of packets) out[rss(each, configuration).queue]!.push(each);
  return out;
}

function balance(object: LoadedObject): void {
  const address = (...bytes: readonly number[]) =>
    Uint8Array.from([...bytes, ...new Array<number>(16 - bytes.length).fill(0)]);
  fillMaps(object, {
    services: [[{ address: address(203, 0, 113, 80), port: 443, protocol: 6, family: 4 }, { ring: 0 }]],
    rings: [[0, { slots: Uint8Array.from({ length: 1021 }, (_, i) => BACKENDS[i % BACKENDS.length]!) }]],
    backends: BACKENDS.map((n) => [
      n,
      { address: address(192, 168, 7, n), mac: Uint8Array.of(2, 0, 192, 168, 7, n), family: 4, encapsulation: 0 },
    ]),
    health: BACKENDS.map((n) => [n, 1]),
  });
  // The first packet of a connection chooses its backend, and is not put back by the program: 0.
  for (const data of flows()) object.programs['load_balancer_again']!.run({ data });
}

export const scaleCases: readonly ScaleCase[] = [
  onMaps('hash, 95 % lookups and 5 % updates', 'read_mostly', true),
  onMaps('hash, 95 % lookups and 5 % stores by pointer', 'read_mostly_by_pointer', true),
  onMaps('hash, updates and deletes', 'write_heavy', true),
  onMaps('counters in a per-CPU array', 'percpu_array_count', true),
  onMaps('counters in a per-CPU hash', 'percpu_hash_count', true),
  onMaps('LRU hash, half of the keys found', 'lru_cache', false),
  onMaps('ring buffer, one reader', 'ringbuf_submit', true, 'ring'),
  {
    name: 'XDP load balancer',
    object: 'bench/load_balancer_again.bpf.o',
    program: 'load_balancer_again',
    operations: 1,
    verdict: TX,
    repeatable: true,
    prepare: balance,
    packets: (threads) => spread(flows(), threads),
  },
];
