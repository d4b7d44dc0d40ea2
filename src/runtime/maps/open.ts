/** The handle of a map in the linear memory, by its type. */
import type { Btf } from '../../btf/types.ts';
import type { MapSpec } from '../../object/spec.ts';
import { RINGBUF_SHARED } from '../../plane/layout/map-ringbuf.ts';
import type { MapHandle } from '../handles.ts';
import { UserProgram } from '../program.ts';
import { TypedMap } from '../typed-map.ts';
import { AllocatorMap } from './allocator.ts';
import { ArenaMap } from './arena.ts';
import { ArrayMap } from './array.ts';
import { BloomFilterMap, QueueMap } from './keyless.ts';
import { MapOfMaps } from './map-of-maps.ts';
import { PerfEventMap } from './perf-event.ts';
import type { PlaneMap } from './plane-map.ts';
import { ProgArrayMap } from './prog-array.ts';
import { RedirectMap } from './redirect-map.ts';
import { RingbufMap } from './ringbuf.ts';
import { StructOpsMap } from './struct-ops.ts';
import { UserRingbufMap } from './user-ringbuf.ts';

/** Owns `map`. */
export function openMap(map: PlaneMap, spec: MapSpec, btf: Btf | undefined): MapHandle {
  // Of a ring that is shared with the kernel, programs have this side.
  if ((spec.type === 'ringbuf' || spec.type === 'user_ringbuf') && isShared(map))
    return new TypedMap(map, spec, 'user', btf);
  switch (spec.type) {
    case 'ringbuf':
      return new RingbufMap(map, spec, btf);
    case 'prog_array':
      return new ProgArrayMap(map, spec, btf, (program) =>
        program instanceof UserProgram && program.runtime.plane.memory === map.plane.memory
          ? program.executable.tailEntry
          : undefined,
      );
    case 'queue':
    case 'stack':
      return new QueueMap(map, spec, 'user', btf);
    case 'bloom_filter':
      return new BloomFilterMap(map, spec, 'user', btf);
    case 'array_of_maps':
    case 'hash_of_maps':
      return new MapOfMaps(map, spec, btf, openMap);
    case 'perf_event_array':
      return new PerfEventMap(map, spec, btf);
    case 'user_ringbuf':
      return new UserRingbufMap(map, spec, btf);
    case 'devmap':
    case 'devmap_hash':
    case 'cpumap':
    case 'xskmap':
      return new RedirectMap(map, spec, btf);
    case 'array':
      return new ArrayMap(map, spec, btf);
    case 'allocator':
      return new AllocatorMap(map, spec, btf);
    case 'arena':
      return new ArenaMap(map, spec, btf);
    case 'struct_ops':
      return new StructOpsMap(map, spec, btf);
    default:
      return new TypedMap(map, spec, 'user', btf);
  }
}

function isShared(map: PlaneMap): boolean {
  return map.plane.view().getUint32(map.address + RINGBUF_SHARED, true) !== 0;
}
