// Several traits at once (TRAIT_ENTRY_* in layout/trait.ts): all are set, or none.
import { code_at, code_of } from './codes';
import { EBUSY, EINVAL } from '../errno';
import { TRAIT_ENTRY_BYTES, TRAIT_ENTRY_KEY, TRAIT_ENTRY_OFFSET, TRAIT_ENTRY_SIZE, TRAIT_KEYS } from '../../layout/trait';

/** Number of entries in so many bytes, -EINVAL for a part of one. */
export function batch_count(size: u32): i64 {
  return size % <u32>TRAIT_ENTRY_BYTES != 0 ? EINVAL : <i64>(size / <u32>TRAIT_ENTRY_BYTES);
}

/** The entry's value lies in a buffer of this size. */
export function entry_ok(entry: usize, values_size: u32): bool {
  return <u64>load<u32>(entry, TRAIT_ENTRY_OFFSET) + load<u32>(entry, TRAIT_ENTRY_SIZE) <= <u64>values_size;
}

/** Bytes that the values which are not there yet will take; -EINVAL (key, length, place in the buffer, a key twice), -EBUSY (set with another length). */
export function batch_needs(layout: u32, area: usize, entries: usize, count: u32, values_size: u32): i64 {
  let seen: u64 = 0;
  let needs: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + i * TRAIT_ENTRY_BYTES;
    const key = load<u64>(entry, TRAIT_ENTRY_KEY);
    const size = load<u32>(entry, TRAIT_ENTRY_SIZE);
    const code = code_of(layout, size);
    if (key >= <u64>TRAIT_KEYS || code == 0 || !entry_ok(entry, values_size)) return EINVAL;
    const bit = (<u64>1) << key;
    if ((seen & bit) != 0) return EINVAL;
    seen |= bit;
    const there = area == 0 ? 0 : code_at(layout, area, <u32>key);
    if (there == 0) needs += <i64>size;
    else if (there != code) return EBUSY;
  }
  return needs;
}
