// What maps of sockets share (layout/map-socket.ts): which sockets they take, and how user space names them.
import { object_by_id, object_release, object_try_hold } from '../objects';
import { EBADF, EINVAL, ENOENT, ENOSPC, ENOTSOCK, EOPNOTSUPP } from '../errno';
import { MAP_VALUE_SIZE } from '../../layout/map';
import { BPF_SOCK_PROTOCOL, BPF_SOCK_STATE, OBJECT_SOCKET, SOCKET_COOKIE } from '../../layout/object';
import { IPPROTO_TCP, IPPROTO_UDP, TCP_ESTABLISHED, TCP_LISTEN } from '../../layout/map-socket';

/** Body of the socket that a value of user space names; errors are at or above ERROR_FLOOR as u32. */
export function socket_named(map: usize, value: usize): usize {
  if (load<u32>(map, MAP_VALUE_SIZE) == 8 && load<u64>(value) > 0x7fff_ffff) return <usize>EINVAL;
  return socket_by_id(load<u32>(value));
}

/** Body of the socket with this id; as sockfd_lookup -EBADF for none, -ENOTSOCK for another kind of object. */
export function socket_by_id(id: u32): usize {
  const socket = object_by_id(id, OBJECT_SOCKET);
  if (socket != 0) return socket;
  return object_by_id(id, 0) == 0 ? <usize>EBADF : <usize>ENOTSOCK;
}

/** 0 if sockmaps take the socket: TCP that listens or is established, UDP (sock_map_sk_is_suitable, sock_map_sk_state_allowed). */
export function socket_suits(socket: usize): i32 {
  const protocol = load<u32>(socket, BPF_SOCK_PROTOCOL);
  const state = load<u32>(socket, BPF_SOCK_STATE);
  if (protocol == IPPROTO_TCP) return state == TCP_ESTABLISHED || state == TCP_LISTEN ? 0 : <i32>EOPNOTSUPP;
  return protocol == IPPROTO_UDP ? 0 : <i32>EOPNOTSUPP;
}

/** User space: the cookie of a socket to `out`. -ENOSPC: values of 4 bytes have no room for one. */
export function socket_read(map: usize, socket: usize, out: usize): i32 {
  if (load<u32>(map, MAP_VALUE_SIZE) != 8) return <i32>ENOSPC;
  if (socket == 0) return <i32>ENOENT;
  store<u64>(out, load<u64>(socket, SOCKET_COOKIE));
  return 0;
}

/** False: it has no references any more, and is about to end. */
export function socket_hold(socket: usize): bool {
  return object_try_hold(socket);
}

export function socket_drop(socket: usize): void {
  if (socket != 0) object_release(socket);
}
