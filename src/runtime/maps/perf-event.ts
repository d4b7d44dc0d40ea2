/** The reader of a perf event array: a ring buffer a CPU, into which bpf_perf_event_output writes. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { PerfEventHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import { createMap, type PlaneMap } from './plane-map.ts';
import { PlaneRingbuf } from './ringbuf.ts';

const PAGE = 4096;

export class PerfEventMap extends TypedMap implements PerfEventHandle {
  readonly #map: PlaneMap;
  readonly #rings: { readonly map: PlaneMap; readonly source: PlaneRingbuf }[] = [];

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#map = map;
    map.onClose(() => {
      for (const ring of this.#rings) ring.map.close();
    });
  }

  open(pages = 8): void {
    if (this.#rings.length > 0) throw new InputError('SLUICE_MAP_OPEN', `map ${this.name} has a reader already`);
    const { plane, maxEntries } = this.#map;
    for (let cpu = 0; cpu < maxEntries; cpu++) {
      const attributes = { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: pages * PAGE } as const;
      const map = createMap(plane, { ...attributes, name: `${this.name}[${cpu}]` });
      this.#rings.push({ map, source: new PlaneRingbuf(map) });
      this.raw.update(new Uint8Array(Uint32Array.of(cpu).buffer), new Uint8Array(Uint32Array.of(map.id).buffer));
    }
  }

  consume(callback: (record: Uint8Array, cpu: number) => void): number {
    let count = 0;
    for (const [cpu, { source }] of this.#rings.entries()) {
      for (let record = source.take(); record !== undefined; record = source.take()) {
        count++;
        callback(record, cpu);
      }
    }
    return count;
  }

  lost(): number {
    const { plane, address } = this.#map;
    return this.#rings.reduce((sum, _, cpu) => sum + (plane.exports.perf_event_lost(address, cpu) >>> 0), 0);
  }
}
