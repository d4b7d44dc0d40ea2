/** Packets as struct __sk_buff: net/core/filter.c. */
import { helper } from './prototype-builder.ts';

const changes = { changesPacketData: true };

export const skbHelpers = [
  helper('bpf_skb_load_bytes', ['ctx', 'anything', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_skb_load_bytes_relative', ['ctx', 'anything', 'mem_uninit', 'const_size', 'anything'], 'integer'),
  helper('bpf_skb_store_bytes', ['ctx', 'anything', 'mem', 'const_size', 'anything'], 'integer', changes),
  helper('bpf_skb_pull_data', ['ctx', 'anything'], 'integer', changes),
  helper('bpf_skb_change_proto', ['ctx', 'anything', 'anything'], 'integer', changes),
  helper('bpf_skb_change_type', ['ctx', 'anything'], 'integer'),
  helper('bpf_skb_change_head', ['ctx', 'anything', 'anything'], 'integer', changes),
  helper('bpf_skb_change_tail', ['ctx', 'anything', 'anything'], 'integer', changes),
  helper('bpf_skb_adjust_room', ['ctx', 'anything', 'anything', 'anything'], 'integer', changes),
  helper('bpf_skb_vlan_push', ['ctx', 'anything', 'anything'], 'integer', changes),
  helper('bpf_skb_vlan_pop', ['ctx'], 'integer', changes),
  helper('bpf_skb_ecn_set_ce', ['ctx'], 'integer'),
  helper('bpf_skb_set_tstamp', ['ctx', 'anything', 'anything'], 'integer'),
  helper('bpf_get_hash_recalc', ['ctx'], 'integer'),
  helper('bpf_set_hash_invalid', ['ctx'], 'integer'),
  helper('bpf_set_hash', ['ctx', 'anything'], 'integer'),
  helper('bpf_get_route_realm', ['ctx'], 'integer'),
  helper('bpf_skb_get_xfrm_state', ['ctx', 'anything', 'mem_uninit', 'const_size', 'anything'], 'integer'),
];
