/** Tunnel metadata of a packet, and light-weight tunnels: net/core/filter.c. */
import { helper } from './prototype-builder.ts';

const changes = { changesPacketData: true };

export const tunnelHelpers = [
  helper('bpf_skb_get_tunnel_key', ['ctx', 'mem_uninit', 'const_size', 'anything'], 'integer'),
  helper('bpf_skb_set_tunnel_key', ['ctx', 'mem', 'const_size', 'anything'], 'integer'),
  helper('bpf_skb_get_tunnel_opt', ['ctx', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_skb_set_tunnel_opt', ['ctx', 'mem', 'const_size'], 'integer'),
  helper('bpf_lwt_push_encap', ['ctx', 'anything', 'mem', 'const_size'], 'integer', changes),
  helper('bpf_lwt_seg6_store_bytes', ['ctx', 'anything', 'mem', 'const_size'], 'integer', changes),
  helper('bpf_lwt_seg6_adjust_srh', ['ctx', 'anything', 'anything'], 'integer', changes),
  helper('bpf_lwt_seg6_action', ['ctx', 'anything', 'mem', 'const_size'], 'integer', changes),
];
