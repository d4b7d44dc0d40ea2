/**
 * What programs of `iter/TARGET` are given beside the fields that BTF describes: the ctx_arg_info of each target that Linux 6.18 registers
 * (bpf_iter_reg_target). The target's function is `bpf_iter_TARGET` of the kernel's BTF; its first argument is always the metadata.
 */

/** `trusted`: may be passed on as an argument. `buffer`: memory of a size known at attach, not a struct. All may be NULL. */
export type IteratorArgument = 'trusted' | 'plain' | 'buffer' | 'readonly_buffer';

/** By position in the function's arguments; those that are missing are as BTF says. */
export const iteratorTargets: ReadonlyMap<string, Readonly<Record<number, IteratorArgument>>> = new Map([
  ['bpf_link', { 1: 'plain' }],
  ['bpf_map', { 1: 'trusted' }],
  ['bpf_map_elem', { 2: 'readonly_buffer', 3: 'buffer' }],
  ['bpf_prog', { 1: 'plain' }],
  ['bpf_sk_storage_map', { 2: 'plain', 3: 'buffer' }],
  ['cgroup', { 1: 'trusted' }],
  ['dmabuf', { 1: 'plain' }],
  ['ipv6_route', { 1: 'plain' }],
  ['kmem_cache', { 1: 'trusted' }],
  ['ksym', { 1: 'plain' }],
  ['netlink', { 1: 'plain' }],
  ['sockmap', { 2: 'readonly_buffer', 3: 'plain' }],
  ['task', { 1: 'trusted' }],
  ['task_file', { 1: 'plain', 3: 'plain' }],
  ['task_vma', { 1: 'plain', 2: 'plain' }],
  ['tcp', { 1: 'trusted' }],
  ['udp', { 1: 'trusted' }],
  ['unix', { 1: 'plain' }],
]);

/** Targets whose programs may read and set socket options (bpf_iter_get_func_proto of net/ipv4 and net/unix). */
export const socketOptionTargets: ReadonlySet<string> = new Set(['tcp', 'unix']);
