/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Timers and work: fields of map values whose callbacks run once the clock has come there. Include after sluice/bpf.h. */
#ifndef SLUICE_TIMER_H
#define SLUICE_TIMER_H

struct bpf_timer {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_wq {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_task_work {
	__u64 __opaque;
} __attribute__((aligned(8)));

/* Clocks of bpf_timer_init. */
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_BOOTTIME = 7 };

/* Of bpf_timer_start: the time is one of the clock, not counted from now; and the callback runs on this CPU. */
enum { BPF_F_TIMER_ABS = 1, BPF_F_TIMER_CPU_PIN = 2 };

/* Callbacks are int (*)(void *map, KEY *key, VALUE *value) and return 0. */
static long (*const bpf_timer_init)(struct bpf_timer *timer, void *map, __u64 clock) = (void *)169;
static long (*const bpf_timer_set_callback)(struct bpf_timer *timer, void *callback) = (void *)170;
static long (*const bpf_timer_start)(struct bpf_timer *timer, __u64 ns, __u64 flags) = (void *)171;
static long (*const bpf_timer_cancel)(struct bpf_timer *timer) = (void *)172;

extern int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags) __weak __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value), unsigned int flags,
				    void *aux__ign) __weak __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __weak __ksym;
#define bpf_wq_set_callback(wq, callback, flags) bpf_wq_set_callback_impl(wq, (void *)(callback), flags, (void *)0)

/*
 * The callback runs once, as the task returns from the kernel: here, as the CPU returns to user space's code. -EBUSY until it has ended. Linux 6.18; only the task that programs run
 * in is there.
 */
struct task_struct;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
extern int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map,
					      int (*callback)(void *map, void *key, void *value), void *aux__prog) __weak __ksym;
extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map,
					      int (*callback)(void *map, void *key, void *value), void *aux__prog) __weak __ksym;
#define bpf_task_work_schedule_signal(task, tw, map, callback) \
	bpf_task_work_schedule_signal_impl(task, tw, map, (void *)(callback), (void *)0)
#define bpf_task_work_schedule_resume(task, tw, map, callback) \
	bpf_task_work_schedule_resume_impl(task, tw, map, (void *)(callback), (void *)0)

#endif
