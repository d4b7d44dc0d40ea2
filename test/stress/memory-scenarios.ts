/** Objects of programs on several CPUs: none is given out twice, none is read after its end, none is lost. */
import { LIMBO_URGENT } from '../../src/plane/layout/allocator.ts';
import { ROOT, ROOT_MEMORY_CHECKS } from '../../src/plane/layout/memory.ts';
import {
  RECORD_BYTES,
  RECORD_DEFERRED,
  RECORD_FLAGS,
  RECORD_REFCOUNT,
  RECORD_SIZE,
} from '../../src/plane/layout/record.ts';
import { WORKER_LIMBO_BYTES } from '../../src/plane/layout/worker.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import { call, grow, type Scenario, same, settleAll, statsOf, type Variant } from './scenario.ts';
import { stress, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const word = { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 } as const;

function checked(variant: Variant): Variant {
  return {
    ...variant,
    prepare(memory) {
      variant.prepare?.(memory);
      new DataView(memory.buffer).setUint32(ROOT + ROOT_MEMORY_CHECKS, 1, true);
    },
  };
}

/** Slots are replaced, and what was there is freed for later; readers look at what they find for a while. An object is its number and the complement, eight times. */
function slotsBody({ call, view, cpu, rounds, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [allocator, slots, limboAt, most] = parameters as [number, number, number, number];
  const words = new Int32Array(view.buffer);
  for (let i = 0; i < rounds; i++) {
    const slot = (slots + random(4) * 64) >> 2;
    call('epoch_enter');
    if (random(2) === 0) {
      const object = call('allocator_alloc', allocator, 64, 0);
      if (object === 0) throw new Error('no memory');
      const number = ((cpu << 24) | i) >>> 0;
      for (let at = 0; at < 64; at += 8) {
        view.setUint32(object + at, number, true);
        view.setUint32(object + at + 4, ~number, true);
      }
      const old = Atomics.exchange(words, slot, object);
      if (old !== 0) call('allocator_free_later', old);
    } else {
      const object = Atomics.load(words, slot);
      if (object !== 0) {
        const number = view.getUint32(object, true);
        for (let again = 0; again < 4; again++) {
          for (let at = 0; at < 64; at += 8)
            if (view.getUint32(object + at, true) !== number || view.getUint32(object + at + 4, true) !== ~number >>> 0)
              throw new Error('an object is read after its end');
          pause();
        }
      }
    }
    call('epoch_exit');
    if (words[limboAt >> 2]! > most) throw new Error(`${words[limboAt >> 2]} bytes wait`);
  }
}

function slots(checks: boolean): Scenario {
  return {
    name: `epochs: no object ends while a run has it${checks ? ', under checks' : ''}`,
    async run(plain) {
      const variant = checks ? checked(plain) : plain;
      const parameters: number[] = [];
      const { plane, seed } = await stress({
        ...variant,
        map: word,
        workers: 4,
        rounds: checks ? 2000 : 5000,
        parameters,
        before(_, plane) {
          grow(plane, 200);
          // The word that is looked at is CPU 1's, by all: a bound is a bound.
          const limbo = workerAddress(1) + WORKER_LIMBO_BYTES;
          parameters.push(
            call(plane, 'allocator_create', 0, 0),
            call(plane, 'pages_alloc', 1),
            limbo,
            2 * LIMBO_URGENT,
          );
        },
        body: slotsBody,
      });
      await withSeed(seed, () => {
        settleAll(plane, 5, variant);
        const [allocator, at] = parameters as [number, number];
        const view = plane.view();
        let held = 0;
        for (let i = 0; i < 4; i++) held += Number(view.getUint32(at + i * 64, true) !== 0);
        const { live, waiting } = statsOf(plane, allocator);
        same('objects that live', live, held);
        same('objects that wait', waiting, 0);
        same('an object that was written after its end', call(plane, 'allocator_check'), 0);
      });
    },
  };
}

/** Numbers go into fields by exchange: each comes out once. The sum of what this CPU has put in, less what came out. */
function exchangeBody({ call, cpu, rounds, random, parameters }: StressWorker<readonly number[]>) {
  const [fields] = parameters as [number];
  let sum = 0;
  for (let i = 1; i <= rounds; i++) {
    const number = i * 16 + cpu;
    sum += number;
    sum -= call('bpf_kptr_xchg', BigInt(fields + random(2) * 8), BigInt(number));
  }
  return sum;
}

const exchange: Scenario = {
  name: 'kptr: what is put in comes out once',
  async run(variant) {
    const parameters: number[] = [];
    const { plane, results, seed } = await stress({
      ...variant,
      map: word,
      workers: 4,
      rounds: 25_000,
      parameters,
      before: (_, plane) => parameters.push(call(plane, 'pages_alloc', 1)),
      body: exchangeBody,
    });
    await withSeed(seed, () => {
      const view = plane.view();
      const left = Number(view.getBigUint64(parameters[0]!, true) + view.getBigUint64(parameters[0]! + 8, true));
      same(
        'sum of what is left',
        left,
        results.reduce((sum, each) => sum + each, 0),
      );
    });
  },
};

/** Counted objects in slots: under RCU a reference is taken to what is found, or there are none any more. An object is its number and the complement, then its count. */
function countedBody({ call, view, cpu, rounds, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [allocator, record, slots] = parameters as [number, number, number];
  const words = new Int32Array(view.buffer);
  let refused = 0;
  for (let i = 0; i < rounds; i++) {
    const slot = slots + random(2) * 64;
    call('epoch_enter');
    if (random(2) === 0) {
      const object = call('bpf_obj_new_impl', BigInt(allocator), BigInt(record));
      if (object === 0) throw new Error('no memory');
      const number = ((cpu << 24) | i) >>> 0;
      view.setUint32(object, number, true);
      view.setUint32(object + 12, ~number, true);
      Atomics.store(words, (object + 8) >> 2, 1);
      const old = call('bpf_kptr_xchg', BigInt(slot), BigInt(object));
      if (old !== 0) call('bpf_obj_drop_impl', BigInt(old), BigInt(record));
    } else {
      const object = words[slot >> 2]!;
      if (object !== 0) {
        if (call('bpf_refcount_acquire_impl', BigInt(object), BigInt(record)) === 0) refused++;
        else {
          const number = view.getUint32(object, true);
          // Beyond the run too: the reference holds it.
          call('epoch_exit');
          pause();
          call('epoch_enter');
          if (view.getUint32(object, true) !== number || view.getUint32(object + 12, true) !== ~number >>> 0)
            throw new Error('an object that is held is gone');
          call('bpf_obj_drop_impl', BigInt(object), BigInt(record));
        }
      }
    }
    call('epoch_exit');
  }
  return refused;
}

const counted: Scenario = {
  name: 'references: what is held stays, what has none ends once',
  async run(plain) {
    const variant = checked(plain);
    const parameters: number[] = [];
    const { plane, seed } = await stress({
      ...variant,
      map: word,
      workers: 4,
      rounds: 3000,
      parameters,
      before(_, plane) {
        grow(plane, 200);
        const [record, slots] = [call(plane, 'pages_alloc', 1), call(plane, 'pages_alloc', 1)];
        const view = plane.view();
        view.setUint32(record + RECORD_SIZE, 32, true);
        view.setUint32(record + RECORD_BYTES, 32, true);
        view.setUint32(record + RECORD_FLAGS, RECORD_DEFERRED, true);
        view.setUint32(record + RECORD_REFCOUNT, 8 + 1, true);
        parameters.push(call(plane, 'allocator_create', 0, 0), record, slots);
      },
      body: countedBody,
    });
    await withSeed(seed, () => {
      settleAll(plane, 5, variant);
      const [allocator, , at] = parameters as [number, number, number];
      const view = plane.view();
      const held = [0, 64].filter((offset) => view.getBigUint64(at + offset, true) !== 0n).length;
      same('objects that live', statsOf(plane, allocator).live, held);
      same('an object that was written after its end', call(plane, 'allocator_check'), 0);
    });
  },
};

/** Two lists under a lock each. Objects go from one to the other, in and out; the sum of what this CPU has put in, less what it has taken out. */
function listBody({ call, view, cpu, rounds, random, parameters }: StressWorker<readonly number[]>) {
  const [allocator, record, heads] = parameters as [number, number, number];
  const NODE = 16;
  let sum = 0;
  for (let i = 1; i <= rounds; i++) {
    call('epoch_enter');
    const at = heads + random(2) * 64;
    const [lock, head] = [BigInt(at), BigInt(at + 8)];
    if (random(2) === 0) {
      const object = call('bpf_obj_new_impl', BigInt(allocator), BigInt(record));
      if (object === 0) throw new Error('no memory');
      const number = i * 16 + cpu;
      view.setUint32(object, number, true);
      view.setUint32(object + 8, ~number, true);
      for (let offset = NODE; offset < NODE + 24; offset += 8) view.setBigUint64(object + offset, 0n, true);
      sum += number;
      call('bpf_spin_lock', lock);
      const how = `bpf_list_push_${random(2) === 0 ? 'front' : 'back'}_impl`;
      const refused = call(how, head, BigInt(object + NODE), BigInt(record), BigInt(NODE));
      call('bpf_spin_unlock', lock);
      if (refused !== 0) throw new Error('a new object is in a list');
    } else {
      call('bpf_spin_lock', lock);
      const node = call(`bpf_list_pop_${random(2) === 0 ? 'front' : 'back'}`, head);
      call('bpf_spin_unlock', lock);
      if (node !== 0) {
        const object = node - NODE;
        const number = view.getUint32(object, true);
        if (view.getUint32(object + 8, true) !== ~number >>> 0)
          throw new Error('what comes out of a list is no object');
        sum -= number;
        call('bpf_obj_drop_impl', BigInt(object), BigInt(record));
      }
    }
    call('epoch_exit');
  }
  return sum;
}

const lists: Scenario = {
  name: 'lists under locks: what is pushed is popped once',
  async run(variant) {
    const parameters: number[] = [];
    const { plane, results, seed } = await stress({
      ...variant,
      map: word,
      workers: 4,
      rounds: 4000,
      parameters,
      before(_, plane) {
        grow(plane, 200);
        const [record, heads] = [call(plane, 'pages_alloc', 1), call(plane, 'pages_alloc', 1)];
        const view = plane.view();
        view.setUint32(record + RECORD_SIZE, 40, true);
        view.setUint32(record + RECORD_BYTES, 40, true);
        parameters.push(call(plane, 'allocator_create', 0, 0), record, heads);
      },
      body: listBody,
    });
    await withSeed(seed, () => {
      const [allocator, , heads] = parameters as [number, number, number];
      settleAll(plane, 5, variant);
      const view = plane.view();
      let sum = 0;
      let count = 0;
      for (const head of [heads + 8, heads + 72]) {
        for (let node = call(plane, 'bpf_list_pop_front', BigInt(head)); node !== 0; count++) {
          if (count > 20_000) throw new Error('a list without an end');
          sum += view.getUint32(node - 16, true);
          node = call(plane, 'bpf_list_pop_front', BigInt(head));
        }
      }
      same(
        'sum of what is left',
        sum,
        results.reduce((a, b) => a + b, 0),
      );
      same('objects that live', statsOf(plane, allocator).live, count);
    });
  },
};

/** Masks in a field, read under RCU: all have bits 0 and 2, and no other than 0 to 4. */
function masksBody({ call, view, rounds, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [field] = parameters as [number];
  const words = new Int32Array(view.buffer);
  for (let i = 0; i < rounds; i++) {
    call('epoch_enter');
    if (random(3) === 0) {
      const mask = call('bpf_cpumask_create');
      for (const cpu of [0n, 2n, BigInt(random(5))]) call('bpf_cpumask_set_cpu', cpu, BigInt(mask));
      const old = call('bpf_kptr_xchg', BigInt(field), BigInt(mask));
      if (old !== 0) call('bpf_cpumask_release', BigInt(old));
    } else {
      const mask = Atomics.load(words, field >> 2);
      if (mask !== 0) {
        const bits = view.getBigUint64(mask, true);
        for (let again = 0; again < 4; again++) {
          if (view.getBigUint64(mask, true) !== bits || (bits & ~0x1fn) !== 0n || (bits & 5n) !== 5n)
            throw new Error(`a mask is read after its end: ${view.getBigUint64(mask, true).toString(16)}`);
          pause();
        }
      }
    }
    call('epoch_exit');
  }
}

const masks: Scenario = {
  name: 'CPU masks: those that are read under RCU stay',
  async run(variant) {
    const parameters: number[] = [];
    await stress({
      ...variant,
      map: word,
      workers: 4,
      rounds: 3000,
      parameters,
      before: (_, plane) => parameters.push(call(plane, 'pages_alloc', 1)),
      body: masksBody,
    });
  },
};

/** Pages and objects of an arena, each of one CPU at a time: zeros when they are taken, then what their CPU writes. */
function arenaBody({ call, view, map, cpu, rounds, random, pause }: StressWorker) {
  const arena = BigInt(map);
  const bytes = new Uint8Array(view.buffer);
  const held: [at: number, size: number, pages: number][] = [];
  for (let i = 0; i < rounds; i++) {
    if (held.length < 6 && random(2) === 0) {
      const pages = random(3);
      const size = pages === 0 ? 16 << random(8) : pages * 4096;
      const at = pages === 0 ? call('bpf_arena_alloc', arena, BigInt(size)) : call('arena_take', map, 0n, pages);
      if (at === 0) continue;
      for (let j = 0; j < size; j += 8)
        if (view.getBigUint64(at + j, true) !== 0n) throw new Error('what is taken is not zeros');
      bytes.fill(cpu, at, at + size);
      held.push([at, size, pages]);
    } else if (held.length > 0) {
      const [[at, size, pages]] = held.splice(random(held.length), 1) as [[number, number, number]];
      pause();
      for (let j = 0; j < size; j++)
        if (bytes[at + j] !== cpu) throw new Error('what this CPU has is written by another');
      if (pages === 0) call('bpf_arena_free', arena, BigInt(at));
      else call('arena_give', map, BigInt(at), pages);
    }
  }
  for (const [at, , pages] of held) {
    if (pages === 0) call('bpf_arena_free', arena, BigInt(at));
    else call('arena_give', map, BigInt(at), pages);
  }
}

const arena: Scenario = {
  name: 'arena: pages and objects are one CPU’s at a time',
  async run(variant) {
    const pages = 24;
    const { plane, map, seed } = await stress({
      ...variant,
      map: { type: 'arena', keySize: 0, valueSize: 0, maxEntries: pages, flags: 1024 },
      workers: 4,
      rounds: 1500,
      body: arenaBody,
    });
    await withSeed(seed, () => {
      const all = call(plane, 'arena_take', map.address, 0n, pages);
      if (all === 0) throw new Error('pages of the arena are lost');
    });
  },
};

const ALLOCATORS = 40;

/** Objects of many allocators, which CPU 0 merges meanwhile. */
function mergedBody({ call, view, cpu, rounds, random, parameters }: StressWorker<readonly number[]>) {
  const words = new Int32Array(view.buffer);
  const held: [at: number, number: number][] = [];
  const check = ([at, number]: [number, number]) => {
    if (Atomics.load(words, (at + 8) >> 2) !== number) throw new Error('an object is given out twice');
  };
  for (let i = 0; i < rounds; i++) {
    call('epoch_enter');
    for (let j = 0; j < 20; j++) {
      if (held.length > 300 || (held.length > 0 && random(2) === 0)) {
        const [one] = held.splice(random(held.length), 1) as [[number, number]];
        check(one);
        call(random(3) === 0 ? 'allocator_free_later' : 'allocator_free', one[0]);
      } else {
        const at = call('allocator_alloc', parameters[random(parameters.length)]!, 16 + random(200), 0);
        if (at === 0) throw new Error('no memory');
        const number = (cpu << 24) | (i * 20 + j);
        Atomics.store(words, (at + 8) >> 2, number);
        held.push([at, number]);
      }
    }
    call('epoch_exit');
  }
  call('epoch_enter');
  for (const one of held) {
    check(one);
    call('allocator_free', one[0]);
  }
  call('epoch_exit');
}

const merged: Scenario = {
  name: 'allocators that are merged while others allocate',
  async run(variant) {
    const parameters: number[] = [];
    let merge: (() => void) | undefined;
    const merges: number[] = [];
    const run = stress({
      ...variant,
      map: word,
      workers: 3,
      rounds: 1200,
      parameters,
      before(_, plane) {
        grow(plane, 200);
        for (let i = 0; i < ALLOCATORS; i++) parameters.push(call(plane, 'allocator_create', 0, 0));
        merge = () => {
          const next = parameters[merges.length + 1];
          if (next !== undefined) merges.push(call(plane, 'allocator_merge', parameters[0]!, next));
        };
      },
      body: mergedBody,
    });
    // Threads take some 50 ms to start.
    const began = performance.now();
    const timer = setInterval(() => performance.now() - began > 60 && merge?.(), 3);
    try {
      const { plane, seed } = await run;
      await withSeed(seed, () => {
        settleAll(plane, 4, variant);
        while (merges.length < ALLOCATORS - 1) merge!();
        same(
          'merges that were refused',
          merges.findIndex((result) => result !== 0),
          -1,
        );
        for (const allocator of parameters) same('objects that live', statsOf(plane, allocator).live, 0);
      });
    } finally {
      clearInterval(timer);
    }
  },
};

export const memoryScenarios: readonly Scenario[] = [
  slots(false),
  slots(true),
  exchange,
  counted,
  lists,
  masks,
  arena,
  merged,
];
