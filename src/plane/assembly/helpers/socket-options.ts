// bpf_getsockopt, bpf_setsockopt and bpf_sock_ops_cb_flags_set on modelled sockets: which options there are and of what size as in
// net/core/filter.c. What is set is kept as it is: Linux rounds some values, and refuses some by other state of the socket.
import {
  CONTEXT_SOCKET, SOCKET_OPTION_COUNT, SOCKET_OPTION_MAX, SOCKET_OPTION_SIZE, SOCKET_OPTIONS,
} from '../../layout/context';
import { BPF_SOCK_FAMILY, BPF_SOCK_PROTOCOL } from '../../layout/object';
import { EINVAL, ENOMEM } from '../errno';
import { socketOf } from '../hooks/context';

const SOL_IP: u32 = 0;
const SOL_SOCKET: u32 = 1;
const SOL_TCP: u32 = 6;
const SOL_IPV6: u32 = 41;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const IPPROTO_TCP: u32 = 6;
const SO_PRIORITY: u32 = 12;
const SO_BINDTODEVICE: u32 = 25;
const SO_MARK: u32 = 36;
const TCP_CONGESTION: u32 = 13;
/** struct bpf_sock. */
const MARK: usize = 16;
const PRIORITY: usize = 20;
/** struct bpf_sock_ops: args[0] with the callbacks that are on. */
const SOCK_OPS_FLAGS: usize = 84;
const SOCK_OPS_FULL: usize = 72;
const ALL_CALLBACKS: u32 = 0x7f;
/** SO_REUSEADDR, SNDBUF, RCVBUF, KEEPALIVE, PRIORITY, REUSEPORT, RCVLOWAT, MARK, MAX_PACING_RATE, BINDTOIFINDEX, TXREHASH. */
const SOCKET_NUMBERS = memory.data<u8>([2, 7, 8, 9, 12, 15, 18, 36, 47, 62, 74, 0]);
/** TCP_NODELAY, MAXSEG, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, WINDOW_CLAMP, THIN_LINEAR_TIMEOUTS, USER_TIMEOUT, NOTSENT_LOWAT, SAVE_SYN, RTO_MAX_MS. */
const TCP_NUMBERS = memory.data<u8>([1, 2, 4, 5, 6, 7, 10, 16, 18, 25, 27, 44, 0]);

function among(list: usize, name: u32): bool {
  for (let at = list; load<u8>(at) != 0; at++) if (load<u8>(at) == name) return true;
  return false;
}

/** Whether Linux has the option for programs, and it has that size. */
function taken(socket: usize, level: u32, name: u32, size: u32, reads: bool): bool {
  const number = size == 4;
  if (level == SOL_SOCKET) return among(SOCKET_NUMBERS, name) ? number : name == SO_BINDTODEVICE && !reads && size <= <u32>SOCKET_OPTION_MAX;
  const family = load<u32>(socket, BPF_SOCK_FAMILY);
  if (level == SOL_IP) return family == AF_INET && name == 1 && number;
  if (level == SOL_IPV6) return family == AF_INET6 && (name == 67 || name == 70) && number;
  if (level != SOL_TCP || load<u32>(socket, BPF_SOCK_PROTOCOL) != IPPROTO_TCP) return false;
  return among(TCP_NUMBERS, name) ? number : name == TCP_CONGESTION && size >= 2 && (reads || size <= <u32>SOCKET_OPTION_MAX);
}

/** Entry of the option; with `make` a free one where there is none, 0 if there is no room. */
function entry(socket: usize, level: u32, name: u32, make: bool): usize {
  let free: usize = 0;
  for (let i: usize = 0; i < <usize>SOCKET_OPTION_COUNT; i++) {
    const at = socket + SOCKET_OPTIONS + i * SOCKET_OPTION_SIZE;
    const used = load<u32>(at, 8) != 0;
    if (used && load<u32>(at) == level && load<u32>(at, 4) == name) return at;
    if (!used && free == 0) free = at;
  }
  return make ? free : 0;
}

export function bpf_setsockopt(target: u64, level: u64, name: u64, value: u64, size: u64): i64 {
  const socket = socketOf(target);
  const bytes = <u32>size;
  if (socket == 0 || !taken(socket, <u32>level, <u32>name, bytes, false)) return EINVAL;
  const at = entry(socket, <u32>level, <u32>name, true);
  if (at == 0) return ENOMEM;
  store<u32>(at, <u32>level);
  store<u32>(at, <u32>name, 4);
  store<u32>(at, bytes, 8);
  memory.fill(at + 12, 0, SOCKET_OPTION_MAX);
  memory.copy(at + 12, <usize>value, bytes);
  if (<u32>level == SOL_SOCKET && <u32>name == SO_MARK) store<u32>(socket, load<u32>(<usize>value), MARK);
  if (<u32>level == SOL_SOCKET && <u32>name == SO_PRIORITY) store<u32>(socket, load<u32>(<usize>value), PRIORITY);
  return 0;
}

/** An option that nobody set is 0; of congestion control, empty. */
export function bpf_getsockopt(target: u64, level: u64, name: u64, value: u64, size: u64): i64 {
  const socket = socketOf(target);
  const out = <usize>value;
  const bytes = <u32>size;
  memory.fill(out, 0, bytes);
  if (socket == 0 || !taken(socket, <u32>level, <u32>name, bytes, true)) return EINVAL;
  const at = entry(socket, <u32>level, <u32>name, false);
  if (<u32>level == SOL_SOCKET && <u32>name == SO_MARK) store<u32>(out, load<u32>(socket, MARK));
  else if (<u32>level == SOL_SOCKET && <u32>name == SO_PRIORITY) store<u32>(out, load<u32>(socket, PRIORITY));
  else if (at != 0) memory.copy(out, at + 12, min<u32>(bytes, SOCKET_OPTION_MAX));
  return 0;
}

export function bpf_sock_ops_cb_flags_set(ctx: u64, flags: u64): i64 {
  const context = <usize>ctx;
  if (load<u32>(context, CONTEXT_SOCKET) == 0 || load<u32>(context, SOCK_OPS_FULL) == 0) return EINVAL;
  store<u32>(context, <u32>flags & ALL_CALLBACKS, SOCK_OPS_FLAGS);
  return <i64>(<i32>flags & ~ALL_CALLBACKS);
}
