// Hooks of control groups: what the system call returns, sysctl values, addresses. kernel/bpf/cgroup.c, net/core/filter.c.
import {
  CONTEXT_CURRENT, CONTEXT_CURRENT_LENGTH, CONTEXT_NAME, CONTEXT_NAME_LENGTH, CONTEXT_NEW, CONTEXT_NEW_LENGTH, CONTEXT_NEW_WRITTEN,
  CONTEXT_SOCKET,
} from '../../layout/context';
import { WORKER_RETVAL } from '../../layout/worker';
import { E2BIG, EAFNOSUPPORT, EINVAL } from '../errno';
import { WORKER } from '../worker';

const BASE_NAME: u64 = 1;
const PAGE_SIZE: u32 = 4096;
/** First field of struct bpf_sysctl. */
const SYSCTL_WRITE: usize = 0;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
/** struct sockaddr_in, and sockaddr_in6 without its scope. */
const SOCKADDR_IN_SIZE: i32 = 16;
const SOCKADDR_IN6_SIZE: i32 = 24;
/** struct bpf_sock. */
const SRC_IP4: usize = 24;
const SRC_IP6: usize = 28;
const SRC_PORT: usize = 44;

export function bpf_get_retval(): i64 {
  return <i64>load<i32>(<usize>load<u32>(WORKER, WORKER_RETVAL));
}

export function bpf_set_retval(value: u64): i64 {
  store<i32>(<usize>load<u32>(WORKER, WORKER_RETVAL), <i32>value);
  return 0;
}

// strscpy: as much as fits, with a NUL; its length, or -E2BIG if it was cut.
function copyText(to: usize, room: u32, from: usize, length: u32): i64 {
  if (room == 0) return E2BIG;
  const copied = min<u32>(length, room - 1);
  memory.copy(to, from, copied);
  store<u8>(to + copied, 0);
  return copied < length ? E2BIG : <i64>length;
}

export function bpf_sysctl_get_name(ctx: u64, to: u64, size: u64, flags: u64): i64 {
  const frame = <usize>ctx;
  let name = <usize>load<u32>(frame, CONTEXT_NAME);
  let length = load<u32>(frame, CONTEXT_NAME_LENGTH);
  if ((flags & BASE_NAME) != 0) {
    for (let i = length; i > 0; i--) {
      if (load<u8>(name + i - 1) != 47) continue;
      name += i;
      length -= i;
      break;
    }
  }
  return copyText(<usize>to, <u32>size, name, length);
}

function copyValue(to: usize, size: u32, from: usize, length: u32): i64 {
  if (size == 0) return E2BIG;
  if (from == 0 || length == 0) {
    memory.fill(to, 0, size);
    return EINVAL;
  }
  memory.copy(to, from, min<u32>(size, length));
  if (size > length) {
    memory.fill(to + length, 0, size - length);
    return length;
  }
  store<u8>(to + size - 1, 0);
  return E2BIG;
}

export function bpf_sysctl_get_current_value(ctx: u64, to: u64, size: u64): i64 {
  const frame = <usize>ctx;
  return copyValue(<usize>to, <u32>size, load<u32>(frame, CONTEXT_CURRENT), load<u32>(frame, CONTEXT_CURRENT_LENGTH));
}

export function bpf_sysctl_get_new_value(ctx: u64, to: u64, size: u64): i64 {
  const frame = <usize>ctx;
  if (load<u32>(frame, SYSCTL_WRITE) == 0) {
    memory.fill(<usize>to, 0, <u32>size);
    return EINVAL;
  }
  return copyValue(<usize>to, <u32>size, load<u32>(frame, CONTEXT_NEW), load<u32>(frame, CONTEXT_NEW_LENGTH));
}

export function bpf_sysctl_set_new_value(ctx: u64, from: u64, size: u64): i64 {
  const frame = <usize>ctx;
  const length = <u32>size;
  if (load<u32>(frame, SYSCTL_WRITE) == 0 || load<u32>(frame, CONTEXT_NEW) == 0 || load<u32>(frame, CONTEXT_NEW_LENGTH) == 0) return EINVAL;
  if (length == 0) return EINVAL;
  if (length > PAGE_SIZE - 1) return E2BIG;
  memory.copy(<usize>load<u32>(frame, CONTEXT_NEW), <usize>from, length);
  store<u32>(frame, length, CONTEXT_NEW_LENGTH);
  store<u32>(frame, 1, CONTEXT_NEW_WRITTEN);
  return 0;
}

// The socket takes the address; that another may have it already is not modelled.
export function bpf_bind(ctx: u64, address: u64, size: u64): i64 {
  const socket = <usize>load<u32>(<usize>ctx, CONTEXT_SOCKET);
  const at = <usize>address;
  const length = <i32>size;
  if (length < 2) return EINVAL;
  const family = <u32>load<u16>(at);
  if (family == AF_INET) {
    if (length < SOCKADDR_IN_SIZE) return EINVAL;
    store<u32>(socket, load<u32>(at, 4), SRC_IP4);
  } else if (family == AF_INET6) {
    if (length < SOCKADDR_IN6_SIZE) return EINVAL;
    memory.copy(socket + SRC_IP6, at + 8, 16);
  } else {
    return EAFNOSUPPORT;
  }
  store<u32>(socket, <u32>bswap<u16>(load<u16>(at, 2)), SRC_PORT);
  return 0;
}
