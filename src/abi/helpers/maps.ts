/** Helpers on maps; prototypes as in kernel/bpf/helpers.c, kernel/bpf/bpf_iter.c and kernel/bpf/core.c. */
import { helper } from './prototype-builder.ts';

const packetAccess = { packetAccess: true };

export const mapHelpers = [
  helper('bpf_map_lookup_elem', ['const_map_ptr', 'map_key'], 'map_value_or_null', packetAccess),
  helper('bpf_map_update_elem', ['const_map_ptr', 'map_key', 'map_value', 'anything'], 'integer', packetAccess),
  helper('bpf_map_delete_elem', ['const_map_ptr', 'map_key'], 'integer', packetAccess),
  helper('bpf_map_push_elem', ['const_map_ptr', 'map_value', 'anything'], 'integer', packetAccess),
  helper('bpf_map_pop_elem', ['const_map_ptr', 'map_value_uninit'], 'integer'),
  helper('bpf_map_peek_elem', ['const_map_ptr', 'map_value_uninit'], 'integer'),
  helper('bpf_map_lookup_percpu_elem', ['const_map_ptr', 'map_key', 'anything'], 'map_value_or_null', packetAccess),
  helper('bpf_for_each_map_elem', ['const_map_ptr', 'func', 'stack_or_null', 'anything'], 'integer'),
  // The program that it jumps to may change the packet.
  helper('bpf_tail_call', ['ctx', 'const_map_ptr', 'anything'], 'void', { changesPacketData: true }),
];
