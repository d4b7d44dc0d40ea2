/** A map that no object defines. */
import type { MapTypeName } from '../../abi/map-types.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { MapHandle } from '../handles.ts';

export interface MapDefinition {
  readonly type: MapTypeName;
  /** Default: the type's name. */
  readonly name?: string;
  /** Bytes; default 4 for keys, none in queues, stacks, bloom filters, rings and arenas. */
  readonly keySize?: number;
  /** Bytes; default 8, none in rings and arenas. */
  readonly valueSize?: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags?: number;
  readonly mapExtra?: bigint;
  /** Maps of type `allocator` of the same runtime: where elements come from (a hash then makes none beforehand), and what fields of values own. */
  readonly elemAllocator?: MapHandle;
  readonly kptrAllocator?: MapHandle;
  /** What a map of maps holds: a definition, or the `spec` of a handle. */
  readonly inner?: MapDefinition | MapSpec | undefined;
}

const keyless: ReadonlySet<MapTypeName> = new Set([
  'queue',
  'stack',
  'bloom_filter',
  'ringbuf',
  'user_ringbuf',
  'arena',
  'allocator',
]);
const valueless: ReadonlySet<MapTypeName> = new Set(['ringbuf', 'user_ringbuf', 'arena']);
/** Types whose values are numbers or descriptors of something. */
const handles: ReadonlySet<MapTypeName> = new Set([
  'array_of_maps',
  'cgroup_array',
  'cpumap',
  'devmap',
  'devmap_hash',
  'hash_of_maps',
  'perf_event_array',
  'prog_array',
  'reuseport_sockarray',
  'sockhash',
  'sockmap',
  'xskmap',
]);

export function specOf(definition: MapDefinition | MapSpec): MapSpec {
  if ('contents' in definition) return { ...definition, contents: { kind: 'none' }, pinning: 'none' };
  const { type, inner, elemAllocator, kptrAllocator } = definition;
  const named = (map: MapHandle | undefined) => map && ({ kind: 'map', map: map.name } as const);
  const [elem, kptr] = [named(elemAllocator), named(kptrAllocator)];
  return {
    name: definition.name ?? type,
    type,
    keySize: definition.keySize ?? (keyless.has(type) ? 0 : 4),
    valueSize: definition.valueSize ?? (valueless.has(type) ? 0 : handles.has(type) ? 4 : 8),
    maxEntries: definition.maxEntries,
    flags: definition.flags ?? 0,
    mapExtra: definition.mapExtra ?? 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId: 0,
    inner: inner === undefined ? undefined : specOf(inner),
    ...(elem === undefined && kptr === undefined
      ? {}
      : { allocators: { ...(elem && { elem }), ...(kptr && { kptr }) } }),
    contents: { kind: 'none' },
    section: '',
  };
}
