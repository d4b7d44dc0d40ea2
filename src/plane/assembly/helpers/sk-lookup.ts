// bpf_sk_lookup_tcp and its like over the sockets that a run made (layout/object.ts): a connection's own socket first, then the one that
// listens on the address, then the one that listens on all. Without such sockets nothing is found.
import { IPPROTO_TCP, IPPROTO_UDP, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from '../../layout/map-socket';
import { ROOT, ROOT_OBJECTS, ROOT_OBJECTS_LOCK } from '../../layout/memory';
import {
  BPF_SOCK_DST_IP4, BPF_SOCK_DST_IP6, BPF_SOCK_DST_PORT, BPF_SOCK_FAMILY, BPF_SOCK_PROTOCOL, BPF_SOCK_SRC_IP4, BPF_SOCK_SRC_IP6,
  BPF_SOCK_SRC_PORT, BPF_SOCK_STATE, OBJECT_BODY, OBJECT_KIND, OBJECT_NEXT, OBJECT_SOCKET,
} from '../../layout/object';
import { word_lock, word_unlock } from '../locks/word';
import { AF_INET, AF_INET6 } from '../net/network';

/** struct bpf_sock_tuple: source and destination address, then their ports, all in network order. */
const TUPLE_V4: u32 = 12;
const TUPLE_V6: u32 = 36;

const CONNECTED: u32 = 3;
const BOUND: u32 = 2;
const ANY_ADDRESS: u32 = 1;

function isZero(address: usize, size: usize): bool {
  for (let i: usize = 0; i < size; i += 4) if (load<u32>(address + i) != 0) return false;
  return true;
}

/** How well a socket takes a packet of the tuple, 0: not at all. */
function score(socket: usize, protocol: u32, family: u32, tuple: usize): u32 {
  if (load<u32>(socket, BPF_SOCK_PROTOCOL) != protocol || load<u32>(socket, BPF_SOCK_FAMILY) != family) return 0;
  const size: usize = family == AF_INET ? 4 : 16;
  const ports = tuple + 2 * size;
  const local = socket + (family == AF_INET ? BPF_SOCK_SRC_IP4 : BPF_SOCK_SRC_IP6);
  const remote = socket + (family == AF_INET ? BPF_SOCK_DST_IP4 : BPF_SOCK_DST_IP6);
  if (load<u32>(socket, BPF_SOCK_SRC_PORT) != <u32>bswap<u16>(load<u16>(ports, 2))) return 0;
  const here = memory.compare(local, tuple + size, size) == 0;
  if (load<u16>(socket, BPF_SOCK_DST_PORT) != 0) {
    const there = load<u16>(socket, BPF_SOCK_DST_PORT) == load<u16>(ports) && memory.compare(remote, tuple, size) == 0;
    return here && there ? CONNECTED : 0;
  }
  const state = load<u32>(socket, BPF_SOCK_STATE);
  if (protocol == IPPROTO_TCP ? state != TCP_LISTEN : state != TCP_CLOSE && state != TCP_ESTABLISHED) return 0;
  return here ? BOUND : isZero(local, size) ? ANY_ADDRESS : 0;
}

function lookUp(protocol: u32, tuple: usize, size: u32, netns: u64, flags: u64): u64 {
  if (size != TUPLE_V4 && size != TUPLE_V6) return 0;
  // Only the namespace of the program itself is there (BPF_F_CURRENT_NETNS).
  if (flags != 0 || <i32>netns >= 0) return 0;
  const family = size == TUPLE_V4 ? AF_INET : AF_INET6;
  let found: usize = 0;
  let best: u32 = 0;
  word_lock(ROOT + ROOT_OBJECTS_LOCK);
  for (let object = <usize>load<u32>(ROOT, ROOT_OBJECTS); object != 0; object = <usize>load<u32>(object, OBJECT_NEXT)) {
    if (load<u32>(object, OBJECT_KIND) != OBJECT_SOCKET) continue;
    const now = score(object + OBJECT_BODY, protocol, family, tuple);
    if (now > best) {
      best = now;
      found = object + OBJECT_BODY;
    }
  }
  word_unlock(ROOT + ROOT_OBJECTS_LOCK);
  return <u64>found;
}

export function bpf_sk_lookup_tcp(_ctx: u64, tuple: u64, size: u64, netns: u64, flags: u64): u64 {
  return lookUp(IPPROTO_TCP, <usize>tuple, <u32>size, netns, flags);
}

export function bpf_sk_lookup_udp(_ctx: u64, tuple: u64, size: u64, netns: u64, flags: u64): u64 {
  return lookUp(IPPROTO_UDP, <usize>tuple, <u32>size, netns, flags);
}

// No connection is being made here, nor dying, so that every TCP socket is a full one.
export function bpf_skc_lookup_tcp(_ctx: u64, tuple: u64, size: u64, netns: u64, flags: u64): u64 {
  return lookUp(IPPROTO_TCP, <usize>tuple, <u32>size, netns, flags);
}

// Sockets live until user space closes them, which it cannot while a program runs: there is nothing to count.
export function bpf_sk_release(_sock: u64): i64 {
  return 0;
}
