// Sockmap and sockhash: sockets by index or key, to look up, assign and redirect to. Facts: net/core/sock_map.c.
import { first_of, next_of } from './chain';
import { hash_allocate, hash_delete, hash_lookup, hash_update } from './hash';
import { access_flags_ok, cpu_count, header_allocate } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { socket_drop, socket_hold, socket_named, socket_read, socket_suits } from './socket-map';
import { SOCKHASH } from './types';
import { WORKER } from '../worker';
import { E2BIG, EBADF, EEXIST, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from '../errno';
import { object_id } from '../objects';
import { CONTEXT_SOCKET } from '../../layout/context';
import {
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  BPF_NOEXIST,
  MAP_MAX_ENTRIES,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_VALUES,
} from '../../layout/map';
import {
  HASH_BUCKETS,
  HASH_ELEMENT_KEY,
  HASH_ELEMENT_SIZE,
  HASH_EXTRAS,
  HASH_EXTRA_STRIDE,
  HASH_MASK,
  HASH_UNUSED,
  HASH_VALUE_OFFSET,
} from '../../layout/map-hash';
import { SOCKET_SLOT_SIZE, SOCKHASH_KEY_MAX, SOCKMAP_LOCK } from '../../layout/map-socket';
import { WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP, WORKER_SCRATCH } from '../../layout/worker';

const BPF_F_INGRESS: u64 = 1;
const SK_DROP: u64 = 0;
const SK_PASS: u64 = 1;

function check(key_size: u32, value_size: u32, max_entries: u32, flags: u32): i32 {
  if (max_entries == 0 || key_size == 0 || (value_size != 4 && value_size != 8)) return <i32>EINVAL;
  if ((flags & ~(BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY)) != 0) return <i32>EINVAL;
  return access_flags_ok(flags) ? 0 : <i32>EINVAL;
}

export function sockmap_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const refused = check(key_size, value_size, max_entries, flags);
  if (refused != 0 || key_size != 4) return <usize>EINVAL;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>max_entries * SOCKET_SLOT_SIZE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, SOCKET_SLOT_SIZE, MAP_STRIDE);
  return map;
}

export function sockhash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  const refused = check(key_size, value_size, max_entries, flags);
  if (refused != 0) return <usize>refused;
  if (key_size > <u32>SOCKHASH_KEY_MAX) return <usize>E2BIG;
  if (max_entries > 0x800_0000) return <usize>EINVAL;
  const cpus = cpu_count();
  const extras = cpus * HASH_EXTRA_STRIDE;
  const map = hash_allocate(type, key_size, value_size, max_entries, flags, seed, HASH_ELEMENT_KEY, extras, max_entries + cpus, 1);
  if (map == 0) return <usize>ENOMEM;
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const spare = load<u32>(map, MAP_VALUES) + cpu * load<u32>(map, HASH_ELEMENT_SIZE);
    store<u32>(load<u32>(map, HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE, spare);
  }
  store<u32>(map, cpus, HASH_UNUSED);
  return map;
}

// @ts-ignore: decorator
@inline
function slot(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * SOCKET_SLOT_SIZE;
}

/** Body of the socket there, 0 if there is none. */
export function sockmap_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  return index >= load<u32>(map, MAP_MAX_ENTRIES) ? 0 : <usize>atomic.load<u32>(slot(map, index));
}

export function sockhash_lookup(map: usize, key: usize): usize {
  const value = hash_lookup(map, key);
  return value == 0 ? 0 : <usize>load<u32>(value);
}

/** Socket by the map's kind of key. */
function find(map: usize, key: usize): usize {
  return load<u32>(map, MAP_TYPE) == SOCKHASH ? sockhash_lookup(map, key) : sockmap_lookup(map, key);
}

/**
 * Puts a socket into the element, from a program or from user space. The socket of a run that user space did not make (CONTEXT_OWN_SOCKET)
 * ends with the run, and has no count of references: -EOPNOTSUPP.
 */
export function sockmap_put(map: usize, key: usize, socket: usize, flags: u64): i64 {
  const unsuitable = socket_suits(socket);
  if (unsuitable != 0) return unsuitable;
  if (flags > <u64>BPF_EXIST) return EINVAL;
  if (object_id(socket) == 0) return EOPNOTSUPP;
  const hashed = load<u32>(map, MAP_TYPE) == SOCKHASH;
  if (!hashed && load<u32>(key) >= load<u32>(map, MAP_MAX_ENTRIES)) return E2BIG;
  if (!socket_hold(socket)) return EBADF;
  word_lock(map + SOCKMAP_LOCK);
  const old = find(map, key);
  let refused: i64 = 0;
  if (old != 0 && flags == BPF_NOEXIST) refused = EEXIST;
  else if (old == 0 && flags == BPF_EXIST) refused = ENOENT;
  if (refused == 0) {
    if (hashed) {
      const value = WORKER + WORKER_SCRATCH;
      store<u64>(value, socket);
      refused = hash_update(map, key, value, 0);
    } else {
      atomic.store<u32>(slot(map, load<u32>(key)), <u32>socket);
    }
  }
  word_unlock(map + SOCKMAP_LOCK);
  socket_drop(refused == 0 ? old : socket);
  return refused;
}

/** Operations of struct bpf_sock_ops under which its socket may go into a map: a connection is made, or a socket listens. */
const ACTIVE_ESTABLISHED: u32 = 4;
const PASSIVE_ESTABLISHED: u32 = 5;
const LISTENS: u32 = 11;

export function bpf_sock_map_update(ops: u64, map: u64, key: u64, flags: u64): i64 {
  const operation = load<u32>(<usize>ops);
  const socket = <usize>load<u32>(<usize>ops, CONTEXT_SOCKET);
  if (operation != ACTIVE_ESTABLISHED && operation != PASSIVE_ESTABLISHED && operation != LISTENS) return EOPNOTSUPP;
  if (socket == 0) return EOPNOTSUPP;
  return sockmap_put(<usize>map, <usize>key, socket, flags);
}

export function bpf_sock_hash_update(ops: u64, map: u64, key: u64, flags: u64): i64 {
  return bpf_sock_map_update(ops, map, key, flags);
}

/** Takes a socket out: 0; sockmap: -EINVAL for none; sockhash: -ENOENT. */
export function sockmap_remove(map: usize, key: usize): i64 {
  const hashed = load<u32>(map, MAP_TYPE) == SOCKHASH;
  if (!hashed && load<u32>(key) >= load<u32>(map, MAP_MAX_ENTRIES)) return EINVAL;
  word_lock(map + SOCKMAP_LOCK);
  const old = find(map, key);
  if (old != 0) {
    if (hashed) hash_delete(map, key);
    else atomic.store<u32>(slot(map, load<u32>(key)), 0);
  }
  word_unlock(map + SOCKMAP_LOCK);
  socket_drop(old);
  if (old != 0) return 0;
  return hashed ? ENOENT : EINVAL;
}

/** User space: `value` is the id of a socket. */
export function sockmap_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  const socket = socket_named(map, value);
  return socket >= <usize>-4095 ? <i32>socket : <i32>sockmap_put(map, key, socket, flags);
}

/** User space: the cookie of the socket there. */
export function sockmap_read(map: usize, key: usize, out: usize): i32 {
  return socket_read(map, find(map, key), out);
}

function redirect(map: usize, socket: usize, index: u32, flags: u64): u64 {
  if ((flags & ~BPF_F_INGRESS) != 0 || socket == 0) return SK_DROP;
  store<u32>(WORKER, <u32>map, WORKER_REDIRECT_MAP);
  store<u32>(WORKER, index, WORKER_REDIRECT_INDEX);
  store<u32>(WORKER, <u32>flags, WORKER_REDIRECT_FLAGS);
  return SK_PASS;
}

// @ts-ignore: decorator
@inline
function by_index(map: u64, index: u64, flags: u64): u64 {
  const key = WORKER + WORKER_SCRATCH;
  store<u32>(key, <u32>index);
  return redirect(<usize>map, find(<usize>map, key), <u32>index, flags);
}

/** SK_PASS and the socket as target, or SK_DROP: unknown flags, or no socket there. */
export function bpf_sk_redirect_map(_skb: u64, map: u64, index: u64, flags: u64): u64 {
  return by_index(map, index, flags);
}

export function bpf_msg_redirect_map(_msg: u64, map: u64, index: u64, flags: u64): u64 {
  return by_index(map, index, flags);
}

// @ts-ignore: decorator
@inline
function to_socket(map: usize, socket: usize, flags: u64): u64 {
  return redirect(map, socket, <u32>socket, flags);
}

/** The target is kept as the socket itself: WORKER_REDIRECT_INDEX is its body. */
export function bpf_sk_redirect_hash(_skb: u64, map: u64, key: u64, flags: u64): u64 {
  return to_socket(<usize>map, sockhash_lookup(<usize>map, <usize>key), flags);
}

export function bpf_msg_redirect_hash(_msg: u64, map: u64, key: u64, flags: u64): u64 {
  return to_socket(<usize>map, sockhash_lookup(<usize>map, <usize>key), flags);
}

/** References of a map that goes. */
export function sockmap_release(map: usize): void {
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  if (load<u32>(map, MAP_TYPE) != SOCKHASH) {
    for (let i: u32 = 0; i < count; i++) socket_drop(load<u32>(slot(map, i)));
    return;
  }
  const buckets = load<u32>(map, HASH_BUCKETS);
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET);
  for (let bucket: u32 = 0; bucket <= load<u32>(map, HASH_MASK); bucket++) {
    let element = first_of(load<u64>(buckets + (bucket << 3)));
    while (element != 0) {
      socket_drop(load<u32>(element + value_offset));
      element = next_of(element);
    }
  }
}
