// bpf_sk_select_reuseport, net/core/filter.c. Sockets of one protocol, family and local port are taken for one group.
import { CONTEXT_SELECTED, CONTEXT_SOCKET } from '../../layout/context';
import { MAP_TYPE } from '../../layout/map';
import { BPF_SOCK_FAMILY, BPF_SOCK_PROTOCOL, SOCKET_REUSEPORT } from '../../layout/object';
import { EAFNOSUPPORT, EBADFD, EINVAL, ENOENT, EPROTOTYPE } from '../errno';
import { reuseport_sockarray_lookup } from '../maps/reuseport-sockarray';
import { sockhash_lookup, sockmap_lookup } from '../maps/sockmap';
import { REUSEPORT_SOCKARRAY, SOCKHASH } from '../maps/types';

/** struct bpf_sock. */
const SRC_PORT: usize = 44;

export function bpf_sk_select_reuseport(ctx: u64, map: u64, key: u64, _flags: u64): i64 {
  const type = load<u32>(<usize>map, MAP_TYPE);
  const chosen =
    type == REUSEPORT_SOCKARRAY
      ? reuseport_sockarray_lookup(<usize>map, <usize>key)
      : type == SOCKHASH
        ? sockhash_lookup(<usize>map, <usize>key)
        : sockmap_lookup(<usize>map, <usize>key);
  if (chosen == 0) return ENOENT;
  if (load<u32>(chosen, SOCKET_REUSEPORT) == 0) return EINVAL;
  const own = <usize>load<u32>(<usize>ctx, CONTEXT_SOCKET);
  if (load<u32>(own, BPF_SOCK_PROTOCOL) != load<u32>(chosen, BPF_SOCK_PROTOCOL)) return EPROTOTYPE;
  if (load<u32>(own, BPF_SOCK_FAMILY) != load<u32>(chosen, BPF_SOCK_FAMILY)) return EAFNOSUPPORT;
  if (load<u32>(own, SRC_PORT) != load<u32>(chosen, SRC_PORT)) return EBADFD;
  store<u32>(<usize>ctx, <u32>chosen, CONTEXT_SELECTED);
  return 0;
}
