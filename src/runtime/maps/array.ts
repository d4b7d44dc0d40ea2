/** Arrays, whose values user space also has in place. */
import type { Btf } from '../../btf/types.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { ArrayHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import { ENOTSUPP, mapError } from './errno.ts';
import type { PlaneMap } from './plane-map.ts';

/** Values with special fields are not given out in place (bpf_map_mmap refuses them too). */
export class ArrayMap extends TypedMap implements ArrayHandle {
  readonly #map: PlaneMap;

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#map = map;
  }

  get stride(): number {
    return (this.spec.valueSize + 7) & ~7;
  }

  get inPlace(): boolean {
    return !this.#map.hasFields;
  }

  bytes(): Uint8Array {
    if (!this.inPlace)
      throw mapError(-ENOTSUPP, `${this.name}: values in place: they have fields that only programs may touch`);
    return this.#map.rowBytes();
  }
}
