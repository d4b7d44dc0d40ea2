/** An arena as user space sees it: its pages in the linear memory, which programs address as they are. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { MAP_VALUES } from '../../plane/layout/map.ts';
import { ARENA_PAGE, ARENA_TAKEN } from '../../plane/layout/map-arena.ts';
import type { ArenaHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';

export class ArenaMap extends TypedMap implements ArenaHandle {
  readonly #map: PlaneMap;

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#map = map;
  }

  get address(): number {
    return this.#map.plane.view().getUint32(this.#live().address + MAP_VALUES, true);
  }

  get pagesTaken(): number {
    return this.#map.plane.view().getUint32(this.#live().address + ARENA_TAKEN, true);
  }

  bytes(): Uint8Array {
    const { address } = this;
    return this.#map.plane.bytes().subarray(address, address + this.#map.maxEntries * ARENA_PAGE);
  }

  take(count: number, at = 0): number | undefined {
    const address = this.#map.plane.exports.arena_take(this.#live().address, BigInt(at), count) >>> 0;
    return address === 0 ? undefined : address;
  }

  give(address: number, count: number): void {
    this.#map.plane.exports.arena_give(this.#live().address, BigInt(address), count);
  }

  #live(): PlaneMap {
    if (!this.#map.isOpen) throw new InputError('SLUICE_MAP_CLOSED', `map ${this.name} is closed`);
    return this.#map;
  }
}
