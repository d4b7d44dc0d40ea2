/** One runtime in which the lives of allocators are lived (lifetimes-model.ts is what they are held against): does each action there, and looks at the memory after it. */
import { readFileSync } from 'node:fs';
import { SluiceError } from '../src/errors.ts';
import { createMap, load, Runtime, type UserObject } from '../src/index.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { ALLOCATOR_ID, SLAB_SHIFT } from '../src/plane/layout/allocator.ts';
import { HEAP, ROOT, ROOT_ELEMENT_ALLOCATOR, ROOT_FREE_RUNS, ROOT_HEAP_TOP } from '../src/plane/layout/memory.ts';
import { WORKER_NO_REFILL } from '../src/plane/layout/worker.ts';
import { readHeap } from '../src/runtime/allocators/heap.ts';
import type { KnownAllocator } from '../src/runtime/allocators/known-allocator.ts';
import { allocatorsOf } from '../src/runtime/allocators/store.ts';
import type { AllocatorHandle, MapHandle } from '../src/runtime/handles.ts';
import { allocatorOfMap } from '../src/runtime/maps/allocator.ts';
import { reachableObjects } from '../src/runtime/maps/owned.ts';
import { PlaneMap } from '../src/runtime/maps/plane-map.ts';
import type { Allocator, LifetimeModel, LiveProgram, Load, MapName, Maps, Rule } from './lifetimes-model.ts';

const specs = [false, true].map((mapped) => {
  const name = mapped ? 'lifetimes_mapped' : 'lifetimes';
  return readObject(readFileSync(new URL(`../bpf/objects/mem/${name}.bpf.o`, import.meta.url)), `${name}.bpf.o`);
});

export type SideName = 'jit' | 'interpreter' | 'checked';
export const SIZE = 48;
const PAGE = 65536;

export interface LoadOptions {
  readonly merge: boolean;
  readonly rule: Rule;
}

export class Side {
  readonly name: SideName;
  readonly runtime: Runtime;
  readonly #model: LifetimeModel;
  readonly #objects = new Map<Load, UserObject>();
  readonly #handles = new Map<Allocator, AllocatorHandle>();
  readonly #known = new Map<Allocator, KnownAllocator>();
  /**
   * Who was at an address before whom, so far: equal on two sides is equal addresses but for their names. While a slab is there, and of one allocator: what has gone back
   * to the pages may become something else of an engine's.
   */
  readonly reuse: string[] = [];
  readonly #last = new Map<number, { readonly object: string; readonly owner: number }>();
  /** Slabs by allocator before the last action. */
  slabs = new Map<Allocator, number>();

  /** With what is made once for all, as the common allocator of elements. */
  static async open(name: SideName, model: LifetimeModel): Promise<Side> {
    const side = new Side(name, model);
    const { policy } = model;
    (await load(specs[0]!, { runtime: side.runtime, programs: ['empty'], policy })).close();
    return side;
  }

  private constructor(name: SideName, model: LifetimeModel) {
    this.name = name;
    this.#model = model;
    this.runtime = new Runtime({ seed: 1n, ...(name === 'checked' ? { memoryChecks: true } : {}) });
    this.#known.set(model.global, allocatorsOf(this.runtime.plane).global);
  }

  get store() {
    return allocatorsOf(this.runtime.plane);
  }

  async create(allocator: Allocator): Promise<void> {
    const { name, quota } = allocator;
    const definition = { type: 'allocator', name, maxEntries: quota, valueSize: quota === 0 ? 0 : SIZE } as const;
    const handle = (await createMap(definition, { runtime: this.runtime })) as AllocatorHandle; // of that type
    this.#handles.set(allocator, handle);
    this.#know(allocator, handle);
  }

  #know(allocator: Allocator, handle: MapHandle): void {
    this.#known.set(allocator, allocatorOfMap(planeMap(handle))!);
  }

  known(allocator: Allocator): KnownAllocator {
    return this.#known.get(allocator)!;
  }

  /** A handle of the allocator's map that is open: its own, or a load's. */
  #handle(allocator: Allocator): AllocatorHandle {
    const own = this.#handles.get(allocator);
    if (own !== undefined) return own;
    const [load] = allocator.loads;
    const name = load!.first === allocator ? 'first' : 'second';
    return this.#objects.get(load!)!.maps[name] as AllocatorHandle; // of that type
  }

  closeHandle(allocator: Allocator): void {
    this.#handles.get(allocator)!.close();
    this.#handles.delete(allocator);
  }

  /** The code of what it throws; undefined: they are one. */
  merge(a: Allocator, b: Allocator): string | undefined {
    return codeOf(() => this.#handle(a).merge(this.#handle(b)));
  }

  map(maps: Maps, name: MapName): PlaneMap {
    const [load] = maps.loads;
    return planeMap(this.#objects.get(load!)!.maps[name]!);
  }

  /** The code of what it throws; undefined: it was loaded. Call it before the model's `load`. */
  async load(of: Load, { merge, rule }: LoadOptions): Promise<string | undefined> {
    const { policy, mapped } = this.#model;
    const maps: Record<string, MapHandle> = {};
    const [sharer] = of.maps.loads;
    if (sharer !== undefined)
      for (const name of ['slots', 'table'] as const) maps[name] = this.#objects.get(sharer)!.maps[name]!;
    for (const name of ['first', 'second'] as const)
      if (this.#model.allocators.includes(of[name])) maps[name] = this.#handle(of[name]);
    try {
      const object = await load(withQuotas(specs[mapped ? 1 : 0]!, of), {
        runtime: this.runtime,
        engine: this.name === 'interpreter' ? 'interpreter' : 'jit',
        programs: of.programs.map(({ name }) => name),
        maps,
        policy,
        merge,
        allocators: rule,
      });
      this.#objects.set(of, object);
      for (const name of ['first', 'second'] as const)
        if (!this.#known.has(of[name])) this.#know(of[name], object.maps[name]!);
      return undefined;
    } catch (error) {
      if (error instanceof SluiceError) return error.code;
      throw error;
    }
  }

  /** What the program's calls were bound to. */
  boundTo(program: LiveProgram): KnownAllocator | undefined {
    const { programs } = this.store;
    const own = programs.slice(-program.load.programs.length)[program.load.programs.indexOf(program)];
    return own?.makes.values().next().value;
  }

  unload(of: Load): void {
    this.#objects.get(of)!.close();
    this.#objects.delete(of);
  }

  run({ name, load: of }: LiveProgram, words: readonly number[]): number {
    const data = new Uint8Array(64);
    data.set(new Uint8Array(Uint32Array.from(words).buffer));
    return this.#objects.get(of)!.programs[name]!.run({ data }).returnValue;
  }

  /** 0, or the number of the error. */
  update(maps: Maps, name: MapName, key: number): string | undefined {
    const map = this.map(maps, name);
    return codeOf(() => map.update(word(key), new Uint8Array(map.valueSize)));
  }

  remove(maps: Maps, key: number): boolean {
    return this.map(maps, 'table').delete(word(key));
  }

  /** By address of each live object of a program: `id:references of allocator`; and the same of what maps reach. */
  objects(): { readonly live: ReadonlyMap<number, string>; readonly reached: ReadonlyMap<number, string> } {
    const { plane } = this.runtime;
    const view = plane.view();
    const elements = view.getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true);
    const ofElements = elements === 0 ? 0 : view.getUint32(elements + ALLOCATOR_ID, true);
    const live = new Map<number, string>();
    const slabs = new Set<number>();
    const id = (address: number) => Number(view.getBigUint64(address, true));
    for (const { address, objectSize, live: owners } of readHeap(plane)) {
      slabs.add(address >>> SLAB_SHIFT);
      for (const [i, owner] of owners.entries()) {
        if (owner === 0 || owner === ofElements) continue;
        const at = address + i * objectSize;
        const object = `${id(at)} of ${owner}`;
        live.set(at, object);
        const before = this.#last.get(at);
        if (before?.object === object) continue;
        this.reuse.push(`${object} after ${before?.owner === owner ? before.object : 'others'}`);
        this.#last.set(at, { object, owner });
      }
    }
    for (const address of this.#last.keys()) if (!slabs.has(address >>> SLAB_SHIFT)) this.#last.delete(address);
    const reached = new Map<number, string>();
    for (const { address, references } of reachableObjects(plane).values()) {
      const owner = plane.exports.allocator_of(address) >>> 0;
      const of = owner === 0 ? 0 : view.getUint32(owner + ALLOCATOR_ID, true);
      reached.set(address, `${id(address)}${references === undefined ? '' : `:${references}`} of ${of}`);
    }
    return { live, reached };
  }

  /** Whether an object lives: of one in a deleted element nobody knows beforehand. */
  isLive(): (id: number) => boolean {
    const ids = new Set([...this.objects().live.values()].map((object) => Number(object.split(' ')[0])));
    return (id) => ids.has(id);
  }

  /** Pages that are in use. */
  pages(): number {
    this.runtime.plane.exports.allocators_settle();
    const view = this.runtime.view();
    let free = 0;
    for (let run = view.getUint32(ROOT + ROOT_FREE_RUNS, true); run !== 0; run = view.getUint32(run, true))
      free += view.getUint32(run + 4, true);
    return (view.getUint32(ROOT + ROOT_HEAP_TOP, true) - HEAP) / PAGE - free;
  }

  /** All that a refused load could leave behind. */
  trace(): string {
    const { store } = this;
    const allocators = store.all().map((each) => {
      const { state, references, live, reserved, sharers, slabBytes } = each.stats()!;
      return [each.id, each.name, state, references, live, reserved, sharers, slabBytes];
    });
    const maps = [...store.maps()].map(({ id, elem, kptr }) => [id, elem?.id, kptr?.id]);
    return JSON.stringify({
      allocators,
      maps,
      programs: store.programs.map(({ facts }) => facts.id),
      pages: this.pages(),
    });
  }

  /** How many objects of the reservation its holder gets where nobody can refill, and others have taken all that they get. */
  reserved(of: Allocator, holder: number): number {
    const { plane } = this.runtime;
    const { exports } = plane;
    const at = this.known(of).address;
    const taken: number[] = [];
    const takeAll = (as: number): number => {
      const before = taken.length;
      for (
        let object = exports.allocator_alloc(at, SIZE, as);
        object !== 0;
        object = exports.allocator_alloc(at, SIZE, as)
      )
        taken.push(object);
      return taken.length - before;
    };
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 1, true);
    takeAll(0);
    const own = takeAll(holder);
    for (const object of taken) exports.allocator_free(object);
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 0, true);
    return own;
  }

  /** Number of the program as holder of reservations. */
  holder(program: LiveProgram): number {
    const order = this.#model.loads.flatMap((each) => each.programs);
    return this.store.programs[order.indexOf(program)]!.facts.id;
  }
}

/** The object as it says quotas: those of the load's allocators. */
function withQuotas(spec: ObjectSpec, { first, second }: Load): ObjectSpec {
  const maps = new Map(spec.maps);
  for (const [name, { quota }] of Object.entries({ first, second }))
    maps.set(name, { ...maps.get(name)!, maxEntries: quota, valueSize: quota === 0 ? 0 : SIZE });
  return { ...spec, maps };
}

function planeMap(handle: MapHandle): PlaneMap {
  if (!(handle.raw instanceof PlaneMap)) throw new Error(`${handle.name} is no map of the plane`);
  return handle.raw;
}

function codeOf(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof SluiceError) return error.code;
    throw error;
  }
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
