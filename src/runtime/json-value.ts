/**
 * Values of maps as JSON, typed by the object's BTF: `{"MAP": [[KEY, VALUE], …], ".data": VALUE, …}`. Integers may be numbers or strings
 * ("0x10", for 64 bits), byte arrays are "hex:c0000201"; values of socket maps are names of the network's sockets.
 */
import type { MapTypeName } from '../abi/map-types.ts';
import type { Value } from '../btf/codec.ts';
import { InputError } from '../errors.ts';
import type { LoadedObject } from './handles.ts';
import { Runtime } from './runtime.ts';

export type MapInput = Readonly<Record<string, Value>>;

/** Contents by map name. Throws InputError naming `input` and the map. */
export function mapInputFromJson(json: unknown, input: string): MapInput {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw new InputError('SLUICE_MAP_INPUT', 'must be an object of map names', { input });
  }
  return Object.fromEntries(
    Object.entries(json).map(([name, content]) => [name, valueFromJson(content, `${input}: ${name}`)]),
  );
}

/** Puts the contents into the maps of a loaded object. Throws InputError naming the map and what is wrong with the entry. */
export function fillMaps(object: LoadedObject, input: MapInput): void {
  for (const [name, content] of Object.entries(input)) {
    const map = object.maps[name];
    if (map === undefined) {
      throw new InputError('SLUICE_NO_MAP', `no map ${name}; there are ${Object.keys(object.maps).join(', ')}`);
    }
    if (!Array.isArray(content)) {
      map.set(0, content);
      continue;
    }
    for (const entry of content as readonly Value[]) {
      if (!Array.isArray(entry) || entry.length !== 2) {
        throw new InputError('SLUICE_MAP_INPUT', `map ${name}: an entry is [key, value]`);
      }
      const [key, value] = entry as [Value, Value]; // checked above: a pair
      map.set(key, typeof value === 'string' && holdsSockets.has(map.type) ? socketNamed(object, value) : value);
    }
  }
}

const holdsSockets: ReadonlySet<MapTypeName> = new Set(['sockmap', 'sockhash', 'reuseport_sockarray']);

function socketNamed(object: LoadedObject, name: string): bigint {
  const sockets = 'runtime' in object && object.runtime instanceof Runtime ? object.runtime.sockets : new Map();
  const socket = sockets.get(name);
  if (socket === undefined)
    throw new InputError(
      'SLUICE_MAP_INPUT',
      `no socket ${name}; the network in user space has ${[...sockets.keys()].join(', ') || 'none with a name'}`,
    );
  return BigInt(socket.id);
}

/** @param path names the place in messages. */
export function valueFromJson(json: unknown, path: string): Value {
  if (typeof json === 'number' || typeof json === 'boolean') return json;
  if (typeof json === 'string') {
    if (/^-?(0x[0-9a-fA-F]+|\d+)$/.test(json)) return json.startsWith('-') ? -BigInt(json.slice(1)) : BigInt(json);
    if (!json.startsWith('hex:')) return json;
    if (!/^hex:([0-9a-fA-F]{2})*$/.test(json)) throw new InputError('SLUICE_MAP_INPUT', `${path}: ${json} is not hex`);
    return Uint8Array.from(json.slice(4).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }
  if (Array.isArray(json)) return json.map((each) => valueFromJson(each, path));
  if (json !== null && typeof json === 'object') {
    return Object.fromEntries(Object.entries(json).map(([member, value]) => [member, valueFromJson(value, path)]));
  }
  throw new InputError('SLUICE_MAP_INPUT', `${path}: null is not a value`);
}
