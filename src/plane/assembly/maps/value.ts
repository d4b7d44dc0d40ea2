// Values with special fields: copies leave the fields alone, new values have none of them, and what they own ends with the value. BPF_F_LOCK copies under the
// value's lock. Facts: copy_map_value, copy_map_value_locked, bpf_obj_free_fields in include/linux/bpf.h and kernel/bpf/.
import { copy_bytes, cpu_count } from './header';
import { WORKER } from '../worker';
import { fields_free } from '../fields/free';
import { releaseTimers } from '../kfuncs/timer';
import { program_holds, program_lets_go } from '../locks/held';
import { word_lock, word_unlock } from '../locks/word';
import { has_cpu_values } from './types';
import { TIMER_FIELD_SIZE } from '../../layout/timer';
import {
  MAP_RECORD,
  MAP_SPIN_LOCK,
  MAP_CPU_STRIDE,
  MAP_TASK_WORK,
  MAP_TIMER,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_WORK,
  SPIN_LOCK_SIZE,
} from '../../layout/map';
import { FIELD_BYTES, FIELD_OFFSET, FIELD_SIZE, RECORD_COUNT, RECORD_FIELDS, RECORD_FLAGS, RECORD_LOCK, RECORD_OWNS } from '../../layout/record';
import { WORKER_LOCK_HELD } from '../../layout/worker';

// @ts-ignore: decorator
@inline
export function has_spin_lock(map: usize): bool {
  return load<u32>(map, MAP_SPIN_LOCK) != 0;
}

// @ts-ignore: decorator
@inline
export function has_timers(map: usize): bool {
  return (load<u64>(map, MAP_TIMER) | <u64>load<u32>(map, MAP_TASK_WORK)) != 0; // MAP_WORK too
}

/** The four words in a row: MAP_SPIN_LOCK, MAP_TIMER, MAP_WORK, MAP_RECORD, without which no value has a bpf_task_work. */
// @ts-ignore: decorator
@inline
export function has_fields(map: usize): bool {
  return (load<u64>(map, MAP_SPIN_LOCK) | load<u64>(map, MAP_WORK)) != 0;
}

/** Takes the lock word at `lock` for this CPU. */
export function value_lock(lock: usize): void {
  // Programs hold one lock at most, and none when they end: what this CPU still holds is of one that an engine has stopped.
  const stale = <usize>load<u32>(WORKER, WORKER_LOCK_HELD);
  if (stale != 0) value_unlock(stale);
  word_lock(lock);
  program_holds(lock);
  store<u32>(WORKER, <u32>lock, WORKER_LOCK_HELD);
}

export function value_unlock(lock: usize): void {
  // Noted until it is free: a thread may be stopped where a function begins.
  word_unlock(lock);
  program_lets_go();
  store<u32>(WORKER, 0, WORKER_LOCK_HELD);
}

/** Copies what lies between the fields that a record tells, or zeroes the fields themselves. */
function copy_around_record(record: usize, to: usize, from: usize, size: u32): void {
  let done: u32 = 0;
  let field = record + RECORD_FIELDS;
  for (let i = load<u32>(record, RECORD_COUNT); i != 0; i--) {
    const offset = load<u32>(field, FIELD_OFFSET);
    if (offset > done) copy_bytes(to + done, from + done, offset - done);
    done = offset + load<u32>(field, FIELD_SIZE);
    field += FIELD_BYTES;
  }
  if (size > done) copy_bytes(to + done, from + done, size - done);
}

function clear_record(record: usize, value: usize, keep_lock: bool): void {
  const lock = keep_lock ? load<u32>(record, RECORD_LOCK) : 0;
  let field = record + RECORD_FIELDS;
  for (let i = load<u32>(record, RECORD_COUNT); i != 0; i--) {
    const offset = load<u32>(field, FIELD_OFFSET);
    if (offset + 1 != lock) memory.fill(value + offset, 0, load<u32>(field, FIELD_SIZE));
    field += FIELD_BYTES;
  }
}

/** Maps without a record, whose lock, timer and work alone are known: they are kept over the copy. */
function copy_around_words(map: usize, to: usize, from: usize): void {
  const lock = load<u32>(map, MAP_SPIN_LOCK);
  const timer = load<u32>(map, MAP_TIMER);
  const work = load<u32>(map, MAP_WORK);
  const kept_timer = timer == 0 ? i64x2.splat(0) : v128.load(to + timer - 1);
  const kept_work = work == 0 ? i64x2.splat(0) : v128.load(to + work - 1);
  const size = load<u32>(map, MAP_VALUE_SIZE);
  if (lock == 0) {
    copy_bytes(to, from, size);
  } else {
    const rest = lock - 1 + SPIN_LOCK_SIZE;
    copy_bytes(to, from, lock - 1);
    copy_bytes(to + rest, from + rest, size - rest);
  }
  if (timer != 0) v128.store(to + timer - 1, kept_timer);
  if (work != 0) v128.store(to + work - 1, kept_work);
}

function copy_around_fields(map: usize, to: usize, from: usize): void {
  const record = <usize>load<u32>(map, MAP_RECORD);
  if (record != 0) copy_around_record(record, to, from, load<u32>(map, MAP_VALUE_SIZE));
  else copy_around_words(map, to, from);
}

function clear_fields(map: usize, value: usize, keep_lock: bool): void {
  const record = <usize>load<u32>(map, MAP_RECORD);
  if (record != 0) {
    clear_record(record, value, keep_lock);
    return;
  }
  const lock = load<u32>(map, MAP_SPIN_LOCK);
  if (lock != 0 && !keep_lock) memory.fill(value + lock - 1, 0, SPIN_LOCK_SIZE);
  for (let i: usize = 0; i < 2; i++) {
    const offset = load<u32>(map + (i == 0 ? MAP_TIMER : MAP_WORK));
    if (offset != 0) memory.fill(value + offset - 1, 0, TIMER_FIELD_SIZE);
  }
}

/** Ends what one value owns. Its timers are those of the map's own words: only types with one value an element have them. */
function release_fields(map: usize, value: usize): void {
  if (has_timers(map)) releaseTimers(map, value);
  const record = <usize>load<u32>(map, MAP_RECORD);
  if (record != 0 && load<u32>(record, RECORD_FLAGS) & RECORD_OWNS) fields_free(record, value);
}

function release_element(map: usize, values: usize): void {
  const copies = has_cpu_values(load<u32>(map, MAP_TYPE)) ? cpu_count() : 1;
  const stride = copies == 1 ? 0 : load<u32>(map, MAP_CPU_STRIDE);
  for (let i: u32 = 0; i < copies; i++) release_fields(map, values + i * stride);
}

/** What an element owns ends: it goes, or its value is written over. `values`: its value, or that of the first CPU. */
// @ts-ignore: decorator
@inline
export function value_release(map: usize, values: usize): void {
  if ((load<u64>(map, MAP_TIMER) | <u64>load<u32>(map, MAP_RECORD)) != 0) release_element(map, values);
}

/** The same for one CPU's value alone. */
// @ts-ignore: decorator
@inline
export function value_release_one(map: usize, value: usize): void {
  if ((load<u64>(map, MAP_TIMER) | <u64>load<u32>(map, MAP_RECORD)) != 0) release_fields(map, value);
}

/** Copies a value over another, but for its fields. */
// @ts-ignore: decorator
@inline
export function value_copy(map: usize, to: usize, from: usize): void {
  if (has_fields(map)) copy_around_fields(map, to, from);
  else copy_bytes(to, from, load<u32>(map, MAP_VALUE_SIZE));
}

function begin(map: usize, to: usize, from: usize): void {
  // What a program has put into the element after it was deleted, by a pointer that it still had.
  const record = <usize>load<u32>(map, MAP_RECORD);
  if (record != 0 && load<u32>(record, RECORD_FLAGS) & RECORD_OWNS) fields_free(record, to);
  if (has_timers(map)) releaseTimers(map, to);
  copy_around_fields(map, to, from);
  // The lock stays as it is, as in Linux: a CPU that has the element's address from before may hold it.
  clear_fields(map, to, true);
}

/** Copies a value into an element that is taken into use: fields begin empty. */
// @ts-ignore: decorator
@inline
export function value_init(map: usize, to: usize, from: usize): void {
  if (has_fields(map)) begin(map, to, from);
  else copy_bytes(to, from, load<u32>(map, MAP_VALUE_SIZE));
}

function read(map: usize, out: usize, from: usize): void {
  copy_around_fields(map, out, from);
  clear_fields(map, out, false);
}

/** Copies a value out to user space, which sees zeros for fields. */
// @ts-ignore: decorator
@inline
export function value_read(map: usize, out: usize, from: usize): void {
  if (has_fields(map)) read(map, out, from);
  else copy_bytes(out, from, load<u32>(map, MAP_VALUE_SIZE));
}

/** Zeros in the values of an element that is taken into use. */
export function value_zero(map: usize, values: usize, size: u32): void {
  value_release(map, values);
  memory.fill(values, 0, size);
}

/** Copies a value of the map over under the lock in `owner`, which is one of the two. */
export function value_copy_locked(map: usize, to: usize, from: usize, owner: usize): void {
  const lock = owner + load<u32>(map, MAP_SPIN_LOCK) - 1;
  value_lock(lock);
  copy_around_fields(map, to, from);
  value_unlock(lock);
}

/** The same out to user space. */
export function value_read_locked(map: usize, out: usize, from: usize): void {
  value_copy_locked(map, out, from, from);
  clear_fields(map, out, false);
}

export function bpf_spin_lock(lock: u64): u64 {
  value_lock(<usize>lock);
  return 0;
}

export function bpf_spin_unlock(lock: u64): u64 {
  value_unlock(<usize>lock);
  return 0;
}
