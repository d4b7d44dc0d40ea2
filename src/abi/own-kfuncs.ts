/**
 * Kfuncs that Linux 6.18 does not have: those of later versions, and Sluice's own. Each with its prototype, in the notation of
 * kfunc-prototypes.ts, and its stability.
 */
import type { KfuncFlag, KfuncHook, LinuxKfunc } from './linux-kfuncs.ts';
import type { Stability } from './prototype.ts';

export interface OwnKfunc extends LinuxKfunc {
  readonly prototype: string;
  /** Version of Linux that has it; undefined: it is Sluice's own. */
  readonly since: string | undefined;
  readonly stability: Stability;
}

interface Family {
  readonly source: string;
  readonly hooks: readonly KfuncHook[];
  readonly since?: string;
  readonly stability: Stability;
}

function family(of: Family, rows: Readonly<Record<string, readonly [string, ...KfuncFlag[]]>>): [string, OwnKfunc][] {
  return Object.entries(rows).map(([name, [prototype, ...flags]]) => [
    name,
    { ...of, since: of.since, name, prototype, flags },
  ]);
}

/**
 * What programs on a ring do (bpf/include/sluice/ring.h). They return 0, a count or a handle, or a negated errno. Sizes of SQEs and CQEs must be
 * 64 and 16: EINVAL.
 */
const ring = family(
  { source: 'sluice', hooks: ['iouring'], stability: { level: 'experimental', since: '0.1.0' } },
  {
    bpf_ring_submit: ['s64(struct io_uring_bpf_ctx *ctx, const void *sqe, u32 sqe__sz)'],
    bpf_ring_emit: ['s64(struct io_uring_bpf_ctx *ctx, u32 queue, u64 user_data, s32 res, u32 flags)'],
    bpf_ring_reap: ['s64(struct io_uring_bpf_ctx *ctx, u32 queue, void *cqe, u32 cqe__sz)'],
    bpf_ring_link: ['s64(struct io_uring_bpf_ctx *ctx, u64 from, u64 to, u32 policy)'],
    bpf_ring_unlink: ['s64(struct io_uring_bpf_ctx *ctx, u64 from, u64 to)'],
    bpf_ring_drop: ['s64(struct io_uring_bpf_ctx *ctx, u64 request, u32 flags)'],
    bpf_ring_cancel: ['s64(struct io_uring_bpf_ctx *ctx, u64 request)'],
    bpf_ring_chain_cqe: ['s64(struct io_uring_bpf_ctx *ctx, s32 index, void *cqe, u32 cqe__sz)'],
    bpf_ring_chain_sqe: ['s64(struct io_uring_bpf_ctx *ctx, s32 index, void *sqe, u32 sqe__sz)'],
    bpf_ring_request: ['s64(struct io_uring_bpf_ctx *ctx, u64 request, void *sqe, u32 sqe__sz)'],
    bpf_ring_change: ['s64(struct io_uring_bpf_ctx *ctx, u64 request, const void *sqe, u32 sqe__sz)'],
    bpf_ring_queue_create: ['s64(struct io_uring_bpf_ctx *ctx, u32 entries)'],
    bpf_ring_queue_destroy: ['s64(struct io_uring_bpf_ctx *ctx, u32 queue)'],
    bpf_ring_queue_ready: ['s64(struct io_uring_bpf_ctx *ctx, u32 queue)'],
    bpf_ring_region: ['u8 *(struct io_uring_bpf_ctx *ctx, u32 region, u64 rdwr_buf_size)', 'ret_null'],
    bpf_ring_region_size: ['s64(struct io_uring_bpf_ctx *ctx, u32 region)'],
    bpf_ring_read: ['s64(struct io_uring_bpf_ctx *ctx, u64 address, void *to, u32 to__sz)'],
    bpf_ring_write: ['s64(struct io_uring_bpf_ctx *ctx, u64 address, const void *from, u32 from__sz)'],
    bpf_ring_escalate: ['s64(struct io_uring_bpf_ctx *ctx, u32 reason)'],
  },
);

/** Between rings of one memory, which are named by their numbers. A handle, or a negated errno. */
const rings = family(
  { source: 'sluice', hooks: ['iouring'], stability: { level: 'experimental', since: '0.2.0' } },
  { bpf_ring_message: ['s64(struct io_uring_bpf_ctx *ctx, u32 ring, u32 what, u64 data, s32 res)'] },
);

/**
 * Allocators of the 2022 discussion (bpf/include/sluice/mem.h). `allocator__map`: a map of type `allocator`, or one of the two allocators of a map. `meta` is
 * what the loader passes: the record of the type. bpf_mem_prefill returns 0 or -ENOMEM.
 */
const memory = family(
  { source: 'sluice', hooks: ['common'], stability: { level: 'experimental', since: '0.1.0' } },
  {
    bpf_mem_alloc_impl: ['void *(void *allocator__map, u64 local_type_id__k, void *meta__ign)', 'acquire', 'ret_null'],
    bpf_mem_free_impl: ['void(void *p__alloc, void *meta__ign)', 'release'],
    bpf_mem_prefill_impl: ['s32(void *allocator__map, u64 local_type_id__k, u32 count, void *meta__ign)'],
  },
);

/** Methods of io_uring_bpf_ops alone; Linux trusts pointers to be none or good from 7.0 on (KF_TRUSTED_ARGS for all). */
const loop = family(
  {
    source: 'io_uring/bpf-ops.c',
    hooks: ['struct_ops'],
    since: '7.1',
    stability: { level: 'stable', since: '0.1.0' },
  },
  {
    bpf_io_uring_submit_sqes: ['s32(struct iou_ctx *ctx, u32 nr)', 'sleepable', 'trusted_args'],
    bpf_io_uring_get_region: [
      'u8 *(struct iou_ctx *ctx, u32 region_id, u64 rdwr_buf_size)',
      'ret_null',
      'trusted_args',
    ],
  },
);

/** Metadata on packets (bpf/include/sluice/trait.h): 0 or what they say, or a negated errno. */
const traitsOf = (packet: string, context: string, hooks: readonly KfuncHook[]) =>
  family(
    { source: 'sluice', hooks, stability: { level: 'experimental', since: '0.1.0' } },
    {
      [`bpf_${packet}_trait_set`]: [
        `s32(struct ${context} *${packet}, u64 key, const void *val, u64 val__sz, u64 flags)`,
      ],
      [`bpf_${packet}_trait_get`]: [`s32(struct ${context} *${packet}, u64 key, void *val, u64 val__sz)`],
      [`bpf_${packet}_trait_is_set`]: [`s32(struct ${context} *${packet}, u64 key)`],
      [`bpf_${packet}_trait_del`]: [`s32(struct ${context} *${packet}, u64 key)`],
      [`bpf_${packet}_trait_set_batch`]: [
        `s32(struct ${context} *${packet}, const void *entries, u64 entries__sz, const void *values, u64 values__sz)`,
      ],
      [`bpf_${packet}_trait_get_batch`]: [
        `s32(struct ${context} *${packet}, void *entries, u64 entries__sz, void *values, u64 values__sz)`,
      ],
    },
  );
const traits = [
  ...traitsOf('xdp', 'xdp_md', ['xdp']),
  ...traitsOf('skb', '__sk_buff', ['tc', 'sched_act', 'socket_filter']),
];

/** What is to be known of a packet behind a redirect (bpf/include/sluice/rx_meta.h), as posted for Linux in 2025; not in it. */
const rxMeta = family(
  { source: 'sluice', hooks: ['xdp'], stability: { level: 'experimental', since: '0.2.0' } },
  {
    bpf_xdp_store_rx_hash: ['s32(struct xdp_md *ctx, u32 hash, enum xdp_rss_hash_type rss_type)'],
    bpf_xdp_store_rx_vlan: ['s32(struct xdp_md *ctx, u16 vlan_proto, u16 vlan_tci)'],
    bpf_xdp_store_rx_ts: ['s32(struct xdp_md *ctx, u64 ts)'],
  },
);

/**
 * What a steering program may ask of its device, and say of its packet (bpf/include/sluice/steer.h). 0, a hash, or a negated errno: -EOPNOTSUPP outside of a
 * device, -EINVAL.
 */
const steering = family(
  { source: 'sluice', hooks: ['socket_filter'], stability: { level: 'experimental', since: '0.2.0' } },
  {
    bpf_vnet_rss: ['s32(struct __sk_buff *skb, void *result, u32 result__sz)'],
    bpf_vnet_toeplitz: ['s64(struct __sk_buff *skb, const void *input, u32 input__sz)'],
    bpf_vnet_set_hash: ['s32(struct __sk_buff *skb, u32 hash, u32 report)'],
  },
);

const OBJECT_HOOKS = ['tracing', 'tc', 'xdp', 'struct_ops', 'syscall', 'cgroup'] as const;

/** Linux names for kfuncs about objects whose last arguments the verifier fills in (KF_IMPLICIT_ARGS): those ending in _impl show them. */
const objects = family(
  { source: 'kernel/bpf/helpers.c', hooks: OBJECT_HOOKS, since: '7.1', stability: { level: 'stable', since: '0.1.0' } },
  {
    bpf_obj_new: ['void *(u64 local_type_id__k)', 'acquire', 'ret_null'],
    bpf_percpu_obj_new: ['void *(u64 local_type_id__k)', 'acquire', 'ret_null'],
    bpf_obj_drop: ['void(void *p__alloc)', 'release'],
    bpf_percpu_obj_drop: ['void(void *p__alloc)', 'release'],
    bpf_refcount_acquire: ['void *(void *p__refcounted_kptr)', 'acquire', 'ret_null', 'rcu'],
    bpf_list_push_front: ['s32(struct bpf_list_head *head, struct bpf_list_node *node)'],
    bpf_list_push_back: ['s32(struct bpf_list_head *head, struct bpf_list_node *node)'],
    bpf_rbtree_add: ['s32(struct bpf_rb_root *root, struct bpf_rb_node *node, function *less)'],
  },
);

const lists = family(
  { source: 'kernel/bpf/helpers.c', hooks: OBJECT_HOOKS, since: '7.2', stability: { level: 'stable', since: '0.1.0' } },
  {
    bpf_list_add: [
      's32(struct bpf_list_head *head, struct bpf_list_node *new, struct bpf_list_node *prev__nonown_allowed)',
    ],
    bpf_list_del: [
      'struct bpf_list_node *(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed)',
      'acquire',
      'ret_null',
    ],
    bpf_list_is_first: ['bool(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed)'],
    bpf_list_is_last: ['bool(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed)'],
    bpf_list_empty: ['bool(struct bpf_list_head *head)'],
  },
);

/** Pieces of an arena, of any size. Posted for Linux in 2026, not in it. */
const arena = family(
  { source: 'sluice', hooks: ['common'], stability: { level: 'experimental', since: '0.1.0' } },
  {
    bpf_arena_alloc: ['__arena void *(void *p__map, u32 size)', 'arena_ret'],
    bpf_arena_free: ['void(void *p__map, __arena void *ptr__ign)', 'arena_arg2'],
  },
);

export const ownKfuncs: ReadonlyMap<string, OwnKfunc> = new Map([
  ...ring,
  ...rings,
  ...memory,
  ...loop,
  ...traits,
  ...steering,
  ...rxMeta,
  ...objects,
  ...lists,
  ...arena,
]);
