/** Hash maps, LRU hashes and arrays under several CPUs. */
import type { MapTypeName } from '../../src/abi/map-types.ts';
import { MAP_MAX_ENTRIES } from '../../src/plane/layout/map.ts';
import { HASH_EXTRAS } from '../../src/plane/layout/map-hash.ts';
import { LRU_LISTS_COUNTS, LRU_LISTS_SIZE, LRU_LOCAL_FREE, LRU_LOCAL_PENDING } from '../../src/plane/layout/map-lru.ts';
import { createMap, type PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import { capacity } from './models/capacity.ts';
import { evicted, registers } from './models/register.ts';
import { call, planesOf, type Scenario, same, u32 } from './scenario.ts';
import { expectLinearizable, stress, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

const NO_PREALLOC = 1;
const NO_COMMON_LRU = 2;

/** BPF_F_ZERO_SEED: which keys meet in a bucket is known. */
const ZERO_SEED = 0x40;

/** u32 keys of one bucket of a map with so many buckets and seed 0 (map-hash.ts), at an address. */
function meeting(plane: PlaneInstance, count: number, buckets: number): number {
  const at = call(plane, 'pages_alloc', 1);
  const u64 = (word: bigint) => BigInt.asUintN(64, word);
  for (let found = 0, key = 0; found < count; key++) {
    const product = u64(BigInt(key) * 0x9e3779b97f4a7c15n);
    const hash = u64((product ^ (product >> 32n)) * 0xd6e8feb86659fd93n) >> 32n;
    if (hash % BigInt(buckets) === 1n) plane.view().setUint32(at + 4 * found++, key, true);
  }
  return at;
}

/**
 * What programs and user space do with a few keys. A key is its number in the first and the last word. A value of 16 bytes is a stamp and its complement, of which the sum
 * with the key is the last word: whatever is read is whole, and this key's.
 */
function registersBody(worker: StressWorker<{ keys: number; keySize: number; table: number }>) {
  const { call, view, map, scratch, cpu, rounds, random, pause, meet, begin, end, parameters } = worker;
  const { keys, keySize, table } = parameters;
  const value = scratch + 64;
  const out = scratch + 128;
  const whole = (key: number) => {
    const stamp = view.getUint32(out, true);
    if (view.getUint32(out + 8, true) !== ~stamp >>> 0) throw new Error('a torn value');
    if (view.getUint32(out + 12, true) !== (stamp + key) >>> 0) throw new Error("another key's value");
    return stamp;
  };
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    const number = random(keys);
    const key = table === 0 ? number : view.getUint32(table + 4 * number, true);
    view.setUint32(scratch, key, true);
    view.setUint32(scratch + keySize - 4, key, true);
    const stamp = ((cpu << 24) | (i + 1)) >>> 0;
    view.setUint32(value, stamp, true);
    view.setUint32(value + 8, ~stamp, true);
    view.setUint32(value + 12, stamp + key, true);
    const what = random(8);
    call('epoch_enter');
    if (what < 3) {
      begin(2 + what, key, stamp);
      end(call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(value), BigInt(what)));
    } else if (what === 3) {
      begin(5, key, 0);
      end(call('bpf_map_delete_elem', BigInt(map), BigInt(scratch)));
    } else if (what === 4) {
      begin(7, key, 0);
      end(call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch)) === 0 ? 0 : 1);
    } else if (what === 5) {
      begin(6, key, 0);
      end(call('map_take_user', map, scratch, out) === 0 ? whole(key) : 0);
    } else {
      begin(1, key, 0);
      end(call('map_lookup_user', map, scratch, out, 0) === 0 ? whole(key) : 0);
    }
    call('epoch_exit');
    pause();
  }
}

function registerScenario(
  name: string,
  type: MapTypeName,
  flags: number,
  keySize: number,
  model = registers,
): Scenario {
  return {
    name: `${name}: each key is a register`,
    async run(variant) {
      const parameters = { keys: type === 'hash' ? 6 : 24, keySize, table: 0 };
      const result = await stress({
        ...variant,
        map: { type, keySize, valueSize: 16, maxEntries: 8, flags },
        workers: 4,
        rounds: 1500,
        records: 1500,
        parameters,
        before: (_, plane) => {
          if (flags & ZERO_SEED) parameters.table = meeting(plane, 6, 8);
        },
        body: registersBody,
      });
      expectLinearizable(model, result);
    },
  };
}

/** Fills a small map and empties it: E2BIG exactly when no element is left. At the end one CPU fills it, and looks at what is in it. */
function capacityBody(worker: StressWorker<{ keys: number; room: number }>) {
  const { call, view, map, scratch, cpu, rounds, random, pause, meet, begin, end, parameters } = worker;
  const { keys, room } = parameters;
  const update = (key: number, flags: bigint) => {
    view.setUint32(scratch, key, true);
    return call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(scratch + 64), flags);
  };
  for (let i = 0; i < rounds; i++) {
    if (i % 12 === 11) meet();
    const key = random(keys);
    const what = random(5);
    call('epoch_enter');
    if (what < 2) {
      begin(2 + what, key, 1);
      end(update(key, BigInt(what)));
    } else if (what < 4) {
      view.setUint32(scratch, key, true);
      begin(5, key, 0);
      end(call('bpf_map_delete_elem', BigInt(map), BigInt(scratch)));
    } else {
      view.setUint32(scratch, key, true);
      begin(7, key, 0);
      end(call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch)) === 0 ? 0 : 1);
    }
    call('epoch_exit');
    pause();
  }
  meet();
  if (cpu !== 1) return;
  for (let again = 0; again < 2; again++) {
    for (let key = 0; key < keys; key++) {
      view.setUint32(scratch, key, true);
      call('map_delete_user', map, scratch);
    }
    if (call('map_next_key', map, 0, scratch + 128) === 0) throw new Error('an emptied map has a key');
    for (let key = 0; key < room; key++)
      if (update(1000 * again + key, 1n) !== 0) throw new Error(`room for ${key} elements, and not for ${room}`);
    if (update(5000, 1n) !== -7) throw new Error(`room for more than ${room} elements`);
    for (let key = 0; key < room; key++) {
      view.setUint32(scratch, 1000 * again + key, true);
      if (call('bpf_map_delete_elem', BigInt(map), BigInt(scratch)) !== 0) throw new Error('an element is not found');
    }
  }
}

function capacityScenario(name: string, type: MapTypeName, flags: number, room = 4): Scenario {
  return {
    name: `${name}: E2BIG exactly when it is full, and no element is lost`,
    async run(variant) {
      const result = await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 8, maxEntries: room, flags },
        workers: 3,
        rounds: 1200,
        records: 1200,
        parameters: { keys: 2 * room - 1, room },
        body: capacityBody,
      });
      expectLinearizable(capacity(room), result);
    },
  };
}

/** Evictions while others update, delete and look up; at the end one CPU walks what is in the map: no key twice, no more than there is room for, each with its own value. */
function lruBody(worker: StressWorker<{ keys: number; room: number; values: number }>) {
  const { call, view, map, scratch, cpu, rounds, random, pause, meet, parameters } = worker;
  const { keys, room, values } = parameters;
  for (let i = 0; i < rounds; i++) {
    call('epoch_enter');
    for (let j = 0; j < 4; j++) {
      const key = random(keys);
      view.setUint32(scratch, key, true);
      view.setUint32(scratch + 64, key, true);
      const what = random(8);
      if (what < 5) {
        const result = call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(scratch + 64), 0n);
        // As in Linux, where all elements are on their way in and out at once.
        if (result !== 0 && result !== -12) throw new Error(`update: ${result}`);
      } else if (what < 6) call('bpf_map_delete_elem', BigInt(map), BigInt(scratch));
      else call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
    }
    call('epoch_exit');
    pause();
  }
  meet();
  if (cpu !== 1) return;
  let count = 0;
  const seen = new Set<number>();
  let before = 0;
  for (; call('map_next_key', map, before, scratch + 128 + (count % 2) * 8) === 0; count++) {
    before = scratch + 128 + (count % 2) * 8;
    const key = view.getUint32(before, true);
    if (seen.has(key)) throw new Error('a key is twice in the map');
    seen.add(key);
    if (call('map_lookup_user', map, before, scratch + 192, 0) !== 0) throw new Error('a key of the map is not found');
    for (let at = 192; at < 192 + 8 * values; at += 8)
      if (view.getUint32(scratch + at, true) !== key && (values === 1 || view.getUint32(scratch + at, true) !== 0))
        throw new Error("another key's value");
    if (count > room) throw new Error(`more elements than ${room}`);
  }
}

/** Number of elements in the lists of an LRU map, each in one of them. */
function listed(view: DataView, map: number, cpus: number, common: boolean): number {
  const lists = view.getUint32(map + HASH_EXTRAS, true);
  const seen = new Set<number>();
  const walk = (list: number) => {
    for (let at = view.getUint32(list + 4, true); at !== list; at = view.getUint32(at + 4, true)) {
      if (seen.has(at)) throw new Error('an element is in two places of the lists');
      seen.add(at);
      if (view.getUint32(view.getUint32(at, true) + 4, true) !== at) throw new Error('a link is broken');
    }
  };
  const sets = common ? 1 : cpus;
  for (let set = 0; set < sets; set++) {
    const at = lists + set * LRU_LISTS_SIZE;
    for (let kind = 0; kind < 3; kind++) {
      const before = seen.size;
      walk(at + kind * 8);
      if (kind < 2 && view.getUint32(at + LRU_LISTS_COUNTS + kind * 4, true) !== seen.size - before)
        throw new Error('a list has not as many elements as it says');
    }
  }
  for (let cpu = 0; common && cpu < cpus; cpu++) {
    walk(lists + (cpu + 1) * LRU_LISTS_SIZE + LRU_LOCAL_FREE);
    walk(lists + (cpu + 1) * LRU_LISTS_SIZE + LRU_LOCAL_PENDING);
  }
  return seen.size;
}

function lruScenario(type: MapTypeName, flags: number, room: number): Scenario {
  const common = flags === 0;
  return {
    name: `${type}${common ? '' : ', lists of each CPU'}, ${room} elements: lists hold each once`,
    async run(variant) {
      const workers = 4;
      const { map, plane, seed } = await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 8, maxEntries: room, flags },
        workers,
        rounds: 1500,
        parameters: { keys: 60, room, values: type === 'lru_percpu_hash' ? workers + 1 : 1 },
        body: lruBody,
      });
      await withSeed(seed, () => {
        const total = plane.view().getUint32(map.address + MAP_MAX_ENTRIES, true);
        const found = listed(plane.view(), map.address, workers + 1, common);
        if (found !== total) throw new Error(`${found} elements in the lists, and not ${total}`);
      });
    },
  };
}

/** Each CPU inserts keys of its own until the map is full, then takes them out. */
function fillBody({ call, view, map, scratch, cpu, rounds, meet }: StressWorker) {
  let inserted = 0;
  for (let round = 0; round < rounds; round++) {
    inserted = 0;
    meet();
    for (;;) {
      view.setUint32(scratch, (cpu << 16) | inserted, true);
      view.setUint32(scratch + 64, (cpu << 16) | inserted, true);
      const result = call('map_update_user', map, scratch, scratch + 64, 1);
      if (result === -7) break;
      if (result !== 0) throw new Error(`update: ${result}`);
      inserted++;
    }
    meet();
    for (let i = 0; i < inserted; i++) {
      view.setUint32(scratch, (cpu << 16) | i, true);
      if (call('map_lookup_user', map, scratch, scratch + 128, 0) !== 0) throw new Error('an element was lost');
      if (view.getUint32(scratch + 128, true) !== view.getUint32(scratch, true)) throw new Error("another key's value");
      if (round < rounds - 1) call('map_delete_user', map, scratch);
    }
  }
  return inserted;
}

function fillScenario(flags: number): Scenario {
  const room = 400;
  return {
    name: `hash, flags ${flags}: several fill it to the last element`,
    async run(variant) {
      const { results, seed } = await stress({
        ...variant,
        map: { type: 'hash', keySize: 4, valueSize: 8, maxEntries: room, flags },
        workers: 4,
        rounds: 3,
        body: fillBody,
      });
      await withSeed(seed, () =>
        same(
          'elements',
          results.reduce((sum, count) => sum + count, 0),
          room,
        ),
      );
    },
  };
}

/** All put keys in that are out, and some of them take out those that are in: as many elements as the map has are in use at most, but whose free list has the others changes all the time. */
function roomBody({ call, view, map, scratch, cpu, rounds, random, pause, parameters }: StressWorker) {
  const [states, keys, givers] = parameters as [number, number, number];
  // 0: the key is out, 1: it is in, 2: somebody is at it.
  const words = new Int32Array(view.buffer, states, keys);
  for (let i = 0; i < rounds; i++) {
    const key = random(keys);
    view.setUint32(scratch, key, true);
    view.setUint32(scratch + 64, key, true);
    call('epoch_enter');
    if (cpu <= givers && random(2) === 0) {
      if (Atomics.compareExchange(words, key, 1, 2) === 1) {
        const at = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
        if (at === 0 || view.getUint32(at, true) !== key)
          throw new Error("a key that is in is not found, or has another's value");
        const result = call('bpf_map_delete_elem', BigInt(map), BigInt(scratch));
        if (result !== 0) throw new Error(`a key that is in: ${result}`);
        Atomics.store(words, key, 0);
      }
    } else if (Atomics.compareExchange(words, key, 0, 2) === 0) {
      const result = call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(scratch + 64), 1n);
      if (result !== 0) throw new Error(`there is room, and the update is ${result}`);
      Atomics.store(words, key, 1);
    }
    call('epoch_exit');
    pause();
  }
}

/** `givers`: how many CPUs take keys out, and so have free elements in their lists. */
function roomScenario(flags: number, givers: number): Scenario {
  const workers = 4;
  const keys = 5;
  return {
    name: `hash, flags ${flags}: with room for what is in use it is never full, free elements of ${givers}`,
    async run(variant) {
      const parameters: number[] = [];
      await stress({
        ...variant,
        map: { type: 'hash', keySize: 4, valueSize: 8, maxEntries: keys, flags },
        workers,
        rounds: 4000,
        parameters,
        before: (_, plane) => parameters.push(call(plane, 'pages_alloc', 1), keys, givers),
        body: roomBody,
      });
    },
  };
}

const STABLE = 6;

/** Keys 0 to 5 are there throughout and never written; others come and go. CPU 1 walks the map in all ways, and sees each of the six once. */
function walkBody(worker: StressWorker<{ keySize: number; stable: number; table: number }>) {
  const { call, callback, view, map, scratch, cpu, rounds, random, pause, parameters } = worker;
  const { keySize, stable, table } = parameters;
  const all = stable + 10;
  const keyOf = (number: number) => (table === 0 ? number : view.getUint32(table + 4 * number, true));
  const numbers = new Map<number, number>();
  for (let number = 0; number < all; number++) numbers.set(keyOf(number), number);
  const write = (at: number, key: number) => {
    view.setUint32(at, key, true);
    view.setUint32(at + keySize - 4, key, true);
  };
  if (cpu !== 1) {
    for (let i = 0; i < rounds; i++) {
      const key = keyOf(stable + random(10));
      write(scratch, key);
      view.setUint32(scratch + 64, key, true);
      view.setUint32(scratch + 72, ~key, true);
      call('epoch_enter');
      if (random(2)) call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(scratch + 64), 0n);
      else call('bpf_map_delete_elem', BigInt(map), BigInt(scratch));
      call('epoch_exit');
      pause();
    }
    return;
  }
  // Appends the first word of each key to the u32s behind their number.
  const shown = scratch + 32768;
  const append = callback((key) => {
    const count = view.getUint32(shown, true);
    view.setUint32(shown + 4 + count * 4, view.getUint32(key, true), true);
    view.setUint32(shown, count + 1, true);
  });
  const read = (at: number) => {
    const key = view.getUint32(at, true);
    if (view.getUint32(at + keySize - 4, true) !== key || !numbers.has(key)) throw new Error('a key that never was');
    return key;
  };
  const counts = new Map<number, number>();
  const saw = (key: number) => counts.set(key, (counts.get(key) ?? 0) + 1);
  const judge = (how: string, most: number) => {
    for (let number = 0; number < stable; number++) {
      const count = counts.get(keyOf(number)) ?? 0;
      if (count < 1 || count > most) throw new Error(`${how}: a key that is there throughout is seen ${count} times`);
    }
    counts.clear();
  };
  const [position, keys, values, done] = [scratch + 512, scratch + 1024, scratch + 8192, scratch + 16384];
  for (let i = 0; i < rounds / 8; i++) {
    // One of the six comes to the front of its bucket, where others had come meanwhile.
    write(scratch, keyOf(random(stable)));
    call('map_take_user', map, scratch, scratch + 64);
    call('map_update_user', map, scratch, scratch + 64, 0);
    // From key to key: one that was deleted meanwhile leads back to the first.
    let at = 0;
    for (let n = 0; call('map_next_key', map, at, scratch + 128 + (n % 2) * 64) === 0; n++) {
      at = scratch + 128 + (n % 2) * 64;
      saw(read(at));
    }
    judge('next key', 100_000);
    let first = 1;
    for (let result = 0; result === 0; first = 0) {
      result = call('map_lookup_batch', map, position, first, keys, values, all, 0, done);
      for (let n = 0; n < view.getUint32(done, true); n++) {
        const key = read(keys + n * keySize);
        if (view.getUint32(values + n * 16, true) !== key || view.getUint32(values + n * 16 + 8, true) !== ~key >>> 0)
          throw new Error("batch: a torn value, or another key's");
        saw(key);
      }
      if (result !== 0 && result !== -2) throw new Error(`batch: ${result}`);
      pause();
    }
    judge('batch', 1);
    call('epoch_enter');
    view.setUint32(scratch + 32768, 0, true);
    const calls = call('bpf_for_each_map_elem', BigInt(map), BigInt(append), BigInt(scratch + 32768), 0n);
    call('epoch_exit');
    if (calls !== view.getUint32(scratch + 32768, true)) throw new Error('for each: another number of calls');
    for (let n = 0; n < calls; n++) saw(view.getUint32(scratch + 32772 + n * 4, true));
    judge('for each', 1);
  }
}

function walkScenario(type: MapTypeName, flags: number, keySize: number): Scenario {
  return {
    name: `${type}, flags ${flags}, keys of ${keySize}: walks see what is there throughout`,
    async run(variant) {
      const parameters = { keySize, stable: STABLE, table: 0 };
      await stress({
        ...variant,
        map: { type, keySize, valueSize: 16, maxEntries: 16, flags },
        workers: 3,
        rounds: 2400,
        parameters,
        before(map, plane) {
          if (flags & ZERO_SEED) parameters.table = meeting(plane, STABLE + 10, 16);
          for (let number = 0; number < STABLE; number++) {
            const key = parameters.table === 0 ? number : plane.view().getUint32(parameters.table + 4 * number, true);
            const bytes = new Uint8Array(keySize);
            bytes.set(u32(key));
            bytes.set(u32(key), keySize - 4);
            const value = new Uint32Array([key, 0, ~key, 0]);
            map.update(bytes, new Uint8Array(value.buffer));
          }
        },
        body: walkBody,
      });
    },
  };
}

/** Values under their locks: updates and lookups with BPF_F_LOCK, and programs that take the lock; each value is written whole, and key 3 counts. */
function lockBody({ call, view, map, scratch, cpu, rounds, random, pause, meet, begin, end }: StressWorker) {
  const LOCK = 4;
  const [value, out] = [scratch + 64, scratch + 128];
  const fill = (at: number, stamp: number) => {
    for (let word = 4; word < 48; word += 4) view.setUint32(at + word, stamp, true);
  };
  const whole = (at: number) => {
    const stamp = view.getUint32(at + 4, true);
    for (let word = 8; word < 48; word += 4)
      if (view.getUint32(at + word, true) !== stamp) throw new Error('a torn value under its lock');
    return stamp;
  };
  let counted = 0;
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    const key = random(4);
    const stamp = ((cpu << 24) | (i + 1)) >>> 0;
    view.setUint32(scratch, key, true);
    const what = random(3);
    call('epoch_enter');
    if (key === 3) {
      const at = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
      call('bpf_spin_lock', BigInt(at));
      const count = view.getUint32(at + 4, true);
      pause();
      fill(at, count + 1);
      call('bpf_spin_unlock', BigInt(at));
      counted++;
    } else if (what === 0) {
      fill(value, stamp);
      begin(2, key, stamp);
      end(call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(value), BigInt(LOCK)));
    } else if (what === 1) {
      begin(1, key, 0);
      end(call('map_lookup_user', map, scratch, out, LOCK) === 0 ? whole(out) : 0);
    } else {
      begin(1, key, 0);
      const at = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
      call('bpf_spin_lock', BigInt(at));
      const found = whole(at);
      call('bpf_spin_unlock', BigInt(at));
      end(found);
    }
    call('epoch_exit');
    pause();
  }
  return counted;
}

function lockScenario(type: MapTypeName, flags: number): Scenario {
  return {
    name: `${type}, flags ${flags}: values under their locks are whole`,
    async run(variant) {
      const result = await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 48, maxEntries: 4, flags, spinLock: 0 },
        workers: 4,
        rounds: 1200,
        records: 1200,
        before: (map) => {
          for (let key = 0; key < 4; key++) map.update(u32(key), new Uint8Array(48));
        },
        body: lockBody,
      });
      expectLinearizable(registers, result);
      const counted = result.results.reduce((sum, count) => sum + count, 0);
      const value = result.map.lookup(u32(3))!;
      const found = new DataView(value.buffer).getUint32(4, true);
      await withSeed(result.seed, () => {
        if (found !== counted) throw new Error(`${counted} were counted under the lock, and ${found} are there`);
      });
    },
  };
}

/** Values of 8 bytes for each CPU, and in arrays for all: what one CPU writes is its own, and user space reads all of them. */
function cpuBody({
  call,
  view,
  map,
  scratch,
  cpu,
  workers,
  rounds,
  random,
  pause,
  meet,
  stamp,
  note,
  begin,
  end,
  parameters,
}: StressWorker<{ own: number }>) {
  const { own } = parameters;
  const [value, out] = [scratch + 64, scratch + 128];
  for (let i = 0; i < rounds; i++) {
    if (i % 16 === 15) meet();
    const key = random(3);
    const mark = ((cpu << 24) | (i + 1)) >>> 0;
    view.setUint32(scratch, key, true);
    view.setUint32(value, mark, true);
    view.setUint32(value + 4, ~mark, true);
    const whole = (at: number) => {
      const found = view.getUint32(at, true);
      if (view.getUint32(at + 4, true) !== (found === 0 ? 0 : ~found >>> 0)) throw new Error('a torn word');
      return found;
    };
    const part = own ? key * 64 + cpu : key;
    const what = random(3);
    call('epoch_enter');
    if (what === 0) {
      begin(2, part, mark);
      end(call('bpf_map_update_elem', BigInt(map), BigInt(scratch), BigInt(value), 0n));
    } else if (what === 1) {
      begin(1, part, 0);
      const at = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
      end(at === 0 ? 0 : Number(view.getBigUint64(at, true) & 0xffff_ffffn));
    } else {
      const start = stamp();
      call('map_lookup_user', map, scratch, out, 0);
      const ended = stamp();
      if (!own) note(1, key, 0, whole(out), 0, start, ended);
      else for (let of = 1; of <= workers; of++) note(1, key * 64 + of, 0, whole(out + of * 8), 0, start, ended);
    }
    call('epoch_exit');
    pause();
  }
}

function cpuScenario(type: MapTypeName): Scenario {
  const own = type === 'array' ? 0 : 1;
  return {
    name: `${type}: ${own ? "each CPU's value is a register" : 'each value is a register'}`,
    async run(variant) {
      const result = await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 8, maxEntries: type === 'lru_percpu_hash' ? 256 : 3 },
        workers: 4,
        rounds: 1000,
        records: 5000,
        parameters: { own },
        ...(!type.endsWith('array') && { before: fill }),
        body: cpuBody,
      });
      expectLinearizable(registers, result);
    },
  };
}

/** A CPU that has an element's address from before may hold its lock while another puts a new key into the element: the lock stays held. */
function heldLockScenario(flags: number): Scenario {
  return {
    name: `hash: a lock that is held outlives its element, flags ${flags}`,
    run(variant) {
      const [holder, other] = planesOf(variant, 2) as [PlaneInstance, PlaneInstance];
      const map = createMap(other, { type: 'hash', keySize: 4, valueSize: 8, maxEntries: 1, flags, spinLock: 0 });
      const [key, value] = [call(other, 'pages_alloc', 1), call(other, 'pages_alloc', 1)];
      const lookup = (plane: PlaneInstance, number: number) => {
        plane.view().setUint32(key, number, true);
        return call(plane, 'hash_lookup', map.address, key);
      };
      map.update(u32(1), new Uint8Array(8));
      call(holder, 'epoch_enter');
      const held = lookup(holder, 1);
      call(holder, 'bpf_spin_lock', BigInt(held));
      const put = (number: number) => {
        other.view().setUint32(key, number, true);
        same('update', call(other, 'hash_update', map.address, key, value, 0n), 0);
      };
      // Until the element is used again: by a new key, or as what replaces another.
      map.delete(u32(1));
      put(2);
      for (let i = 0; i < 3 && lookup(other, 2) !== held; i++) put(2);
      same('address of the new element', lookup(other, 2), held);
      if (other.view().getUint32(held, true) === 0) throw new Error('a lock that is held is open');
      call(holder, 'bpf_spin_unlock', BigInt(held));
      call(holder, 'epoch_exit');
      same('lock', other.view().getUint32(held, true), 0);
    },
  };
}

function fill(map: PlaneMap): void {
  for (let key = 0; key < 3; key++) map.update(u32(key), new Uint8Array(map.elementSize));
}

export const hashScenarios: readonly Scenario[] = [
  registerScenario('hash', 'hash', 0, 4),
  registerScenario('hash, keys of 8', 'hash', 0, 8),
  registerScenario('hash, keys of 16', 'hash', 0, 16),
  registerScenario('hash without preallocation, keys of 20', 'hash', NO_PREALLOC, 20),
  registerScenario('hash, all keys in one bucket', 'hash', ZERO_SEED, 4),
  registerScenario('LRU hash', 'lru_hash', 0, 4, evicted),
  registerScenario('LRU hash, lists of each CPU, keys of 12', 'lru_hash', NO_COMMON_LRU, 12, evicted),
  capacityScenario('hash', 'hash', 0),
  capacityScenario('hash without preallocation', 'hash', NO_PREALLOC),
  capacityScenario('per-CPU hash', 'percpu_hash', 0),
  capacityScenario('hash of 2', 'hash', 0, 2),
  capacityScenario('hash of 8', 'hash', 0, 8),
  fillScenario(0),
  fillScenario(NO_PREALLOC),
  roomScenario(0, 1),
  roomScenario(0, 4),
  lruScenario('lru_hash', 0, 20),
  lruScenario('lru_hash', 0, 4),
  lruScenario('lru_hash', NO_COMMON_LRU, 20),
  lruScenario('lru_percpu_hash', 0, 20),
  walkScenario('hash', 0, 4),
  walkScenario('hash', NO_PREALLOC, 24),
  walkScenario('hash', ZERO_SEED, 4),
  lockScenario('hash', 0),
  lockScenario('array', 0),
  heldLockScenario(0),
  heldLockScenario(NO_PREALLOC),
  cpuScenario('array'),
  cpuScenario('percpu_array'),
  cpuScenario('percpu_hash'),
  cpuScenario('lru_percpu_hash'),
];
