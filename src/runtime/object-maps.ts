/** The maps of one object in the user-space target: created, filled with their initial contents, addressed for programs. */
import type { Btf } from '../btf/types.ts';
import { InternalError, UnsupportedError } from '../errors.ts';
import { kconfigLayout } from '../object/externs.ts';
import type { MapFacts } from '../object/resolved.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { MAP_STRIDE, MAP_TIMER, MAP_VALUES, MAP_WORK } from '../plane/layout/map.ts';
import { ARENA_PAGE } from '../plane/layout/map-arena.ts';
import { INSN_ARRAY_VALUE_SIZE } from '../plane/layout/map-insn-array.ts';
import type { MapHandle } from './handles.ts';
import { type KconfigValues, kconfigBytes } from './kconfig.ts';
import { ArenaMap } from './maps/arena.ts';
import { BloomFilterMap, QueueMap } from './maps/keyless.ts';
import { MapOfMaps } from './maps/map-of-maps.ts';
import { PerfEventMap } from './maps/perf-event.ts';
import { createMap, type PlaneMap } from './maps/plane-map.ts';
import { ProgArrayMap } from './maps/prog-array.ts';
import { RingbufMap } from './maps/ringbuf.ts';
import { StructOpsMap, structOpsValueSize } from './maps/struct-ops.ts';
import { UserRingbufMap } from './maps/user-ringbuf.ts';
import { fieldOffset } from './maps/value-fields.ts';
import { UserProgram } from './program.ts';
import type { MapAddress } from './resolve.ts';
import type { Runtime } from './runtime.ts';
import { TypedMap } from './typed-map.ts';

export interface ObjectMaps {
  readonly handles: Readonly<Record<string, MapHandle>>;
  readonly addresses: ReadonlyMap<string, MapAddress>;
  /** Puts the programs that prog arrays start with into them; `entry` gives the table index by name, undefined if not loaded. */
  connectPrograms(entry: (program: string) => number | undefined): void;
  close(): void;
}

const BPF_F_RDONLY_PROG = 1 << 7;
/** Types whose values never move. */
const fixedValues: ReadonlySet<string> = new Set(['array', 'percpu_array', 'prog_array']);

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
  kconfig: KconfigValues,
): ObjectMaps {
  const needed = new Set(programs.flatMap(mapsOf));
  const created = new Map<string, { readonly map: PlaneMap; readonly spec: MapSpec }>();
  const close = () => {
    for (const { map } of created.values()) map.close();
  };
  try {
    for (const spec of object.maps.values()) {
      try {
        created.set(spec.name, { map: createOne(runtime, spec, object, kconfig), spec });
      } catch (error) {
        if (!(error instanceof UnsupportedError) || needed.has(spec.name)) throw error;
      }
    }
    for (const { map, spec } of created.values()) connectMaps(map, spec, created);
  } catch (error) {
    close();
    throw error;
  }
  return {
    handles: Object.fromEntries(
      [...created].map(([name, { map, spec }]) => [name, openMap(runtime, map, spec, object)]),
    ),
    addresses: new Map([...created].map(([name, { map, spec }]) => [name, addressOf(runtime, map, spec)])),
    connectPrograms(entry) {
      for (const { map, spec } of created.values()) {
        if (spec.type !== 'prog_array' || spec.contents.kind !== 'references') continue;
        for (const [index, program] of spec.contents.targets) {
          const value = entry(program);
          if (value !== undefined) map.update(u32(index), u32(value));
        }
      }
    },
    close,
  };
}

function mapsOf(program: ProgramSpec): string[] {
  return [...program.references.values()].flatMap((reference) =>
    reference.kind === 'map' || reference.kind === 'map-value'
      ? [reference.map]
      : reference.kind === 'kconfig'
        ? ['.kconfig']
        : [],
  );
}

function createOne(runtime: Runtime, spec: MapSpec, object: ObjectSpec, kconfig: KconfigValues): PlaneMap {
  const map = createLike(runtime, spec, object.btf);
  const { contents } = spec;
  if (spec.name === '.kconfig') fillKconfig(map, object, kconfig);
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
function createLike(runtime: Runtime, spec: MapSpec, btf: Btf | undefined): PlaneMap {
  const { inner, ...attributes } = spec;
  const spinLock = btf === undefined ? undefined : fieldOffset(btf, spec.valueTypeId, 'bpf_spin_lock');
  const prototype = inner === undefined ? undefined : createLike(runtime, inner, btf);
  try {
    const map = createMap(runtime.plane, {
      ...attributes,
      ...shapeOf(spec),
      ...(spec.type === 'perf_event_array' && spec.maxEntries === 0 ? { maxEntries: runtime.cpus } : {}),
      ...(spinLock === undefined ? {} : { spinLock }),
      ...(prototype === undefined ? {} : { prototype }),
    });
    if (btf !== undefined && timed.has(spec.type)) placeTimers(runtime, map, spec, btf);
    return map;
  } finally {
    prototype?.close();
  }
}

/** Map types whose values may have timers and work (map_check_btf, kernel/bpf/syscall.c). */
const timed: ReadonlySet<string> = new Set(['hash', 'lru_hash', 'array']);

function placeTimers(runtime: Runtime, map: PlaneMap, spec: MapSpec, btf: Btf): void {
  const timer = fieldOffset(btf, spec.valueTypeId, 'bpf_timer');
  const work = fieldOffset(btf, spec.valueTypeId, 'bpf_wq');
  if (timer !== undefined) runtime.view().setUint32(map.address + MAP_TIMER, timer + 1, true);
  if (work !== undefined) runtime.view().setUint32(map.address + MAP_WORK, work + 1, true);
}

/** Sizes of a map where they are not those of the definition. */
function shapeOf(spec: MapSpec): Partial<Pick<MapSpec, 'keySize' | 'valueSize'>> {
  // A ring's value type describes its records.
  if (spec.type === 'user_ringbuf') return { keySize: 0, valueSize: 0 };
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

function fillKconfig(map: PlaneMap, object: ObjectSpec, kconfig: KconfigValues): void {
  const bytes = map.bytesAt(0);
  for (const [name, offset] of kconfigLayout(object.externs).offsets)
    bytes.set(kconfigBytes(object.externs.get(name)!, kconfig), offset);
}

function openMap(runtime: Runtime, map: PlaneMap, spec: MapSpec, object: ObjectSpec): MapHandle {
  switch (spec.type) {
    case 'ringbuf':
      return new RingbufMap(map, spec, object.btf);
    case 'prog_array':
      return new ProgArrayMap(map, spec, object.btf, (program) =>
        program instanceof UserProgram && program.runtime === runtime ? program.executable.tailEntry : undefined,
      );
    case 'queue':
    case 'stack':
      return new QueueMap(map, spec, 'user', object.btf);
    case 'bloom_filter':
      return new BloomFilterMap(map, spec, 'user', object.btf);
    case 'array_of_maps':
    case 'hash_of_maps':
      return new MapOfMaps(map, spec, object.btf);
    case 'perf_event_array':
      return new PerfEventMap(map, spec, object.btf);
    case 'user_ringbuf':
      return new UserRingbufMap(map, spec, object.btf);
    case 'arena':
      return new ArenaMap(map, spec, object.btf);
    case 'struct_ops':
      return new StructOpsMap(map, spec, object.btf);
    default:
      return new TypedMap(map, spec, 'user', object.btf);
  }
}

function addressOf(runtime: Runtime, map: PlaneMap, spec: MapSpec): MapAddress {
  const view = runtime.view();
  const values = view.getUint32(map.address + MAP_VALUES, true);
  const { contents } = spec;
  const facts: MapFacts = {
    name: spec.name,
    type: map.type,
    address: map.address,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    ...(fixedValues.has(map.type) ? { valuesAddress: values } : {}),
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
    ...(contents.kind === 'jump-table' ? { jumpTable: { program: contents.program, slots: contents.slots } } : {}),
  };
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
