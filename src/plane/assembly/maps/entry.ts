// Operations of user space as control code calls them: each in an epoch, so that what it reads stays, and what it frees while others read it is freed in time.
import { operation_enter, operation_exit } from '../slab/epoch';
import * as batch from './batch';
import * as registry from './registry';
import * as user from './user';

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

export function map_destroy(map: usize): void {
  operation_enter();
  registry.map_destroy(map);
  operation_exit();
}
