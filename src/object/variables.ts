/** Initial values of an object's global variables, set before it is loaded: constants that the verifier knows (`.rodata`), as a libbpf skeleton's `rodata`. */
import { type Codec, codecFor } from '../btf/codec.ts';
import type { Btf } from '../btf/types.ts';
import type { Value } from '../btf/value.ts';
import { InputError } from '../errors.ts';
import type { MapSpec, ObjectSpec } from './spec.ts';

/** By the variable's name, as BTF describes it: numbers, bigints, objects for structs, arrays. */
export type Variables = Readonly<Record<string, Value>>;

interface Place {
  readonly map: MapSpec;
  readonly offset: number;
  readonly codec: Codec;
}

/** `maps` with the values. Throws InputError `SLUICE_NO_VARIABLE`, and `SLUICE_VALUE` for a value that does not fit its variable. */
export function withVariables(
  { name: input, btf }: ObjectSpec,
  maps: ReadonlyMap<string, MapSpec>,
  variables: Variables,
): ReadonlyMap<string, MapSpec> {
  const places = btf === undefined ? new Map<string, Place>() : placesOf(btf, maps);
  const changed = new Map(maps);
  for (const [name, value] of Object.entries(variables)) {
    const place = places.get(name);
    if (place === undefined) {
      const known = [...places.keys()].join(', ') || 'none that BTF describes';
      throw new InputError('SLUICE_NO_VARIABLE', `no global variable ${name}; there is: ${known}`, { input });
    }
    const { contents } = changed.get(place.map.name)!;
    if (contents.kind !== 'bytes') continue; // placesOf takes no others
    const bytes = contents.bytes.slice();
    bytes.set(place.codec.encode(value), place.offset);
    changed.set(place.map.name, { ...changed.get(place.map.name)!, contents: { kind: 'bytes', bytes } });
  }
  return changed;
}

function placesOf(btf: Btf, maps: ReadonlyMap<string, MapSpec>): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  for (const map of maps.values()) {
    const section = map.contents.kind === 'bytes' ? btf.type(map.valueTypeId) : undefined;
    if (section?.kind !== 'datasec') continue;
    for (const { type, offset } of section.vars) {
      const variable = btf.type(type);
      if (variable?.kind === 'var') places.set(variable.name, { map, offset, codec: codecFor(btf, variable.type) });
    }
  }
  return places;
}
