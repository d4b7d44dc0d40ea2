/** Local storage: values that hang on a socket, an inode, a task or a control group. kernel/bpf/bpf_*_storage.c, net/core/bpf_sk_storage.c. */
import { helper } from './prototype-builder.ts';

const initial = ['map_value_or_null', 'anything'] as const;
const ofInode = { btfIds: { 1: ['inode'] } };
const ofTask = { btfIds: { 1: ['task_struct'] } };
const ofCgroup = { btfIds: { 1: ['cgroup'] } };
const ofSockCommon = { btfIds: { 1: ['sock_common'] } };

export const storageHelpers = [
  helper('bpf_sk_storage_get', ['const_map_ptr', 'btf_id_sock_common', ...initial], 'map_value_or_null'),
  helper('bpf_sk_storage_delete', ['const_map_ptr', 'btf_id_sock_common'], 'integer'),
  helper('bpf_inode_storage_get', ['const_map_ptr', 'btf_id_or_null', ...initial], 'map_value_or_null', ofInode),
  helper('bpf_inode_storage_delete', ['const_map_ptr', 'btf_id_or_null'], 'integer', ofInode),
  helper('bpf_task_storage_get', ['const_map_ptr', 'btf_id_or_null', ...initial], 'map_value_or_null', ofTask),
  helper('bpf_task_storage_delete', ['const_map_ptr', 'btf_id_or_null'], 'integer', ofTask),
  helper('bpf_cgrp_storage_get', ['const_map_ptr', 'btf_id_or_null', ...initial], 'map_value_or_null', ofCgroup),
  helper('bpf_cgrp_storage_delete', ['const_map_ptr', 'btf_id_or_null'], 'integer', ofCgroup),
  helper('bpf_get_local_storage', ['const_map_ptr', 'anything'], 'map_value'),
];

/** Of cgroup_sock programs, whose context is the socket: bpf_sk_storage_get_cg_sock_proto. */
export const socketStorageOfContext = helper(
  'bpf_sk_storage_get',
  ['const_map_ptr', 'ctx', ...initial],
  'map_value_or_null',
);

/** Of tracing programs: bpf_sk_storage_get_tracing_proto and its counterpart. Functions of the storage itself are refused as targets. */
export const tracingSocketStorage = [
  helper('bpf_sk_storage_get', ['const_map_ptr', 'btf_id_or_null', ...initial], 'map_value_or_null', ofSockCommon),
  helper('bpf_sk_storage_delete', ['const_map_ptr', 'btf_id_or_null'], 'integer', ofSockCommon),
];
