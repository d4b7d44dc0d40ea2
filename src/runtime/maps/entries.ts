/** Elements of a map by bytes, in batches where the type has them. */
import { InputError } from '../../errors.ts';
import type { MapBatch, TargetMap } from '../handles.ts';

/** Elements of one call into the target. */
export const BATCH = 256;

/**
 * Every element, `size` of them a call. Elements that stay while others come and go are shown once, as a bucket of a hash is taken whole; types
 * without batches are walked key by key, and there a walk whose key is deleted starts anew, as in Linux.
 */
export function* rawEntries(map: TargetMap, size = BATCH): Generator<[key: Uint8Array, value: Uint8Array]> {
  let position: Uint8Array | undefined;
  let count = size;
  do {
    let batch = lookupBatch(map, count, position);
    while (batch === 'too small') {
      count *= 2;
      batch = lookupBatch(map, count, position);
    }
    if (batch === 'unknown') {
      yield* keyByKey(map);
      return;
    }
    for (let i = 0; i < batch.count; i++)
      yield [
        batch.keys.subarray(i * map.keySize, (i + 1) * map.keySize),
        batch.values.subarray(i * map.elementSize, (i + 1) * map.elementSize),
      ];
    position = batch.position;
  } while (position !== undefined);
}

/** `too small`: a bucket has more than `count` elements. `unknown`: the type has no batches. */
function lookupBatch(
  map: TargetMap,
  count: number,
  position: Uint8Array | undefined,
): MapBatch | 'too small' | 'unknown' {
  try {
    return map.lookupBatch(count, position);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (error.code === 'SLUICE_MAP_ENOSPC') return 'too small';
    if (position === undefined && /_E(OPNOTSUPP|NOTSUPP)$/.test(error.code)) return 'unknown';
    throw error;
  }
}

function* keyByKey(map: TargetMap): Generator<[Uint8Array, Uint8Array]> {
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) {
    const value = map.lookup(key);
    // Deleted since the key was read.
    if (value !== undefined) yield [key, value];
  }
}
