// SPDX-License-Identifier: MIT
// The C side of `bench scale`: as many threads as it is told, each on a processor of its own, at the same work of the kernel.
// Usage: scale prog FD [RING_FD]: runs of the XDP program FD by BPF_PROG_TEST_RUN; with a ring buffer, what counts is what one consumer has read.
//        scale nops DEPTH: an io_uring of each thread's own, so many nops side by side (built with -DWITH_LIBURING -luring).
// Reads commands "THREADS SETTLE_MS WINDOW_MS [FILE]" and answers each with "COUNT NS CPU_NS": what was done in a window that begins once all threads have been at work for
// SETTLE_MS, how long it was, and the CPU time of the process in it. FILE has the packets: for each thread u32 number, for each packet u32 length and bytes.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_LIBURING
#include <liburing.h>
#endif

#define MOST_THREADS 64
#define LONGEST_PACKET 2048
/* A call takes about so long: what is counted is looked at between two. */
#define CALL_NS 300000

struct packet {
	uint32_t length;
	uint8_t *bytes;
};

struct thread {
	_Alignas(128) _Atomic uint64_t done;
	pthread_t id;
	/* Which processor. */
	int number;
	uint32_t packets;
	struct packet *packet;
};

static struct thread threads[MOST_THREADS], consumer;
static _Atomic int stop;
static cpu_set_t all;
static int program, depth;

static void fail(const char *what)
{
	fprintf(stderr, "scale: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t time_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		fail("clock_gettime");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The n-th processor that this process may use, beginning again after the last. */
static void pin(int n)
{
	cpu_set_t one;
	int count = n % CPU_COUNT(&all);

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && count-- == 0)
			CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("sched_setaffinity");
}

/* The packet is what the last run left of it. Returns ns. */
static uint64_t test_run(struct packet *packet, uint32_t repeat)
{
	uint8_t out[LONGEST_PACKET];
	union bpf_attr attr = {0};
	uint64_t start = time_of(CLOCK_MONOTONIC);

	attr.test.prog_fd = program;
	attr.test.data_in = (uintptr_t)packet->bytes;
	attr.test.data_size_in = packet->length;
	attr.test.data_out = (uintptr_t)out;
	attr.test.data_size_out = sizeof(out);
	attr.test.repeat = repeat;
	if (bpf(BPF_PROG_TEST_RUN, &attr))
		fail("BPF_PROG_TEST_RUN");
	if (attr.test.retval == 0 || attr.test.data_size_out != packet->length) {
		fprintf(stderr, "scale: the program returns %u, and %u bytes of %u\n", attr.test.retval, attr.test.data_size_out, packet->length);
		exit(1);
	}
	memcpy(packet->bytes, out, packet->length);
	return time_of(CLOCK_MONOTONIC) - start;
}

static void *run_program(void *argument)
{
	struct thread *thread = argument;
	uint32_t repeat = 1;

	pin(thread->number);
	for (uint32_t i = 0; !atomic_load(&stop); i = i + 1 == thread->packets ? 0 : i + 1) {
		uint64_t ns = test_run(&thread->packet[i], repeat);

		atomic_fetch_add(&thread->done, repeat);
		if (ns < CALL_NS / 2)
			repeat *= 2;
	}
	return NULL;
}

/* Positions and data of a ring buffer: kernel/bpf/ringbuf.c. */
struct ring {
	_Atomic uint64_t *consumed, *produced;
	uint8_t *data;
	uint64_t mask;
	int fd;
};

static struct ring ring = {.fd = -1};

static void map_ring(int fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {0};
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *pages;

	attr.info.bpf_fd = fd;
	attr.info.info = (uintptr_t)&info;
	attr.info.info_len = sizeof(info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		fail("BPF_OBJ_GET_INFO_BY_FD");
	ring.consumed = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pages = mmap(NULL, page + 2ul * info.max_entries, PROT_READ, MAP_SHARED, fd, page);
	if (ring.consumed == MAP_FAILED || pages == MAP_FAILED)
		fail("mmap of a ring buffer");
	ring.produced = (_Atomic uint64_t *)pages;
	ring.data = pages + page;
	ring.mask = info.max_entries - 1;
	ring.fd = fd;
}

static uint64_t sum;

static void *consume(void *argument)
{
	struct thread *thread = argument;
	uint64_t at = atomic_load(ring.consumed);

	while (!atomic_load(&stop)) {
		uint64_t end = atomic_load(ring.produced);
		struct pollfd wait = {.fd = ring.fd, .events = POLLIN};

		while (at < end) {
			_Atomic uint32_t *header = (void *)(ring.data + (at & ring.mask));
			uint32_t length = atomic_load(header);

			if (length & BPF_RINGBUF_BUSY_BIT)
				break;
			if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
				sum += *(uint64_t *)((uint8_t *)header + BPF_RINGBUF_HDR_SZ);
				atomic_store_explicit(&thread->done, thread->done + 1, memory_order_relaxed);
			}
			at += ((length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)) + BPF_RINGBUF_HDR_SZ + 7) & ~7ull;
			atomic_store_explicit(ring.consumed, at, memory_order_release);
		}
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(ring.produced) == at)
			poll(&wait, 1, 1);
	}
	return NULL;
}

#ifdef WITH_LIBURING
static void *run_nops(void *argument)
{
	struct thread *thread = argument;
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct io_uring uring;
	int error;

	pin(thread->number);
	error = io_uring_queue_init_params(256, &uring, &params);
	if (error) {
		errno = -error;
		fail("io_uring_queue_init");
	}
	io_uring_register_ring_fd(&uring);
	while (!atomic_load(&stop)) {
		struct io_uring_cqe *cqe;
		unsigned head, count = 0;

		for (int i = 0; i < depth; i++)
			io_uring_prep_nop(io_uring_get_sqe(&uring));
		io_uring_submit_and_wait(&uring, depth);
		io_uring_for_each_cqe(&uring, head, cqe) count++;
		io_uring_cq_advance(&uring, count);
		atomic_fetch_add(&thread->done, count);
	}
	io_uring_queue_exit(&uring);
	return NULL;
}
#else
static void *run_nops(void *argument)
{
	errno = ENOSYS;
	fail("built without liburing");
	return argument;
}
#endif

static uint32_t read_u32(FILE *file)
{
	uint32_t value;

	if (fread(&value, sizeof(value), 1, file) != 1)
		fail("file of packets");
	return value;
}

static void read_packets(const char *path, int count)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		fail(path);
	for (int i = 0; i < count; i++) {
		struct thread *thread = &threads[i];

		for (uint32_t j = 0; j < thread->packets; j++)
			free(thread->packet[j].bytes);
		free(thread->packet);
		thread->packets = read_u32(file);
		thread->packet = calloc(thread->packets, sizeof(*thread->packet));
		for (uint32_t j = 0; j < thread->packets; j++) {
			struct packet *packet = &thread->packet[j];

			packet->length = read_u32(file);
			packet->bytes = malloc(packet->length);
			if (packet->length > LONGEST_PACKET || fread(packet->bytes, packet->length, 1, file) != 1)
				fail("file of packets");
		}
	}
	fclose(file);
}

static void begin(struct thread *thread, int number, void *(*work)(void *))
{
	thread->number = number;
	atomic_store(&thread->done, 0);
	errno = pthread_create(&thread->id, NULL, work, thread);
	if (errno)
		fail("pthread_create");
}

struct reading {
	uint64_t done, ns, cpu;
};

static struct reading read_now(int count)
{
	struct reading now = {.ns = time_of(CLOCK_MONOTONIC), .cpu = time_of(CLOCK_PROCESS_CPUTIME_ID)};

	for (int i = 0; i < count; i++)
		now.done += atomic_load(&threads[i].done);
	if (ring.fd >= 0)
		now.done = atomic_load(&consumer.done);
	return now;
}

static void measure(int count, int settle, int window, void *(*work)(void *))
{
	struct reading from, to;

	atomic_store(&stop, 0);
	if (ring.fd >= 0)
		begin(&consumer, -1, consume);
	for (int i = 0; i < count; i++)
		begin(&threads[i], i, work);
	usleep(settle * 1000);
	from = read_now(count);
	usleep(window * 1000);
	to = read_now(count);
	atomic_store(&stop, 1);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i].id, NULL);
	if (ring.fd >= 0)
		pthread_join(consumer.id, NULL);
	printf("%llu %llu %llu\n", (unsigned long long)(to.done - from.done), (unsigned long long)(to.ns - from.ns), (unsigned long long)(to.cpu - from.cpu));
	fflush(stdout);
}

/* Each begin and end of XDP test runs would patch the kernel's text and wait for RCU; not so while the program is attached to a device. */
static void hold_dispatcher(void)
{
	union bpf_attr attr = {0};

	if (unshare(CLONE_NEWNET))
		fail("unshare(CLONE_NEWNET)");
	attr.link_create.prog_fd = program;
	attr.link_create.target_ifindex = 1;
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = 1 << 1; /* XDP_FLAGS_SKB_MODE */
	if (bpf(BPF_LINK_CREATE, &attr) < 0)
		fail("BPF_LINK_CREATE");
}

int main(int argc, char **argv)
{
	void *(*work)(void *) = run_program;
	char line[4096], path[4096];
	int count, settle, window;

	if (argc < 3)
		return 2;
	if (sched_getaffinity(0, sizeof(all), &all))
		fail("sched_getaffinity");
	if (!strcmp(argv[1], "nops")) {
		work = run_nops;
		depth = atoi(argv[2]);
	} else {
		program = atoi(argv[2]);
		hold_dispatcher();
		if (argc > 3)
			map_ring(atoi(argv[3]));
	}
	while (fgets(line, sizeof(line), stdin)) {
		int fields = sscanf(line, "%d %d %d %4095s", &count, &settle, &window, path);

		if (fields < 3 || count < 1 || count > MOST_THREADS)
			return 2;
		if (fields == 4)
			read_packets(path, count);
		measure(count, settle, window, work);
	}
	return 0;
}
