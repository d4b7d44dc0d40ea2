/** Messages and streams between sockets, and the maps that hold sockets: net/core/filter.c, net/core/sock_map.c. */
import { helper } from './prototype-builder.ts';

const changes = { changesPacketData: true };
const byIndex = ['ctx', 'const_map_ptr', 'anything', 'anything'] as const;
const byKey = ['ctx', 'const_map_ptr', 'map_key', 'anything'] as const;

export const sockmapHelpers = [
  helper('bpf_sock_map_update', byKey, 'integer', { packetAccess: true }),
  helper('bpf_sock_hash_update', byKey, 'integer', { packetAccess: true }),
  helper('bpf_sk_redirect_map', byIndex, 'integer'),
  helper('bpf_sk_redirect_hash', byKey, 'integer'),
  helper('bpf_msg_redirect_map', byIndex, 'integer'),
  helper('bpf_msg_redirect_hash', byKey, 'integer'),
  helper('bpf_msg_apply_bytes', ['ctx', 'anything'], 'integer'),
  helper('bpf_msg_cork_bytes', ['ctx', 'anything'], 'integer'),
  helper('bpf_msg_pull_data', ['ctx', 'anything', 'anything', 'anything'], 'integer', changes),
  helper('bpf_msg_push_data', ['ctx', 'anything', 'anything', 'anything'], 'integer', changes),
  helper('bpf_msg_pop_data', ['ctx', 'anything', 'anything', 'anything'], 'integer', changes),
];
