/** What a run has found stays as it is until the run ends, whatever another CPU does with it; then its memory comes back. */
import { mapTypes } from '../../src/abi/map-types.ts';
import { LIMBO_URGENT } from '../../src/plane/layout/allocator.ts';
import { MAP_ID } from '../../src/plane/layout/map.ts';
import { ROOT, ROOT_ELEMENT_ALLOCATOR } from '../../src/plane/layout/memory.ts';
import {
  BPF_SOCK_PROTOCOL,
  BPF_SOCK_STATE,
  OBJECT_SOCKET,
  OBJECT_TASK,
  SOCKET_COOKIE,
} from '../../src/plane/layout/object.ts';
import { WORKER_LIMBO_BYTES } from '../../src/plane/layout/worker.ts';
import { createMap, type PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { call, planesOf, type Scenario, same, statsOf, u32, u64, type Variant } from './scenario.ts';

const CREATE = 1n;
const NO_PREALLOC = 1;

interface Bed {
  /** CPU 0: user space. */
  readonly writer: PlaneInstance;
  /** CPU 1: a program. */
  readonly reader: PlaneInstance;
  /** 64 bytes for keys and values. */
  readonly at: number;
}

function bed(variant: Variant): Bed {
  const [writer, reader] = planesOf(variant, 2) as [PlaneInstance, PlaneInstance];
  return { writer, reader, at: call(writer, 'pages_alloc', 1) };
}

function settle(plane: PlaneInstance): void {
  plane.exports.epoch_enter();
  plane.exports.epoch_exit();
}

function innerMap(plane: PlaneInstance, tag: bigint): PlaneMap {
  const map = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 4 });
  map.update(u32(0), u64(tag));
  return map;
}

function ofMaps(type: 'array_of_maps' | 'hash_of_maps', replace: boolean): Scenario {
  return {
    name: `an inner map of a ${type} that is ${replace ? 'replaced' : 'taken out'}`,
    run(variant) {
      const { writer, reader, at } = bed(variant);
      const first = innerMap(writer, 1n);
      const outer = createMap(writer, { type, keySize: 4, valueSize: 4, maxEntries: 4, prototype: first });
      const view = writer.view();
      const id = (map: PlaneMap) => u32(view.getUint32(map.address + MAP_ID, true));
      outer.update(u32(0), id(first));
      first.close();
      const second = innerMap(writer, 2n);
      reader.exports.epoch_enter();
      view.setUint32(at, 0, true);
      const held = call(reader, 'bpf_map_lookup_elem', BigInt(outer.address), BigInt(at));
      same('what is found', held, first.address);
      if (replace) outer.update(u32(0), id(second));
      else outer.delete(u32(0));
      const third = innerMap(writer, 3n);
      if (third.address === held) throw new Error('memory of a map that a run has is given out again');
      const value = call(reader, 'bpf_map_lookup_elem', BigInt(held), BigInt(at));
      same('its value', view.getBigUint64(value, true), 1n);
      reader.exports.epoch_exit();
      settle(writer);
      same('memory of the map is given out after the run', innerMap(writer, 4n).address, held);
    },
  };
}

const storage: Scenario = {
  name: 'a value of a storage that is deleted',
  run(variant) {
    const { writer, reader, at } = bed(variant);
    const map = createMap(writer, {
      type: 'task_storage',
      keySize: 4,
      valueSize: 8,
      maxEntries: 0,
      flags: NO_PREALLOC,
    });
    const view = writer.view();
    const [one, other] = [call(writer, 'object_create', OBJECT_TASK), call(writer, 'object_create', OBJECT_TASK)];
    const get = (plane: PlaneInstance, owner: number, value: bigint) => {
      view.setBigUint64(at, value, true);
      return call(plane, 'bpf_task_storage_get', BigInt(map.address), BigInt(owner), BigInt(at), CREATE);
    };
    reader.exports.epoch_enter();
    const held = get(reader, one, 1n);
    writer.exports.epoch_enter();
    same('delete', call(writer, 'bpf_task_storage_delete', BigInt(map.address), BigInt(one)), 0);
    writer.exports.epoch_exit();
    const next = get(writer, other, 2n);
    if (next === held) throw new Error("a value that a run has is another owner's");
    same('the value', view.getBigUint64(held, true), 1n);
    reader.exports.epoch_exit();
    settle(writer);
    same('the value is given out after the run', get(writer, one, 3n), held);
    map.close();
  },
};

const lpm: Scenario = {
  name: 'a value of an LPM trie that is deleted, or replaced',
  run(variant) {
    const { writer, reader, at } = bed(variant);
    const map = createMap(writer, { type: 'lpm_trie', keySize: 8, valueSize: 8, maxEntries: 100, flags: NO_PREALLOC });
    const view = writer.view();
    const key = (last: number) => {
      const bytes = new Uint8Array([32, 0, 0, 0, 10, 0, 0, last]);
      return bytes;
    };
    const find = (last: number) => {
      new Uint8Array(writer.memory.buffer).set(key(last), at);
      return call(reader, 'bpf_map_lookup_elem', BigInt(map.address), BigInt(at));
    };
    map.update(key(1), u64(1n));
    map.update(key(2), u64(2n));
    reader.exports.epoch_enter();
    const held = [find(1), find(2)];
    map.delete(key(1));
    map.update(key(2), u64(22n));
    for (let i = 3; i < 20; i++) map.update(key(i), u64(BigInt(100 + i)));
    same('the value that was deleted', view.getBigUint64(held[0]!, true), 1n);
    same('the value that was replaced', view.getBigUint64(held[1]!, true), 2n);
    same('the new one', view.getBigUint64(find(2), true), 22n);
    reader.exports.epoch_exit();
    settle(writer);
    same('bytes that wait after the run', view.getUint32(writer.worker + WORKER_LIMBO_BYTES, true), 0);
  },
};

const cpumask: Scenario = {
  name: 'a CPU mask that is released',
  run(variant) {
    const { writer, reader } = bed(variant);
    const view = writer.view();
    const mask = call(writer, 'bpf_cpumask_create');
    call(writer, 'bpf_cpumask_set_cpu', 1n, BigInt(mask));
    reader.exports.epoch_enter();
    writer.exports.epoch_enter();
    call(writer, 'bpf_cpumask_release', BigInt(mask));
    writer.exports.epoch_exit();
    const next = call(writer, 'bpf_cpumask_create');
    if (next === mask) throw new Error('a mask that a run may have is given out again');
    same('the mask', view.getBigUint64(mask, true), 2n);
    reader.exports.epoch_exit();
    settle(writer);
    same('it is given out after the run', call(writer, 'bpf_cpumask_create'), mask);
  },
};

const sockets: Scenario = {
  name: 'a socket that leaves a map, and ends',
  run(variant) {
    const { writer, reader, at } = bed(variant);
    const map = createMap(writer, { type: 'sockmap', keySize: 4, valueSize: 8, maxEntries: 4 });
    const view = writer.view();
    const make = (cookie: bigint) => {
      const socket = call(writer, 'object_create', OBJECT_SOCKET);
      view.setUint32(socket + BPF_SOCK_PROTOCOL, 17, true);
      view.setUint32(socket + BPF_SOCK_STATE, 7, true);
      view.setBigUint64(socket + SOCKET_COOKIE, cookie, true);
      return socket;
    };
    const put = (socket: number) => map.update(u32(0), u64(BigInt(call(writer, 'object_id', socket))));
    const first = make(1n);
    put(first);
    call(writer, 'object_release', first);
    reader.exports.epoch_enter();
    view.setUint32(at, 0, true);
    const held = call(reader, 'bpf_map_lookup_elem', BigInt(map.address), BigInt(at));
    same('what is found', held, first);
    const second = make(2n);
    writer.exports.epoch_enter();
    put(second);
    writer.exports.epoch_exit();
    const third = make(3n);
    if (third === held) throw new Error('memory of a socket that a run has is given out again');
    same('its cookie', view.getBigUint64(held + SOCKET_COOKIE, true), 1n);
    same('its id', call(writer, 'object_id', held), 0);
    reader.exports.epoch_exit();
    settle(writer);
    same('its memory is given out after the run', make(4n), first);
  },
};

const group: Scenario = {
  name: 'a control group without references is not held any more',
  run(variant) {
    const { writer, reader } = bed(variant);
    const cgroup = call(writer, 'object_create', 4);
    reader.exports.epoch_enter();
    writer.exports.epoch_enter();
    call(writer, 'bpf_cgroup_release', BigInt(cgroup));
    writer.exports.epoch_exit();
    same('acquire', call(reader, 'bpf_cgroup_acquire', BigInt(cgroup)), 0);
    reader.exports.epoch_exit();
  },
};

const bounded: Scenario = {
  name: 'what waits is free once the CPUs have left, and a CPU with much waits for them a while',
  run(variant) {
    const { writer, reader } = bed(variant);
    const allocator = call(writer, 'allocator_create', 0, 0);
    const waiting = () => writer.view().getUint32(writer.worker + WORKER_LIMBO_BYTES, true);
    reader.exports.epoch_enter();
    const objects = (LIMBO_URGENT / 1024) * 1.25;
    writer.exports.epoch_enter();
    for (let i = 0; i < objects; i++) {
      const object = call(writer, 'allocator_alloc', allocator, 1024, 0);
      writer.exports.allocator_free_later(object);
    }
    const began = performance.now();
    writer.exports.epoch_exit();
    const took = performance.now() - began;
    same('bytes that wait', waiting(), objects * 1024);
    if (took < 20) throw new Error(`a CPU with much that waits did not wait for the other: ${took} ms`);
    reader.exports.epoch_exit();
    settle(writer);
    same('bytes that wait after the run', waiting(), 0);
  },
};

/** A storage that goes while something of it waits: the value ends first. */
const storageEnds: Scenario = {
  name: 'a storage that is closed while a value of it waits',
  run(variant) {
    const { writer, reader, at } = bed(variant);
    const task = call(writer, 'object_create', OBJECT_TASK);
    const create = () =>
      createMap(writer, { type: 'task_storage', keySize: 4, valueSize: 8, maxEntries: 0, flags: NO_PREALLOC });
    const map = create();
    same('type', writer.view().getUint32(map.address, true), mapTypes.task_storage);
    reader.exports.epoch_enter();
    const held = call(reader, 'bpf_task_storage_get', BigInt(map.address), BigInt(task), BigInt(at), CREATE);
    writer.view().setBigUint64(held, 5n, true);
    // As far as the epoch gets beside the run: what waits from here on waits in one chunk.
    writer.exports.epoch_enter();
    call(writer, 'bpf_cpumask_release', BigInt(call(writer, 'bpf_cpumask_create')));
    writer.exports.epoch_exit();
    writer.exports.epoch_enter();
    call(writer, 'bpf_task_storage_delete', BigInt(map.address), BigInt(task));
    writer.exports.epoch_exit();
    map.close();
    const other = create();
    if (other.address === map.address) throw new Error('memory of a map is given out while a value of it waits');
    same('the value', writer.view().getBigUint64(held, true), 5n);
    reader.exports.epoch_exit();
    settle(writer);
    settle(writer);
    other.close();
    const elements = writer.view().getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true);
    same('elements that are left', statsOf(writer, elements).live, 0);
    same('bytes that wait after the run', writer.view().getUint32(writer.worker + WORKER_LIMBO_BYTES, true), 0);
  },
};

export const graceScenarios: readonly Scenario[] = [
  ofMaps('array_of_maps', true),
  ofMaps('array_of_maps', false),
  ofMaps('hash_of_maps', true),
  ofMaps('hash_of_maps', false),
  storage,
  storageEnds,
  lpm,
  cpumask,
  sockets,
  group,
  bounded,
];
