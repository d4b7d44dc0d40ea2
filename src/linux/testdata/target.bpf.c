/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What only the kernel can answer: CO-RE against its types, kfuncs, kernel variables, options, locks, callbacks. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
#define __weak __attribute__((weak))
#define __core __attribute__((preserve_access_index))

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static void *(*get_current_task)(void) = (void *)35;
static long (*spin_lock)(void *lock) = (void *)93;
static long (*spin_unlock)(void *lock) = (void *)94;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*ringbuf_output)(void *ring, const void *data, u64 size, u64 flags) = (void *)130;
static long (*loop)(u32 times, void *callback, void *ctx, u64 flags) = (void *)181;

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern bool CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern u64 CONFIG_HZ __kconfig;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig;

extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int no_such_kfunc(int) __ksym __weak;
extern const void schedule __ksym;

struct task_struct {
	int pid;
	int tgid;
} __core;
struct task_struct___other {
	int no_such_member;
} __core;

struct answers {
	u64 tgid;
	u64 same_member;
	u64 other_member;
	u64 version;
	u64 bpf_syscall;
	u64 no_such_option;
	u64 hz;
	u64 symbol;
	u64 weak_kfunc;
};
struct answers answers;
char hostname[16];
const volatile u32 rounds = 5;
u64 sum = 100;

struct bpf_spin_lock {
	u32 val;
};
struct guarded {
	struct bpf_spin_lock lock;
	u32 count;
};
struct {
	__uint(type, 1);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct guarded);
} guarded SEC(".maps");

struct event {
	u32 number;
	u8 text[4];
};
struct {
	__uint(type, 27);
	__uint(max_entries, 4096);
	__type(value, struct event);
} events SEC(".maps");

struct inner {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} first SEC(".maps"), second SEC(".maps");
struct {
	__uint(type, 12);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &first, &second } };

int leaf(void *ctx);
struct {
	__uint(type, 3);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} calls SEC(".maps") = { .values = { [1] = (void *)&leaf } };

struct {
	__uint(type, 6);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} per_cpu SEC(".maps");

SEC("raw_tp/sys_enter") int core(void *ctx)
{
	struct task_struct *task = get_current_task();
	int tgid = 0;

	probe_read_kernel(&tgid, sizeof(tgid), &task->tgid);
	answers.tgid = tgid;
	answers.same_member = __builtin_preserve_field_info(task->pid, 2);
	answers.other_member = __builtin_preserve_field_info(((struct task_struct___other *)task)->no_such_member, 2);
	answers.version = LINUX_KERNEL_VERSION;
	answers.bpf_syscall = CONFIG_BPF_SYSCALL;
	answers.no_such_option = CONFIG_NO_SUCH_OPTION;
	answers.hz = CONFIG_HZ;
	answers.symbol = (u64)&schedule;
	for (int i = 0; i < 16; i++)
		hostname[i] = CONFIG_DEFAULT_HOSTNAME[i];
	return 0;
}

SEC("tc") int kfuncs(void *ctx)
{
	if (no_such_kfunc)
		answers.weak_kfunc = no_such_kfunc(1);
	if (!bpf_rcu_read_lock)
		return 8;
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 7;
}

static int add(u32 index, void *data)
{
	sum += index + *(u32 *)data;
	return 0;
}

__attribute__((noinline)) int global_part(u32 x)
{
	return x * 3;
}

static __attribute__((noinline)) int static_part(u32 x)
{
	return global_part(x) + 1;
}

SEC("xdp") int parts(void *ctx)
{
	u32 step = 10, key = 3, zero = 0;
	struct guarded fresh = { .count = 5 }, *value;
	struct event event = { .number = 42, .text = "abc" };
	u64 *inner_value;
	void *inner;

	loop(rounds, add, &step, 0);
	map_update(&guarded, &key, &fresh, 0);
	value = map_lookup(&guarded, &key);
	if (value) {
		spin_lock(&value->lock);
		value->count++;
		spin_unlock(&value->lock);
	}
	ringbuf_output(&events, &event, sizeof(event), 0);
	inner = map_lookup(&outer, &(u32){ 1 });
	if (inner) {
		inner_value = map_lookup(inner, &zero);
		if (inner_value)
			*inner_value = 9;
	}
	u32 *counter = map_lookup(&per_cpu, &zero);
	if (counter)
		*counter += 1;
	tail_call(ctx, &calls, 1);
	return static_part(rounds);
}

SEC("xdp") int leaf(void *ctx)
{
	return 77;
}

char LICENSE[] SEC("license") = "GPL";
