/** Loads through the pointer of a map itself: fields of struct bpf_array and the like (check_ptr_to_map_access). */
import type { MapTypeName } from '../../abi/map-types.ts';
import * as k from '../kinds.ts';
import { auxOf, bitsText, constantOf, isConstant, makePointer, makeUnknown } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { kernelStruct, makeBtfPointer } from './btf-pointer.ts';
import { accessStruct } from './btf-walk.ts';
import { coerceLoaded } from './stack.ts';

/** What the kernel keeps of a map of the type (map_btf_id of its operations). */
const structs: Readonly<Record<Exclude<MapTypeName, 'allocator'>, string>> = {
  hash: 'bpf_htab',
  percpu_hash: 'bpf_htab',
  lru_hash: 'bpf_htab',
  lru_percpu_hash: 'bpf_htab',
  hash_of_maps: 'bpf_htab',
  array: 'bpf_array',
  percpu_array: 'bpf_array',
  prog_array: 'bpf_array',
  perf_event_array: 'bpf_array',
  cgroup_array: 'bpf_array',
  array_of_maps: 'bpf_array',
  stack_trace: 'bpf_stack_map',
  lpm_trie: 'lpm_trie',
  devmap: 'bpf_dtab',
  devmap_hash: 'bpf_dtab',
  cpumap: 'bpf_cpu_map',
  xskmap: 'xsk_map',
  sockmap: 'bpf_stab',
  sockhash: 'bpf_shtab',
  cgroup_storage: 'bpf_cgroup_storage_map',
  percpu_cgroup_storage: 'bpf_cgroup_storage_map',
  reuseport_sockarray: 'reuseport_array',
  queue: 'bpf_queue_stack',
  stack: 'bpf_queue_stack',
  sk_storage: 'bpf_local_storage_map',
  inode_storage: 'bpf_local_storage_map',
  task_storage: 'bpf_local_storage_map',
  cgrp_storage: 'bpf_local_storage_map',
  struct_ops: 'bpf_struct_ops_map',
  ringbuf: 'bpf_ringbuf_map',
  user_ringbuf: 'bpf_ringbuf_map',
  bloom_filter: 'bpf_bloom_filter',
  arena: 'bpf_arena',
  insn_array: 'bpf_insn_array',
};

export function mapPointerAccess(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  write: boolean,
  into: number,
  signed: boolean,
): void {
  const refuse: (problem: string, reason: string) => never = (problem, reason) =>
    v.refuse('struct-access', 'Memory Safety', problem, reason);
  const { type } = v.code.maps[auxOf(pointer)]!;
  if (type === 'allocator')
    refuse(
      `R${number} is an allocator map, which cannot be accessed`,
      'Allocators are only passed to bpf_mem_alloc and its like.',
    );
  const struct = structs[type];
  if (off < 0) refuse(`R${number} is ${struct} invalid negative access: off=${off}`, 'The access is before the map.');
  if (write) refuse(`only read from ${struct} is supported`, 'Maps are changed by calls alone.');
  if (!isConstant(pointer) || constantOf(pointer) !== 0)
    refuse(
      `R${number} is ptr_${struct} invalid variable offset: off=${off}, var_off=${bitsText(pointer)}`,
      'Which field is meant must be known.',
    );
  const id = kernelStruct(v, struct);
  const field = accessStruct(v.vmlinux!, id, off, size);
  if (field.kind === 'refused') refuse(field.problem, `struct ${struct} cannot be read like that.`);
  if (into < 0) return;
  const r = v.register(into);
  if (field.kind === 'pointer') makeBtfPointer(v, r, field.id, field.flags);
  else if (field.kind === 'memory') makePointer(r, k.MEM, k.READ_ONLY | k.UNTRUSTED, 0);
  else {
    makeUnknown(r);
    coerceLoaded(r, size, signed);
  }
}
