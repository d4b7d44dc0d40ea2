// Operations of user space as control code calls them: each in an epoch, so that what it reads stays, and what it frees while others read it is freed in time.
import { releaseTimersOf } from '../kfuncs/timer';
import { operation_enter, operation_exit } from '../slab/epoch';
import * as batch from './batch';
import * as registry from './registry';
import * as user from './user';
import { has_timers } from './value';
import { MAP_USERS } from '../../layout/map';

export function map_lookup_user(map: usize, key: usize, out: usize, flags: u32): i32 {
  operation_enter();
  const result = user.map_lookup_user(map, key, out, flags);
  operation_exit();
  return result;
}

export function map_update_user(map: usize, key: usize, value: usize, flags: u32): i32 {
  operation_enter();
  const result = user.map_update_user(map, key, value, flags);
  operation_exit();
  return result;
}

export function map_delete_user(map: usize, key: usize): i32 {
  operation_enter();
  const result = user.map_delete_user(map, key);
  operation_exit();
  return result;
}

export function map_take_user(map: usize, key: usize, out: usize): i32 {
  operation_enter();
  const result = user.map_take_user(map, key, out);
  operation_exit();
  return result;
}

export function map_next_key(map: usize, key: usize, out: usize): i32 {
  operation_enter();
  const result = user.map_next_key(map, key, out);
  operation_exit();
  return result;
}

export function map_lookup_batch(map: usize, position: usize, first: u32, keys: usize, values: usize, count: u32, remove: u32, done: usize): i32 {
  operation_enter();
  const result = batch.map_lookup_batch(map, position, first, keys, values, count, remove, done);
  operation_exit();
  return result;
}

export function map_update_batch(map: usize, keys: usize, values: usize, count: u32, flags: u32, done: usize): i32 {
  operation_enter();
  const result = batch.map_update_batch(map, keys, values, count, flags, done);
  operation_exit();
  return result;
}

export function map_delete_batch(map: usize, keys: usize, count: u32, done: usize): i32 {
  operation_enter();
  const result = batch.map_delete_batch(map, keys, count, done);
  operation_exit();
  return result;
}

/** The map with this id, with a reference of user space; 0 if there is none. */
export function map_open_user(id: u32): usize {
  const map = registry.map_by_id(id);
  if (map != 0) atomic.add<u32>(map, 1, MAP_USERS);
  return map;
}

/** One more reference of user space. */
export function map_hold_user(map: usize): void {
  registry.map_hold(map);
  atomic.add<u32>(map, 1, MAP_USERS);
}

/** A reference is user space's no more, which keeps the map all the same until map_destroy. 1: no other is (bpf_map_put_uref). */
export function map_leave_user(map: usize): u32 {
  if (atomic.sub<u32>(map, 1, MAP_USERS) != 1) return 0;
  if (has_timers(map)) {
    operation_enter();
    releaseTimersOf(map);
    operation_exit();
  }
  return 1;
}

/** Drops a reference, of which map_leave_user has been told. */
export function map_destroy(map: usize): void {
  operation_enter();
  registry.map_destroy(map);
  operation_exit();
}
