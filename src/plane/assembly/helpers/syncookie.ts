// SYN cookies without a socket, and for a socket that listens, as if SYNs flooded it (net.ipv4.tcp_syncookies=2): net/core/filter.c.
import { IPPROTO_TCP, TCP_LISTEN } from '../../layout/map-socket';
import { BPF_SOCK_FAMILY, BPF_SOCK_PROTOCOL, BPF_SOCK_STATE } from '../../layout/object';
import { EACCES, EINVAL, ENOENT, EPROTONOSUPPORT } from '../errno';
import { AF_INET6 } from '../net/network';
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

/** Byte of struct tcphdr with its flags. */
const FLAGS = 13;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;

@inline function listens(socket: usize): bool {
  return socket != 0 && load<u32>(socket, BPF_SOCK_PROTOCOL) == IPPROTO_TCP && load<u32>(socket, BPF_SOCK_STATE) == TCP_LISTEN;
}

/** 4 or 6, or a negative errno. */
function versionFor(socket: usize, ip: usize, length: u32): i64 {
  const version = load<u8>(ip) >> 4;
  if (version == 4) return 4;
  if (version != 6) return EPROTONOSUPPORT;
  return length < IPV6_HEADER || load<u32>(socket, BPF_SOCK_FAMILY) != AF_INET6 ? EINVAL : 6;
}

export function bpf_tcp_check_syncookie(socket: u64, ip: u64, ipLength: u64, th: u64, length: u64): i64 {
  if (<u32>length < TCP_HEADER || !listens(<usize>socket)) return EINVAL;
  if ((load<u8>(<usize>th, FLAGS) & (ACK | RST | SYN)) != ACK) return ENOENT;
  if (<u32>ipLength < IPV4_HEADER) return EINVAL;
  const version = versionFor(<usize>socket, <usize>ip, <u32>ipLength);
  if (version < 0) return version;
  return checkCookie(version == 6, <usize>ip, <usize>th) != 0 ? 0 : ENOENT;
}

export function bpf_tcp_gen_syncookie(socket: u64, ip: u64, ipLength: u64, th: u64, length: u64): i64 {
  const size = <u32>length;
  if (size < TCP_HEADER || size != <u32>(load<u8>(<usize>th, 12) >> 4) << 2 || !listens(<usize>socket)) return EINVAL;
  if ((load<u8>(<usize>th, FLAGS) & (SYN | ACK | FIN | RST)) != SYN) return EINVAL;
  if (<u32>ipLength < IPV4_HEADER) return EINVAL;
  const version = versionFor(<usize>socket, <usize>ip, <u32>ipLength);
  return version < 0 ? version : <i64>makeCookie(version == 6, <usize>ip, <usize>th);
}
