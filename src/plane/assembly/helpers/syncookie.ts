// SYN cookies without a socket: bpf_tcp_raw_gen_syncookie_* and bpf_tcp_raw_check_syncookie_*, net/core/filter.c.
import { EACCES, EINVAL } from '../errno';
import { checkCookie, makeCookie, TCP_HEADER } from '../net/syncookie';

function generate(v6: bool, ip: u64, th: u64, length: u64): i64 {
  const size = <u32>length;
  if (size < TCP_HEADER || size != <u32>(load<u8>(<usize>th, 12) >> 4) << 2) return EINVAL;
  return <i64>makeCookie(v6, <usize>ip, <usize>th);
}

export function bpf_tcp_raw_gen_syncookie_ipv4(ip: u64, th: u64, length: u64): i64 {
  return generate(false, ip, th, length);
}

export function bpf_tcp_raw_gen_syncookie_ipv6(ip: u64, th: u64, length: u64): i64 {
  return generate(true, ip, th, length);
}

export function bpf_tcp_raw_check_syncookie_ipv4(ip: u64, th: u64): i64 {
  return checkCookie(false, <usize>ip, <usize>th) != 0 ? 0 : EACCES;
}

export function bpf_tcp_raw_check_syncookie_ipv6(ip: u64, th: u64): i64 {
  return checkCookie(true, <usize>ip, <usize>th) != 0 ? 0 : EACCES;
}
