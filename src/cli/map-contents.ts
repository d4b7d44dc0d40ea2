/** What a map holds, in a form that can be compared: hex of the key to hex of the value. */
import { isRingbuf, type MapHandle } from '../runtime/handles.ts';
import { toHex } from './output.ts';

/**
 * Ring buffers are drained: their records count as values by number. Prog arrays hold handles of their target, which differ between
 * targets, so only which slots are taken can be told.
 */
export function mapContents(map: MapHandle): Map<string, string> {
  const contents = new Map<string, string>();
  if (isRingbuf(map)) {
    let count = 0;
    map.consume((record) => contents.set(`record ${count++}`, toHex(record)));
    return contents;
  }
  if (map.type === 'prog_array') return contents;
  for (let key = map.raw.nextKey(); key !== undefined; key = map.raw.nextKey(key)) {
    const value = map.raw.lookup(key);
    if (value !== undefined) contents.set(toHex(key), toHex(value));
  }
  return contents;
}
