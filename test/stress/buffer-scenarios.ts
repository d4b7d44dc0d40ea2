/** Ring buffers, queues, stacks and bloom filters with several CPUs at them. */
import { DYNPTR_DATA } from '../../src/plane/layout/dynptr.ts';
import {
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_PROD_POS,
  RINGBUF_WAITERS,
  RINGBUF_WAKES,
} from '../../src/plane/layout/map-ringbuf.ts';
import { createMap } from '../../src/runtime/maps/plane-map.ts';
import { queueModel } from './models/queue.ts';
import { call, type Scenario, same } from './scenario.ts';
import { expectLinearizable, type StressResult, stress, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const RING = 4096;

/**
 * All CPUs but the last produce records of all sizes, by all calls; the last one consumes. A record says its producer, its number, and words that follow from both.
 * @returns records that were submitted, or consumed.
 */
function ringbufBody({
  call,
  view,
  map,
  scratch,
  cpu,
  workers,
  rounds,
  random,
  pause,
  parameters,
}: StressWorker<readonly number[]>) {
  const [shared, waits, dynptrData, wakesAt, waitersAt] = parameters as [number, number, number, number, number];
  const words = new Int32Array(view.buffer, shared, 16);
  const all = new Int32Array(view.buffer);
  const ring = BigInt(map);
  const pattern = (of: number, n: number, i: number) =>
    (Math.imul(of, 0x9e3779b1) ^ Math.imul(n, 0x85ebca6b) ^ Math.imul(i, 0xc2b2ae35)) >>> 0;
  if (cpu !== workers) {
    const fill = (at: number, n: number, size: number) => {
      view.setUint32(at, cpu, true);
      view.setUint32(at + 4, n, true);
      for (let i = 8; i + 4 <= size; i += 4) view.setUint32(at + i, pattern(cpu, n, i), true);
    };
    for (let n = 0; n < rounds; ) {
      const size = 8 + random(120);
      const flags = waits ? 0n : BigInt(random(3));
      const how = random(8);
      if (how === 0) {
        fill(scratch, n, size);
        if (call('bpf_ringbuf_output', ring, BigInt(scratch), BigInt(size), flags) !== 0) {
          Atomics.wait(words, 8, 0, 0.02);
          continue;
        }
        n++;
        continue;
      }
      let sample: number;
      const dynptr = scratch + 1024;
      if (how === 1) {
        call('bpf_ringbuf_reserve_dynptr', ring, BigInt(size), 0n, BigInt(dynptr));
        sample = view.getUint32(dynptr + dynptrData, true);
      } else sample = call('bpf_ringbuf_reserve', ring, BigInt(size), 0n);
      if (sample === 0) {
        Atomics.wait(words, 8, 0, 0.02);
        continue;
      }
      // Records of others that come after it are ready before it is.
      pause();
      const discards = random(6) === 0;
      fill(sample, discards ? 0xdead : n, size);
      const call2 = `bpf_ringbuf_${discards ? 'discard' : 'submit'}${how === 1 ? '_dynptr' : ''}`;
      call(call2, BigInt(how === 1 ? dynptr : sample), flags);
      if (!discards) n++;
    }
    Atomics.add(words, 0, 1);
    call('ringbuf_wake', map);
    return rounds;
  }
  const next: number[] = [];
  let received = 0;
  for (;;) {
    const done = Atomics.load(words, 0) === workers - 1;
    const seen = Atomics.load(all, (map + wakesAt) >> 2);
    const record = call('ringbuf_next', map);
    if (record === 0) {
      if (done) return received;
      if (waits) {
        Atomics.add(all, (map + waitersAt) >> 2, 1);
        const how = Atomics.wait(all, (map + wakesAt) >> 2, seen, 500);
        Atomics.sub(all, (map + waitersAt) >> 2, 1);
        if (how === 'timed-out' && call('ringbuf_next', map) !== 0) throw new Error('a wake-up was lost');
      } else Atomics.wait(words, 8, 0, 0.01);
      continue;
    }
    const length = view.getUint32(record, true) & 0x3fff_ffff;
    if (length < 8 || length > 128 + 8) throw new Error(`a record of ${length} bytes`);
    const sample = record + 8;
    const of = view.getUint32(sample, true);
    const n = view.getUint32(sample + 4, true);
    if (of === 0 || of >= workers) throw new Error(`a record of producer ${of}`);
    if (n !== (next[of] ?? 0)) throw new Error(`record ${n} of producer ${of} where ${next[of] ?? 0} is next`);
    next[of] = n + 1;
    for (let i = 8; i + 4 <= length; i += 4)
      if (view.getUint32(sample + i, true) !== pattern(of, n, i))
        throw new Error(`record ${n} of ${of} is torn at ${i}`);
    received++;
    call('ringbuf_release', map, record);
  }
}

function ringbuf(waits: boolean): Scenario {
  return {
    name: `ringbuf: several producers, ${waits ? 'a consumer that sleeps' : 'all flags'}`,
    async run(variant) {
      const parameters: number[] = [];
      const { results, map, plane, seed } = await stress({
        ...variant,
        map: { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: RING },
        workers: 4,
        rounds: 1500,
        parameters,
        before: (_, plane) =>
          parameters.push(call(plane, 'pages_alloc', 1), Number(waits), DYNPTR_DATA, RINGBUF_WAKES, RINGBUF_WAITERS),
        body: ringbufBody,
      });
      await withSeed(seed, () => {
        same('records that were consumed', results[3], results[0]! + results[1]! + results[2]!);
        const ring = BigInt(map.address);
        const query = (what: number) => call(plane, 'bpf_ringbuf_query', ring, BigInt(what));
        same('bytes that are left', query(BPF_RB_AVAIL_DATA), 0);
        same('position of the consumer', query(BPF_RB_CONS_POS), query(BPF_RB_PROD_POS));
        // As many as Linux gives: a ring is never filled to the last byte.
        let most = 0;
        while (call(plane, 'bpf_ringbuf_reserve', ring, 8n, 0n) !== 0) most++;
        same('records for which there is room', most, RING / 16 - 1);
      });
    },
  };
}

/** CPU 1 discards a record and submits one, and waits until CPU 2, which sleeps where there is none, has it. */
function discardBody({ call, view, map, cpu, rounds, parameters }: StressWorker<readonly number[]>) {
  const [shared, wakesAt, waitersAt] = parameters as [number, number, number];
  const words = new Int32Array(view.buffer, shared, 16);
  const all = new Int32Array(view.buffer);
  const ring = BigInt(map);
  for (let i = 1; i <= rounds; i++) {
    if (cpu === 1) {
      call('bpf_ringbuf_discard', BigInt(call('bpf_ringbuf_reserve', ring, 8n, 0n)), 0n);
      call('bpf_ringbuf_submit', BigInt(call('bpf_ringbuf_reserve', ring, 8n, 0n)), 0n);
      for (let seen = Atomics.load(words, 0); seen < i; seen = Atomics.load(words, 0))
        Atomics.wait(words, 0, seen, 100);
      continue;
    }
    for (;;) {
      const seen = Atomics.load(all, (map + wakesAt) >> 2);
      const record = call('ringbuf_next', map);
      if (record !== 0) {
        call('ringbuf_release', map, record);
        Atomics.store(words, 0, i);
        Atomics.notify(words, 0);
        break;
      }
      Atomics.add(all, (map + waitersAt) >> 2, 1);
      const how = Atomics.wait(all, (map + wakesAt) >> 2, seen, 500);
      Atomics.sub(all, (map + waitersAt) >> 2, 1);
      if (how === 'timed-out' && call('ringbuf_next', map) !== 0) throw new Error('a wake-up was lost');
    }
  }
}

const discard: Scenario = {
  name: 'ringbuf: a consumer that has passed over a record looks again before it sleeps',
  async run(variant) {
    const parameters: number[] = [];
    await stress({
      ...variant,
      map: { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: RING },
      workers: 2,
      rounds: 2000,
      parameters,
      before: (_, plane) => parameters.push(call(plane, 'pages_alloc', 1), RINGBUF_WAKES, RINGBUF_WAITERS),
      body: discardBody,
    });
  },
};

/** Values are their stamp and its complement. */
function queueBody({ call, view, map, scratch, cpu, rounds, random, pause, meet, begin, end }: StressWorker) {
  const out = scratch + 64;
  for (let i = 0; i < rounds; i++) {
    if (i % 10 === 9) meet();
    const what = random(8);
    const stamp = (cpu << 24) | (i + 1);
    view.setUint32(scratch, stamp, true);
    view.setUint32(scratch + 12, ~stamp, true);
    const got = (result: number) => {
      if (result !== 0) return 0;
      if (view.getUint32(out, true) !== ~view.getUint32(out + 12, true) >>> 0) throw new Error('a torn value');
      return view.getUint32(out, true);
    };
    if (what < 4) {
      begin(what === 0 ? 2 : 1, 0, stamp);
      end(call('bpf_map_push_elem', BigInt(map), BigInt(scratch), what === 0 ? 2n : 0n));
    } else if (what < 7) {
      begin(3, 0, 0);
      end(got(call('bpf_map_pop_elem', BigInt(map), BigInt(out))));
    } else {
      begin(4, 0, 0);
      end(got(call('bpf_map_peek_elem', BigInt(map), BigInt(out))));
    }
    pause();
  }
}

function queue(type: 'queue' | 'stack'): Scenario {
  return {
    name: `${type}: is linearizable`,
    async run(variant) {
      const result: StressResult = await stress({
        ...variant,
        map: { type, keySize: 0, valueSize: 16, maxEntries: 4 },
        workers: 3,
        rounds: 2000,
        records: 2000,
        body: queueBody,
      });
      expectLinearizable(queueModel(4, type === 'stack'), result);
    },
  };
}

/** All push into the same small filters at about the same time; what was pushed is found, at once and at the end. */
function bloomBody({ call, view, scratch, cpu, rounds, random, meet, parameters }: StressWorker<readonly number[]>) {
  const value = (n: number) => {
    view.setUint32(scratch, cpu, true);
    view.setUint32(scratch + 4, n, true);
  };
  const ask = (filter: bigint, n: number) => {
    value(n);
    if (call('bpf_map_peek_elem', filter, BigInt(scratch)) !== 0)
      throw new Error('a value that was pushed is not found');
  };
  for (let i = 0; i < rounds; i++) {
    if (i % 8 === 0) meet();
    const filter = BigInt(parameters[i % parameters.length]!);
    const n = i * 8 + random(8);
    value(n);
    if (call('bpf_map_push_elem', filter, BigInt(scratch), 0n) !== 0) throw new Error('push');
    ask(filter, n);
    value(n);
    for (let again = 0; again < 4; again++) ask(filter, n);
  }
}

const bloom: Scenario = {
  name: 'bloom filter: what was pushed is found',
  async run(variant) {
    const parameters: number[] = [];
    const attributes = { type: 'bloom_filter', keySize: 0, valueSize: 8, maxEntries: 8 } as const;
    await stress({
      ...variant,
      map: attributes,
      workers: 4,
      rounds: 512,
      parameters,
      before(_, plane) {
        for (let i = 0; i < 512; i++) parameters.push(createMap(plane, attributes).address);
      },
      body: bloomBody,
    });
  },
};

export const bufferScenarios: readonly Scenario[] = [
  ringbuf(false),
  ringbuf(true),
  discard,
  queue('queue'),
  queue('stack'),
  bloom,
];
