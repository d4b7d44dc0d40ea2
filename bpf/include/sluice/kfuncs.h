/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Kfuncs of Linux that run here too, and the loops over iterators. Include after sluice/bpf.h. */
#ifndef SLUICE_KFUNCS_H
#define SLUICE_KFUNCS_H

/* Dynptrs: 16 bytes of the program's stack that only helpers look into. */
struct bpf_dynptr {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

static long (*const bpf_dynptr_from_mem)(void *data, __u32 size, __u64 flags, struct bpf_dynptr *ptr) = (void *)197;
static long (*const bpf_ringbuf_reserve_dynptr)(void *ringbuf, __u32 size, __u64 flags, struct bpf_dynptr *ptr) = (void *)198;
static void (*const bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *ptr, __u64 flags) = (void *)199;
static void (*const bpf_ringbuf_discard_dynptr)(struct bpf_dynptr *ptr, __u64 flags) = (void *)200;
static long (*const bpf_dynptr_read)(void *to, __u32 length, const struct bpf_dynptr *ptr, __u32 offset,
				     __u64 flags) = (void *)201;
static long (*const bpf_dynptr_write)(const struct bpf_dynptr *ptr, __u32 offset, void *from, __u32 length,
				      __u64 flags) = (void *)202;
static void *(*const bpf_dynptr_data)(const struct bpf_dynptr *ptr, __u32 offset, __u32 length) = (void *)203;

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr__uninit) __weak __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *ptr__uninit) __weak __ksym;
extern int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr__uninit) __weak __ksym;
/* NULL, or `size` bytes at `offset`: where they lie, or copied into `buffer` (which may be NULL). */
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer__opt, __u32 buffer__szk) __weak __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *ptr, __u32 offset, void *buffer__opt,
				   __u32 buffer__szk) __weak __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *ptr, __u32 start, __u32 end) __weak __ksym;
extern bool bpf_dynptr_is_null(const struct bpf_dynptr *ptr) __weak __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *ptr) __weak __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *ptr) __weak __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *ptr, struct bpf_dynptr *clone__uninit) __weak __ksym;
extern int bpf_dynptr_copy(struct bpf_dynptr *to, __u32 to_offset, struct bpf_dynptr *from, __u32 from_offset,
			   __u32 size) __weak __ksym;
extern int bpf_dynptr_memset(struct bpf_dynptr *ptr, __u32 offset, __u32 size, __u8 value) __weak __ksym;

/* Iterators. */
struct bpf_iter_num {
	__u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_bits {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *unsafe_ptr__ign, __u32 nr_words) __weak __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __weak __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __weak __ksym;

/* for (TYPE *current = each of the iterator bpf_iter_TYPE); the iterator is destroyed however the loop is left, return and goto excepted. */
#define bpf_for_each(type, current, arguments...)                                                               \
	for (struct bpf_iter_##type ___it __attribute__((aligned(8), cleanup(bpf_iter_##type##_destroy))),      \
	     *___p __attribute__((unused)) = (bpf_iter_##type##_new(&___it, ##arguments),                       \
					      (void)bpf_iter_##type##_destroy, (void *)0);                      \
	     ((current) = bpf_iter_##type##_next(&___it));)

/* for (i = start; i < end; i++) that the verifier follows as a loop, not round by round; i is known to lie in the range. */
#define bpf_for(i, start, end)                                                                                  \
	for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),              \
	     *___p __attribute__((unused)) = (bpf_iter_num_new(&___it, (start), (end)),                         \
					      (void)bpf_iter_num_destroy, (void *)0);                           \
	     ({                                                                                                 \
		     int *___t = bpf_iter_num_next(&___it);                                                     \
		     (___t && ((i) = *___t, (i) >= (start) && (i) < (end)));                                    \
	     });)

#define bpf_repeat(rounds)                                                                                      \
	for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),              \
	     *___p __attribute__((unused)) = (bpf_iter_num_new(&___it, 0, (rounds)),                            \
					      (void)bpf_iter_num_destroy, (void *)0);                           \
	     bpf_iter_num_next(&___it);)

/* Strings anywhere: -ERANGE, -EFAULT or -E2BIG where one cannot be read to its end within 64 KiB. */
extern int bpf_strcmp(const char *s1__ign, const char *s2__ign) __weak __ksym;
extern int bpf_strcasecmp(const char *s1__ign, const char *s2__ign) __weak __ksym;
extern int bpf_strchr(const char *s__ign, char c) __weak __ksym;
extern int bpf_strchrnul(const char *s__ign, char c) __weak __ksym;
extern int bpf_strnchr(const char *s__ign, unsigned long count, char c) __weak __ksym;
extern int bpf_strrchr(const char *s__ign, int c) __weak __ksym;
extern int bpf_strlen(const char *s__ign) __weak __ksym;
extern int bpf_strnlen(const char *s__ign, unsigned long count) __weak __ksym;
extern int bpf_strspn(const char *s__ign, const char *accept__ign) __weak __ksym;
extern int bpf_strcspn(const char *s__ign, const char *reject__ign) __weak __ksym;
extern int bpf_strstr(const char *s1__ign, const char *s2__ign) __weak __ksym;
extern int bpf_strnstr(const char *s1__ign, const char *s2__ign, unsigned long length) __weak __ksym;

/* CPU masks. */
struct cpumask;
struct bpf_cpumask;
extern struct bpf_cpumask *bpf_cpumask_create(void) __weak __ksym;
extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask) __weak __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *mask) __weak __ksym;
extern __u32 bpf_cpumask_first(const struct cpumask *mask) __weak __ksym;
extern __u32 bpf_cpumask_first_zero(const struct cpumask *mask) __weak __ksym;
extern __u32 bpf_cpumask_first_and(const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *mask) __weak __ksym;
extern void bpf_cpumask_clear_cpu(__u32 cpu, struct bpf_cpumask *mask) __weak __ksym;
extern bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *mask) __weak __ksym;
extern bool bpf_cpumask_test_and_set_cpu(__u32 cpu, struct bpf_cpumask *mask) __weak __ksym;
extern bool bpf_cpumask_test_and_clear_cpu(__u32 cpu, struct bpf_cpumask *mask) __weak __ksym;
extern void bpf_cpumask_setall(struct bpf_cpumask *mask) __weak __ksym;
extern void bpf_cpumask_clear(struct bpf_cpumask *mask) __weak __ksym;
extern bool bpf_cpumask_and(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern void bpf_cpumask_or(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern void bpf_cpumask_xor(struct bpf_cpumask *to, const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b) __weak __ksym;
extern bool bpf_cpumask_empty(const struct cpumask *mask) __weak __ksym;
extern bool bpf_cpumask_full(const struct cpumask *mask) __weak __ksym;
extern void bpf_cpumask_copy(struct bpf_cpumask *to, const struct cpumask *from) __weak __ksym;
extern __u32 bpf_cpumask_weight(const struct cpumask *mask) __weak __ksym;

/* Makes the first `length` bytes of the packet linear, so that data_end lies behind them; pointers into it are read anew. */
extern int bpf_xdp_pull_data(struct xdp_md *xdp, __u32 length) __weak __ksym;

/* What the driver knows of a packet: -EOPNOTSUPP if it cannot say, -ENODATA if it does not know. */
enum xdp_rss_hash_type {
	XDP_RSS_TYPE_NONE = 0,
	XDP_RSS_L3_IPV4 = 1 << 0,
	XDP_RSS_L3_IPV6 = 1 << 1,
	/* IPv6 with extension headers. */
	XDP_RSS_L3_DYNHDR = 1 << 2,
	XDP_RSS_L4 = 1 << 3,
	XDP_RSS_L4_TCP = 1 << 4,
	XDP_RSS_L4_UDP = 1 << 5,
	XDP_RSS_L4_SCTP = 1 << 6,
	XDP_RSS_L4_IPSEC = 1 << 7,
	XDP_RSS_L4_ICMP = 1 << 8,
};
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __weak __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, enum xdp_rss_hash_type *rss_type) __weak __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto, __u16 *vlan_tci) __weak __ksym;

/* Sections. */
extern void bpf_rcu_read_lock(void) __weak __ksym;
extern void bpf_rcu_read_unlock(void) __weak __ksym;
extern void bpf_preempt_disable(void) __weak __ksym;
extern void bpf_preempt_enable(void) __weak __ksym;
extern void bpf_local_irq_save(unsigned long *flags__irq_flag) __weak __ksym;
extern void bpf_local_irq_restore(unsigned long *flags__irq_flag) __weak __ksym;

struct bpf_res_spin_lock {
	__u32 val;
};
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __weak __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __weak __ksym;

/* Ends the program, from however deep: it returns the cookie, or what its exception callback makes of it. */
extern void bpf_throw(__u64 cookie) __weak __ksym;
#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

/*
 * Arenas: memory that pointers of address space 1 point into, shared with user space. Needs clang 19 or later. There is one arena a program;
 * `__arena` variables lie at its start.
 */
#if defined(__BPF_FEATURE_ADDR_SPACE_CAST)
#define __arena __attribute__((address_space(1)))
#define NUMA_NO_NODE (-1)
extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, __u32 pages, int node, __u64 flags) __weak __ksym;
extern void bpf_arena_free_pages(void *map, void __arena *address, __u32 pages) __weak __ksym;
extern int bpf_arena_reserve_pages(void *map, void __arena *address, __u32 pages) __weak __ksym;
/* Pieces of an arena, zeroed, of any size: Sluice's, in user space alone. NULL: the arena is full. What is freed and was not given stays, and is said in the trace. */
extern void __arena *bpf_arena_alloc(void *map, __u32 size) __weak __ksym;
extern void bpf_arena_free(void *map, void __arena *piece) __weak __ksym;
#endif

#endif
