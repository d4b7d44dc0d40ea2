/* Every kind of CO-RE relocation, with and without a match in a kernel: core.test.ts compares with libbpf, one by one. */
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define P __attribute__((preserve_access_index))
struct work_struct;
struct list_head { struct list_head *next, *prev; } P;
struct task_struct { int pid; int tgid; char comm[16]; struct task_struct *group_leader; unsigned int flags; struct list_head tasks; void *nope; unsigned sched_reset_on_fork:1; unsigned in_execve:1; int nonexist_bf:3;
  struct { unsigned int personality; }; } P;
struct task_struct___old { int pid; long flags; u64 tgid; struct { int a; } comm; } P;
struct sk_buff { unsigned int len, data_len; u16 mac_len; u8 pkt_type:3; u8 cloned:1; u8 ip_summed:2; unsigned char *data; u32 mark; u32 hash; char cb[48];} P;
struct net_device___x { char name[16]; int ifindex; struct does_not_exist *zz; } P;
union bpf_attr_nope { int a; } P;
enum bpf_map_type { BPF_MAP_TYPE_UNSPEC, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY=77, BPF_MAP_TYPE_RINGBUF=1000, BPF_MAP_TYPE_NOPE=8 };
enum bpf_map_type___f { BPF_MAP_TYPE_LRU_HASH___z = 5 };
typedef int pid_t; typedef struct { int counter; } atomic_t; typedef struct { int counter_x; } atomic_t___b; typedef int pid_nope_t;
struct flex { int n; int arr[]; } P;
struct fib_info { int fib_treeref; unsigned char fib_dead; struct { int z;} fib_nh[]; } P;
struct refcount_struct { atomic_t refs; }; struct mm_struct {int x;};
struct path { void *mnt; struct dentry *dentry; }; struct vfsmount { struct dentry *mnt_root; struct super_block *mnt_sb; int mnt_flags; };
struct kref { struct refcount_struct refcount; };
typedef void (*work_func_t)(struct work_struct *);
typedef int (*nf_hookfn_nope)(int);
struct qstr { union { struct { u32 hash; u32 len;}; u64 hash_len; }; const unsigned char *name; } P;
struct dentry { struct qstr d_name; struct dentry *d_parent; } P;
#define EX(x) __builtin_preserve_field_info(x, 2)
#define OFFS(x) __builtin_preserve_field_info(x, 0)
#define SZ(x) __builtin_preserve_field_info(x, 1)
#define SGN(x) __builtin_preserve_field_info(x, 3)
#define LSH(x) __builtin_preserve_field_info(x, 4)
#define RSH(x) __builtin_preserve_field_info(x, 5)
#define TID_L(t) __builtin_btf_type_id(*(typeof(t)*)0, 0)
#define TID_T(t) __builtin_btf_type_id(*(typeof(t)*)0, 1)
#define TEX(t) __builtin_preserve_type_info(*(typeof(t)*)0, 0)
#define TSZ(t) __builtin_preserve_type_info(*(typeof(t)*)0, 1)
#if __clang_major__ >= 15
#define TM(t) __builtin_preserve_type_info(*(typeof(t)*)0, 2)
#else
#define TM(t) 1
#endif
#define EV(t,v) __builtin_preserve_enum_value(*(typeof(t)*)v, 1)
#define EVX(t,v) __builtin_preserve_enum_value(*(typeof(t)*)v, 0)
volatile u64 out;
#define O(x) out += (x)
SEC("raw_tp/sys_enter") int fields(void *ctx) {
  struct task_struct *t = ctx; struct sk_buff *s = ctx; struct net_device___x *n = ctx; struct task_struct___old *o=ctx; struct dentry*d=ctx; struct fib_info*f=ctx;
  O(OFFS(t->pid)); O(SZ(t->comm)); O(EX(t->pid)); O(EX(t->nope)); O(EX(o->comm)); O(EX(o->tgid)); O(SGN(t->pid)); O(SGN(t->flags)); O(OFFS(t->tasks.next)); O(OFFS(t->comm[3]));O(OFFS(t->personality));
  O(OFFS(s->pkt_type)); O(SZ(s->pkt_type)); O(LSH(s->pkt_type)); O(RSH(s->pkt_type)); O(SGN(s->pkt_type)); O(LSH(s->len)); O(RSH(s->mac_len)); O(EX(s->cloned)); O(OFFS(s->ip_summed)); O(LSH(s->ip_summed));
  O(LSH(t->in_execve)); O(RSH(t->in_execve)); O(OFFS(t->in_execve)); O(SZ(t->in_execve)); 
  O(OFFS(n->ifindex)); O(EX(n->zz)); O(SZ(n->name)); O(OFFS(d->d_name.hash)); O(OFFS(d->d_name.name)); O(OFFS(f->fib_nh[2]));O(EX(f->fib_nh[2]));O(SZ(s->cb[2]));O(OFFS(t[1].pid)); O(OFFS(t[0]));
  O(RSH(t->nonexist_bf));
  return 0; }
SEC("raw_tp/sys_enter") int types(void *ctx) {
  O(TID_L(struct task_struct)); O(TID_T(struct task_struct)); O(TID_T(union bpf_attr_nope)); O(TEX(struct task_struct)); O(TEX(union bpf_attr_nope)); O(TSZ(struct sk_buff)); O(TSZ(union bpf_attr_nope)); O(TSZ(pid_t)); O(TEX(pid_nope_t)); O(TEX(atomic_t)); O(TM(atomic_t)); O(TM(atomic_t___b)); O(TM(struct task_struct)); O(TM(struct kref)); O(TM(struct path)); O(TM(struct mm_struct)); O(TM(struct list_head)); O(TM(work_func_t)); O(TEX(work_func_t)); O(TEX(nf_hookfn_nope)); O(TM(enum bpf_map_type)); O(TEX(enum bpf_map_type)); O(TSZ(enum bpf_map_type)); O(TM(enum bpf_map_type___f)); O(TEX(enum bpf_map_type___f)); O(TM(struct qstr)); O(TM(struct vfsmount)); O(TEX(struct net_device___x)); O(TSZ(struct net_device___x)); O(TM(struct net_device___x));
  return 0; }
SEC("raw_tp/sys_enter") int enums(void *ctx) {
  O(EV(enum bpf_map_type, BPF_MAP_TYPE_ARRAY)); O(EV(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF)); O(EVX(enum bpf_map_type, BPF_MAP_TYPE_NOPE)); O(EVX(enum bpf_map_type, BPF_MAP_TYPE_HASH)); O(EV(enum bpf_map_type___f, BPF_MAP_TYPE_LRU_HASH___z)); O(EV(enum bpf_map_type, BPF_MAP_TYPE_NOPE));
  return 0; }
SEC("tp_btf/sys_enter") int loads(u64 *ctx) { struct task_struct *t = (void*)ctx[0]; struct sk_buff *s = (void*)ctx[1]; struct task_struct___old *o=(void*)ctx[0];
  O(t->pid); O(t->flags); O((u64)t->group_leader); O((u64)t->tasks.next); O(t->comm[2]); O(s->len); O((u64)s->data); O(o->flags); O((u64)t->nope); t->flags = 4; s->mark = out; O(o->tgid); return 0; }
char _license[] SEC("license") = "GPL";
