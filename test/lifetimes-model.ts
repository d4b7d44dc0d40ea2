/**
 * Lives of allocators as plain objects: the reference of the sequences over bpf/mem/lifetimes.bpf.c. Says of each step what it gives, which objects live then, whose
 * each is, and who holds each allocator. What policies say of a set of programs is in lifetimes-policy.ts.
 */
import type { PolicyName } from '../src/runtime/allocators/policy.ts';
import { type Facts, type Judgement, judge, type Program, programs } from './lifetimes-policy.ts';

export const SLOTS = 4;
const ENTRIES = 4;
export type MapName = 'slots' | 'table';
export type Rule = 'equal' | 'merge' | 'migrate';

/** What programs return. */
export const NOTHING = 0;
export const DONE = 1;
const NO_MEMORY = 2;
const REFUSED = 3;

/** So many objects of an allocator are set apart for a program. */
export interface Reservation {
  readonly of: Allocator;
  readonly holder: LiveProgram;
  count: number;
  out: number;
}

export class Allocator {
  readonly name: string;
  /** In objects: all are of one size class. 0: none. */
  readonly quota: number;
  /** The handle that it was made with. */
  handle = false;
  /** Loads that have its map. */
  readonly loads = new Set<Load>();
  /** Maps that name it, and programs that allocate from it. */
  maps = 0;
  programs = 0;
  reservations: Reservation[] = [];
  /** Those that share slabs. */
  merged = new Set<Allocator>([this]);

  constructor(name: string, quota: number) {
    this.name = name;
    this.quota = quota;
  }

  get references(): number {
    return (this.handle || this.loads.size > 0 ? 1 : 0) + this.maps + this.programs;
  }

  get isGlobal(): boolean {
    return this.name === GLOBAL;
  }
}
export const GLOBAL = 'global';

export class Thing {
  readonly kind: 'plain' | 'node';
  readonly id: number;
  readonly from: Allocator;
  reserved: Reservation | undefined;
  references = 1;
  inside: Thing | undefined;
  list: Thing[] | undefined;

  constructor(kind: 'plain' | 'node', id: number, from: Allocator, reserved: Reservation | undefined) {
    this.kind = kind;
    this.id = id;
    this.from = from;
    this.reserved = reserved;
  }
}

interface Slot {
  a?: Thing | undefined;
  b?: Thing | undefined;
  node?: Thing | undefined;
}
interface Entry {
  kept?: Thing | undefined;
  readonly nodes: Thing[];
}

/** The maps that a load has made, as long as some load has them. */
export class Maps {
  readonly loads = new Set<Load>();
  readonly slots: Slot[] = Array.from({ length: SLOTS }, () => ({}));
  readonly table = new Map<number, Entry>();
  /** Stored into deleted elements: nobody reaches them, and they go with the element's memory. */
  stale: Thing[] = [];
  /** Allocators that the maps name. */
  readonly kptr: Partial<Record<MapName, Allocator>> = {};
}

export interface LiveProgram {
  readonly name: Program;
  readonly load: Load;
  /** Where what it makes comes from; undefined: it makes nothing. */
  from: Allocator | undefined;
}

export class Load {
  readonly maps: Maps;
  readonly first: Allocator;
  readonly second: Allocator;
  readonly programs: LiveProgram[];
  /** What the object says of maps that name another allocator. */
  readonly claims: Partial<Record<MapName, Allocator>> = {};

  constructor(maps: Maps, first: Allocator, second: Allocator, names: readonly Program[]) {
    this.maps = maps;
    this.first = first;
    this.second = second;
    this.programs = names.map((name) => ({ name, load: this, from: undefined }));
  }
}

export class LifetimeModel {
  readonly policy: PolicyName;
  /** The maps name `first`. */
  readonly mapped: boolean;
  readonly global = new Allocator(GLOBAL, 0);
  allocators: Allocator[] = [];
  loads: Load[] = [];
  maps: Maps[] = [];

  constructor(policy: PolicyName, mapped: boolean) {
    this.policy = policy;
    this.mapped = mapped;
    this.global.handle = true;
  }

  create(name: string, quota: number): Allocator {
    const made = new Allocator(name, quota);
    made.handle = true;
    this.allocators.push(made);
    return made;
  }

  closeHandle(allocator: Allocator): void {
    allocator.handle = false;
    this.#released(allocator);
  }

  /** Whether the two are one afterwards. */
  merge(a: Allocator, b: Allocator): boolean {
    if (a.merged !== b.merged && (a.quota !== 0 || b.quota !== 0)) return false;
    unite(a, b);
    return true;
  }

  /** Lets the load live, if the policy does. `claims`, `migrations`: of maps that were there before and name another allocator. */
  load(load: Load, { merge, rule }: { readonly merge: boolean; readonly rule: Rule }): Judgement | 'unlike' {
    const fresh = load.maps.loads.size === 0;
    const others = (['slots', 'table'] as const).filter(
      (map) => this.mapped && !fresh && load.maps.kptr[map] !== load.first,
    );
    const names = { ...load.maps.kptr };
    const alike = new Set<Allocator>();
    for (const map of this.mapped && fresh ? (['slots', 'table'] as const) : others) {
      const [has, wants] = [names[map], load.first];
      if (has !== undefined && rule === 'merge') {
        if (has.merged !== wants.merged && (has.quota !== 0 || wants.quota !== 0)) return 'unlike';
        for (const each of [has, wants]) alike.add(each);
      }
      if (fresh || rule === 'migrate') names[map] = wants;
      else load.claims[map] = wants;
    }
    const judgement = judge(this, load, names, merge, alike);
    if (judgement.conflict) return judgement;
    for (const map of ['slots', 'table'] as const) {
      const [before, after] = [load.maps.kptr[map], names[map]];
      if (before === after) continue;
      load.maps.kptr[map] = after!;
      after!.maps++;
      if (before !== undefined) before.maps--;
    }
    const [one, ...rest] = alike;
    for (const other of rest) unite(one!, other);
    for (const [a, b] of judgement.merges) unite(a, b);
    if (fresh) this.maps.push(load.maps);
    load.maps.loads.add(load);
    for (const each of [load.first, load.second]) {
      each.loads.add(load);
      if (!this.allocators.includes(each)) this.allocators.push(each);
    }
    this.loads.push(load);
    return judgement;
  }

  /** What each program of the load makes its objects from: `allowed` leaves the choice among allocators that are one. */
  bind(program: LiveProgram, from: Allocator | undefined): void {
    program.from = from;
    if (from !== undefined) from.programs++;
  }

  unload(load: Load): void {
    this.loads = this.loads.filter((each) => each !== load);
    for (const program of load.programs) {
      const { from } = program;
      if (from === undefined) continue;
      this.#endReservations(from, (each) => each.holder === program);
      from.programs--;
    }
    load.maps.loads.delete(load);
    for (const each of [load.first, load.second]) each.loads.delete(load);
    if (load.maps.loads.size === 0) this.#dropMaps(load.maps);
    for (const each of [...this.allocators]) this.#released(each);
  }

  #dropMaps(maps: Maps): void {
    this.maps = this.maps.filter((each) => each !== maps);
    for (let i = 0; i < SLOTS; i++) this.updateSlot(maps, i);
    for (const key of [...maps.table.keys()]) this.removeEntry(maps, key);
    for (const each of maps.stale.splice(0)) this.drop(each);
    for (const each of Object.values(maps.kptr)) each.maps--;
  }

  #released(allocator: Allocator): void {
    if (allocator.references === 0) this.#endReservations(allocator, () => true);
  }

  #endReservations(allocator: Allocator, which: (each: Reservation) => boolean): void {
    const ended = allocator.reservations.filter(which);
    allocator.reservations = allocator.reservations.filter((each) => !ended.includes(each));
    for (const thing of this.live())
      if (thing.reserved !== undefined && ended.includes(thing.reserved)) thing.reserved = undefined;
  }

  /** Each object that something owns, once. */
  live(): Set<Thing> {
    const found = new Set<Thing>();
    const add = (thing: Thing | undefined): void => {
      if (thing === undefined || found.has(thing)) return;
      found.add(thing);
      add(thing.inside);
    };
    for (const { slots, table, stale } of this.maps) {
      for (const slot of slots) for (const each of [slot.a, slot.b, slot.node]) add(each);
      for (const { kept, nodes } of table.values()) for (const each of [kept, ...nodes]) add(each);
      for (const each of stale) add(each);
    }
    return found;
  }

  liveOf(allocator: Allocator): number {
    return [...this.live()].filter(({ from }) => from === allocator).length;
  }

  /** Stale objects that are gone. */
  settleStale(isThere: (id: number) => boolean): void {
    for (const maps of this.maps) {
      const gone = maps.stale.filter(({ id }) => !isThere(id));
      maps.stale = maps.stale.filter(({ id }) => isThere(id));
      for (const each of gone) this.drop(each);
    }
  }

  drop(thing: Thing | undefined): void {
    if (thing === undefined || --thing.references > 0) return;
    if (thing.reserved !== undefined) thing.reserved.out--;
    this.drop(thing.inside);
  }

  updateSlot(maps: Maps, index: number): void {
    const { a, b, node } = maps.slots[index]!;
    for (const each of [a, b, node]) this.drop(each);
    maps.slots[index] = {};
  }

  /** False: the map is full. */
  updateEntry(maps: Maps, key: number): boolean {
    if (!maps.table.has(key) && maps.table.size === ENTRIES) return false;
    this.removeEntry(maps, key);
    maps.table.set(key, { nodes: [] });
    return true;
  }

  removeEntry(maps: Maps, key: number): boolean {
    const entry = maps.table.get(key);
    if (entry === undefined) return false;
    this.drop(entry.kept);
    for (const each of entry.nodes.splice(0)) {
      each.list = undefined;
      this.drop(each);
    }
    return maps.table.delete(key);
  }

  /** Objects that count against the quota. */
  #charged(allocator: Allocator): number {
    const reserved = allocator.reservations.reduce((sum, { count }) => sum + count, 0);
    return reserved + [...this.live()].filter((each) => each.from === allocator && each.reserved === undefined).length;
  }

  /** An object; undefined: there is no memory for it. */
  make(kind: 'plain' | 'node', id: number, program: LiveProgram): Thing | undefined {
    const from = program.from!;
    if (from.quota === 0 || this.#charged(from) < from.quota) return new Thing(kind, id, from, undefined);
    const own = from.reservations.find(({ holder, out, count }) => holder === program && out < count);
    if (own === undefined) return undefined;
    own.out++;
    return new Thing(kind, id, from, own);
  }

  prefill(program: LiveProgram, count: number): number {
    const of = program.from!;
    if (of.quota !== 0 && this.#charged(of) + count > of.quota) return NO_MEMORY;
    const known = of.reservations.find(({ holder }) => holder === program);
    if (known === undefined) of.reservations.push({ of, holder: program, count, out: 0 });
    else known.count += count;
    return DONE;
  }

  /** What the program returns. */
  run(program: LiveProgram, a: number, b: number, id: number, count: number): number {
    const { maps } = program.load;
    const slot = maps.slots[a]!;
    const to = maps.slots[b % SLOTS]!;
    const entry = maps.table.get(b);
    const exchange = (place: Slot, field: 'a' | 'b' | 'node', thing: Thing | undefined): void => {
      const was = place[field];
      place[field] = thing;
      this.drop(was);
    };
    const { field, site }: Facts = programs[program.name];
    if (field !== undefined) {
      if (count > 0 && site !== 'implicit') return this.prefill(program, count);
      const made = this.make(field === 'node' ? 'node' : 'plain', id, program);
      if (made === undefined) return NO_MEMORY;
      exchange(slot, field, made);
      return DONE;
    }
    const take = (place: Slot, from: 'a' | 'b' | 'node'): Thing | undefined => {
      const thing = place[from];
      place[from] = undefined;
      return thing;
    };
    switch (program.name) {
      case 'move': {
        const thing = take(slot, 'a');
        if (thing === undefined) return NOTHING;
        exchange(to, 'b', thing);
        return DONE;
      }
      case 'empty':
        this.updateSlot(maps, a);
        return DONE;
      case 'keep':
      case 'stale': {
        const thing = entry && take(slot, 'b');
        if (entry === undefined || thing === undefined) return NOTHING;
        if (program.name === 'stale') {
          this.removeEntry(maps, b);
          maps.stale.push(thing);
        } else {
          this.drop(entry.kept);
          entry.kept = thing;
        }
        return DONE;
      }
      case 'share':
        if (slot.node === undefined) return NOTHING;
        slot.node.references++;
        exchange(to, 'node', slot.node);
        return DONE;
      case 'push': {
        const node = entry && take(slot, 'node');
        if (entry === undefined || node === undefined) return NOTHING;
        if (node.list !== undefined) {
          this.drop(node);
          return REFUSED;
        }
        node.list = entry.nodes;
        entry.nodes.push(node);
        return DONE;
      }
      case 'pop': {
        const node = entry?.nodes.shift();
        if (node === undefined) return NOTHING;
        node.list = undefined;
        exchange(slot, 'node', node);
        return DONE;
      }
      case 'fill': {
        const { node } = to;
        if (node === undefined) return NOTHING;
        const thing = take(slot, 'a');
        if (thing !== undefined) {
          this.drop(node.inside);
          node.inside = thing;
        }
        return DONE;
      }
      default:
        throw new Error(`no step ${program.name}`);
    }
  }
}

function unite(a: Allocator, b: Allocator): void {
  if (a.merged === b.merged) return;
  for (const each of b.merged) {
    a.merged.add(each);
    each.merged = a.merged;
  }
}
