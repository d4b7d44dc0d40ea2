/** The maps of one object in the user-space target: created, filled with their initial contents, addressed for programs. */

import { mapFlags } from '../abi/map-rules.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import type { MapFacts } from '../object/resolved.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { MAP_CPU_STRIDE, MAP_RECORD, MAP_STRIDE, MAP_VALUES } from '../plane/layout/map.ts';
import { ARENA_DELTA, ARENA_PAGE } from '../plane/layout/map-arena.ts';
import { INSN_ARRAY_VALUE_SIZE } from '../plane/layout/map-insn-array.ts';
import type { Claim } from './allocators/facts.ts';
import { allocateFor, claimsOf, placedMaps } from './allocators/object-allocators.ts';
import type { PlacedMap } from './allocators/program-facts.ts';
import { type AllocatorRule, ownAllocator, Settlement, settleAllocators } from './allocators/reload.ts';
import type { MapHandle } from './handles.ts';
import { type KconfigValues, kconfigContents } from './kconfig.ts';
import { openMap } from './maps/open.ts';
import { pinsOf } from './maps/pins.ts';
import { createMap, PlaneMap } from './maps/plane-map.ts';
import { structOpsValueSize } from './maps/struct-ops.ts';
import { fieldOffset, recordOfValues } from './maps/value-fields.ts';
import { Records } from './records.ts';
import type { MapAddress } from './resolve.ts';
import type { Runtime } from './runtime.ts';

export interface ObjectMaps {
  readonly handles: Readonly<Record<string, MapHandle>>;
  readonly addresses: ReadonlyMap<string, MapAddress>;
  /** Records of the object's types; undefined without BTF. Maps hold what they need of them. */
  readonly records: Records | undefined;
  /** By name, as policies know them; and what the object says of maps that were there before. */
  readonly placed: ReadonlyMap<string, PlacedMap>;
  readonly claims: readonly Claim[];
  /** What happened to the allocators of maps that were there before: the loader keeps or undoes it. */
  readonly settlement: Settlement;
  /** The prog arrays that a program uses. */
  progArraysOf(program: ProgramSpec): readonly PlaneMap[];
  /** Puts the programs that prog arrays start with into them; `entry` gives the table index by name, undefined if not loaded. */
  connectPrograms(entry: (program: string) => number | undefined): void;
  /** From now on programs alone have the maps (PlaneMap.leave). */
  leave(): void;
  close(): void;
}

const BPF_F_RDONLY_PROG = 1 << 7;
export interface ObjectMapOptions {
  readonly kconfig?: KconfigValues;
  /** Folder of the files of maps that are pinned by name. Without one they are shared by the objects of this runtime, and no longer. */
  readonly pinFolder?: string;
  /** Maps in place of the object's own, by name: of this runtime, or of the kernel, which `share` maps into this memory. */
  readonly maps?: Readonly<Record<string, MapHandle>>;
  /** What happens where a pinned or given map has other allocators than the object says; `equal` by default. */
  readonly allocators?: AllocatorRule;
  share?(runtime: Runtime, map: MapHandle, spec: MapSpec): PlaneMap;
}

/** Types whose values never move. */
const fixedValues: ReadonlySet<string> = new Set(['array', 'array_of_maps', 'percpu_array', 'prog_array']);

/** Types whose values lie in a row from MAP_VALUES on, where programs may refer to them directly. */
const inRow: ReadonlySet<string> = new Set(['array', 'insn_array']);

/**
 * Creates every map whose type is there. Throws UnsupportedError if one of `programs` refers to a map whose type is not, and
 * InputError where Linux would refuse the attributes.
 */
export function createObjectMaps(
  runtime: Runtime,
  object: ObjectSpec,
  programs: readonly ProgramSpec[],
  options: ObjectMapOptions = {},
): ObjectMaps {
  checkNames(object, options.maps ?? {});
  const needed = new Set(programs.flatMap(mapsOf));
  const created = new Map<string, Opened & { readonly spec: MapSpec }>();
  const records = object.btf === undefined ? undefined : new Records(runtime, object.btf);
  const settlement = new Settlement();
  // References of the programs: the user may close a handle while they run.
  const used: PlaneMap[] = [];
  const close = () => {
    const failures: unknown[] = [];
    for (const map of [...[...created.values()].map(({ map }) => map), ...used])
      try {
        map.close();
      } catch (error) {
        failures.push(error);
      }
    records?.close();
    // A map whose values are damaged keeps no other from going.
    if (failures.length > 0) throw failures[0];
  };
  try {
    for (const spec of object.maps.values()) {
      try {
        created.set(spec.name, { ...openOne(runtime, spec, object, options, records), spec });
      } catch (error) {
        if (!(error instanceof UnsupportedError) || needed.has(spec.name)) throw error;
      }
    }
    for (const { map } of created.values()) {
      const own = map.hold();
      own.leave();
      used.push(own);
    }
    allocateFor(runtime.plane, created);
    for (const { map, spec, made } of created.values())
      if (!made)
        settleAllocators(
          map,
          spec,
          options.allocators ?? 'equal',
          (name) => {
            const of = created.get(name)?.map;
            return of && ownAllocator(runtime.plane, of.address, 'kptr');
          },
          settlement,
        );
    for (const { map, spec, fresh } of created.values()) if (fresh) connectMaps(map, spec, created);
  } catch (error) {
    settlement.undo();
    close();
    throw error;
  }
  const placed = placedMaps(runtime.plane, created, object.btf);
  return {
    records,
    placed,
    claims: claimsOf(created, placed),
    settlement,
    handles: Object.fromEntries([...created].map(([name, { map, spec }]) => [name, openMap(map, spec, object.btf)])),
    addresses: new Map([...created].map(([name, { map, spec }]) => [name, addressOf(runtime, map, spec)])),
    progArraysOf: (program) =>
      mapsOf(program).flatMap((name) => {
        const map = created.get(name)?.map;
        return map?.type === 'prog_array' ? [map] : [];
      }),
    connectPrograms(entry) {
      for (const { map, spec } of created.values()) {
        if (spec.type !== 'prog_array' || spec.contents.kind !== 'references') continue;
        for (const [index, program] of spec.contents.targets) {
          const value = entry(program);
          if (value !== undefined) map.update(u32(index), u32(value));
        }
      }
    },
    leave() {
      for (const { map } of created.values()) map.leave();
    },
    close,
  };
}

function mapsOf(program: ProgramSpec): string[] {
  return [...program.references.values()].flatMap((reference) =>
    reference.kind === 'map' || reference.kind === 'map-value' || reference.kind === 'map-allocator'
      ? [reference.map]
      : reference.kind === 'kconfig'
        ? ['.kconfig']
        : [],
  );
}

interface Opened {
  readonly map: PlaneMap;
  /** It was made for this object, and begins with what the object says. */
  readonly fresh: boolean;
  /** It was made just now: for this object, or from the file of a pin. */
  readonly made: boolean;
}

function checkNames(object: ObjectSpec, maps: Readonly<Record<string, MapHandle>>): void {
  for (const name of Object.keys(maps))
    if (!object.maps.has(name)) {
      const known = [...object.maps.keys()].join(', ') || 'none';
      throw new InputError('SLUICE_NO_MAP', `no map ${name}; its maps: ${known}`, { input: object.name });
    }
}

/** The map that the caller gave, the one that is pinned by this name, or a new one. */
function openOne(
  runtime: Runtime,
  spec: MapSpec,
  object: ObjectSpec,
  options: ObjectMapOptions,
  records: Records | undefined,
): Opened {
  const given = options.maps?.[spec.name];
  if (given !== undefined)
    return {
      map: alike(givenMap(runtime, given, spec, options), spec, `the map given for ${spec.name}`),
      fresh: false,
      made: false,
    };
  const create = () => createOne(runtime, spec, object, options.kconfig ?? {}, records);
  if (spec.pinning !== 'by-name') return { map: create(), fresh: true, made: true };
  const pins = pinsOf(runtime.plane);
  if (options.pinFolder === undefined) {
    const there = pins.openByName(spec.name);
    if (there !== undefined)
      return { map: alike(there, spec, `the map pinned as ${spec.name}`), fresh: false, made: false };
    const map = create();
    pins.pinByName(spec.name, map);
    return { map, fresh: true, made: true };
  }
  const path = `${options.pinFolder}/${spec.name}`;
  const there = pins.open(path);
  if (there !== undefined) return { map: alike(there, spec, `the map at ${path}`), fresh: false, made: false };
  const stored = pins.stored(path);
  if (stored === undefined) {
    const map = create();
    pins.pin(path, map);
    return { map, fresh: true, made: true };
  }
  const map = alike(createLike(runtime, spec, object.btf, records), spec, `the map at ${path}`, stored.attributes);
  stored.fill(map);
  pins.adopt(path, map);
  return { map, fresh: false, made: true };
}

function givenMap(runtime: Runtime, given: MapHandle, spec: MapSpec, { share }: ObjectMapOptions): PlaneMap {
  const { raw } = given;
  if (raw instanceof PlaneMap && raw.plane.memory === runtime.plane.memory) return raw.hold();
  if (given.target === 'linux' && share !== undefined) return share(runtime, given, spec);
  throw new InputError('SLUICE_MAP_SHARE', `map ${given.name} is of another runtime: load this object into that one`);
}

/** The map, if an object that defines it as `spec` can use it: what libbpf asks of a map that it is to use in place of its own. */
function alike(map: PlaneMap, spec: MapSpec, what: string, have: PlaneMap['attributes'] = map.attributes): PlaneMap {
  const wanted = { ...spec, ...shapeOf(spec) };
  // What map_extra says of an arena is its address, which depends on who maps it.
  const extra = spec.type === 'arena' ? [] : (['mapExtra'] as const);
  const fields = ['type', 'keySize', 'valueSize', 'flags', ...extra] as const;
  const sized = spec.type === 'perf_event_array' && spec.maxEntries === 0 ? fields : [...fields, 'maxEntries' as const];
  const differs = sized
    .filter((field) => String(have[field] ?? 0) !== String(wanted[field] ?? 0))
    .map((field) => `${field} ${have[field]} and ${wanted[field]}`);
  if (differs.length === 0) return map;
  map.close();
  throw new InputError('SLUICE_MAP_PIN', `${what} is not like the object's: ${differs.join(', ')}`);
}

function createOne(
  runtime: Runtime,
  spec: MapSpec,
  object: ObjectSpec,
  kconfig: KconfigValues,
  records: Records | undefined,
): PlaneMap {
  const map = createLike(runtime, spec, object.btf, records);
  const { contents } = spec;
  if (spec.name === '.kconfig') map.bytesAt(0).set(kconfigContents(object.externs, kconfig));
  else if (contents.kind === 'bytes' && spec.type === 'arena') fillArena(runtime, map, contents.bytes);
  else if (contents.kind === 'bytes') map.bytesAt(0).set(contents.bytes);
  else if (contents.kind === 'jump-table')
    for (const [i, slot] of contents.slots.entries()) runtime.plane.exports.insn_array_connect(map.address, i, slot);
  return map;
}

/** The pages that an object's variables lie on are taken from the start, as by user space's first touch. */
function fillArena(runtime: Runtime, map: PlaneMap, bytes: Uint8Array): void {
  const values = runtime.view().getUint32(map.address + MAP_VALUES, true);
  runtime.plane.exports.arena_take(map.address, BigInt(values), Math.ceil(bytes.length / ARENA_PAGE));
  runtime.bytes().set(bytes, values);
}

/** A map by its spec, in a map of maps with its inner map's attributes; perf event arrays without a size have an entry a CPU, as in libbpf. */
export function createLike(runtime: Runtime, spec: MapSpec, btf: Btf | undefined, records?: Records): PlaneMap {
  const { inner, ...attributes } = spec;
  const spinLock = btf === undefined ? undefined : fieldOffset(btf, spec.valueTypeId, 'bpf_spin_lock', spec.valueSize);
  const prototype = inner === undefined ? undefined : createLike(runtime, inner, btf, records);
  try {
    const map = createMap(runtime.plane, {
      ...attributes,
      ...shapeOf(spec),
      maxEntries: spec.type === 'perf_event_array' && spec.maxEntries === 0 ? runtime.cpus : spec.maxEntries,
      ...(spinLock === undefined ? {} : { spinLock }),
      ...(prototype === undefined ? {} : { prototype }),
    });
    if (btf !== undefined && timed.has(spec.type)) placeTimers(runtime, map, spec, btf);
    const record = records === undefined ? 0 : recordOfValues(records, spec);
    if (record !== 0) runtime.plane.exports.map_set_record(map.address, record);
    return map;
  } finally {
    prototype?.close();
  }
}

/** Map types whose values may have timers and work (map_check_btf, kernel/bpf/syscall.c). */
const timed: ReadonlySet<string> = new Set(['hash', 'lru_hash', 'array']);

function placeTimers(runtime: Runtime, map: PlaneMap, spec: MapSpec, btf: Btf): void {
  const timer = fieldOffset(btf, spec.valueTypeId, 'bpf_timer', spec.valueSize);
  const work = fieldOffset(btf, spec.valueTypeId, 'bpf_wq', spec.valueSize);
  const taskWork = fieldOffset(btf, spec.valueTypeId, 'bpf_task_work', spec.valueSize);
  const place = (offset: number | undefined) => (offset === undefined ? 0 : offset + 1);
  if (timer !== undefined || work !== undefined || taskWork !== undefined)
    runtime.plane.exports.map_set_timers(map.address, place(timer), place(work), place(taskWork));
}

/** Sizes and flags of a map where they are not those of the definition. */
function shapeOf(spec: MapSpec): Partial<Pick<MapSpec, 'keySize' | 'valueSize' | 'flags'>> {
  // What comes from an allocator is not made beforehand.
  if (spec.allocators?.elem !== undefined && (spec.type === 'hash' || spec.type === 'percpu_hash'))
    return { flags: spec.flags | mapFlags.no_prealloc };
  // A ring's value type describes its records.
  if (spec.type === 'ringbuf' || spec.type === 'user_ringbuf') return { keySize: 0, valueSize: 0 };
  if (spec.type === 'insn_array') return { valueSize: INSN_ARRAY_VALUE_SIZE };
  return spec.type === 'struct_ops' ? { valueSize: structOpsValueSize(spec.valueSize) } : {};
}

/** Puts the maps that a map of maps starts with into it. */
function connectMaps(map: PlaneMap, spec: MapSpec, created: ReadonlyMap<string, { readonly map: PlaneMap }>): void {
  if (spec.contents.kind !== 'references' || (spec.type !== 'array_of_maps' && spec.type !== 'hash_of_maps')) return;
  for (const [index, name] of spec.contents.targets) {
    const inner = created.get(name)?.map;
    if (inner === undefined) throw new InternalError(`map ${name}, which map ${spec.name} holds, was not created`);
    const key = new Uint8Array(spec.keySize);
    new DataView(key.buffer).setUint32(0, index, true);
    map.update(key, u32(inner.id));
  }
}

function addressOf(runtime: Runtime, map: PlaneMap, spec: MapSpec): MapAddress {
  const view = runtime.view();
  // Where programs see them: the pointers of a shared arena are the kernel's.
  const delta = map.type === 'arena' ? view.getUint32(map.address + ARENA_DELTA, true) : 0;
  const values = (view.getUint32(map.address + MAP_VALUES, true) - delta) >>> 0;
  const { contents } = spec;
  const record = view.getUint32(map.address + MAP_RECORD, true);
  const facts: MapFacts = {
    name: spec.name,
    type: map.type,
    address: map.address,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    ...(fixedValues.has(map.type) ? { valuesAddress: values } : {}),
    ...(map.type === 'percpu_array' ? { cpuStride: view.getUint32(map.address + MAP_CPU_STRIDE, true) } : {}),
    ...(map.type === 'prog_array' && contents.kind === 'references' ? { programs: contents.targets } : {}),
  };
  return {
    facts,
    values,
    valuesSize:
      map.type === 'arena'
        ? map.maxEntries * ARENA_PAGE
        : inRow.has(map.type)
          ? view.getUint32(map.address + MAP_STRIDE, true) * map.maxEntries
          : map.valueSize,
    readOnly: (spec.flags & BPF_F_RDONLY_PROG) !== 0,
    ...(record === 0 ? {} : { record }),
    ...(contents.kind === 'jump-table' ? { jumpTable: { program: contents.program, slots: contents.slots } } : {}),
  };
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
