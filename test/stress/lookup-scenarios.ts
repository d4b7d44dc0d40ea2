/** Tries, maps of maps, storages and socket maps: lookups beside what replaces, deletes and ends. */
import { type MapTypeName, mapTypes } from '../../src/abi/map-types.ts';
import { MAP_ID, MAP_NEXT, MAP_VALUES } from '../../src/plane/layout/map.ts';
import { ROOT, ROOT_HEAP_TOP, ROOT_MAPS } from '../../src/plane/layout/memory.ts';
import {
  BPF_SOCK_PROTOCOL,
  OBJECT_CGROUP,
  OBJECT_INODE,
  OBJECT_SOCKET,
  OBJECT_TASK,
  SOCKET_COOKIE,
} from '../../src/plane/layout/object.ts';
import { createMap, type PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import { registers } from './models/register.ts';
import { call, grow, type Scenario, same, settleAll } from './scenario.ts';
import { expectLinearizable, stress, stressFactor, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const NO_PREALLOC = 1;

/**
 * Prefixes of 20 bits are only replaced, and the first of 24 bits below each, so that one is always found; longer ones come and go. A value is its prefix's length and address and the complement of both: it
 * covers the key that it was found by, and stays as it is while the run goes on.
 */
function trieBody({ call, view, map, scratch, cpu, rounds, random, pause }: StressWorker) {
  const value = scratch + 64;
  const write = (length: number, address: number) => {
    view.setUint32(scratch, length, true);
    view.setUint32(scratch + 4, address);
    view.setUint32(value, length, true);
    view.setUint32(value + 4, address);
    view.setUint32(value + 8, ~length, true);
    view.setUint32(value + 12, ~address);
  };
  for (let i = 0; i < rounds; i++) {
    call('epoch_enter');
    if (random(2) === 0) {
      const address = ((random(4) << 28) | random(1024)) >>> 0;
      view.setUint32(scratch, 32, true);
      view.setUint32(scratch + 4, address);
      const found = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
      if (found === 0) throw new Error('a prefix that is only replaced is not found');
      let length = 0;
      for (let again = 0; again < 3; again++) {
        const l = view.getUint32(found, true);
        const a = view.getUint32(found + 4);
        if (view.getUint32(found + 8, true) !== ~l >>> 0 || view.getUint32(found + 12) !== ~a >>> 0)
          throw new Error(`a torn value ${l} ${a}`);
        if (l < (address & 0xf00 ? 20 : 24) || l > 32 || (l === 32 ? a !== address : (a ^ address) >>> (32 - l) !== 0))
          throw new Error(`a value of ${a.toString(16)}/${l} for ${address.toString(16)}`);
        if (length !== 0 && l !== length) throw new Error('a value has become that of another prefix');
        length = l;
        pause();
      }
    } else if (random(4) === 0) {
      write(20 + 4 * random(2), (random(4) << 28) >>> 0);
      if (call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(value), 0n) !== 0) throw new Error('update');
    } else {
      const length = random(4) === 0 ? 21 + random(3) : 25 + random(8);
      const mask = length === 32 ? 0xffff_ffff : ~((1 << (32 - length)) - 1);
      write(length, (((random(4) << 28) | random(1024)) & mask) >>> 0);
      if (random(2)) call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(value), 0n);
      else call('bpf_map_delete_elem', BigInt(map), BigInt(scratch));
    }
    call('epoch_exit');
  }
  return cpu;
}

const trie: Scenario = {
  name: 'LPM trie: the longest prefix covers the key, and its value stays',
  async run(variant) {
    const { map, seed } = await stress({
      ...variant,
      map: { type: 'lpm_trie', keySize: 8, valueSize: 16, maxEntries: 20_000, flags: NO_PREALLOC },
      workers: 4,
      rounds: 5000,
      before(map, plane) {
        grow(plane, 200);
        for (let i = 0; i < 8; i++) {
          const [length, address] = [i < 4 ? 20 : 24, (i & 3) << 28];
          const key = new DataView(new ArrayBuffer(8));
          key.setUint32(0, length, true);
          key.setUint32(4, address);
          const value = new DataView(new ArrayBuffer(16));
          value.setUint32(0, length, true);
          value.setUint32(4, address);
          value.setUint32(8, ~length, true);
          value.setUint32(12, ~address);
          map.update(new Uint8Array(key.buffer), new Uint8Array(value.buffer));
        }
      },
      body: trieBody,
    });
    await withSeed(seed, () => {
      let left = 0;
      for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(undefined)) {
        same('delete of a key that is there', map.delete(key), true);
        left++;
      }
      if (left < 8) throw new Error(`${left} prefixes are left`);
    });
  },
};

/** Whole addresses in one trie: each is a register. */
function exactBody({ call, view, map, scratch, cpu, rounds, random, pause, meet, begin, end }: StressWorker) {
  const out = scratch + 64;
  for (let i = 0; i < rounds; i++) {
    if (i % 20 === 19) meet();
    const key = random(6);
    view.setUint32(scratch, 32, true);
    view.setUint32(scratch + 4, (key >> 1) * 0x1000_0000 + (key & 1));
    const stamp = (cpu << 24) | (i + 1);
    view.setUint32(scratch + 32, stamp, true);
    const what = random(8);
    if (what < 3) {
      begin(2 + what, key, stamp);
      end(call('map_update_user', map, scratch, scratch + 32, what));
    } else if (what < 5) {
      begin(5, key, 0);
      end(call('map_delete_user', map, scratch));
    } else {
      begin(1, key, 0);
      end(call('map_lookup_user', map, scratch, out, 0) === 0 ? view.getUint32(out, true) : 0);
    }
    pause();
  }
}

const exact: Scenario = {
  name: 'LPM trie: prefixes that cover no other are linearizable',
  async run(variant) {
    const result = await stress({
      ...variant,
      map: { type: 'lpm_trie', keySize: 8, valueSize: 8, maxEntries: 100, flags: NO_PREALLOC },
      workers: 4,
      rounds: 2000,
      records: 2000,
      body: exactBody,
    });
    expectLinearizable(registers, result);
  },
};

/** Odd CPUs replace inner maps, and end those that were there; even ones read in them. The first value of a map is its id. */
function innerBody({ call, view, scratch, cpu, rounds, random, pause, parameters }: StressWorker<readonly number[]>) {
  const [arrayType, idAt, valuesAt, map] = parameters as [number, number, number, number];
  const value = scratch + 64;
  for (let i = 0; i < rounds; i++) {
    const slot = random(3);
    view.setUint32(scratch, slot, true);
    if (cpu & 1) {
      if (random(8) === 0) {
        call('map_delete_user', map, scratch);
        continue;
      }
      const made = call('map_create', arrayType, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0);
      if (made < 0) throw new Error(`no map: ${made}`);
      const id = view.getUint32(made + idAt, true);
      const values = view.getUint32(made + valuesAt, true);
      view.setUint32(values, id, true);
      view.setUint32(values + 4, ~id, true);
      view.setUint32(value, id, true);
      const refused = call('map_update_user', map, scratch, value, 0);
      if (refused !== 0) throw new Error(`update: ${refused}`);
      call('map_destroy', made);
      continue;
    }
    call('epoch_enter');
    const inner = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
    if (inner !== 0) {
      const id = view.getUint32(inner + idAt, true);
      for (let again = 0; again < 4; again++) {
        view.setUint32(value, 0, true);
        const found = call('bpf_map_lookup_elem', BigInt(inner), BigInt(value));
        if (found === 0) throw new Error('an array without its element');
        if (view.getUint32(inner + idAt, true) !== id) throw new Error('a map that a run has is another one');
        if (view.getUint32(found, true) !== id || view.getUint32(found + 4, true) !== ~id >>> 0)
          throw new Error('a value of a map that a run has is gone');
        pause();
      }
    }
    call('epoch_exit');
  }
}

function ofMaps(type: 'array_of_maps' | 'hash_of_maps'): Scenario {
  return {
    name: `${type}: maps that are replaced stay for the runs that have them, and no memory is lost`,
    async run(variant) {
      let top = 0;
      let outer: PlaneMap | undefined;
      const parameters = [mapTypes.array, MAP_ID, MAP_VALUES];
      const { plane, seed } = await stress({
        ...variant,
        map: { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 },
        workers: 4,
        rounds: 1500,
        parameters,
        before(prototype, plane) {
          grow(plane, 1500);
          outer = createMap(plane, { type, keySize: 4, valueSize: 4, maxEntries: 8, prototype });
          parameters.push(outer.address);
          top = plane.view().getUint32(ROOT + ROOT_HEAP_TOP, true);
        },
        body: innerBody,
      });
      await withSeed(seed, () => {
        outer?.close();
        settleAll(plane, 5, variant);
        let maps = 0;
        const view = plane.view();
        for (let at = view.getUint32(ROOT + ROOT_MAPS, true); at !== 0; at = view.getUint32(at + MAP_NEXT, true))
          if (++maps > 10_000) throw new Error('a list of maps without an end');
        same('maps that are left', maps, 1);
        const grown = (plane.view().getUint32(ROOT + ROOT_HEAP_TOP, true) - top) / 65536;
        if (grown > 0) throw new Error(`the memory has grown by ${grown} pages`);
      });
    },
  };
}

/** One value an owner, made by who comes first: what all add to it is there. Then values that are deleted stay their owner's for the runs that have them. */
function storageBody({
  call,
  view,
  map,
  scratch,
  cpu,
  rounds,
  random,
  pause,
  meet,
  parameters,
}: StressWorker<readonly number[]>) {
  const [get, remove] = (
    [
      ['bpf_sk_storage_get', 'bpf_sk_storage_delete'],
      ['bpf_task_storage_get', 'bpf_task_storage_delete'],
      ['bpf_inode_storage_get', 'bpf_inode_storage_delete'],
      ['bpf_cgrp_storage_get', 'bpf_cgrp_storage_delete'],
    ] as const
  )[parameters[0]!]!;
  const owners = parameters.slice(1);
  const words = new Int32Array(view.buffer);
  const storage = BigInt(map);
  const obtain = (owner: number) => {
    view.setUint32(scratch, owner, true);
    view.setUint32(scratch + 4, ~owner, true);
    view.setUint32(scratch + 8, 0, true);
    const value = call(get, storage, BigInt(owner), BigInt(scratch), 1n);
    if (value === 0) throw new Error('no value');
    return value;
  };
  const check = (value: number, owner: number) => {
    if (view.getUint32(value, true) !== owner || view.getUint32(value + 4, true) !== ~owner >>> 0)
      throw new Error("a value that a run has is another owner's, or nobody's");
  };
  for (let round = 0; round < rounds; round++) {
    const first = round % owners.length;
    meet();
    call('epoch_enter');
    for (let i = 0; i < owners.length; i++) {
      const owner = owners[(first + i) % owners.length]!;
      const value = obtain(owner);
      check(value, owner);
      Atomics.add(words, (value + 8) >> 2, 1);
    }
    call('epoch_exit');
    meet();
    if (cpu === 1) {
      call('epoch_enter');
      for (const owner of owners) {
        const value = call(get, storage, BigInt(owner), 0n, 0n);
        if (view.getUint32(value + 8, true) !== 4)
          throw new Error(`${view.getUint32(value + 8, true)} of 4 were counted`);
      }
      call('epoch_exit');
    }
    meet();
    for (let i = 0; i < 40; i++) {
      const owner = owners[random(owners.length)]!;
      call('epoch_enter');
      if (random(3) === 0) call(remove, storage, BigInt(owner));
      else {
        const value = obtain(owner);
        for (let again = 0; again < 3; again++) {
          check(value, owner);
          pause();
        }
      }
      call('epoch_exit');
    }
    meet();
    if (cpu === 1) {
      call('epoch_enter');
      for (const owner of owners) call(remove, storage, BigInt(owner));
      call('epoch_exit');
    }
  }
}

function storage(type: MapTypeName, which: number, kind: number, rounds: number): Scenario {
  return {
    name: `${type}: one value an owner, which stays`,
    async run(variant) {
      const parameters = [which];
      await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 16, maxEntries: 0, flags: NO_PREALLOC },
        workers: 4,
        rounds,
        parameters,
        before(_, plane) {
          for (let i = 0; i < 6; i++) parameters.push(call(plane, 'object_create', kind));
        },
        body: storageBody,
      });
    },
  };
}

/** Of those that all say to be new, one is, and what is written beside it is there. */
function newBody({ call, view, map, scratch, cpu, rounds, meet, parameters }: StressWorker<readonly number[]>) {
  const [id] = parameters as [number];
  view.setUint32(scratch, id, true);
  let won = 0;
  for (let i = 0; i < rounds; i++) {
    view.setUint32(scratch + 32, (cpu << 24) | i, true);
    meet();
    const result = call('map_update_user', map, scratch, scratch + 32, 1);
    if (result === 0) won++;
    else if (result !== -17) throw new Error(`update: ${result}`);
    meet();
    if (cpu === 1) call('map_delete_user', map, scratch);
  }
  return won;
}

const storageNew: Scenario = {
  name: 'storage: of several that are written as new one is',
  async run(variant) {
    const parameters: number[] = [];
    const { results, seed } = await stress({
      ...variant,
      map: { type: 'task_storage', keySize: 4, valueSize: 16, maxEntries: 0, flags: NO_PREALLOC },
      workers: 3,
      rounds: 800,
      parameters,
      before: (_, plane) => parameters.push(call(plane, 'object_id', call(plane, 'object_create', OBJECT_TASK))),
      body: newBody,
    });
    const rounds = results.reduce((sum, each) => sum + each, 0);
    await withSeed(seed, () => same('updates that were new', rounds, Math.ceil(800 * stressFactor)));
  },
};

/** CPU 1 makes sockets, puts them into the map, and lets go of them; the others look them up. A cookie is the id, and its complement. */
function socketsBody({
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
  const [kind, protocolAt, cookieAt] = parameters as [number, number, number];
  for (let i = 0; i < rounds; i++) {
    view.setUint32(scratch, random(3), true);
    if (cpu === 1) {
      const socket = call('object_create', kind);
      if (socket === 0) throw new Error('no memory for a socket');
      const id = call('object_id', socket);
      view.setUint32(socket + protocolAt, 17, true);
      view.setUint32(socket + cookieAt, id, true);
      view.setUint32(socket + cookieAt + 4, ~id, true);
      view.setBigUint64(scratch + 32, BigInt(id), true);
      const refused = call('map_update_user', map, scratch, scratch + 32, 0);
      if (refused !== 0) throw new Error(`update: ${refused}`);
      call('epoch_enter');
      call('object_release', socket);
      call('epoch_exit');
      continue;
    }
    call('epoch_enter');
    const socket = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
    if (socket !== 0) {
      const id = view.getUint32(socket + cookieAt, true);
      for (let again = 0; again < 4; again++) {
        if (
          id === 0 ||
          view.getUint32(socket + cookieAt, true) !== id ||
          view.getUint32(socket + cookieAt + 4, true) !== ~id >>> 0
        )
          throw new Error('a socket that a run has is gone');
        pause();
      }
    }
    call('epoch_exit');
  }
}

function sockets(type: 'sockmap' | 'sockhash'): Scenario {
  return {
    name: `${type}: sockets that end stay for the runs that have them`,
    async run(variant) {
      await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 8, maxEntries: 4 },
        workers: 3,
        rounds: 1200,
        parameters: [OBJECT_SOCKET, BPF_SOCK_PROTOCOL, SOCKET_COOKIE],
        before: (_, plane) => grow(plane, 500),
        body: socketsBody,
      });
    },
  };
}

export const lookupScenarios: readonly Scenario[] = [
  trie,
  exact,
  ofMaps('array_of_maps'),
  ofMaps('hash_of_maps'),
  storage('sk_storage', 0, OBJECT_SOCKET, 15),
  storage('task_storage', 1, OBJECT_TASK, 30),
  storage('inode_storage', 2, OBJECT_INODE, 15),
  storage('cgrp_storage', 3, OBJECT_CGROUP, 15),
  storageNew,
  sockets('sockmap'),
  sockets('sockhash'),
];
