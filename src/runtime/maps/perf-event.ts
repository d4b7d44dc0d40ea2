/** The reader of a perf event array: a ring buffer a CPU, into which bpf_perf_event_output writes. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { RINGBUF_CPU } from '../../plane/layout/map-ringbuf.ts';
import type { PerfEventHandle } from '../handles.ts';
import type { PlaneInstance } from '../plane.ts';
import { TypedMap } from '../typed-map.ts';
import { createMap, type PlaneMap } from './plane-map.ts';
import { PlaneRingbuf } from './ringbuf.ts';

const PAGE = 4096;

/** Where programs on a CPU write records: what a perf event is to Linux. Elements of a perf event array are ids of such maps. */
export function createPerfRing(plane: PlaneInstance, cpu: number, pages: number, name = 'perf ring'): PlaneMap {
  const map = createMap(plane, { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: pages * PAGE, name });
  plane.view().setUint32(map.address + RINGBUF_CPU, cpu, true);
  return map;
}

/** What was given, of a record of such a ring (plane/assembly/maps/perf-event-array.ts). */
export function withoutPadding(record: Uint8Array): Uint8Array {
  const length = new DataView(record.buffer, record.byteOffset).getUint32(0, true);
  return record.subarray(4, 4 + length);
}

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
      const map = createPerfRing(plane, cpu, pages, `${this.name}[${cpu}]`);
      this.#rings.push({ map, source: new PlaneRingbuf(map) });
      this.raw.update(new Uint8Array(Uint32Array.of(cpu).buffer), new Uint8Array(Uint32Array.of(map.id).buffer));
    }
  }

  consume(callback: (record: Uint8Array, cpu: number) => void): number {
    let count = 0;
    for (const [cpu, { source }] of this.#rings.entries()) {
      for (let record = source.take(); record !== undefined; record = source.take()) {
        count++;
        callback(withoutPadding(record), cpu);
      }
    }
    return count;
  }

  lost(): number {
    const { perf_event_lost } = this.#map.plane.exports;
    return this.#rings.reduce((sum, { map }) => sum + (perf_event_lost(map.address) >>> 0), 0);
  }
}
