// What maps whose elements are maps share: which ones they take, and what they hold (layout/map-inner.ts). Facts: kernel/bpf/map_in_map.c.
import { hash_next_key, hash_lookup } from './hash';
import { map_by_id, map_destroy } from './registry';
import { ARRAY, ARRAY_OF_MAPS, HASH_OF_MAPS, PERF_EVENT_ARRAY, PROG_ARRAY, XSKMAP } from './types';
import { record_hold, record_release } from '../fields/record-set';
import { EBADF, EINVAL, ENOTSUPP } from '../errno';
import { pages_alloc, pages_free } from '../pages';
import {
  BPF_F_INNER_MAP,
  MAP_FLAGS,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_RECORD,
  MAP_SPIN_LOCK,
  MAP_TYPE,
  MAP_VALUES,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import { WASM_PAGE } from '../../layout/memory';
import {
  INNER_FLAGS,
  INNER_KEY_SIZE,
  INNER_MAX_ENTRIES,
  INNER_RECORD,
  INNER_SPIN_LOCK,
  INNER_TYPE,
  INNER_VALUE_SIZE,
  MAP_SLOT_SIZE,
} from '../../layout/map-inner';
import {
  FIELD_BYTES,
  FIELD_DESTRUCTOR,
  FIELD_KIND,
  FIELD_NODE,
  FIELD_OFFSET,
  FIELD_TARGET,
  RECORD_COUNT,
  RECORD_FIELDS,
  RECORD_SIZE,
} from '../../layout/record';


/** 0, or the negated errno with which Linux refuses `inner` as the kind of map to hold. */
export function inner_check(inner: usize): i32 {
  if (inner == 0) return <i32>EBADF;
  const type = load<u32>(inner, MAP_TYPE);
  if (type == ARRAY_OF_MAPS || type == HASH_OF_MAPS) return <i32>EINVAL;
  return type == PROG_ARRAY ? <i32>ENOTSUPP : 0;
}

/** Nested no deeper than types may own each other; beyond that they are taken to differ. */
const MAX_DEPTH: u32 = 8;

/** True if values of the two records (0: none) have the same fields, and what these own does too. */
function records_alike(one: usize, other: usize, depth: u32): bool {
  if (one == other) return true;
  if (one == 0 || other == 0 || depth == MAX_DEPTH) return false;
  const count = load<u32>(one, RECORD_COUNT);
  if (count != load<u32>(other, RECORD_COUNT) || load<u32>(one, RECORD_SIZE) != load<u32>(other, RECORD_SIZE)) return false;
  for (let at: usize = RECORD_FIELDS; at < <usize>RECORD_FIELDS + count * FIELD_BYTES; at += FIELD_BYTES) {
    const a = one + at;
    const b = other + at;
    if (load<u32>(a, FIELD_KIND) != load<u32>(b, FIELD_KIND) || load<u32>(a, FIELD_OFFSET) != load<u32>(b, FIELD_OFFSET)) return false;
    if (load<u32>(a, FIELD_NODE) != load<u32>(b, FIELD_NODE) || load<u32>(a, FIELD_DESTRUCTOR) != load<u32>(b, FIELD_DESTRUCTOR)) return false;
    if (!records_alike(load<u32>(a, FIELD_TARGET), load<u32>(b, FIELD_TARGET), depth + 1)) return false;
  }
  return true;
}

/** Maps like `inner` are what `map` holds. */
export function inner_keep(map: usize, inner: usize): void {
  store<u32>(map, load<u32>(inner, MAP_TYPE), INNER_TYPE);
  store<u32>(map, load<u32>(inner, MAP_KEY_SIZE), INNER_KEY_SIZE);
  store<u32>(map, load<u32>(inner, MAP_VALUE_SIZE), INNER_VALUE_SIZE);
  store<u32>(map, load<u32>(inner, MAP_FLAGS), INNER_FLAGS);
  store<u32>(map, load<u32>(inner, MAP_MAX_ENTRIES), INNER_MAX_ENTRIES);
  store<u32>(map, load<u32>(inner, MAP_SPIN_LOCK), INNER_SPIN_LOCK);
  const record = <usize>load<u32>(inner, MAP_RECORD);
  store<u32>(map, <u32>record, INNER_RECORD);
  if (record != 0) record_hold(record);
}

function matches(map: usize, inner: usize): bool {
  const type = load<u32>(inner, MAP_TYPE);
  const flags = load<u32>(inner, MAP_FLAGS);
  if (type != load<u32>(map, INNER_TYPE)) return false;
  // Any ring will do for a perf event array.
  if (load<u32>(map, MAP_TYPE) == PERF_EVENT_ARRAY) return true;
  if (load<u32>(inner, MAP_KEY_SIZE) != load<u32>(map, INNER_KEY_SIZE)) return false;
  if (load<u32>(inner, MAP_VALUE_SIZE) != load<u32>(map, INNER_VALUE_SIZE)) return false;
  if (flags != load<u32>(map, INNER_FLAGS)) return false;
  if (load<u32>(inner, MAP_SPIN_LOCK) != load<u32>(map, INNER_SPIN_LOCK)) return false;
  if (!records_alike(load<u32>(inner, MAP_RECORD), load<u32>(map, INNER_RECORD), 0)) return false;
  const sized = type == XSKMAP || (type == ARRAY && !(flags & BPF_F_INNER_MAP));
  return !sized || load<u32>(inner, MAP_MAX_ENTRIES) == load<u32>(map, INNER_MAX_ENTRIES);
}

/** The map with this id, held, if `map` takes it; else -EBADF or -EINVAL. Errors are at or above ERROR_FLOOR as u32. */
export function inner_take(map: usize, id: u32): usize {
  const inner = map_by_id(id);
  if (inner == 0) return <usize>EBADF;
  if (matches(map, inner)) return inner;
  map_destroy(inner);
  return load<u32>(map, MAP_TYPE) == PERF_EVENT_ARRAY ? <usize>EBADF : <usize>EINVAL;
}

/** Drops the references of a map that goes. */
export function release_inner(map: usize): void {
  const type = load<u32>(map, MAP_TYPE);
  if (type == ARRAY_OF_MAPS || type == PERF_EVENT_ARRAY) {
    const count = load<u32>(map, MAP_MAX_ENTRIES);
    let slot = <usize>load<u32>(map, MAP_VALUES);
    for (let i: u32 = 0; i < count; i++) {
      const inner = load<u32>(slot);
      if (inner != 0) map_destroy(inner);
      slot += MAP_SLOT_SIZE;
    }
  } else if (type == HASH_OF_MAPS) {
    const pages = (((load<u32>(map, MAP_KEY_SIZE) + 7) & ~7) + WASM_PAGE - 1) / WASM_PAGE;
    const key = pages_alloc(pages);
    let at: usize = 0;
    while (key != 0 && hash_next_key(map, at, key) == 0) {
      at = key;
      map_destroy(load<u32>(hash_lookup(map, key)));
    }
    pages_free(key, pages);
  }
  const record = (type == ARRAY_OF_MAPS || type == HASH_OF_MAPS) ? <usize>load<u32>(map, INNER_RECORD) : 0;
  if (record != 0) record_release(record);
}
