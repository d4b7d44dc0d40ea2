/** Arrays of perf events: which ones there are, what programs write to them, and what the reader gets, rings that are full included. */
import { closeSync, openSync } from 'node:fs';
import { load, Runtime } from '../../src/index.ts';
import { PerfEvent } from '../../src/linux/perf-events.ts';
import { createPerfRing, withoutPadding } from '../../src/runtime/maps/perf-event.ts';
import { createMap } from '../../src/runtime/maps/plane-map.ts';
import { PlaneRingbuf } from '../../src/runtime/maps/ringbuf.ts';
import { hex } from '../map-operations.ts';
import type { Step } from '../map-sequences.ts';
import { type Bed, compileOperations, named, programStep, same, u32 } from './bed.ts';

const ENTRIES = 5;
const PACKET = 64;

/** Each record begins with its length: what the kernel pads is not told apart from it. */
export function compilePerfEvents(): Uint8Array {
  return compileOperations(
    'xdp',
    `static long (*output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, ${ENTRIES}); } map SEC(".maps");`,
    `
    case 0: {
      u32 size = (op->object & 63) + 1; u64 bytes[8];
      for (int i = 0; i < 8; i++) bytes[i] = op->value + i;
      *(u8 *)bytes = size + op->key;
      op->result = output(run->ctx, &map, op->flags | (u64)op->key << 32, bytes, size);
      break;
    }`,
  );
}

export async function perfEventsBed(bytes: Uint8Array, cpus: number, seed: bigint): Promise<Bed> {
  const runtime = new Runtime({ seed, cpus });
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  // Two of our CPU, and one of another.
  const events = [0, 0, ...(cpus > 1 ? [1] : [])].map((cpu) => {
    const ring = createPerfRing(runtime.plane, cpu, 1);
    return { ring, source: new PlaneRingbuf(ring), event: new PerfEvent(cpu, 1) };
  });
  const array = createMap(runtime.plane, { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
  const file = openSync('/dev/null', 'r');
  const values = [
    ...events.map(({ ring, event }, i) => named(`event ${i}`, u32(ring.id), u32(event.fd))),
    named('a file', u32(array.id), u32(file)),
    same('none', u32(1_000_000)),
  ];
  for (const target of ['user', 'linux'] as const)
    for (const n of [0, 1, 3]) objects[target].maps['map']!.raw.update(u32(n), values[n % 2]!.bytes[target]);
  const consume = (i: number): Step => ({
    count: 1,
    run(target) {
      const { source, event } = events[i]!;
      const records: string[] = [];
      const keep = (record: Uint8Array) => records.push(hex(record.subarray(0, record[0])));
      if (target === 'linux') event.consume(keep);
      else for (let record = source.take(); record !== undefined; record = source.take()) keep(withoutPadding(record));
      return `consume ${i}: ${records.length} ${records.join(' ')}`;
    },
  });
  const draw = (random: () => number) => ({
    op: 0,
    flags: random() % 8 === 0 ? 0xffff_ffff : random() % 64 === 0 ? 0x1_0000 : random() % (ENTRIES + 1),
    key: random() % 4 === 0 ? random() % (PACKET + 4) : 0,
    object: random(),
    value: BigInt(random()),
  });
  return {
    objects,
    keys: Array.from({ length: ENTRIES + 2 }, (_, n) => same(String(n), u32(n))),
    value: (random) => values[random() % values.length]!,
    ordered: true,
    others: 4,
    other: (random) =>
      random() % 5 === 0
        ? consume(random() % events.length)
        : programStep({ objects }, () => draw(random), { data: new Uint8Array(PACKET) }),
    close() {
      for (const object of Object.values(objects)) object.close();
      for (const { ring, event } of events) {
        ring.close();
        event.close();
      }
      array.close();
      closeSync(file);
    },
  };
}
