/** Trees and per-CPU objects of programs, and values of storages, on several CPUs. */
import type { MapTypeName } from '../../src/abi/map-types.ts';
import { OBJECT_CGROUP, OBJECT_TASK } from '../../src/plane/layout/object.ts';
import {
  RB_NODE_LEFT,
  RB_NODE_PARENT,
  RB_NODE_RIGHT,
  RECORD_BYTES,
  RECORD_DEFERRED,
  RECORD_FLAGS,
  RECORD_REFCOUNT,
  RECORD_SIZE,
} from '../../src/plane/layout/record.ts';
import { WORKER_CGROUP } from '../../src/plane/layout/worker.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { call, grow, type Scenario, same, settleAll, statsOf } from './scenario.ts';
import { stress, stressFactor, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const word = { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 } as const;

/** Objects of trees: a number and its complement; where their nodes lie. */
const NODE = 16;

/** Two trees, a lock and a root each. Objects go in and out; the least comes first. The sum of what this CPU has put in, less what it has taken out. */
function treeBody({ call, callback, view, cpu, rounds, random, parameters }: StressWorker<readonly number[]>) {
  const [allocator, record, trees] = parameters as [number, number, number];
  const NODE = 16;
  const numberOf = (node: number) => view.getUint32(node - NODE, true);
  const less = BigInt(callback((at, _, node) => (numberOf(node) < numberOf(at) ? 1 : 0)));
  let sum = 0;
  for (let i = 1; i <= rounds; i++) {
    call('epoch_enter');
    const at = trees + random(2) * 64;
    const [lock, root] = [BigInt(at), BigInt(at + 8)];
    const other = BigInt(trees + trees + 64 - at + 8);
    if (random(2) === 0) {
      const object = call('bpf_obj_new_impl', BigInt(allocator), BigInt(record));
      if (object === 0) throw new Error('no memory');
      const number = random(1 << 20) * 16 + cpu;
      view.setUint32(object, number, true);
      view.setUint32(object + 8, ~number, true);
      for (let offset = NODE; offset < NODE + 32; offset += 8) view.setBigUint64(object + offset, 0n, true);
      sum += number;
      call('bpf_spin_lock', lock);
      const refused = call('bpf_rbtree_add_impl', root, BigInt(object + NODE), less, BigInt(record), BigInt(NODE));
      call('bpf_spin_unlock', lock);
      if (refused !== 0) throw new Error('a new object is in a tree');
    } else {
      call('bpf_spin_lock', lock);
      const first = call('bpf_rbtree_first', root);
      const top = call('bpf_rbtree_root', root);
      if ((first === 0) !== (top === 0)) throw new Error('a tree with a root and without a first');
      if (first !== 0) {
        if (numberOf(first) > numberOf(top)) throw new Error('what comes first is not the least');
        if (call('bpf_rbtree_left', root, BigInt(first)) !== 0) throw new Error('something is left of the first');
        if (call('bpf_rbtree_remove', other, BigInt(first)) !== 0) throw new Error('removed from another tree');
        if (call('bpf_rbtree_remove', root, BigInt(first)) !== first) throw new Error('the first is not removed');
      }
      call('bpf_spin_unlock', lock);
      if (first !== 0) {
        const number = numberOf(first);
        if (view.getUint32(first - NODE + 8, true) !== ~number >>> 0)
          throw new Error('what comes out of a tree is no object');
        sum -= number;
        call('bpf_obj_drop_impl', BigInt(first - NODE), BigInt(record));
      }
    }
    call('epoch_exit');
  }
  return sum;
}

/** Walks a tree: sorted, red nodes under black ones, as many black ones on each way down. Numbers in their order. */
function walked(plane: PlaneInstance, root: number): number[] {
  const view = plane.view();
  const numbers: number[] = [];
  const walk = (node: number, parent: number): number => {
    if (node === 0) return 1;
    if (numbers.length > 100_000) throw new Error('a tree without an end');
    const up = view.getUint32(node + RB_NODE_PARENT, true);
    same('parent of a node', up - (up % 2), parent);
    const red = up % 2 === 0;
    const [left, right] = [RB_NODE_LEFT, RB_NODE_RIGHT].map((side) => view.getUint32(node + side, true)) as [
      number,
      number,
    ];
    if (red && [left, right].some((child) => child !== 0 && view.getUint32(child + RB_NODE_PARENT, true) % 2 === 0))
      throw new Error('a red node under a red one');
    const before = walk(left, node);
    numbers.push(view.getUint32(node - NODE, true));
    same('black nodes on the way down', walk(right, node), before);
    return before + (red ? 0 : 1);
  };
  walk(call(plane, 'bpf_rbtree_root', BigInt(root)), 0);
  numbers.forEach((number, i) => {
    if (i > 0 && number < numbers[i - 1]!) throw new Error('a tree that is not sorted');
  });
  return numbers;
}

const trees = (workers: number): Scenario => ({
  name: 'trees under locks: the least comes first, what is added is removed once',
  async run(variant) {
    const parameters: number[] = [];
    const { plane, results, seed } = await stress({
      ...variant,
      map: word,
      workers,
      rounds: 2500,
      parameters,
      before(_, plane) {
        grow(plane, 200);
        const [record, at] = [call(plane, 'pages_alloc', 1), call(plane, 'pages_alloc', 1)];
        plane.view().setUint32(record + RECORD_SIZE, NODE + 32, true);
        plane.view().setUint32(record + RECORD_BYTES, NODE + 32, true);
        parameters.push(call(plane, 'allocator_create', 0, 0), record, at);
      },
      body: treeBody,
    });
    await withSeed(seed, () => {
      const [allocator, , at] = parameters as [number, number, number];
      settleAll(plane, workers + 1, variant);
      const left = [at + 8, at + 72].flatMap((root) => walked(plane, root));
      const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
      same('sum of what is left', sum(left), sum(results));
      same('objects that live', statsOf(plane, allocator).live, left.length);
    });
  },
});

/**
 * One object after the other with a reference for each CPU, which all put it where they can, a list or a tree of their own under their own lock: one succeeds, the references of the others
 * are given up. It takes it out again.
 */
function sharedBody({ call, callback, cpu, workers, rounds, meet, view, parameters }: StressWorker<readonly number[]>) {
  const [allocator, record, places, offset, tree] = parameters as [number, number, number, number, number];
  const [lock, root] = [BigInt(places + cpu * 64), BigInt(places + cpu * 64 + 8)];
  const less = BigInt(callback(() => 0));
  let won = 0;
  for (let i = 0; i < rounds; i++) {
    if (cpu === 1) {
      call('epoch_enter');
      const object = call('bpf_obj_new_impl', BigInt(allocator), BigInt(record));
      for (let at = 0; at < 64; at += 8) view.setBigUint64(object + at, 0n, true);
      view.setUint32(object + 8, 1, true);
      for (let other = 1; other < workers; other++) call('bpf_refcount_acquire_impl', BigInt(object), BigInt(record));
      view.setUint32(places, object, true);
      call('epoch_exit');
    }
    meet();
    const node = BigInt(view.getUint32(places, true) + offset);
    call('epoch_enter');
    call('bpf_spin_lock', lock);
    const refused =
      tree === 1
        ? call('bpf_rbtree_add_impl', root, node, less, BigInt(record), BigInt(offset))
        : call('bpf_list_push_back_impl', root, node, BigInt(record), BigInt(offset));
    call('bpf_spin_unlock', lock);
    call('epoch_exit');
    meet();
    if (refused === 0) {
      won++;
      call('epoch_enter');
      call('bpf_spin_lock', lock);
      const out = tree === 1 ? call('bpf_rbtree_remove', root, node) : call('bpf_list_pop_front', root);
      call('bpf_spin_unlock', lock);
      if (out !== Number(node)) throw new Error('what this CPU has put in is not there');
      call('bpf_obj_drop_impl', BigInt(out - offset), BigInt(record));
      call('epoch_exit');
    } else if (refused !== -22) throw new Error(`add: ${refused}`);
    meet();
  }
  return won;
}

function sharedNode(tree: boolean, workers: number): Scenario {
  return {
    name: `an object with several references is in one ${tree ? 'tree' : 'list'} at a time`,
    async run(variant) {
      const parameters: number[] = [];
      const rounds = 400;
      const { plane, results, seed } = await stress({
        ...variant,
        map: word,
        workers,
        rounds,
        parameters,
        before(_, plane) {
          grow(plane, 100);
          const [record, places] = [call(plane, 'pages_alloc', 1), call(plane, 'pages_alloc', 1)];
          const view = plane.view();
          view.setUint32(record + RECORD_SIZE, 64, true);
          view.setUint32(record + RECORD_BYTES, 64, true);
          view.setUint32(record + RECORD_FLAGS, RECORD_DEFERRED, true);
          view.setUint32(record + RECORD_REFCOUNT, 8 + 1, true);
          parameters.push(call(plane, 'allocator_create', 0, 0), record, places, NODE, Number(tree));
        },
        body: sharedBody,
      });
      await withSeed(seed, () => {
        settleAll(plane, workers + 1, variant);
        same(
          'objects that were taken',
          results.reduce((a, b) => a + b, 0),
          Math.ceil(rounds * stressFactor),
        );
        same('objects that live', statsOf(plane, parameters[0]!).live, 0);
      });
    },
  };
}

/**
 * Per-CPU objects in fields, which CPUs exchange for new ones while others count in theirs: a copy is its object's number, and counts. Returns how often this CPU has
 * counted, in objects that went and in those that are left.
 */
function percpuBody({ call, view, cpu, workers, rounds, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [allocator, record, fields] = parameters as [number, number, number];
  const words = new Int32Array(view.buffer);
  for (let i = 1; i <= rounds; i++) {
    const field = fields + random(2) * 64;
    call('epoch_enter');
    if (random(4) === 0) {
      const object = call('bpf_percpu_obj_new_impl', BigInt(allocator), BigInt(record));
      if (object === 0) throw new Error('no memory');
      for (let of = 0; of <= workers; of++) {
        const copy = call('bpf_per_cpu_ptr', BigInt(object), BigInt(of));
        if (view.getBigUint64(copy, true) !== 0n || view.getBigUint64(copy + 8, true) !== 0n)
          throw new Error('a new object is not zeros');
        view.setUint32(copy, (cpu << 24) | i, true);
      }
      const old = call('bpf_kptr_xchg', BigInt(field), BigInt(object));
      if (old !== 0) call('bpf_percpu_obj_drop_impl', BigInt(old), BigInt(record));
    } else {
      const object = Atomics.load(words, field >> 2);
      const copy = object === 0 ? 0 : call('bpf_this_cpu_ptr', BigInt(object));
      const number = copy === 0 ? 0 : view.getUint32(copy, true);
      for (let again = 0; copy !== 0 && again < 3; again++) {
        // Not in one step: nobody else writes this copy.
        const count = view.getUint32(copy + 8, true);
        pause();
        view.setUint32(copy + 8, count + 1, true);
        if (view.getUint32(copy, true) !== number) throw new Error('a copy that a run has is of another object');
        if (view.getUint32(copy + 8, true) !== count + 1) throw new Error("another CPU counts in this CPU's copy");
      }
    }
    call('epoch_exit');
  }
}

const percpuObjects = (workers: number): Scenario => ({
  name: 'per-CPU objects: a copy is its CPU’s, and stays for the runs that have it',
  async run(variant) {
    const parameters: number[] = [];
    const { plane, seed } = await stress({
      ...variant,
      map: word,
      workers,
      rounds: 2000,
      parameters,
      before(_, plane) {
        grow(plane, 200);
        const [record, fields] = [call(plane, 'pages_alloc', 1), call(plane, 'pages_alloc', 1)];
        const view = plane.view();
        view.setUint32(record + RECORD_SIZE, 16, true);
        view.setUint32(record + RECORD_BYTES, 16, true);
        view.setUint32(record + RECORD_FLAGS, RECORD_DEFERRED, true);
        parameters.push(call(plane, 'allocator_create', 0, 0), record, fields);
      },
      body: percpuBody,
    });
    await withSeed(seed, () => {
      settleAll(plane, workers + 1, variant);
      const [allocator, , fields] = parameters as [number, number, number];
      const held = [0, 64].filter((offset) => plane.view().getUint32(fields + offset, true) !== 0).length;
      same('objects that live', statsOf(plane, allocator).live, held);
    });
  },
});

/** Odd CPUs write values whole, as user space; even ones read what they have found, which stays, and as user space what is there. A value is 14 times the same word. */
function valuesBody({
  call,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  parameters,
}: StressWorker<readonly number[]>) {
  const [workers, stride, cgroupAt, attached, ...owners] = parameters as [
    ...[number, number, number, number],
    ...number[],
  ];
  const [value, out] = [scratch + 64, scratch + 256];
  const whole = (at: number, what: string) => {
    const first = view.getUint32(at, true);
    for (let i = 4; i < 56; i += 4)
      if (view.getUint32(at + i, true) !== first) throw new Error(`${what}: a torn value`);
    return first;
  };
  for (let i = 1; i <= rounds; i++) {
    const place = 2 * random(owners.length / 2);
    const [owner, id] = [owners[place]!, owners[place + 1]!];
    view.setBigUint64(scratch, BigInt(id), true);
    if (cpu % 2 === 1) {
      for (let at = 0; at < 56; at += 4) view.setUint32(value + at, (cpu << 24) | i, true);
      const result = call('map_update_user', map, scratch, value, attached === 1 ? 2 : 2 * random(2));
      if (result !== 0) throw new Error(`update: ${result}`);
      pause();
    } else if (random(2) === 0) {
      if (call('map_lookup_user', map, scratch, out, 0) !== 0)
        throw new Error('a value that is only replaced is not found');
      whole(out, 'lookup');
    } else {
      call('epoch_enter');
      view.setUint32(workers + cpu * stride + cgroupAt, attached === 1 ? owner : 0, true);
      const at =
        attached === 1
          ? call('bpf_get_local_storage', BigInt(map), 0n)
          : call('bpf_task_storage_get', BigInt(map), BigInt(owner), 0n, 0n);
      if (at === 0) throw new Error('a value that is only replaced is not found');
      const first = whole(at, 'program');
      for (let again = 0; again < 3; again++) {
        pause();
        if (whole(at, 'program') !== first) throw new Error('a value that a run has found is written over');
      }
      call('epoch_exit');
    }
  }
}

function storageValues(type: MapTypeName, workers: number): Scenario {
  const attached = type === 'cgroup_storage';
  return {
    name: `${type}: a value that is replaced stays as it was for the runs that have it`,
    async run(variant) {
      const parameters = [workerAddress(0), workerAddress(1) - workerAddress(0), WORKER_CGROUP, Number(attached)];
      const { map, plane, seed } = await stress({
        ...variant,
        map: { type, keySize: attached ? 8 : 4, valueSize: 56, maxEntries: 0, flags: attached ? 0 : 1 },
        workers,
        rounds: 2000,
        parameters,
        before(map, plane) {
          grow(plane, 200);
          const at = call(plane, 'pages_alloc', 1);
          for (let i = 0; i < 2; i++) {
            const owner = call(plane, 'object_create', attached ? OBJECT_CGROUP : OBJECT_TASK);
            parameters.push(owner, call(plane, 'object_id', owner));
            plane.view().setUint32(plane.worker + WORKER_CGROUP, owner, true);
            call(plane, 'epoch_enter');
            if (attached) call(plane, 'bpf_get_local_storage', BigInt(map.address), 0n);
            else call(plane, 'bpf_task_storage_get', BigInt(map.address), BigInt(owner), BigInt(at), 1n);
            call(plane, 'epoch_exit');
          }
        },
        body: valuesBody,
      });
      await withSeed(seed, () => {
        settleAll(plane, workers + 1, variant);
        map.close();
      });
    },
  };
}

/** With so many CPUs. */
export const objectScenariosOf = (workers: number): readonly Scenario[] => [
  trees(workers),
  sharedNode(false, workers),
  sharedNode(true, workers),
  percpuObjects(workers),
  storageValues('task_storage', workers),
  storageValues('cgroup_storage', workers),
];

export const objectScenarios = objectScenariosOf(4);
