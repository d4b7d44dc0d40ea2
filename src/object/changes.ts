/** What a loader changes in an object before it loads it: sizes of maps (libbpf: bpf_map__set_max_entries, bpf_map__set_value_size), types of programs, global variables. */
import { isProgramType, programTypeNames } from '../abi/program-types.ts';
import { sectionMeaning } from '../abi/section-names.ts';
import { InputError } from '../errors.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from './spec.ts';
import { type Variables, withVariables } from './variables.ts';

export interface MapSize {
  /** Of a map of maps: its own. 0 is for types that have none of their own, such as storage. */
  readonly maxEntries?: number;
  /** Bytes. Globals (`.data`, `.bss`, …) can only grow: what is new begins as zeros. */
  readonly valueSize?: number;
}

export interface ObjectChanges {
  /** By map name. */
  readonly mapSizes?: Readonly<Record<string, MapSize>>;
  /**
   * By program name, or `*` for every program whose section says no type: a section name of libbpf (`sk_msg`, `cgroup/connect4`), which gives
   * the attach type as well, or the name of a program type.
   */
  readonly types?: Readonly<Record<string, string>>;
  /** Initial values of global variables. Those of `.rodata` are constants for the verifier. */
  readonly variables?: Variables;
}

/** The object with the changes; itself without. Throws InputError for a map, a program, a type or a variable that there is not, and a size that cannot be. */
export function changeObject(
  object: ObjectSpec,
  { mapSizes = {}, types = {}, variables = {} }: ObjectChanges,
): ObjectSpec {
  const maps = new Map(object.maps);
  for (const [name, size] of Object.entries(mapSizes)) {
    const map = maps.get(name);
    if (map === undefined) {
      const known = [...maps.keys()].join(', ') || 'none';
      throw new InputError('SLUICE_NO_MAP', `no map ${name}; its maps: ${known}`, { input: object.name });
    }
    maps.set(name, resized(map, size));
  }
  const programs = new Map(object.programs);
  for (const [name, type] of Object.entries(types)) {
    const chosen =
      name === '*' ? [...programs.values()].filter((each) => each.type === undefined) : [programs.get(name)];
    for (const program of chosen) {
      if (program === undefined) {
        const known = [...programs.keys()].join(', ') || 'none';
        throw new InputError('SLUICE_NO_PROGRAM', `no program ${name}; its programs: ${known}`, { input: object.name });
      }
      programs.set(program.name, { ...program, ...meaningOf(type) });
    }
  }
  return { ...object, maps: withVariables(object, maps, variables), programs };
}

function resized(map: MapSpec, { maxEntries = map.maxEntries, valueSize = map.valueSize }: MapSize): MapSpec {
  for (const [what, size] of [
    ['entries', maxEntries],
    ['bytes a value', valueSize],
  ] as const)
    if (!(Number.isInteger(size) && size >= 0 && size <= 0xffff_ffff))
      throw new InputError('SLUICE_MAP_SIZE', `map ${map.name}: ${what} are 0 to 4294967295, not ${size}`);
  const { contents } = map;
  if (contents.kind === 'struct-ops' || contents.kind === 'jump-table')
    throw new InputError('SLUICE_MAP_SIZE', `map ${map.name}: the size of a ${map.type} follows from the object`);
  const types = valueSize === map.valueSize ? {} : { valueTypeId: 0 };
  if (contents.kind !== 'bytes' || map.type === 'arena') return { ...map, ...types, maxEntries, valueSize };
  if (maxEntries !== map.maxEntries)
    throw new InputError('SLUICE_MAP_SIZE', `map ${map.name}: variables are one entry, not ${maxEntries}`);
  if (valueSize < map.valueSize)
    throw new InputError(
      'SLUICE_MAP_SIZE',
      `map ${map.name}: its variables take ${map.valueSize} bytes, more than ${valueSize}`,
    );
  const bytes = new Uint8Array(valueSize);
  bytes.set(contents.bytes);
  return { ...map, ...types, valueSize, contents: { kind: 'bytes', bytes } };
}

type Meaning = Pick<ProgramSpec, 'type' | 'attachType' | 'attachTo' | 'sleepable' | 'frags'>;

function meaningOf(type: string): Meaning {
  const meaning = sectionMeaning(type);
  if (meaning !== undefined) return meaning;
  if (!isProgramType(type))
    throw new InputError(
      'SLUICE_PROGRAM_TYPE',
      `no program type ${type}: name a section of libbpf (xdp, sk_msg, cgroup/connect4, …) or one of ${programTypeNames.join(', ')}`,
    );
  return { type, attachType: undefined, attachTo: undefined, sleepable: false, frags: false };
}
