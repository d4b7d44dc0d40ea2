/** The maps of one object in the user-space target: created, filled with their initial contents, addressed for programs. */
import { UnsupportedError } from '../errors.ts';
import type { MapFacts } from '../object/resolved.ts';
import type { ExternSpec, MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { MAP_STRIDE, MAP_VALUES } from '../plane/layout/map.ts';
import type { MapHandle } from './handles.ts';
import { type KconfigValues, kconfigBytes } from './kconfig.ts';
import { createMap, type PlaneMap } from './maps/plane-map.ts';
import { ProgArrayMap } from './maps/prog-array.ts';
import { RingbufMap } from './maps/ringbuf.ts';
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
  // An instruction array is an array of u64 here: its elements are slots (object/resolved.ts, JumpTable).
  const attributes: MapSpec = spec.type === 'insn_array' ? { ...spec, type: 'array', flags: 0 } : spec;
  const map = createLike(runtime, attributes, object.btf);
  const { contents } = spec;
  if (spec.name === '.kconfig') fillKconfig(map, object, kconfig);
  else if (contents.kind === 'bytes') map.bytesAt(0).set(contents.bytes);
  else if (contents.kind === 'jump-table')
    for (const [i, slot] of contents.slots.entries()) map.bytesAt(i).set(u32(slot));
  else if (contents.kind === 'struct-ops')
    throw new UnsupportedError('struct_ops maps', `map ${spec.name}: struct_ops maps are not there`);
  return map;
}

function fillKconfig(map: PlaneMap, object: ObjectSpec, kconfig: KconfigValues): void {
  const bytes = map.bytesAt(0);
  const offsets = new Map<string, number>();
  for (const program of object.programs.values()) {
    for (const reference of program.references.values()) {
      if (reference.kind === 'kconfig') offsets.set(reference.name, reference.offset);
    }
  }
  for (const [name, offset] of offsets) {
    const extern: ExternSpec | undefined = object.externs.get(name);
    if (extern !== undefined) bytes.set(kconfigBytes(extern, kconfig), offset);
  }
}

function openMap(runtime: Runtime, map: PlaneMap, spec: MapSpec, object: ObjectSpec): MapHandle {
  switch (spec.type) {
    case 'ringbuf':
      return new RingbufMap(map, spec, object.btf);
    case 'prog_array':
      return new ProgArrayMap(map, spec, object.btf, (program) =>
        program instanceof UserProgram && program.runtime === runtime ? program.executable.tailEntry : undefined,
      );
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
    valuesSize: map.type === 'array' ? view.getUint32(map.address + MAP_STRIDE, true) * map.maxEntries : map.valueSize,
    readOnly: (spec.flags & BPF_F_RDONLY_PROG) !== 0,
    ...(contents.kind === 'jump-table' ? { jumpTable: { program: contents.program, slots: contents.slots } } : {}),
  };
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
