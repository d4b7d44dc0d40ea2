/** What programs tell user space and are told by it, on several CPUs: call stacks, perf events, records of a user ring buffer; registrations of a struct_ops map. */
import { DYNPTR_DATA, DYNPTR_SIZE, DYNPTR_SIZE_MASK } from '../../src/plane/layout/dynptr.ts';
import { STRUCT_OPS_DATA, STRUCT_OPS_STATE } from '../../src/plane/layout/map-struct-ops.ts';
import { GIVEN_ADDRESSES, GIVEN_KERNEL } from '../../src/plane/layout/stack-trace.ts';
import { WORKER_STACK_TOP, WORKER_STACK_TRACE } from '../../src/plane/layout/worker.ts';
import { createPerfRing } from '../../src/runtime/maps/perf-event.ts';
import { createMap, type PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import { RecordProducer } from '../../src/runtime/maps/record-producer.ts';
import { planeProducerRing } from '../../src/runtime/maps/user-ringbuf.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { traces } from './models/trace.ts';
import { call, type Scenario, same, u32 } from './scenario.ts';
import { expectLinearizable, stress, stressFactor, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

/** Addresses of a stack: its number above, which of them it is below; 1 to 4 of them. */
const DEPTH = 4;

function giveStack(plane: PlaneInstance, at: number, cpu: number, stack: number): void {
  const view = plane.view();
  const depth = 1 + (stack % DEPTH);
  view.setUint32(at + GIVEN_KERNEL, depth, true);
  for (let i = 0; i < depth; i++) view.setBigUint64(at + GIVEN_ADDRESSES + i * 8, BigInt(stack * 1000 + i), true);
  view.setUint32(workerAddress(cpu) + WORKER_STACK_TRACE, at, true);
}

/** Parameters: where a stack is given, and stacks of two buckets with their ids. A bucket is a register of the stack that it has. */
function tracesBody({
  call,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  meet,
  begin,
  end,
  parameters,
}: StressWorker<readonly number[]>) {
  const [workers, stride, traceAt, countAt, addressesAt, depths, ...stacks] = parameters as [
    ...[number, number, number, number, number, number],
    ...number[],
  ];
  const [given, out] = [scratch + 1024, scratch + 2048];
  view.setUint32(workers + cpu * stride + traceAt, given, true);
  const whole = () => {
    const stack = Number(view.getBigUint64(out, true)) / 1000;
    for (let i = 0; i < depths; i++) {
      const expected = i < 1 + (stack % depths) ? stack * 1000 + i : 0;
      if (Number(view.getBigUint64(out + i * 8, true)) !== expected) throw new Error('a torn trace');
    }
    return stack;
  };
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    const at = 2 * random(stacks.length / 2);
    const [stack, id] = [stacks[at]!, stacks[at + 1]!];
    view.setUint32(scratch, id, true);
    const what = random(8);
    if (what < 4) {
      const depth = 1 + (stack % depths);
      view.setUint32(given + countAt, depth, true);
      for (let j = 0; j < depth; j++) view.setBigUint64(given + addressesAt + j * 8, BigInt(stack * 1000 + j), true);
      const reuses = what < 2;
      call('epoch_enter');
      begin(reuses ? 2 : 8, id, stack);
      const result = call('bpf_get_stackid', 0n, BigInt(map), reuses ? 0x400n : 0n);
      if (result >= 0 && result !== id) throw new Error(`id ${result}, and not ${id}`);
      end(Math.min(result, 0));
      call('epoch_exit');
    } else if (what < 6) {
      begin(1, id, 0);
      end(call('map_lookup_user', map, scratch, out, 0) === 0 ? whole() : 0);
    } else if (what === 6) {
      begin(6, id, 0);
      end(call('map_take_user', map, scratch, out) === 0 ? whole() : 0);
    } else {
      begin(5, id, 0);
      end(call('map_delete_user', map, scratch));
    }
    pause();
  }
}

/** Three stacks in each of two buckets, with the buckets' ids. */
function colliding(plane: PlaneInstance, map: PlaneMap): number[] {
  const at = call(plane, 'pages_alloc', 1);
  const byId = new Map<number, number[]>();
  const chosen: number[] = [];
  for (let stack = 1; chosen.length < 12 && stack < 400; stack++) {
    giveStack(plane, at, 0, stack);
    const id = call(plane, 'bpf_get_stackid', 0n, BigInt(map.address), 0n);
    map.delete(u32(id));
    const met = byId.get(id) ?? [];
    byId.set(id, [...met, stack]);
    if (met.length === 2) chosen.push(...[...met, stack].flatMap((each) => [each, id]));
  }
  plane.view().setUint32(workerAddress(0) + WORKER_STACK_TRACE, 0, true);
  return chosen;
}

const stackTrace = (workers: number): Scenario => ({
  name: 'stack_trace: each bucket is a register',
  async run(variant) {
    const parameters = [workerAddress(0), workerAddress(1) - workerAddress(0), WORKER_STACK_TRACE];
    parameters.push(GIVEN_KERNEL, GIVEN_ADDRESSES, DEPTH);
    const result = await stress({
      ...variant,
      map: { type: 'stack_trace', keySize: 4, valueSize: DEPTH * 8, maxEntries: 64 },
      workers,
      rounds: 1500,
      records: 1500,
      parameters,
      before: (map, plane) => parameters.push(...colliding(plane, map)),
      body: tracesBody,
    });
    expectLinearizable(traces, result);
  },
});

/** All CPUs but the last one tell of events; the last one reads all rings. What it has read and what was lost are what was told. Returns events told, or read and lost. */
function perfBody({
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
  const [shared, ...rings] = parameters as [number, ...number[]];
  const words = new Int32Array(view.buffer, shared, 16);
  if (cpu !== workers) {
    for (let n = 0; n < rounds; n++) {
      const size = 8 + 4 * random(250);
      view.setUint32(scratch, cpu, true);
      for (let at = 4; at < size; at += 4) view.setUint32(scratch + at, n, true);
      call('epoch_enter');
      const other = call('bpf_perf_event_output', 0n, BigInt(map), 0n, 0n, 0n);
      if (other !== -95) throw new Error(`an event in another CPU's ring: ${other}`);
      const result = call('bpf_perf_event_output', 0n, BigInt(map), 0xffff_ffffn, BigInt(scratch), BigInt(size));
      if (result !== 0 && result !== -28) throw new Error(`an event: ${result}`);
      call('epoch_exit');
      pause();
    }
    Atomics.add(words, 0, 1);
    return rounds;
  }
  const next: number[] = [];
  let seen = 0;
  for (let last = false; !last; ) {
    last = Atomics.load(words, 0) === workers - 1;
    for (let of = 1; of < workers; of++) {
      const ring = rings[of]!;
      for (let record = call('ringbuf_next', ring); record !== 0; record = call('ringbuf_next', ring)) {
        const length = view.getUint32(record + 8, true);
        const n = view.getUint32(record + 16, true);
        if (view.getUint32(record + 12, true) !== of || n < (next[of] ?? 0))
          throw new Error(`event ${n} of CPU ${of} where ${next[of] ?? 0} is next`);
        next[of] = n + 1;
        for (let at = 4; at < length; at += 4)
          if (view.getUint32(record + 12 + at, true) !== n) throw new Error('a torn event');
        seen++;
        call('ringbuf_release', ring, record);
        pause();
        seen += call('perf_event_lost', ring);
      }
      seen += call('perf_event_lost', ring);
    }
  }
  return seen;
}

const perfEvents = (workers: number): Scenario => ({
  name: 'perf_event_array: events are read in order, or counted as lost',
  async run(variant) {
    const parameters: number[] = [];
    const { results, seed } = await stress({
      ...variant,
      map: { type: 'perf_event_array', keySize: 4, valueSize: 4, maxEntries: workers + 1 },
      workers,
      rounds: 1500,
      parameters,
      before(map, plane) {
        parameters.push(call(plane, 'pages_alloc', 1));
        for (let cpu = 0; cpu <= workers; cpu++) {
          const ring = createPerfRing(plane, cpu, 1);
          parameters.push(ring.address);
          map.update(u32(cpu), u32(ring.id));
        }
      },
      body: perfBody,
    });
    const told = results.slice(0, -1).reduce((sum, each) => sum + each, 0);
    await withSeed(seed, () => same('events', results.at(-1), told));
  },
});

/** CPUs drain what user space writes meanwhile: one at a time, each record once, in order and whole. Records are their number, again and again. Returns those that it has drained. */
function drainBody({ call, callback, view, map, cpu, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [shared, total, workers, stride, topAt, dataAt, sizeAt, mask] = parameters as [
    ...[number, number, number, number],
    ...[number, number, number, number],
  ];
  const words = new Int32Array(view.buffer, shared, 16);
  const top = workers + cpu * stride + topAt;
  let drained = 0;
  let most = 1;
  let left = 0;
  const each = callback(() => {
    const dynptr = view.getUint32(top, true);
    const data = view.getUint32(dynptr + dataAt, true);
    const size = view.getUint32(dynptr + sizeAt, true) & mask;
    const n = view.getUint32(data, true);
    const next = words[0]!;
    if (n !== next) throw new Error(`record ${n} where ${next} is next`);
    if (Atomics.exchange(words, 1, cpu) !== 0) throw new Error('two CPUs drain');
    pause();
    for (let at = 0; at < size; at += 4) if (view.getUint32(data + at, true) !== n) throw new Error('a torn record');
    words[0] = next + 1;
    Atomics.store(words, 1, 0);
    drained++;
    return --left === 0 ? 1 : 0;
  });
  while (Atomics.load(words, 0) < total) {
    left = most = 1 + random(20);
    const before = drained;
    call('epoch_enter');
    const result = call('bpf_user_ringbuf_drain', BigInt(map), BigInt(each), 0n, 0n);
    call('epoch_exit');
    if (result < 0 && result !== -16) throw new Error(`drain: ${result}`);
    if ((result === -16 ? 0 : result) !== drained - before || drained - before > most)
      throw new Error(`drain: ${result} of ${drained - before}`);
    if (result <= 0) Atomics.wait(words, 8, 0, 0.05);
    pause();
  }
  return drained;
}

/** User space: records of all sizes, some of them thrown away, some made while an earlier one is still open. */
class Writer {
  #next = 0;
  #random = 1;
  readonly #producer: RecordProducer<Uint8Array>;
  readonly #total: number;

  constructor(map: PlaneMap, total: number) {
    this.#producer = new RecordProducer<Uint8Array>(planeProducerRing(map), (bytes) => bytes);
    this.#total = total;
  }

  /** A few records, as far as there is room. */
  write(): void {
    for (let i = 0; i < 20 && this.#next < this.#total; i++) {
      this.#random = (this.#random * 48271) % 0x7fff_ffff;
      const words = 1 + (this.#random % 30);
      const thrown = this.#random % 5 === 0 ? this.#producer.reserve(words * 4) : undefined;
      const first = this.#producer.reserve(words * 4);
      if (first === undefined) {
        thrown?.discard();
        return;
      }
      const second = this.#next + 1 < this.#total ? this.#producer.reserve(8) : undefined;
      if (second !== undefined) {
        this.#fill(second.bytes, this.#next + 1);
        second.submit();
      }
      thrown?.discard();
      this.#fill(first.bytes, this.#next);
      first.submit();
      this.#next += second === undefined ? 1 : 2;
    }
  }

  #fill(bytes: Uint8Array, n: number): void {
    new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).fill(n);
  }
}

const userRingbuf = (workers: number): Scenario => ({
  name: 'user_ringbuf: several drain what user space writes, one at a time',
  async run(variant) {
    const total = Math.ceil(1500 * stressFactor);
    const parameters: number[] = [];
    let writer: Writer | undefined;
    const run = stress({
      ...variant,
      map: { type: 'user_ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096 },
      workers,
      rounds: 1,
      parameters,
      before(map, plane) {
        writer = new Writer(map, total);
        parameters.push(call(plane, 'pages_alloc', 1), total);
        parameters.push(workerAddress(0), workerAddress(1) - workerAddress(0), WORKER_STACK_TOP);
        parameters.push(DYNPTR_DATA, DYNPTR_SIZE, DYNPTR_SIZE_MASK);
      },
      body: drainBody,
    });
    let over = false;
    const write = () => {
      if (over) return;
      writer?.write();
      setImmediate(write);
    };
    write();
    try {
      const { results, seed } = await run;
      await withSeed(seed, () =>
        same(
          'records',
          results.reduce((sum, each) => sum + each, 0),
          total,
        ),
      );
    } finally {
      over = true;
    }
  },
});

/** All register what they have with one map after the other, and end the registration: one does either. Who reads sees nothing yet, or all of what was registered. */
function registerBody({ call, view, scratch, cpu, meet, pause, parameters }: StressWorker<readonly number[]>) {
  const [stateAt, dataAt, size, ...maps] = parameters as [number, number, number, ...number[]];
  const [value, out] = [scratch + 64, scratch + 4096];
  view.setUint32(scratch, 0, true);
  for (let at = dataAt; at < size; at += 4) view.setUint32(value + at, cpu, true);
  let won = 0;
  const read = (map: number) => {
    if (call('map_lookup_user', map, scratch, out, 0) !== 0) throw new Error('no value');
    const first = view.getUint32(out + dataAt, true);
    if ((view.getUint32(out + stateAt, true) === 0) !== (first === 0))
      throw new Error('a registration is not seen whole');
    for (let at = dataAt; at < size; at += 4)
      if (view.getUint32(out + at, true) !== first) throw new Error('a registration is seen in part');
  };
  for (const map of maps) {
    meet();
    read(map);
    const result = call('map_update_user', map, scratch, value, 0);
    if (result === 0) won++;
    else if (result !== -16) throw new Error(`register: ${result}`);
    read(map);
    pause();
    const ended = call('map_delete_user', map, scratch);
    if (ended === 0) won += 1000;
    // Registered it is, if not by this CPU.
    else if (ended !== -115) throw new Error(`unregister: ${ended}`);
    read(map);
  }
  return won;
}

const structOps = (workers: number): Scenario => ({
  name: 'struct_ops: one registers, one ends it',
  async run(variant) {
    const maps = 150;
    const size = STRUCT_OPS_DATA + 512;
    const parameters = [STRUCT_OPS_STATE, STRUCT_OPS_DATA, size];
    const attributes = { type: 'struct_ops', keySize: 4, valueSize: size, maxEntries: 1 } as const;
    const { results, seed } = await stress({
      ...variant,
      map: attributes,
      workers,
      rounds: 1,
      parameters,
      before(_, plane) {
        for (let i = 0; i < maps; i++) parameters.push(createMap(plane, attributes).address);
      },
      body: registerBody,
    });
    await withSeed(seed, () =>
      same(
        'registrations and their ends',
        results.reduce((sum, each) => sum + each, 0),
        maps * 1001,
      ),
    );
  },
});

/** With so many CPUs. */
export const eventScenariosOf = (workers: number): readonly Scenario[] =>
  [stackTrace, perfEvents, userRingbuf, structOps].map((of) => of(workers));

export const eventScenarios = eventScenariosOf(3);
