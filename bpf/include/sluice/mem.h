/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Objects of a program's own structs, and the allocators that they come from: the "BPF specific memory allocator" that was discussed in 2022
 * (docs/allocators.md). bpf_obj_new and what belongs to it is Linux's own; bpf_mem_… and allocators are Sluice's, and run in user space alone.
 * Include after sluice/bpf.h.
 */
#ifndef SLUICE_MEM_H
#define SLUICE_MEM_H

/* The letters SLMA. */
#define BPF_MAP_TYPE_ALLOCATOR 0x534c4d41

/* Of a pointer in a map's value or in an object: it owns what it points to. */
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
/* Of a list head or a tree root: struct and node of what it holds. */
#define __contains(name, node) __attribute__((btf_decl_tag("contains:" #name ":" #node)))

/*
 * An allocator, and maps that say where their memory comes from:
 *
 *	struct { __uint(type, BPF_MAP_TYPE_ALLOCATOR); __type(value, struct foo); __uint(max_entries, 1000); } ma SEC(".maps");
 *	struct {
 *		__uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 123); __type(key, __u32); __type(value, struct map_val);
 *		__allocator(elem_allocator);
 *		__allocator(kptr_allocator);
 *	} hash SEC(".maps") = { .kptr_allocator = { (void *)&ma } };
 *
 * max_entries of an allocator is its quota in objects of `value`; map_extra the quota in bytes instead; neither: no quota. An allocator that nothing is put
 * into, as elem_allocator here, is made with the map. (An array of one, as `values` is of none: a struct can end in only one of those, and an initial
 * value must become a relocation.)
 */
#define __allocator(name) struct { __uint(type, BPF_MAP_TYPE_ALLOCATOR); } *name[1]

struct bpf_spin_lock {
	__u32 val;
};
struct bpf_refcount {
	__u32 __opaque[1];
} __attribute__((aligned(4)));
struct bpf_list_head {
	__u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
	__u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_rb_root {
	__u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
	__u64 __opaque[4];
} __attribute__((aligned(8)));

static long (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
/* Puts a pointer, or NULL, into a field and gives what was there: NULL, or what is now the program's own. */
static void *(*const bpf_kptr_xchg)(void *field, void *pointer) = (void *)194;

#define __type_id(type) __builtin_btf_type_id(*(typeof(type) *)0, 0)

/* Linux's own objects. The last arguments are for the loader to fill. */
extern void *bpf_obj_new_impl(__u64 local_type_id__k, void *meta__ign) __ksym;
extern void bpf_obj_drop_impl(void *p__alloc, void *meta__ign) __ksym;
extern void *bpf_percpu_obj_new_impl(__u64 local_type_id__k, void *meta__ign) __ksym;
extern void bpf_percpu_obj_drop_impl(void *p__alloc, void *meta__ign) __ksym;
extern void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign,
				    __u64 off) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign,
				   __u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta__ign,
			       __u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

#define bpf_obj_new(type) ((type *)bpf_obj_new_impl(__type_id(type), NULL))
#define bpf_obj_drop(object) bpf_obj_drop_impl(object, NULL)
#define bpf_percpu_obj_new(type) ((type *)bpf_percpu_obj_new_impl(__type_id(type), NULL))
#define bpf_percpu_obj_drop(object) bpf_percpu_obj_drop_impl(object, NULL)
#define bpf_refcount_acquire(object) bpf_refcount_acquire_impl(object, NULL)
#define bpf_list_push_front(head, node) bpf_list_push_front_impl(head, node, NULL, 0)
#define bpf_list_push_back(head, node) bpf_list_push_back_impl(head, node, NULL, 0)
#define bpf_rbtree_add(root, node, less) bpf_rbtree_add_impl(root, node, less, NULL, 0)

/* Sluice's allocators. `allocator`: &ma, &hash.elem_allocator, &hash.kptr_allocator. */
extern void *bpf_mem_alloc_impl(void *allocator__map, __u64 local_type_id__k, void *meta__ign) __ksym;
extern void bpf_mem_free_impl(void *p__alloc, void *meta__ign) __ksym;
extern int bpf_mem_prefill_impl(void *allocator__map, __u64 local_type_id__k, __u32 count, void *meta__ign) __ksym;

/* The address in one instruction: the compiler would load the map's and add to it, which the verifier refuses of pointers to maps. */
#define __allocator_address(allocator)                                     \
	({                                                                 \
		void *___address;                                          \
		asm volatile("%0 = %c1 ll" : "=r"(___address) : "i"(allocator)); \
		___address;                                                \
	})

/* NULL at the allocator's quota or the memory's end, and nowhere else. Plain members hold what was there. */
#define bpf_mem_alloc(allocator, type) ((type *)bpf_mem_alloc_impl(__allocator_address(allocator), __type_id(type), NULL))
/* To the allocator that it came from, after what its own fields own. bpf_obj_drop does the same. */
#define bpf_mem_free(object) bpf_mem_free_impl(object, NULL)
/* Reserves memory for `count` objects of the type, for this program alone and until it is unloaded; 0 or -ENOMEM. */
#define bpf_mem_prefill(allocator, type, count) \
	bpf_mem_prefill_impl(__allocator_address(allocator), __type_id(type), count, NULL)

#endif
