/** Helpers on maps; prototypes as in kernel/bpf/helpers.c and kernel/bpf/arraymap.c. */
import { helper } from './prototype-builder.ts';

export const mapHelpers = [
  helper('bpf_map_lookup_elem', ['const_map_ptr', 'map_key'], 'map_value_or_null'),
  helper('bpf_map_update_elem', ['const_map_ptr', 'map_key', 'map_value', 'anything'], 'integer'),
  helper('bpf_map_delete_elem', ['const_map_ptr', 'map_key'], 'integer'),
  helper('bpf_map_lookup_percpu_elem', ['const_map_ptr', 'map_key', 'anything'], 'map_value_or_null'),
  helper('bpf_for_each_map_elem', ['const_map_ptr', 'func', 'stack_or_null', 'anything'], 'integer'),
  helper('bpf_tail_call', ['ctx', 'const_map_ptr', 'anything'], 'void'),
];
