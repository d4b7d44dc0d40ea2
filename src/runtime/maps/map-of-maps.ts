/** Arrays and hashes of maps, whose elements can be set from map handles. By bytes an element is the id of a map. */
import type { Btf } from '../../btf/types.ts';
import { InputError, InternalError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { MapHandle, MapOfMapsHandle, Value } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import { PlaneMap } from './plane-map.ts';

export class MapOfMaps extends TypedMap implements MapOfMapsHandle {
  readonly #map: PlaneMap;
  readonly #btf: Btf | undefined;

  readonly #open: (map: PlaneMap, spec: MapSpec, btf: Btf | undefined) => MapHandle;

  /** Owns `map`. `open` makes handles of what it holds. */
  constructor(
    map: PlaneMap,
    spec: MapSpec,
    btf: Btf | undefined,
    open: (map: PlaneMap, spec: MapSpec, btf: Btf | undefined) => MapHandle,
  ) {
    super(map, spec, 'user', btf);
    this.#open = open;
    this.#map = map;
    this.#btf = btf;
  }

  /** Throws InputError `SLUICE_MAP_INNER` for a map of another memory, `SLUICE_MAP_EINVAL` for one unlike the inner map declared. */
  put(key: Value, map: MapHandle): void {
    const { raw } = map;
    if (!(raw instanceof PlaneMap) || raw.plane.memory !== this.#map.plane.memory)
      throw new InputError('SLUICE_MAP_INNER', `map ${this.name}: map ${map.name} is not of this runtime`);
    this.raw.update(this.keyCodec.encode(key), new Uint8Array(Uint32Array.of(raw.id).buffer));
  }

  inner(key: Value): MapHandle | undefined {
    const id = this.raw.lookup(this.keyCodec.encode(key));
    if (id === undefined) return undefined;
    const { plane } = this.#map;
    const address = plane.exports.map_open_user(new DataView(id.buffer, id.byteOffset).getUint32(0, true)) >>> 0;
    // Replaced since by another thread.
    if (address === 0) return undefined;
    const { inner } = this.spec;
    if (inner === undefined) throw new InternalError(`map ${this.name} has no inner map`);
    return this.#open(new PlaneMap(plane, address, inner), inner, this.#btf);
  }
}
