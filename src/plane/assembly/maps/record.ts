// Records of map values (layout/record.ts): a map holds the set of its own from creation to its end, and before it goes, every value that was ever in use gives
// back what it owns, late writes into deleted elements included.
import { record_hold, record_release } from '../fields/record-set';
import { value_release, value_release_one } from './value';
import { cpu_count } from './header';
import { ARRAY, HASH, LRU_HASH, LRU_PERCPU_HASH, PERCPU_ARRAY, PERCPU_HASH } from './types';
import { draws_elements } from './element';
import { first_of } from './chain';
import { MAP_CPU_STRIDE, MAP_MAX_ENTRIES, MAP_RECORD, MAP_STRIDE, MAP_TASK_WORK, MAP_TIMER, MAP_TYPE, MAP_VALUES, MAP_WORK } from '../../layout/map';
import {
  HASH_BUCKETS,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_NEXT,
  HASH_ELEMENT_SIZE,
  HASH_EXTRAS,
  HASH_EXTRA_STRIDE,
  HASH_FREE,
  HASH_UNUSED,
  HASH_VALUE_OFFSET,
} from '../../layout/map-hash';

/** A map that was just created gets the record of its values. */
export function map_set_record(map: usize, record: usize): void {
  record_hold(record);
  store<u32>(map, <u32>record, MAP_RECORD);
  clear_spares(map);
}

/** Of a map that was just created: where its values have a timer, work, and work of a task, plus 1; 0: nowhere. The last needs a record as well. */
export function map_set_timers(map: usize, timer: u32, work: u32, task_work: u32): void {
  store<u32>(map, task_work, MAP_TASK_WORK);
  store<u32>(map, timer, MAP_TIMER);
  store<u32>(map, work, MAP_WORK);
  clear_spares(map);
}

/** The spare elements were drawn before it was known that their values have fields. */
function clear_spares(map: usize): void {
  if (!draws_elements(map) || load<u32>(map, MAP_TYPE) != HASH) return;
  const cpus = cpu_count();
  const offset = load<u32>(map, HASH_VALUE_OFFSET);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const spare = load<u32>(load<u32>(map, HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE);
    memory.fill(spare + offset, 0, load<u32>(map, HASH_ELEMENT_SIZE) - offset);
  }
}

/** Values of an array, or those of one CPU. */
function release_row(map: usize, count: u32, cpu: u32): void {
  let value = <usize>load<u32>(map, MAP_VALUES) + cpu * load<u32>(map, MAP_CPU_STRIDE);
  for (let i: u32 = 0; i < count; i++) {
    value_release_one(map, value);
    value += load<u32>(map, MAP_STRIDE);
  }
}

/** Elements of a hash that stand in a row, the first `count`. */
function release_elements(map: usize, count: u32): void {
  let element = <usize>load<u32>(map, MAP_VALUES);
  const offset = load<u32>(map, HASH_VALUE_OFFSET);
  for (let i: u32 = 0; i < count; i++) {
    value_release(map, element + offset);
    element += load<u32>(map, HASH_ELEMENT_SIZE);
  }
}

/** Number of elements of a list whose links lie at `link`. */
function release_list(map: usize, element: usize, link: usize): u32 {
  const offset = load<u32>(map, HASH_VALUE_OFFSET);
  let count: u32 = 0;
  for (; element != 0; element = load<u32>(element + link)) {
    value_release(map, element + offset);
    count++;
  }
  return count;
}

function release_drawn(map: usize): void {
  let left = load<u32>(map, HASH_UNUSED);
  const cpus = cpu_count();
  if (load<u32>(map, MAP_TYPE) == HASH) {
    for (let cpu: u32 = 0; cpu < cpus; cpu++) {
      value_release(map, load<u32>(load<u32>(map, HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE) + load<u32>(map, HASH_VALUE_OFFSET));
    }
    left -= cpus;
  }
  for (let cpu: u32 = 0; cpu < cpus; cpu++)
    left -= release_list(map, <usize>(<u32>load<u64>(load<u32>(map, HASH_FREE) + cpu * HASH_EXTRA_STRIDE)), HASH_ELEMENT_HASH);
  const buckets = <usize>load<u32>(map, HASH_BUCKETS);
  for (let i: u32 = 0; left != 0; i++) left -= release_list(map, first_of(load<u64>(buckets + (i << 3))), HASH_ELEMENT_NEXT);
}

/** Of a map that goes, before its elements do. */
export function record_end(map: usize): void {
  const record = <usize>load<u32>(map, MAP_RECORD);
  if (record == 0) return;
  const type = load<u32>(map, MAP_TYPE);
  const entries = load<u32>(map, MAP_MAX_ENTRIES);
  if (draws_elements(map)) release_drawn(map);
  else if (type == ARRAY) release_row(map, entries, 0);
  else if (type == PERCPU_ARRAY) for (let cpu: u32 = 0; cpu < cpu_count(); cpu++) release_row(map, entries, cpu);
  else if (type == HASH || type == PERCPU_HASH) release_elements(map, load<u32>(map, HASH_UNUSED));
  else if (type == LRU_HASH || type == LRU_PERCPU_HASH) release_elements(map, entries);
  store<u32>(map, 0, MAP_RECORD);
  record_release(record);
}
