/**
 * What Linux 6.18 lets maps be, by type: sizes, flags, which helpers take them, which programs, which special fields. From the
 * map_alloc_check of each type (kernel/bpf/*map*.c, net/core/sock_map.c, net/xdp/xskmap.c), map_create and map_check_btf
 * (kernel/bpf/syscall.c), check_map_func_compatibility and check_map_prog_compatibility (kernel/bpf/verifier.c).
 */
import type { MapTypeName } from './map-types.ts';
import type { AttachTypeName, ProgramTypeName } from './program-types.ts';

/** BPF_F_* of BPF_MAP_CREATE: include/uapi/linux/bpf.h. */
export const mapFlags = {
  no_prealloc: 1 << 0,
  no_common_lru: 1 << 1,
  numa_node: 1 << 2,
  rdonly: 1 << 3,
  wronly: 1 << 4,
  stack_build_id: 1 << 5,
  zero_seed: 1 << 6,
  rdonly_prog: 1 << 7,
  wronly_prog: 1 << 8,
  clone: 1 << 9,
  mmapable: 1 << 10,
  preserve_elems: 1 << 11,
  inner_map: 1 << 12,
  link: 1 << 13,
  path_fd: 1 << 14,
  vtype_btf_obj_fd: 1 << 15,
  token_fd: 1 << 16,
  segv_on_fault: 1 << 17,
  no_user_conv: 1 << 18,
} as const;

export type MapFlagName = keyof typeof mapFlags;

/** Bytes: one of a list, or from `min` to `max` in steps of `step` (default 1). */
export type SizeRule =
  | { readonly oneOf: readonly number[] }
  | { readonly min: number; readonly max: number; readonly step?: number };

/** Fields of values that the kernel looks after. `timer`: bpf_timer, bpf_wq and bpf_task_work; `graph`: list heads and rbtree roots. */
export type MapFieldKind = 'spin_lock' | 'timer' | 'kptr' | 'uptr' | 'graph';

export interface MapRule {
  /** Linux version that had it first. */
  readonly since: string;
  readonly key: SizeRule;
  readonly value: SizeRule;
  /** `pages`: bytes, a power of two and a multiple of the page; `none`: must be 0; a number: the most that there may be. */
  readonly entries: 'any' | 'none' | 'pages' | number;
  readonly flags: readonly MapFlagName[];
  readonly requiredFlags: readonly MapFlagName[];
  /** BTF of key and value must come with it. */
  readonly needsBtf: boolean;
  /** A value for each CPU. */
  readonly perCpu: boolean;
  /** Helpers that take it, without prefix; `any`: all that do not ask for a certain type (`mapTypesOfHelper`). */
  readonly helpers: 'any' | readonly string[];
  /** BPF_MAP_GET_NEXT_KEY. */
  readonly iterable: boolean;
  /** BPF_MAP_LOOKUP_BATCH. */
  readonly batch: boolean;
  /** Sleepable programs may use it. */
  readonly sleepable: boolean;
  readonly fields: readonly MapFieldKind[];
}

const KMALLOC_MAX = 1 << 22;
/** PCPU_MIN_UNIT_SIZE. */
const PERCPU_MAX = 1 << 15;
const INT_MAX = 2 ** 31 - 1;

const none: SizeRule = { oneOf: [0] };
const four: SizeRule = { oneOf: [4] };
const fourOrEight: SizeRule = { oneOf: [4, 8] };
/** A key that is hashed together with its value lies in one kmalloc; both together stay 48 bytes below its limit. */
const hashed: SizeRule = { min: 1, max: KMALLOC_MAX - 50 };
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: 65535 less struct bpf_local_storage_elem. */
const stored: SizeRule = { min: 1, max: 65535 - 128 };

const access = ['rdonly', 'wronly', 'rdonly_prog', 'wronly_prog'] as const;
const userAccess = ['rdonly', 'wronly'] as const;
const everyField = ['spin_lock', 'timer', 'kptr', 'graph'] as const;

const plain = {
  entries: 'any',
  requiredFlags: [],
  needsBtf: false,
  perCpu: false,
  helpers: 'any',
  iterable: true,
  batch: false,
  sleepable: false,
  fields: [],
} as const;

const hash: MapRule = {
  ...plain,
  since: '3.19',
  key: hashed,
  value: hashed,
  flags: ['no_prealloc', 'numa_node', 'zero_seed', ...access],
  batch: true,
  sleepable: true,
  fields: everyField,
};
const array: MapRule = {
  ...plain,
  since: '3.19',
  key: four,
  value: { min: 1, max: INT_MAX },
  flags: ['numa_node', 'mmapable', 'inner_map', ...access],
  batch: true,
  sleepable: true,
  fields: everyField,
};
const perCpuValue: SizeRule = { min: 1, max: PERCPU_MAX };
const descriptors = { ...plain, key: four, value: four, flags: ['numa_node', ...userAccess] } as const;
const devices = {
  ...plain,
  key: four,
  value: fourOrEight,
  flags: ['numa_node', ...userAccess],
  helpers: ['redirect_map', 'map_lookup_elem'],
} as const;
const queue: MapRule = {
  ...plain,
  since: '4.20',
  key: none,
  value: { min: 1, max: KMALLOC_MAX },
  flags: ['numa_node', ...access],
  helpers: ['map_push_elem', 'map_pop_elem', 'map_peek_elem'],
  iterable: false,
  sleepable: true,
};
/** Programs of some types may also call map_update_elem and map_delete_elem: `mayUpdateSockmap`. */
const sockets = { ...plain, value: fourOrEight, flags: ['numa_node', ...userAccess] } as const;
const storage = {
  ...plain,
  key: four,
  value: stored,
  entries: 'none',
  flags: ['no_prealloc', 'clone'],
  requiredFlags: ['no_prealloc'],
  needsBtf: true,
  iterable: false,
  sleepable: true,
} as const;
const cgroupStorage: MapRule = {
  ...plain,
  since: '4.19',
  key: { oneOf: [8, 16] },
  value: stored,
  entries: 'none',
  flags: ['numa_node', ...access],
  helpers: ['get_local_storage'],
  fields: ['spin_lock'],
};
const ringbuf: MapRule = {
  ...plain,
  since: '5.8',
  key: none,
  value: none,
  entries: 'pages',
  flags: ['numa_node'],
  helpers: [
    'ringbuf_output',
    'ringbuf_reserve',
    'ringbuf_query',
    'ringbuf_reserve_dynptr',
    'ringbuf_submit_dynptr',
    'ringbuf_discard_dynptr',
  ],
  iterable: false,
  sleepable: true,
};

/** Types that Linux 6.18 does not have: `insn_array` came later, `allocator` is Sluice's own. */
export type LaterMapType = 'insn_array' | 'allocator';

export function isLaterMapType(type: MapTypeName): type is LaterMapType {
  return type === 'insn_array' || type === 'allocator';
}

/** By type, those of Linux 6.18. */
export const mapRules: Readonly<Record<Exclude<MapTypeName, LaterMapType>, MapRule>> = {
  hash,
  array,
  prog_array: { ...descriptors, since: '4.2', helpers: ['tail_call'] },
  perf_event_array: {
    ...descriptors,
    since: '4.3',
    flags: [...descriptors.flags, 'preserve_elems'],
    helpers: ['perf_event_read', 'perf_event_output', 'perf_event_read_value', 'skb_output', 'xdp_output'],
  },
  percpu_hash: {
    ...hash,
    since: '4.6',
    value: perCpuValue,
    perCpu: true,
    flags: ['no_prealloc', 'zero_seed', ...access],
    fields: ['kptr'],
  },
  percpu_array: { ...array, since: '4.6', value: perCpuValue, perCpu: true, flags: access, fields: ['kptr'] },
  stack_trace: {
    ...plain,
    since: '4.6',
    key: four,
    // kernel.perf_event_max_stack addresses, 127 by default; with stack_build_id 32 bytes each.
    value: { min: 8, max: 127 * 8, step: 8 },
    flags: ['numa_node', 'stack_build_id', ...userAccess],
    helpers: ['get_stackid'],
  },
  cgroup_array: { ...descriptors, since: '4.8', helpers: ['skb_under_cgroup', 'current_task_under_cgroup'] },
  lru_hash: {
    ...hash,
    since: '4.10',
    flags: ['no_common_lru', 'numa_node', 'zero_seed', ...access],
    fields: ['timer', 'kptr', 'graph'],
  },
  lru_percpu_hash: {
    ...hash,
    since: '4.10',
    value: perCpuValue,
    perCpu: true,
    flags: ['no_common_lru', 'zero_seed', ...access],
    fields: ['kptr'],
  },
  lpm_trie: {
    ...plain,
    since: '4.11',
    // A __u32 of prefix length and 1 to 256 bytes.
    key: { min: 5, max: 260 },
    value: { min: 1, max: KMALLOC_MAX - 256 - 24 },
    flags: ['no_prealloc', 'numa_node', ...access],
    requiredFlags: ['no_prealloc'],
    batch: true,
  },
  array_of_maps: { ...descriptors, since: '4.12', helpers: ['map_lookup_elem'], batch: true, sleepable: true },
  hash_of_maps: {
    ...hash,
    since: '4.12',
    value: four,
    helpers: ['map_lookup_elem'],
    fields: [],
  },
  devmap: { ...devices, since: '4.14' },
  sockmap: {
    ...sockets,
    since: '4.14',
    key: four,
    helpers: ['sk_redirect_map', 'sock_map_update', 'msg_redirect_map', 'sk_select_reuseport', 'map_lookup_elem'],
  },
  // At most as many entries as the kernel was built for CPUs.
  cpumap: { ...devices, since: '4.15', flags: ['numa_node'], helpers: ['redirect_map'] },
  xskmap: { ...devices, since: '4.18', value: four },
  sockhash: {
    ...sockets,
    since: '4.18',
    key: { min: 1, max: 512 },
    helpers: ['sk_redirect_hash', 'sock_hash_update', 'msg_redirect_hash', 'sk_select_reuseport', 'map_lookup_elem'],
  },
  cgroup_storage: cgroupStorage,
  reuseport_sockarray: {
    ...plain,
    since: '4.19',
    key: four,
    value: fourOrEight,
    flags: ['numa_node', ...access],
    helpers: ['sk_select_reuseport'],
  },
  percpu_cgroup_storage: { ...cgroupStorage, since: '4.20', value: perCpuValue, perCpu: true, fields: [] },
  queue,
  stack: queue,
  sk_storage: {
    ...storage,
    since: '5.2',
    helpers: ['sk_storage_get', 'sk_storage_delete', 'kptr_xchg'],
    fields: ['spin_lock', 'kptr'],
  },
  devmap_hash: { ...devices, since: '5.4' },
  struct_ops: {
    ...plain,
    since: '5.6',
    key: four,
    // That of the kernel's struct bpf_struct_ops_NAME, whose type id comes in btf_vmlinux_value_type_id.
    value: { min: 1, max: INT_MAX },
    entries: 1,
    flags: ['link', 'vtype_btf_obj_fd'],
    // No program may refer to one.
    helpers: [],
  },
  ringbuf,
  inode_storage: {
    ...storage,
    since: '5.10',
    helpers: ['inode_storage_get', 'inode_storage_delete', 'kptr_xchg'],
    fields: ['spin_lock', 'kptr'],
  },
  task_storage: {
    ...storage,
    since: '5.11',
    helpers: ['task_storage_get', 'task_storage_delete', 'kptr_xchg'],
    fields: ['spin_lock', 'kptr', 'uptr'],
  },
  bloom_filter: {
    ...plain,
    since: '5.16',
    key: none,
    value: { min: 1, max: KMALLOC_MAX },
    flags: ['numa_node', 'zero_seed', ...access],
    helpers: ['map_peek_elem', 'map_push_elem'],
    iterable: false,
  },
  user_ringbuf: { ...ringbuf, since: '6.1', helpers: ['user_ringbuf_drain'] },
  cgrp_storage: {
    ...storage,
    since: '6.2',
    helpers: ['cgrp_storage_get', 'cgrp_storage_delete', 'kptr_xchg'],
    fields: ['spin_lock', 'kptr'],
  },
  arena: {
    ...plain,
    since: '6.9',
    key: none,
    value: none,
    // Pages of 4 KiB, 4 GiB in all.
    entries: 1 << 20,
    flags: ['mmapable', 'segv_on_fault', 'no_user_conv'],
    requiredFlags: ['mmapable'],
    iterable: false,
    sleepable: true,
  },
};

/** Helpers that take certain map types only, without prefix: the second half of check_map_func_compatibility. */
export const mapTypesOfHelper: Readonly<Record<string, readonly MapTypeName[]>> = {
  tail_call: ['prog_array'],
  ...same(
    ['perf_event_read', 'perf_event_output', 'perf_event_read_value', 'skb_output', 'xdp_output'],
    ['perf_event_array'],
  ),
  ...same(ringbuf.helpers === 'any' ? [] : ringbuf.helpers, ['ringbuf']),
  user_ringbuf_drain: ['user_ringbuf'],
  get_stackid: ['stack_trace'],
  ...same(['current_task_under_cgroup', 'skb_under_cgroup'], ['cgroup_array']),
  redirect_map: ['devmap', 'devmap_hash', 'cpumap', 'xskmap'],
  ...same(['sk_redirect_map', 'msg_redirect_map', 'sock_map_update'], ['sockmap']),
  ...same(['sk_redirect_hash', 'msg_redirect_hash', 'sock_hash_update'], ['sockhash']),
  get_local_storage: ['cgroup_storage', 'percpu_cgroup_storage'],
  sk_select_reuseport: ['reuseport_sockarray', 'sockmap', 'sockhash'],
  map_pop_elem: ['queue', 'stack'],
  ...same(['map_peek_elem', 'map_push_elem'], ['queue', 'stack', 'bloom_filter']),
  map_lookup_percpu_elem: ['percpu_array', 'percpu_hash', 'lru_percpu_hash'],
  ...same(['sk_storage_get', 'sk_storage_delete'], ['sk_storage']),
  ...same(['inode_storage_get', 'inode_storage_delete'], ['inode_storage']),
  ...same(['task_storage_get', 'task_storage_delete'], ['task_storage']),
  ...same(['cgrp_storage_get', 'cgrp_storage_delete'], ['cgrp_storage']),
};

function same(helpers: readonly string[], types: readonly MapTypeName[]): Record<string, readonly MapTypeName[]> {
  return Object.fromEntries(helpers.map((name) => [name, types]));
}

const updatesSockmap: ReadonlySet<ProgramTypeName> = new Set([
  'socket_filter',
  'sched_cls',
  'sched_act',
  'xdp',
  'sk_reuseport',
  'flow_dissector',
  'sk_lookup',
]);

/** may_update_sockmap, kernel/bpf/verifier.c: map_update_elem and map_delete_elem on a sockmap or sockhash. */
export function mayUpdateSockmap(
  helper: string,
  type: ProgramTypeName,
  attachType: AttachTypeName | undefined,
): boolean {
  if (helper !== 'map_update_elem' && helper !== 'map_delete_elem') return false;
  if (type === 'tracing') return attachType === 'trace_iter';
  return type === 'sock_ops' ? helper === 'map_delete_elem' : updatesSockmap.has(type);
}

/** False where the kernel says `cannot pass map_type N into func NAME#N`. `helper` without prefix. */
export function helperTakesMap(
  helper: string,
  map: MapTypeName,
  program: { readonly type: ProgramTypeName; readonly attachType?: AttachTypeName | undefined },
): boolean {
  if (isLaterMapType(map)) return false;
  const { helpers } = mapRules[map];
  const sockmap = map === 'sockmap' || map === 'sockhash';
  const updates = sockmap && mayUpdateSockmap(helper, program.type, program.attachType);
  if (helpers !== 'any' && !helpers.includes(helper) && !updates) return false;
  return mapTypesOfHelper[helper]?.includes(map) ?? true;
}
