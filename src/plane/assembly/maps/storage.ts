// Storage that hangs on objects (layout/map-storage.ts). Facts: kernel/bpf/bpf_local_storage.c, bpf_task_storage.c, bpf_inode_storage.c,
// bpf_cgrp_storage.c, net/core/bpf_sk_storage.c; kernel/bpf/local_storage.c for the two deprecated types.
import {
  bucket_insert,
  bucket_lock,
  bucket_of,
  bucket_replace,
  bucket_unlock,
  element_behind,
  find_8,
  find_before,
  hash_of,
  chain_take,
} from './chain';
import { element_draw, element_pop } from './element';
import { hash_allocate, hash_give } from './hash';
import { access_flags_ok, cpu_count, this_cpu } from './header';
import { carry, carry_nothing } from '../locks/held';
import { word_lock, word_unlock } from '../locks/word';
import { map_destroy, map_hold, map_try_hold } from './registry';
import { retire } from '../slab/epoch';
import { WAITS_ELEMENT } from '../../layout/allocator';
import { socket_by_id } from './socket-map';
import { is_storage } from './storage-types';
import { CGROUP_STORAGE, INODE_STORAGE, PERCPU_CGROUP_STORAGE, SK_STORAGE, TASK_STORAGE } from './types';
import { has_spin_lock, value_copy_locked, value_init, value_read, value_read_locked, value_release, value_zero } from './value';
import { object_before, object_by_id, object_id } from '../objects';
import { WORKER } from '../worker';
import { E2BIG, EBADF, EEXIST, EINVAL, ENOENT, ENOMEM, ENOTSUPP } from '../errno';
import {
  BPF_EXIST,
  BPF_F_CLONE,
  BPF_F_LOCK,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  MAP_KEY_SIZE,
  MAP_NEXT,
  MAP_STRIDE,
  MAP_TYPE,
} from '../../layout/map';
import {
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_KEY,
  HASH_ELEMENT_SIZE,
  HASH_UNUSED,
} from '../../layout/map-hash';
import {
  BPF_LOCAL_STORAGE_GET_F_CREATE,
  STORAGE_BUCKETS,
  STORAGE_VALUE_MAX,
} from '../../layout/map-storage';
import { ROOT, ROOT_MAPS, ROOT_MAPS_LOCK } from '../../layout/memory';
import { OBJECT_CGROUP, OBJECT_INODE, OBJECT_SOCKET, OBJECT_TASK } from '../../layout/object';
import { WORKER_CGROUP, WORKER_FRAME, WORKER_HOOK, WORKER_RUN_STORAGE, WORKER_SCRATCH, HOOK_SKB } from '../../layout/worker';
import { SKB_DESCRIPTOR_SIZE } from '../../layout/skb';

/** Kind of object that a storage's elements hang on. */
function kind_of(type: u32): u32 {
  if (type == SK_STORAGE) return OBJECT_SOCKET;
  if (type == TASK_STORAGE) return OBJECT_TASK;
  return type == INODE_STORAGE ? OBJECT_INODE : OBJECT_CGROUP;
}

/** sk_storage, task_storage, inode_storage, cgrp_storage. That BTF comes with them, as Linux wants it, is the loader's business. */
export function storage_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32, seed: u64): usize {
  if ((flags & ~(BPF_F_NO_PREALLOC | BPF_F_CLONE)) != 0 || !(flags & BPF_F_NO_PREALLOC)) return <usize>EINVAL;
  if (max_entries != 0 || key_size != 4 || value_size == 0) return <usize>EINVAL;
  if (value_size > <u32>STORAGE_VALUE_MAX) return <usize>E2BIG;
  return allocate(type, value_size, flags, seed, 1);
}

/** cgroup_storage and percpu_cgroup_storage. */
export function cgroup_storage_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  const per_cpu = type == PERCPU_CGROUP_STORAGE;
  // The order of Linux's checks: a per-CPU value's bound is the allocator's, and a page less.
  const most: u32 = per_cpu ? 0x8000 : STORAGE_VALUE_MAX;
  if (key_size != 8 && key_size != 16) return <usize>EINVAL;
  if (value_size == 0) return <usize>EINVAL;
  if (value_size > most) return <usize>E2BIG;
  const known = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  if ((flags & ~known) != 0 || !access_flags_ok(flags)) return <usize>EINVAL;
  if (max_entries != 0) return <usize>EINVAL;
  return allocate(type, value_size, flags, seed, per_cpu ? cpu_count() : 1);
}

function allocate(type: u32, value_size: u32, flags: u32, seed: u64, copies: u32): usize {
  // The hash's own keys are owners; what bpf(2) calls the key is only checked and translated.
  const map = hash_allocate(type, 8, value_size, STORAGE_BUCKETS, flags, seed, HASH_ELEMENT_KEY, 0, 0, copies);
  if (map == 0) return <usize>ENOMEM;
  return map;
}

/** A free element; 0 if the allocator has no memory. */
function take(map: usize): usize {
  const free = element_pop(map);
  if (free != 0) return free;
  const element = element_draw(map);
  if (element == 0) return 0;
  atomic.add<u32>(map, 1, HASH_UNUSED);
  carry(map, element);
  return element;
}

/** Writes the owner as the hash's key into this CPU's scratch, and returns where. */
// @ts-ignore: decorator
@inline
function key_of(owner: usize): usize {
  const key = WORKER + WORKER_SCRATCH;
  store<u64>(key, owner);
  return key;
}

/** Address of the owner's value, 0 if it has none. */
function find(map: usize, owner: usize): usize {
  const element = find_8(map, key_of(owner), HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + HASH_ELEMENT_KEY + 8;
}

/** Address of the owner's value, which is made from `value` (0: zeros) if it has none; 0 if the memory has no room. */
function find_or_make(map: usize, owner: usize, value: usize): usize {
  const there = find(map, owner);
  return there != 0 ? there : make(map, owner, value);
}

/** What a new element of the owner's is, from `value` (0: zeros). Address of its value. */
function begin(map: usize, element: usize, hash: u32, owner: usize, value: usize): usize {
  const to = element + HASH_ELEMENT_KEY + 8;
  value_zero(map, to, load<u32>(map, HASH_ELEMENT_SIZE) - HASH_ELEMENT_KEY - 8);
  if (value != 0) value_init(map, to, value);
  store<u64>(element, owner, HASH_ELEMENT_KEY);
  store<u32>(element, hash, HASH_ELEMENT_HASH);
  return to;
}

/** Address of a new value of the owner's from `value` (0: zeros), or of the one that it has meanwhile; 0 if the memory has no room. */
function make(map: usize, owner: usize, value: usize): usize {
  const element = take(map);
  if (element == 0) return 0;
  const key = key_of(owner);
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, 8, HASH_ELEMENT_KEY);
  const other = element_behind(word, before);
  if (other != 0) {
    bucket_unlock(bucket, word);
    hash_give(map, element);
    return other + HASH_ELEMENT_KEY + 8;
  }
  const to = begin(map, element, hash, owner, value);
  bucket_insert(bucket, word, element);
  return to;
}

/** User space: the owner has another value, in an element of its own: who has found the one before goes on reading that. 0, -EEXIST, -ENOENT, -ENOMEM. */
function put(map: usize, owner: usize, value: usize, mode: u32): i32 {
  const element = take(map);
  if (element == 0) return <i32>ENOMEM;
  const key = key_of(owner);
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, 8, HASH_ELEMENT_KEY);
  const old = element_behind(word, before);
  if (old == 0 ? mode == BPF_EXIST : mode == BPF_NOEXIST) {
    bucket_unlock(bucket, word);
    hash_give(map, element);
    return old == 0 ? <i32>ENOENT : <i32>EEXIST;
  }
  begin(map, element, hash, owner, value);
  if (old == 0) bucket_insert(bucket, word, element);
  else {
    bucket_replace(bucket, word, before, old, element);
    carry(map, old);
    value_release(map, old + HASH_ELEMENT_KEY + 8);
    leave(map, old);
  }
  return 0;
}

function remove(map: usize, owner: usize): i64 {
  const element = chain_take(map, key_of(owner), HASH_ELEMENT_KEY);
  if (element == 0) return ENOENT;
  leave(map, element);
  return 0;
}

/** An element in hand that was taken out of the map. */
function leave(map: usize, element: usize): void {
  if (cpu_count() == 1) {
    hash_give(map, element);
    return;
  }
  // A run of another CPU may have the value: it stays this owner's, and the map with it, until that has ended.
  map_hold(map);
  carry_nothing();
  atomic.sub<u32>(map, 1, HASH_UNUSED);
  store<u32>(element, <u32>map, HASH_ELEMENT_HASH);
  retire(element, WAITS_ELEMENT);
}

/** An element that was taken out, and which nobody can have any more. */
export function element_end(element: usize): void {
  const map = <usize>load<u32>(element, HASH_ELEMENT_HASH);
  // What was put into its fields since.
  value_release(map, element + HASH_ELEMENT_KEY + 8);
  atomic.add<u32>(map, 1, HASH_UNUSED);
  hash_give(map, element);
  map_destroy(map);
}

/** The current frame's socket lives as long as the run: what hangs on it has to go then. */
function note_transient(owner: usize): void {
  const frame = <usize>load<u32>(WORKER, WORKER_FRAME);
  if (load<u32>(WORKER, WORKER_HOOK) != HOOK_SKB || owner < frame || owner >= frame + SKB_DESCRIPTOR_SIZE) return;
  store<u32>(WORKER, <u32>owner, WORKER_RUN_STORAGE);
}

function storage_get(map: usize, owner: usize, value: usize, flags: u64): usize {
  if (owner == 0 || (flags & ~(<u64>BPF_LOCAL_STORAGE_GET_F_CREATE)) != 0) return 0;
  if (!(flags & BPF_LOCAL_STORAGE_GET_F_CREATE)) return find(map, owner);
  note_transient(owner);
  return find_or_make(map, owner, value);
}

function storage_delete(map: usize, owner: usize): i64 {
  return owner == 0 ? EINVAL : remove(map, owner);
}

/** Address of the value, 0 if there is none: unknown flags, NULL, or no BPF_LOCAL_STORAGE_GET_F_CREATE. */
export function bpf_sk_storage_get(map: u64, owner: u64, value: u64, flags: u64): u64 {
  return storage_get(<usize>map, <usize>owner, <usize>value, flags);
}

/** 0, -EINVAL for NULL, -ENOENT. */
export function bpf_sk_storage_delete(map: u64, owner: u64): i64 {
  return storage_delete(<usize>map, <usize>owner);
}

export function bpf_task_storage_get(map: u64, owner: u64, value: u64, flags: u64): u64 {
  return storage_get(<usize>map, <usize>owner, <usize>value, flags);
}

export function bpf_task_storage_delete(map: u64, owner: u64): i64 {
  return storage_delete(<usize>map, <usize>owner);
}

export function bpf_inode_storage_get(map: u64, owner: u64, value: u64, flags: u64): u64 {
  return storage_get(<usize>map, <usize>owner, <usize>value, flags);
}

export function bpf_inode_storage_delete(map: u64, owner: u64): i64 {
  return storage_delete(<usize>map, <usize>owner);
}

export function bpf_cgrp_storage_get(map: u64, owner: u64, value: u64, flags: u64): u64 {
  return storage_get(<usize>map, <usize>owner, <usize>value, flags);
}

export function bpf_cgrp_storage_delete(map: u64, owner: u64): i64 {
  return storage_delete(<usize>map, <usize>owner);
}

/** Where a run has no control group: its owner of cgroup storage, which goes with the run, as under BPF_PROG_TEST_RUN. */
const NO_CGROUP: usize = 8;

/** Address of the value of the control group that the program is attached to (WORKER_CGROUP), this CPU's in the per-CPU kind; never 0. */
export function bpf_get_local_storage(map: u64, _flags: u64): u64 {
  const storage = <usize>map;
  let owner = <usize>load<u32>(WORKER, WORKER_CGROUP);
  if (owner == 0) {
    owner = NO_CGROUP;
    // A socket that was noted before stays noted: with it this owner goes too.
    if (load<u32>(WORKER, WORKER_RUN_STORAGE) == 0) store<u32>(WORKER, <u32>NO_CGROUP, WORKER_RUN_STORAGE);
  }
  const value = find_or_make(storage, owner, 0);
  if (value == 0) unreachable();
  return load<u32>(storage, MAP_TYPE) == PERCPU_CGROUP_STORAGE ? value + this_cpu() * load<u32>(storage, MAP_STRIDE) : value;
}

/** A storage that has something of the owner's, held; 0 if none has. */
function storage_with(owner: usize): usize {
  word_lock(ROOT + ROOT_MAPS_LOCK);
  let map = <usize>load<u32>(ROOT, ROOT_MAPS);
  // One without references is about to go, with all that is in it.
  while (map != 0 && !(is_storage(load<u32>(map, MAP_TYPE)) && find(map, owner) != 0 && map_try_hold(map))) map = load<u32>(map, MAP_NEXT);
  word_unlock(ROOT + ROOT_MAPS_LOCK);
  return map;
}

/** Takes away what hangs on an owner, in all maps; without the lock of their list, for what goes may be an owner too. */
export function storage_drop_owner(owner: usize): void {
  for (let map = storage_with(owner); map != 0; map = storage_with(owner)) {
    remove(map, owner);
    map_destroy(map);
  }
}

/** After a run on this worker: what hung on the run's own socket or control group goes, as they do. */
export function storage_end_run(): void {
  const owner = <usize>load<u32>(WORKER, WORKER_RUN_STORAGE);
  if (owner == 0) return;
  store<u32>(WORKER, 0, WORKER_RUN_STORAGE);
  storage_drop_owner(owner);
  if (owner != NO_CGROUP) storage_drop_owner(NO_CGROUP);
}

/** User space: owner by the key of bpf(2), an object's id; errors are at or above ERROR_FLOOR as u32. */
function owner_by_key(map: usize, key: usize): usize {
  const type = load<u32>(map, MAP_TYPE);
  if (type == SK_STORAGE) return socket_by_id(load<u32>(key));
  // cgroup_storage: u64 id of the group; behind it the attach type, of which one is modelled.
  const body = object_by_id(load<u32>(key), kind_of(type));
  if (body != 0) return body;
  return type == CGROUP_STORAGE || type == PERCPU_CGROUP_STORAGE ? <usize>ENOENT : <usize>EBADF;
}

/** Address of the value at a key of user space, 0 if there is none. */
export function storage_peek(map: usize, key: usize): usize {
  const owner = owner_by_key(map, key);
  return owner >= <usize>-4095 ? 0 : find(map, owner);
}

export function storage_read(map: usize, key: usize, out: usize, flags: u32): i32 {
  const owner = owner_by_key(map, key);
  if (owner >= <usize>-4095) return <i32>owner;
  const value = find(map, owner);
  if (value == 0) return <i32>ENOENT;
  const stride = load<u32>(map, MAP_STRIDE);
  if (load<u32>(map, MAP_TYPE) == PERCPU_CGROUP_STORAGE) memory.copy(out, value, stride * cpu_count());
  else if (flags & BPF_F_LOCK) value_read_locked(map, out, value);
  else value_read(map, out, value);
  return 0;
}

export function storage_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  const type = load<u32>(map, MAP_TYPE);
  const deprecated = type == CGROUP_STORAGE || type == PERCPU_CGROUP_STORAGE;
  const mode = flags & ~BPF_F_LOCK;
  if (mode > <u32>BPF_EXIST || (flags & BPF_F_LOCK && !has_spin_lock(map))) return <i32>EINVAL;
  // Storage of an attachment is there from the attachment on: no value is new.
  if (deprecated && (mode == BPF_NOEXIST || (type == PERCPU_CGROUP_STORAGE && flags & BPF_F_LOCK))) return <i32>EINVAL;
  const owner = owner_by_key(map, key);
  if (owner >= <usize>-4095) return <i32>owner;
  const there = find(map, owner);
  if (there == 0 && (mode == BPF_EXIST || deprecated)) return <i32>ENOENT;
  if (there != 0 && mode == BPF_NOEXIST) return <i32>EEXIST;
  // In place: each CPU's value is its own, and under its lock a value is read and written whole.
  if (there != 0 && type == PERCPU_CGROUP_STORAGE) memory.copy(there, value, load<u32>(map, MAP_STRIDE) * cpu_count());
  else if (there != 0 && (flags & BPF_F_LOCK) != 0) value_copy_locked(map, there, value, there);
  else return put(map, owner, value, deprecated ? <u32>BPF_EXIST : mode);
  value_release(map, there);
  return 0;
}

/** User space, of the two deprecated types: groups that have a value, newest first (in Linux the one that was attached to last); -ENOENT too for a key that has none. */
export function storage_next_key(map: usize, key: usize, out: usize): i32 {
  const type = load<u32>(map, MAP_TYPE);
  if (type != CGROUP_STORAGE && type != PERCPU_CGROUP_STORAGE) return <i32>ENOTSUPP;
  let owner: usize = 0;
  if (key != 0) {
    owner = owner_by_key(map, key);
    if (owner >= <usize>-4095 || find(map, owner) == 0) return <i32>ENOENT;
  }
  do owner = object_before(owner, OBJECT_CGROUP);
  while (owner != 0 && find(map, owner) == 0);
  if (owner == 0) return <i32>ENOENT;
  memory.fill(out, 0, load<u32>(map, MAP_KEY_SIZE));
  store<u64>(out, object_id(owner));
  return 0;
}

export function storage_remove(map: usize, key: usize): i32 {
  const type = load<u32>(map, MAP_TYPE);
  if (type == CGROUP_STORAGE || type == PERCPU_CGROUP_STORAGE) return <i32>EINVAL;
  const owner = owner_by_key(map, key);
  return owner >= <usize>-4095 ? <i32>owner : <i32>remove(map, owner);
}
