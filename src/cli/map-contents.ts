/** What a map holds, in a form that can be compared: hex of the key to hex of the value. */
import type { MapTypeName } from '../abi/map-types.ts';
import { valueFields } from '../btf/special-fields.ts';
import type { Btf } from '../btf/types.ts';
import type { MapSpec } from '../object/spec.ts';
import { isRingbuf, type MapHandle, type TargetMap } from '../runtime/handles.ts';
import { toHex } from './output.ts';

/** What they hold belongs to a target (descriptors, ids, sockets, stacks) or cannot be read without a change (queues). */
const incomparable: ReadonlySet<MapTypeName> = new Set([
  'prog_array',
  'perf_event_array',
  'cgroup_array',
  'array_of_maps',
  'hash_of_maps',
  'xskmap',
  'sockmap',
  'sockhash',
  'reuseport_sockarray',
  'stack_trace',
  'queue',
  'stack',
  'bloom_filter',
  'user_ringbuf',
  'struct_ops',
  'arena',
  'insn_array',
  'allocator',
  'sk_storage',
  'inode_storage',
  'task_storage',
  'cgrp_storage',
  'cgroup_storage',
  'percpu_cgroup_storage',
]);

/** Of arrays with more elements than this only those are told that are not zero: some have tens of millions. */
const MOST_TOLD = 1 << 16;

/**
 * Ring buffers are drained: their records count as values by number. Empty for maps whose contents cannot be
 * compared. With the BTF of the object, fields that the kernel manages (kptrs, lists, trees, timers, locks) are zeros: some kernels show addresses there.
 */
export function mapContents(map: MapHandle, btf?: Btf): Map<string, string> {
  const contents = new Map<string, string>();
  const hide = withoutFields(map.spec, btf);
  if (isRingbuf(map)) {
    let count = 0;
    map.consume((_, record) => contents.set(`record ${count++}`, toHex(record)));
    return contents;
  }
  if (incomparable.has(map.type)) return contents;
  if ((map.type === 'array' || map.type === 'percpu_array') && map.spec.maxEntries > MOST_TOLD && isTargetMap(map.raw))
    return nonZero(map.raw, hide);
  for (let key = map.raw.nextKey(); key !== undefined; key = map.raw.nextKey(key)) {
    const value = map.raw.lookup(key);
    if (value !== undefined) contents.set(toHex(key), toHex(hide(value)));
  }
  return contents;
}

function isTargetMap(raw: object): raw is TargetMap {
  return 'lookupBatch' in raw;
}

/** Zeroes the special fields in each copy of a value (per-CPU maps have one for each CPU, at multiples of 8), in place. */
function withoutFields({ valueTypeId, valueSize }: MapSpec, btf: Btf | undefined): (value: Uint8Array) => Uint8Array {
  const fields = btf === undefined || valueTypeId === 0 ? [] : valueFields(btf, valueTypeId);
  if (fields.length === 0) return (value) => value;
  const stride = Math.ceil(valueSize / 8) * 8;
  return (value) => {
    for (let copy = 0; copy < value.length; copy += stride)
      for (const { offset, size } of fields) value.fill(0, copy + offset, copy + offset + size);
    return value;
  };
}

function nonZero(map: TargetMap, hide: (value: Uint8Array) => Uint8Array): Map<string, string> {
  const contents = new Map<string, string>();
  const { elementSize, keySize } = map;
  const zeros = new Uint8Array(elementSize * MOST_TOLD);
  let position: Uint8Array | undefined;
  do {
    const batch = map.lookupBatch(MOST_TOLD, position);
    const { count, keys, values } = batch;
    position = batch.position;
    if (Buffer.compare(values.subarray(0, count * elementSize), zeros.subarray(0, count * elementSize)) === 0) continue;
    for (let at = 0; at < count; at++) {
      const value = hide(values.subarray(at * elementSize, (at + 1) * elementSize));
      if (value.every((byte) => byte === 0)) continue;
      contents.set(toHex(keys.subarray(at * keySize, (at + 1) * keySize)), toHex(value));
    }
  } while (position !== undefined);
  return contents;
}
