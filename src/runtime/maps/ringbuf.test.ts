import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap } from './plane-map.ts';
import { RingbufMap } from './ringbuf.ts';

const plane = createPlane(createMemory(1, 1n));
const reserve = plane.exports['bpf_ringbuf_reserve'] as (map: bigint, size: bigint, flags: bigint) => bigint;
const submit = plane.exports['bpf_ringbuf_submit'] as (sample: bigint, flags: bigint) => bigint;
const discard = plane.exports['bpf_ringbuf_discard'] as (sample: bigint, flags: bigint) => bigint;
const output = plane.exports['bpf_ringbuf_output'] as (m: bigint, d: bigint, s: bigint, f: bigint) => bigint;
const query = plane.exports['bpf_ringbuf_query'] as (map: bigint, what: bigint) => bigint;

const NO_WAKEUP = 1n;
const FORCE_WAKEUP = 2n;

function ring(maxEntries = 4096) {
  const spec: MapSpec = {
    name: 'events',
    type: 'ringbuf',
    keySize: 0,
    valueSize: 0,
    maxEntries,
    flags: 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId: 0,
    inner: undefined,
    contents: { kind: 'none' },
    section: '.maps',
  };
  const raw = createMap(plane, spec);
  return { map: new RingbufMap(raw, spec, undefined), address: BigInt(raw.address) };
}

function emit(address: bigint, bytes: Uint8Array, flags = 0n): bigint {
  const at = plane.scratch(bytes.length);
  plane.bytes().set(bytes, at);
  return output(address, BigInt(at), BigInt(bytes.length), flags);
}

function drain(map: RingbufMap): Uint8Array[] {
  const records: Uint8Array[] = [];
  map.consume((_, record) => records.push(record));
  return records;
}

/** Positions as Linux keeps them: what is there to consume, and whether a reservation fits. */
class RingModel {
  consumed = 0;
  produced = 0;
  readonly records: { size: number; state: 'busy' | 'ready' | 'discarded'; fill: number; sample: bigint }[] = [];

  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  fits(size: number): boolean {
    const length = (size + 8 + 7) & ~7;
    const pending = this.records.findIndex(({ state }) => state === 'busy');
    let oldest = this.consumed;
    for (const record of pending < 0 ? this.records : this.records.slice(0, pending)) oldest += (record.size + 15) & ~7;
    const next = this.produced + length;
    return length <= this.size && next - this.consumed <= this.size - 1 && next - oldest <= this.size - 1;
  }
}

describe('ringbuf', () => {
  it('agrees with a model of the positions, over many laps', () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ op: fc.constant('reserve' as const), size: fc.integer({ min: 0, max: 1500 }) }),
      },
      {
        weight: 5,
        arbitrary: fc.record({ op: fc.constantFrom('submit' as const, 'discard' as const), pick: fc.nat() }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ op: fc.constant('consume' as const), limit: fc.integer({ min: 1, max: 9 }) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const { map, address } = ring();
        const model = new RingModel(4096);
        let fill = 0;
        for (const action of steps) {
          if (action.op === 'reserve') {
            const fits = model.fits(action.size);
            const sample = reserve(address, BigInt(action.size), 0n);
            expect(sample !== 0n).toBe(fits);
            if (!fits) continue;
            fill = (fill + 1) & 255;
            plane.bytes().fill(fill, Number(sample), Number(sample) + action.size);
            model.records.push({ size: action.size, state: 'busy', fill, sample });
            model.produced += (action.size + 15) & ~7;
          } else if (action.op === 'consume') {
            const expected: string[] = [];
            while (
              model.records[0] !== undefined &&
              model.records[0].state !== 'busy' &&
              expected.length < action.limit
            ) {
              const record = model.records.shift()!;
              model.consumed += (record.size + 15) & ~7;
              if (record.state === 'ready') expected.push(`${record.size} ${record.size === 0 ? 0 : record.fill}`);
            }
            const seen: string[] = [];
            map.consume((_, record) => {
              expect(new Set(record).size).toBeLessThanOrEqual(1);
              seen.push(`${record.length} ${record[0] ?? 0}`);
            }, action.limit);
            expect(seen).toEqual(expected);
            // Discarded records are passed over when the one behind them is looked for.
            while (model.records[0]?.state === 'discarded' && query(address, 2n) > BigInt(model.consumed))
              model.consumed += (model.records.shift()!.size + 15) & ~7;
            expect(query(address, 2n)).toBe(BigInt(model.consumed));
          } else {
            const busy = model.records.filter(({ state }) => state === 'busy');
            const record = busy[action.pick % busy.length];
            if (record === undefined) continue;
            record.state = action.op === 'submit' ? 'ready' : 'discarded';
            (action.op === 'submit' ? submit : discard)(record.sample, NO_WAKEUP);
          }
          expect(query(address, 3n)).toBe(BigInt(model.produced));
          expect(query(address, 0n)).toBe(BigInt(model.produced - model.consumed));
        }
        map.close();
      }),
      { numRuns: 100 },
    );
  });

  it('keeps a record that crosses the end contiguous, and its neighbours whole', () => {
    const { map, address } = ring();
    for (let lap = 0; lap < 40; lap++) {
      const sizes = [1000, 1300, 900];
      for (const [i, size] of sizes.entries()) expect(emit(address, new Uint8Array(size).fill(lap + i))).toBe(0n);
      expect(drain(map)).toEqual(sizes.map((size, i) => new Uint8Array(size).fill(lap + i)));
    }
    map.close();
  });

  it('refuses as Linux does', () => {
    const { map, address } = ring();
    expect(reserve(address, 8n, 1n)).toBe(0n);
    expect(reserve(address, 4096n - 8n, 0n)).toBe(0n);
    expect(reserve(address, 1n << 40n, 0n)).toBe(0n);
    expect(reserve(address, 4096n - 16n, 0n)).not.toBe(0n);
    expect(emit(address, new Uint8Array(1))).toBe(-11n);
    expect(emit(address, new Uint8Array(1), 4n)).toBe(-22n);
    expect(query(address, 1n)).toBe(4096n);
    expect(query(address, 9n)).toBe(0n);
    map.close();
    for (const maxEntries of [0, 2048, 4097, 12288]) {
      expect(() => createMap(plane, { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries })).toThrow(InputError);
    }
    expect(() => createMap(plane, { type: 'ringbuf', keySize: 4, valueSize: 0, maxEntries: 4096 })).toThrow('EINVAL');
  });

  it('has nothing by key', () => {
    const { map } = ring();
    expect(() => map.raw.lookup(new Uint8Array(0))).toThrow('ENOTSUPP');
    expect(() => map.raw.nextKey()).toThrow('ENOTSUPP');
    map.close();
  });

  it('wakes a waiting reader, once for what it then finds', async () => {
    const { map, address } = ring();
    const seen: number[] = [];
    const stopped = (async () => {
      for await (const event of map.events()) {
        seen.push((event as Uint8Array)[0]!);
        if (seen.length === 4) break;
      }
    })();
    await tick();
    const start = performance.now();
    emit(address, Uint8Array.of(1));
    emit(address, Uint8Array.of(2));
    await until(() => seen.length === 2);
    emit(address, Uint8Array.of(3), NO_WAKEUP);
    await tick();
    expect(seen).toEqual([1, 2]);
    emit(address, Uint8Array.of(4), FORCE_WAKEUP);
    await stopped;
    expect(seen).toEqual([1, 2, 3, 4]);
    // Well before the longest wait: it was the notification.
    expect(performance.now() - start).toBeLessThan(900);
    map.close();
  });

  it('shows records where they lie, up to one that is not ready, and gives their space back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 0, max: 9 })), {
          size: 'max',
          maxLength: 300,
        }),
        (steps) => {
          const { map, address } = ring();
          const waiting: { readonly sample: bigint; readonly length: number; readonly fill: number }[] = [];
          const expected: string[] = [];
          const seen: string[] = [];
          const look = () =>
            map.scan((memory, at, length) => {
              const bytes = new Uint8Array(memory.buffer, at, length);
              seen.push(`${length}:${bytes[0]}:${bytes[length - 1]}`);
            });
          for (const [i, [size, what]] of steps.entries()) {
            const fill = i & 255;
            const sample = reserve(address, BigInt(size + 1), 0n);
            if (sample === 0n) {
              // Full: there is something to read, unless what is at the front is not ready.
              if (waiting.length === 0) expect(look() > 0 || query(address, 0n) > 0n).toBe(true);
              continue;
            }
            plane.bytes().fill(fill, Number(sample), Number(sample) + size + 1);
            const text = `${size + 1}:${fill}:${fill}`;
            if (what === 0) discard(sample, 0n);
            else {
              expected.push(text);
              if (what === 1) waiting.push({ sample, length: size + 1, fill });
              else submit(sample, 0n);
            }
            if (what === 2 || what === 3) {
              for (const { sample: late } of waiting.splice(0)) submit(late, 0n);
              while (look() > 0);
            }
          }
          for (const { sample } of waiting) submit(sample, 0n);
          // A run of records that were all discarded is read as well.
          while (query(address, 0n) > 0n) look();
          expect(seen).toEqual(expected);
          map.close();
        },
      ),
    );
  });

  it('ends when the map is closed, when the signal aborts, and when a listener is stopped', async () => {
    const { map } = ring();
    const ended: string[] = [];
    const read = async (name: string, signal?: AbortSignal) => {
      for await (const _ of map.events(signal === undefined ? {} : { signal })) expect.fail('no record was sent');
      ended.push(name);
    };
    const abort = new AbortController();
    const reads = [read('aborted', abort.signal), read('closed')];
    await tick();
    abort.abort();
    await reads[0];
    map.close();
    await reads[1];
    expect(ended).toEqual(['aborted', 'closed']);

    const other = ring();
    const events: number[] = [];
    const stop = other.map.on((event) => events.push((event as Uint8Array)[0]!));
    emit(other.address, Uint8Array.of(7));
    await until(() => events.length === 1);
    stop();
    await tick();
    emit(other.address, Uint8Array.of(8));
    await tick();
    expect(events).toEqual([7]);
    expect(drain(other.map)).toEqual([Uint8Array.of(8)]);
    other.map.close();
  });
});

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !condition(); i++) await tick();
  expect(condition()).toBe(true);
}
