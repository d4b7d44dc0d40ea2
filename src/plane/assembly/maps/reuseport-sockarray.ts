// Reuseport array: sockets for bpf_sk_select_reuseport. Facts: kernel/bpf/reuseport_array.c.
import { array_check } from './array';
import { header_allocate } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { socket_drop, socket_hold, socket_named, socket_read } from './socket-map';
import { E2BIG, EBADF, EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, ENOTSUPP } from '../errno';
import { BPF_EXIST, BPF_NOEXIST, MAP_MAX_ENTRIES, MAP_STRIDE, MAP_VALUES } from '../../layout/map';
import { IPPROTO_TCP, IPPROTO_UDP, SOCKET_SLOT_SIZE, SOCKMAP_LOCK, TCP_LISTEN } from '../../layout/map-socket';
import { BPF_SOCK_PROTOCOL, BPF_SOCK_STATE, SOCKET_IN_ARRAY, SOCKET_REUSEPORT } from '../../layout/object';

export function reuseport_sockarray_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
): usize {
  if (value_size != 4 && value_size != 8) return <usize>EINVAL;
  const refused = array_check(key_size, value_size, max_entries, flags, 0);
  if (refused != 0) return <usize>refused;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>max_entries * SOCKET_SLOT_SIZE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, SOCKET_SLOT_SIZE, MAP_STRIDE);
  return map;
}

// @ts-ignore: decorator
@inline
function slot(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * SOCKET_SLOT_SIZE;
}

/** Body of the socket there, 0 if there is none. */
export function reuseport_sockarray_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  return index >= load<u32>(map, MAP_MAX_ENTRIES) ? 0 : <usize>atomic.load<u32>(slot(map, index));
}

/** User space: the cookie of the socket there. */
export function reuseport_sockarray_read(map: usize, key: usize, out: usize): i32 {
  return socket_read(map, reuseport_sockarray_lookup(map, key), out);
}

function leave(socket: usize): void {
  if (socket == 0) return;
  atomic.store<u32>(socket, 0, SOCKET_IN_ARRAY);
  socket_drop(socket);
}

/** User space: `value` is the id of a socket with SO_REUSEPORT. */
export function reuseport_sockarray_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags > <u32>BPF_EXIST) return <i32>EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const socket = socket_named(map, value);
  if (socket >= <usize>-4095) return <i32>socket;
  word_lock(map + SOCKMAP_LOCK);
  const refused = put(map, index, socket, flags);
  word_unlock(map + SOCKMAP_LOCK);
  return refused;
}

/** Under the lock of the writers. */
function put(map: usize, index: u32, socket: usize, flags: u32): i32 {
  const protocol = load<u32>(socket, BPF_SOCK_PROTOCOL);
  const old = load<u32>(slot(map, index));
  if (old != 0 && flags == BPF_NOEXIST) return <i32>EEXIST;
  if (old == 0 && flags == BPF_EXIST) return <i32>ENOENT;
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return <i32>ENOTSUPP;
  // Those that share a port are a group only once they are bound (UDP) or listen (TCP).
  if (load<u32>(socket, SOCKET_REUSEPORT) == 0) return <i32>EINVAL;
  if (protocol == IPPROTO_TCP && load<u32>(socket, BPF_SOCK_STATE) != TCP_LISTEN) return <i32>EINVAL;
  if (atomic.xchg<u32>(socket, 1, SOCKET_IN_ARRAY) != 0) return <i32>EBUSY;
  if (!socket_hold(socket)) {
    atomic.store<u32>(socket, 0, SOCKET_IN_ARRAY);
    return <i32>EBADF;
  }
  leave(atomic.xchg<u32>(slot(map, index), <u32>socket));
  return 0;
}

/** User space. */
export function reuseport_sockarray_remove(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  word_lock(map + SOCKMAP_LOCK);
  const old = atomic.xchg<u32>(slot(map, index), 0);
  leave(old);
  word_unlock(map + SOCKMAP_LOCK);
  return old == 0 ? <i32>ENOENT : 0;
}

/** References of a map that goes. */
export function reuseport_sockarray_release(map: usize): void {
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  for (let i: u32 = 0; i < count; i++) leave(load<u32>(slot(map, i)));
}
