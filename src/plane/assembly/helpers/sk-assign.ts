// bpf_sk_assign: a program says which socket takes a packet or a connection. bpf_sk_lookup_assign and bpf_sk_assign, net/core/filter.c.
import { EAFNOSUPPORT, EEXIST, EINVAL, EOPNOTSUPP, EPROTOTYPE, ESOCKTNOSUPPORT } from '../errno';
import { IPPROTO_TCP, TCP_LISTEN } from '../../layout/map-socket';
import { BPF_SOCK_FAMILY, BPF_SOCK_PROTOCOL, BPF_SOCK_STATE } from '../../layout/object';
import { SK_LOOKUP_FAMILY, SK_LOOKUP_NO_REUSEPORT, SK_LOOKUP_PROTOCOL, SK_LOOKUP_SOCKET } from '../../layout/sk-lookup';
import { HOOK_SK_LOOKUP, WORKER_HOOK } from '../../layout/worker';
import { WORKER } from '../worker';

const BPF_SK_LOOKUP_F_REPLACE: u64 = 1;
const BPF_SK_LOOKUP_F_NO_REUSEPORT: u64 = 2;
const AF_INET: u32 = 2;
const TCP_CLOSE: u32 = 7;

function assign(ctx: usize, socket: usize, flags: u64): i64 {
  if ((flags & ~(BPF_SK_LOOKUP_F_REPLACE | BPF_SK_LOOKUP_F_NO_REUSEPORT)) != 0) return EINVAL;
  if (socket != 0) {
    const protocol = load<u32>(socket, BPF_SOCK_PROTOCOL);
    const family = load<u32>(socket, BPF_SOCK_FAMILY);
    // Only what may live on without a reference: TCP that listens, UDP that is not connected.
    if (load<u32>(socket, BPF_SOCK_STATE) != (protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE)) return ESOCKTNOSUPPORT;
    if (protocol != load<u32>(ctx, SK_LOOKUP_PROTOCOL)) return EPROTOTYPE;
    // A modelled IPv6 socket takes IPv4 too.
    if (family == AF_INET && load<u32>(ctx, SK_LOOKUP_FAMILY) != AF_INET) return EAFNOSUPPORT;
  }
  if (load<u64>(ctx, SK_LOOKUP_SOCKET) != 0 && (flags & BPF_SK_LOOKUP_F_REPLACE) == 0) return EEXIST;
  store<u64>(ctx, <u64>socket, SK_LOOKUP_SOCKET);
  store<u32>(ctx, (flags & BPF_SK_LOOKUP_F_NO_REUSEPORT) != 0 ? 1 : 0, SK_LOOKUP_NO_REUSEPORT);
  return 0;
}

export function bpf_sk_assign(ctx: u64, socket: u64, flags: u64): i64 {
  if (load<u32>(WORKER, WORKER_HOOK) == HOOK_SK_LOOKUP) return assign(<usize>ctx, <usize>socket, flags);
  // Of an sk_buff: only where it comes in, which in a test run is not.
  return flags != 0 ? EINVAL : EOPNOTSUPP;
}
