/** One thing each that a CPU works on: what it does there, and what must be true of it at any time, whatever operation was under way. */
import { expect } from 'vitest';
import { MAP_TIMER, MAP_VALUES } from '../../src/plane/layout/map.ts';
import { ARENA_TAKEN } from '../../src/plane/layout/map-arena.ts';
import {
  HASH_BUCKETS,
  HASH_ELEMENT_NEXT,
  HASH_ELEMENT_SIZE,
  HASH_EXTRAS,
  HASH_MASK,
} from '../../src/plane/layout/map-hash.ts';
import {
  LRU_LISTS_SIZE,
  LRU_LOCAL_FREE,
  LRU_LOCAL_PENDING,
  LRU_NODE_LINK,
  LRU_NODE_LIST,
} from '../../src/plane/layout/map-lru.ts';
import { TIMER_PLACE } from '../../src/plane/layout/timer.ts';
import { WORKER_TIMER_HEAP, WORKER_TIMER_WAITING } from '../../src/plane/layout/worker.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import type { PlaneExports } from '../../src/runtime/plane.ts';
import { list, tree } from './owned-parts.ts';
import type { Random, World } from './world.ts';

export interface Part {
  readonly name: string;
  /** One operation, or a few. */
  work(victim: PlaneExports, random: Random): void;
  /** It has ended. */
  done(): void;
  /** `open`: an operation was under way; from then on it was either done or not. */
  check(open: boolean): void;
}

type Make = (world: World) => Part;

// As programs call them: every argument is a u64.
type Program = (...args: bigint[]) => bigint;
const program = (calls: PlaneExports, name: string) => {
  const called = calls[name] as unknown as Program; // bodies of helpers and kfuncs
  return (...args: number[]) => Number(called(...args.map(BigInt)));
};

interface Keyed {
  readonly type: number;
  readonly flags?: number;
  readonly entries: number;
  readonly keys: number;
  /** Other keys may go for room. */
  readonly evicts?: boolean;
  readonly drawn?: boolean;
  readonly key?: (world: World, n: number) => readonly number[];
  /** Bytes of a value as user space sees it, in u32; all words of a value are the same. */
  readonly words?: number;
  readonly spinLock?: boolean;
  readonly fixed?: boolean;
}

/** Maps with keys, by the operations of user space. */
function keyed(name: string, how: Keyed): Make {
  return (world) => {
    const { calls, page } = world;
    const words = how.words ?? 2;
    const keyOf = (n: number) => how.key?.(world, n) ?? [n];
    const map = world.createMap(
      how.type,
      how.type === 29 ? 4 : keyOf(0).length * 4,
      how.spinLock ? 16 : 8,
      how.type === 29 ? 0 : how.entries,
      how.flags ?? 0,
      how.spinLock ? 13 : 0,
    );
    if (how.drawn) expect(calls.map_set_allocators(map, world.elements, 0)).toBe(0);
    const model = new Map<number, number>();
    let next = 1;
    let pending: { key: number; value: number | undefined } | undefined;
    const put = (n: number, value: number) => {
      for (const [i, word] of keyOf(n).entries()) world.view.setUint32(page + i * 4, word, true);
      for (let i = 0; i < words; i++)
        world.view.setUint32(page + 512 + i * 4, how.spinLock && i === 3 ? 0 : value, true);
    };
    const read = (n: number, torn = false): number | undefined => {
      put(n, 0);
      if (calls.map_lookup_user(map, page, page + 1024, 0) !== 0) return undefined;
      const value = world.view.getUint32(page + 1024, true);
      for (let i = 0; i < words - (how.spinLock ? 1 : 0) && !torn; i++)
        expect(world.view.getUint32(page + 1024 + i * 4, true), `${name}: a value that is torn`).toBe(value);
      return value;
    };
    if (how.fixed) for (let n = 0; n < how.keys; n++) model.set(n, 0);
    return {
      name,
      work(victim, random) {
        const key = random(how.keys);
        const removes = !how.fixed && random(3) === 0;
        const value = removes ? undefined : next++;
        pending = { key, value };
        put(key, value ?? 0);
        if (removes) victim.map_delete_user(map, page);
        else {
          const result = victim.map_update_user(map, page, page + 512, how.spinLock ? 4 : 0);
          expect(result, name).toBe(0);
        }
      },
      done() {
        if (pending?.value === undefined) model.delete(pending!.key);
        else model.set(pending.key, pending.value);
        pending = undefined;
      },
      check(open) {
        for (let n = 0; n < how.keys; n++) {
          const mine = open && pending?.key === n;
          // Values that are written in place may be half written.
          const torn = mine && (how.spinLock || how.words !== undefined || how.fixed || how.type === 29);
          const value = read(n, torn);
          if (mine) {
            if (torn && value !== undefined) {
              put(n, value);
              expect(calls.map_update_user(map, page, page + 512, 0)).toBe(0);
            }
            if (!torn && !(how.evicts && value === undefined))
              expect([model.get(n), pending!.value], `${name}: key ${n}`).toContain(value);
            if (value === undefined) model.delete(n);
            else model.set(n, value);
          } else if (how.evicts && value === undefined) model.delete(n);
          else expect(value, `${name}: key ${n}`).toBe(model.get(n));
        }
        if (open) pending = undefined;
        if (how.evicts || [9, 10].includes(how.type)) checkLru(world.plane, map, how, name);
        else if (!how.fixed && how.type !== 29) checkCapacity();
      },
    };

    function checkCapacity(): void {
      let more = 0;
      for (;;) {
        put(1_000_000 + more, 1);
        if (calls.map_update_user(map, page, page + 512, 0) !== 0) break;
        if (++more > how.entries) break;
      }
      expect(model.size + more, `${name}: room`).toBe(how.entries);
      for (let i = 0; i < more; i++) {
        put(1_000_000 + i, 0);
        expect(calls.map_delete_user(map, page), `${name}: a key that was put in`).toBe(0);
      }
    }
  };
}

/** Each element is in one list, and in a chain exactly if that list is of those that are used. */
export function checkLru(
  plane: { view(): DataView },
  map: number,
  { entries, flags = 0, cpus = 2 }: { readonly entries: number; readonly flags?: number; readonly cpus?: number },
  name: string,
): void {
  const view = plane.view();
  const chained = new Set<number>();
  const buckets = view.getUint32(map + HASH_BUCKETS, true);
  for (let i = 0; i <= view.getUint32(map + HASH_MASK, true); i++) {
    expect(view.getUint32(buckets + i * 8, true) & 1, `${name}: bucket ${i} is locked`).toBe(0);
    for (let at = view.getUint32(buckets + i * 8, true); at !== 0; at = view.getUint32(at + HASH_ELEMENT_NEXT, true))
      chained.add(at);
  }
  const seen = new Map<number, string>();
  const lists = view.getUint32(map + HASH_EXTRAS, true);
  const perCpu = (flags & 2) !== 0;
  const walk = (list: number, kinds: readonly number[], what: string) => {
    let steps = 0;
    for (let link = view.getUint32(list + 4, true); link !== list; link = view.getUint32(link + 4, true)) {
      const element = link - LRU_NODE_LINK;
      if (++steps > entries) throw new Error(`${name}: list ${what} has no end`);
      expect(seen.get(element), `${name}: an element of list ${what} is in another`).toBeUndefined();
      seen.set(element, what);
      expect(kinds, `${name}: an element of list ${what} says otherwise`).toContain(
        view.getUint8(element + LRU_NODE_LIST),
      );
      expect(view.getUint32(view.getUint32(link, true) + 4, true), `${name}: links of list ${what}`).toBe(link);
    }
  };
  for (let cpu = 0; cpu < (perCpu ? cpus : 1); cpu++)
    for (const [kind, what] of ['active', 'inactive', 'free'].entries())
      walk(lists + cpu * LRU_LISTS_SIZE + kind * 8, [kind], what);
  for (let cpu = 0; cpu < cpus && !perCpu; cpu++) {
    walk(lists + (cpu + 1) * LRU_LISTS_SIZE + LRU_LOCAL_FREE, [3], `free of ${cpu}`);
    walk(lists + (cpu + 1) * LRU_LISTS_SIZE + LRU_LOCAL_PENDING, [4], `pending of ${cpu}`);
  }
  const first = view.getUint32(map + MAP_VALUES, true);
  for (let i = 0; i < entries; i++) {
    const element = first + i * view.getUint32(map + HASH_ELEMENT_SIZE, true);
    const list = seen.get(element);
    expect(list, `${name}: element ${i} is in no list`).toBeDefined();
    expect(chained.has(element), `${name}: element ${i}, which is in list ${list}, is in a chain`).toBe(
      !list!.startsWith('free'),
    );
  }
}

function queue(name: string, type: number): Make {
  return (world) => {
    const { calls, page } = world;
    const entries = 5;
    const map = world.createMap(type, 0, 8, entries);
    let values: number[] = [];
    let pending: number[] | undefined;
    let next = 1;
    return {
      name,
      work(victim, random) {
        const pushes = random(2) === 0;
        const after = [...values];
        if (pushes) {
          if (after.length === entries) after.shift();
          after.push(next);
        } else if (type === 22) after.shift();
        else after.pop();
        pending = after;
        world.view.setUint32(page, next++, true);
        if (pushes) program(victim, 'bpf_map_push_elem')(map, page, 2);
        else victim.map_take_user(map, 0, page + 1024);
      },
      done() {
        values = pending!;
      },
      check(open) {
        const found: number[] = [];
        while (calls.map_take_user(map, 0, page + 1024) === 0) found.push(world.view.getUint32(page + 1024, true));
        if (type !== 22) found.reverse();
        // The oldest may have made room for one that did not come.
        const allowed = open ? [values, pending!, ...(values.length === entries ? [values.slice(1)] : [])] : [values];
        expect(allowed, name).toContainEqual(found);
        for (const value of found) {
          world.view.setUint32(page, value, true);
          expect(calls.map_update_user(map, 0, page, 0)).toBe(0);
        }
        values = found;
      },
    };
  };
}

const ringbuf: Make = (world) => {
  const { calls, page } = world;
  const map = world.createMap(27, 0, 0, 4096);
  let written: number[] = [];
  let pending: number | undefined;
  let next = 1;
  const drain = () => {
    const found: number[] = [];
    for (let at = calls.ringbuf_next(map) >>> 0; at !== 0; at = calls.ringbuf_next(map) >>> 0) {
      found.push(world.view.getUint32(at + 8, true));
      calls.ringbuf_release(map, at);
    }
    return found;
  };
  return {
    name: 'ringbuf',
    work(victim, random) {
      pending = next++;
      world.view.setUint32(page, pending, true);
      if (random(3) === 0) {
        program(victim, 'bpf_ringbuf_output')(map, page, 8, 0);
        return;
      }
      const sample = program(victim, 'bpf_ringbuf_reserve')(map, 8 + random(100), 0);
      if (sample === 0) return;
      world.view.setUint32(sample, pending, true);
      if (random(4) === 0) throw new WebAssembly.RuntimeError('the program ends here');
      program(victim, 'bpf_ringbuf_submit')(sample, 0);
    },
    done() {
      written.push(pending!);
    },
    check(open) {
      const found = drain();
      expect(open ? [written, [...written, pending!]] : [written], 'ringbuf').toContainEqual(found);
      written = [];
      const sample = program(calls, 'bpf_ringbuf_reserve')(map, 2000, 0);
      expect(sample, 'ringbuf: room').not.toBe(0);
      world.view.setUint32(sample, 7, true);
      program(calls, 'bpf_ringbuf_submit')(sample, 0);
      expect(drain(), 'ringbuf: the next record').toEqual([7]);
    },
  };
};

const arena: Make = (world) => {
  const { calls } = world;
  const pages = 24;
  const map = world.createMap(33, 0, 0, pages, 0x400);
  const runs = new Map<number, number>();
  let pending: (() => void) | undefined;
  const taken = () => [...runs.values()].reduce((sum, n) => sum + n, 0);
  return {
    name: 'arena',
    work(victim, random) {
      pending = undefined;
      const [first] = runs;
      if (first !== undefined && random(2) === 0) {
        const which = [...runs.keys()][random(runs.size)]!;
        const count = runs.get(which)!;
        pending = () => runs.delete(which);
        victim.arena_give(map, BigInt(which), count);
      } else {
        const count = 1 + random(5);
        const at = victim.arena_take(map, 0n, count) >>> 0;
        if (at !== 0) pending = () => runs.set(at, count);
      }
    },
    done() {
      pending?.();
    },
    check(open) {
      // Nobody got the pages of one that did not end; those that were being given back may be either way.
      const before = taken();
      if (open && pending !== undefined && world.view.getUint32(map + ARENA_TAKEN, true) !== before) pending();
      const held = world.view.getUint32(map + ARENA_TAKEN, true);
      expect(held, 'arena: pages that are taken').toBe(taken());
      const others: number[] = [];
      for (
        let at = calls.arena_take(map, 0n, 1) >>> 0;
        at !== 0 && others.length < 100;
        at = calls.arena_take(map, 0n, 1) >>> 0
      )
        others.push(at);
      expect(others.length, 'arena: room').toBe(pages - taken());
      expect(new Set(others).size).toBe(others.length);
      for (const at of others) calls.arena_give(map, BigInt(at), 1);
    },
  };
};

const arenaObjects: Make = (world) => {
  const map = world.createMap(33, 0, 0, 16, 0x400);
  let objects: number[] = [];
  let pending: number[] = [];
  return {
    name: 'objects in an arena',
    work(victim, random) {
      pending = [...objects];
      if (objects.length > 20 || (objects.length > 0 && random(2) === 0)) {
        const [object] = pending.splice(random(pending.length), 1);
        program(victim, 'bpf_arena_free')(map, object!);
      } else {
        const object = program(victim, 'bpf_arena_alloc')(map, 16 << random(8));
        if (object !== 0) pending.push(object);
      }
    },
    done() {
      objects = pending;
    },
    check(open) {
      if (open) objects = objects.filter((object) => pending.includes(object));
      const more: number[] = [];
      const alloc = program(world.calls, 'bpf_arena_alloc');
      for (let i = 0; i < 8; i++) more.push(alloc(map, 64));
      for (const object of more) {
        if (object === 0) continue;
        expect(objects, 'objects in an arena: one that is out').not.toContain(object);
        program(world.calls, 'bpf_arena_free')(map, object);
      }
    },
  };
};

const allocator: Make = (world) => {
  const { calls } = world;
  const objects: number[] = [];
  let leaked = 0;
  return {
    name: 'allocator',
    work(victim, random) {
      const size = 8 + random(6) * 40;
      const grows = objects.length < 300 && random(2) === 0;
      for (let i = random(100); i >= 0; i--) {
        if (grows) objects.push(victim.allocator_alloc(world.allocator, size, 0) >>> 0);
        else if (objects.length > 0) {
          // Out of the model first: what was being freed is nobody's.
          const object = objects.splice(random(objects.length), 1)[0]!;
          if (random(4) === 0) victim.allocator_free_later(object);
          else victim.allocator_free(object);
        }
      }
    },
    done() {},
    check(open) {
      for (let i = 0; i < 3; i++) {
        calls.epoch_exit();
        calls.epoch_enter();
      }
      const live = world.live(world.allocator);
      expect(live, 'allocator: objects that are live').toBeGreaterThanOrEqual(objects.length + leaked);
      // One that was on its way to the program, or from it.
      expect(live, 'allocator: objects that are live').toBeLessThanOrEqual(objects.length + leaked + (open ? 1 : 0));
      leaked = live - objects.length;
      expect(calls.allocator_check()).toBe(0);
      const more = new Set(Array.from({ length: 200 }, () => calls.allocator_alloc(world.allocator, 48, 0) >>> 0));
      expect(more.size, 'allocator: objects given out twice').toBe(200);
      for (const object of objects) expect(more.has(object), 'allocator: a live object was given out').toBe(false);
      for (const object of more) calls.allocator_free(object);
    },
  };
};

const timers: Make = (world) => {
  const count = 12;
  const map = world.createMap(2, 4, 24, count);
  world.view.setUint32(map + MAP_TIMER, 9, true);
  const field = (i: number) => world.view.getUint32(map + MAP_VALUES, true) + i * 24 + 8;
  for (let i = 0; i < count; i++) {
    expect(program(world.calls, 'bpf_timer_init')(field(i), map, 1)).toBe(0);
    expect(program(world.calls, 'bpf_timer_set_callback')(field(i), 1)).toBe(0);
  }
  const waiting = new Set<number>();
  let pending = 0;
  return {
    name: 'timers',
    work(victim, random) {
      pending = random(count);
      if (random(3) !== 0) {
        program(victim, 'bpf_timer_set_callback')(field(pending), 1);
        program(victim, 'bpf_timer_start')(field(pending), 1e15 + random(1000), 0);
        waiting.add(pending);
      } else {
        program(victim, 'bpf_timer_cancel')(field(pending));
        waiting.delete(pending);
      }
    },
    done() {},
    check(open) {
      const found = new Set<number>();
      for (let cpu = 0; cpu < 2; cpu++) {
        const worker = workerAddress(cpu);
        const heap = world.view.getUint32(worker + WORKER_TIMER_HEAP, true);
        for (let i = 0; i < world.view.getUint32(worker + WORKER_TIMER_WAITING, true); i++) {
          const timer = world.view.getUint32(heap + i * 4, true);
          expect(world.view.getUint32(timer + TIMER_PLACE, true), 'timers: place').toBe(i + 1);
          expect(found.has(timer), 'timers: twice in the heap').toBe(false);
          found.add(timer);
        }
      }
      for (let i = 0; i < count; i++) {
        const there = found.has(world.view.getUint32(field(i), true));
        if (open && i === pending) {
          if (there) waiting.add(i);
          else waiting.delete(i);
        } else expect(there, `timers: ${i} waits`).toBe(waiting.has(i));
      }
    },
  };
};

const prefix = (_: World, n: number) => [8 + (n % 25), (n * 0x01010305) >>> 0];

export const parts: readonly Make[] = [
  keyed('hash', { type: 1, entries: 24, keys: 16 }),
  keyed('hash of drawn elements', { type: 1, flags: 1, entries: 24, keys: 16, drawn: true }),
  keyed('percpu_hash', { type: 5, entries: 24, keys: 16, words: 4 }),
  keyed('lru_hash', { type: 9, entries: 64, keys: 12 }),
  keyed('lru_hash that is full', { type: 9, entries: 10, keys: 24, evicts: true }),
  keyed('lru_hash a CPU', { type: 9, flags: 2, entries: 12, keys: 24, evicts: true }),
  keyed('lru_percpu_hash', { type: 10, entries: 64, keys: 12, words: 4 }),
  keyed('lpm_trie', { type: 11, flags: 1, entries: 40, keys: 30, key: prefix }),
  keyed('array', { type: 2, entries: 8, keys: 8, fixed: true }),
  keyed('array with a lock', { type: 2, entries: 8, keys: 8, fixed: true, spinLock: true, words: 4 }),
  keyed('hash with a lock', { type: 1, entries: 12, keys: 8, spinLock: true, words: 4 }),
  keyed('task_storage', { type: 29, flags: 1, entries: 3, keys: 3, key: (world, n) => [world.tasks[n]!] }),
  queue('queue', 22),
  queue('stack', 23),
  ringbuf,
  arena,
  arenaObjects,
  allocator,
  timers,
  tree,
  list,
];
