// SPDX-License-Identifier: MIT
// What `sluice bench ring` compares itself with: liburing and pread in C. Usage: ring CASE COUNT [ARGUMENTS]; prints the ns that COUNT operations took.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "ring: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct io_uring ring;

static void open_ring(unsigned entries)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	int error = io_uring_queue_init_params(entries, &ring, &p);
	if (error) {
		errno = -error;
		fail("io_uring_queue_init");
	}
	io_uring_register_ring_fd(&ring);
}

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	return sqe;
}

/* Takes what is there; how many. */
static unsigned drain(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;
	io_uring_for_each_cqe(&ring, head, cqe) n++;
	io_uring_cq_advance(&ring, n);
	return n;
}

static uint64_t nops(uint64_t count, unsigned batch)
{
	open_ring(256);
	uint64_t start = now();
	for (uint64_t done = 0; done < count; done += batch) {
		for (unsigned i = 0; i < batch; i++)
			io_uring_prep_nop(next_sqe());
		io_uring_submit_and_wait(&ring, batch);
		drain();
	}
	return now() - start;
}

/* Two linked nops at a time, as many pairs in flight as `pairs`. */
static uint64_t links(uint64_t count, unsigned pairs)
{
	open_ring(256);
	uint64_t start = now();
	for (uint64_t done = 0; done < count; done += 2 * pairs) {
		for (unsigned i = 0; i < pairs; i++) {
			struct io_uring_sqe *sqe = next_sqe();
			io_uring_prep_nop(sqe);
			sqe->flags |= IOSQE_IO_LINK;
			io_uring_prep_nop(next_sqe());
		}
		io_uring_submit_and_wait(&ring, 2 * pairs);
		drain();
	}
	return now() - start;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t blocks_of(int fd, unsigned size)
{
	struct stat st;
	if (fstat(fd, &st))
		fail("fstat");
	return (uint64_t)st.st_size / size;
}

static uint64_t reads(uint64_t count, const char *path, unsigned depth, int direct)
{
	int fd = open(path, O_RDONLY | (direct ? O_DIRECT : 0));
	if (fd < 0)
		fail(path);
	uint64_t blocks = blocks_of(fd, 4096);
	char *buffers = aligned_alloc(4096, 4096ul * depth);
	open_ring(256);
	uint64_t start = now();
	for (uint64_t done = 0; done < count; done += depth) {
		for (unsigned i = 0; i < depth; i++)
			io_uring_prep_read(next_sqe(), fd, buffers + 4096ul * i, 4096, next_random() % blocks * 4096);
		io_uring_submit_and_wait(&ring, depth);
		drain();
	}
	return now() - start;
}

static uint64_t preads(uint64_t count, const char *path, int direct)
{
	int fd = open(path, O_RDONLY | (direct ? O_DIRECT : 0));
	if (fd < 0)
		fail(path);
	uint64_t blocks = blocks_of(fd, 4096);
	char *buffer = aligned_alloc(4096, 4096);
	uint64_t start = now();
	for (uint64_t i = 0; i < count; i++)
		if (pread(fd, buffer, 4096, (off_t)(next_random() % blocks * 4096)) != 4096)
			fail("pread");
	return now() - start;
}

/*
 * Dependent reads of 512 bytes. Without keys a chain from block 0 on: the first four bytes of each are the number of the next. With them a B+-tree:
 * u32 count at 0, u64 keys from 8, u64 children from 256; the children of a leaf are values.
 */
static unsigned hops;
static uint64_t keys;

static uint64_t follow(const unsigned char *node, uint64_t key)
{
	uint64_t child;
	if (!keys) {
		uint32_t next;
		memcpy(&next, node, 4);
		return next;
	}
	uint32_t count;
	unsigned at = 0;
	memcpy(&count, node, 4);
	while (at + 1 < count) {
		uint64_t other;
		memcpy(&other, node + 8 + 8 * (at + 1), 8);
		if (other > key)
			break;
		at++;
	}
	memcpy(&child, node + 256 + 8 * at, 8);
	return child;
}

static uint64_t chase_pread(uint64_t count, const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail(path);
	unsigned char node[512];
	uint64_t start = now();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = 0, key = keys ? next_random() % keys : 0;
		for (unsigned hop = 0; hop < hops; hop++) {
			if (pread(fd, node, 512, (off_t)(at * 512)) != 512)
				fail("pread");
			at = follow(node, key);
		}
		if (keys && at != 2 * key + 1)
			fail("value");
	}
	return now() - start;
}

static uint64_t chase_ring(uint64_t count, const char *path, unsigned depth)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail(path);
	unsigned char(*nodes)[512] = aligned_alloc(4096, 512ul * (depth < 8 ? 8 : depth));
	unsigned *left = calloc(depth, sizeof(*left));
	uint64_t *key = calloc(depth, sizeof(*key));
	uint64_t started = 0, ended = 0;
	open_ring(depth < 8 ? 8 : depth);
	uint64_t start = now();
	for (unsigned i = 0; i < depth && started < count; i++, started++) {
		struct io_uring_sqe *sqe = next_sqe();
		left[i] = hops;
		key[i] = keys ? next_random() % keys : 0;
		io_uring_prep_read(sqe, fd, nodes[i], 512, 0);
		sqe->user_data = i;
	}
	while (ended < count) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			unsigned i = (unsigned)cqe->user_data;
			uint64_t at = follow(nodes[i], key[i]);
			n++;
			if (cqe->res != 512)
				fail("read");
			if (--left[i] == 0) {
				if (keys && at != 2 * key[i] + 1)
					fail("value");
				ended++;
				if (started >= count)
					continue;
				started++;
				left[i] = hops;
				key[i] = keys ? next_random() % keys : 0;
				at = 0;
			}
			struct io_uring_sqe *sqe = next_sqe();
			io_uring_prep_read(sqe, fd, nodes[i], 512, at * 512);
			sqe->user_data = i;
		}
		io_uring_cq_advance(&ring, n);
	}
	return now() - start;
}

/* COUNT bytes, `depth` blocks of `size` in flight, each read and then written. */
static uint64_t copy(uint64_t count, const char *from, const char *to, unsigned size, unsigned depth)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (in < 0 || out < 0)
		fail("open");
	char *buffers = aligned_alloc(4096, (size_t)size * depth);
	uint64_t *offsets = calloc(depth, sizeof(*offsets)), next = 0, written = 0;
	open_ring(depth < 8 ? 8 : depth);
	uint64_t start = now();
	for (unsigned i = 0; i < depth && next < count; i++, next += size) {
		struct io_uring_sqe *sqe = next_sqe();
		offsets[i] = next;
		io_uring_prep_read(sqe, in, buffers + (size_t)size * i, size, next);
		sqe->user_data = i;
	}
	while (written < count) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			unsigned i = (unsigned)(cqe->user_data & 0xffffffff);
			struct io_uring_sqe *sqe;
			n++;
			if (cqe->res <= 0) {
				errno = -cqe->res;
				fail("copy");
			}
			if (cqe->user_data >> 32) {
				written += (uint64_t)cqe->res;
				if (next >= count)
					continue;
				offsets[i] = next;
				next += size;
				sqe = next_sqe();
				io_uring_prep_read(sqe, in, buffers + (size_t)size * i, size, offsets[i]);
				sqe->user_data = i;
			} else {
				sqe = next_sqe();
				io_uring_prep_write(sqe, out, buffers + (size_t)size * i, (unsigned)cqe->res, offsets[i]);
				sqe->user_data = i | (1ull << 32);
			}
		}
		io_uring_cq_advance(&ring, n);
	}
	return now() - start;
}

/* Files FOLDER/0, FOLDER/1, …: open into a slot, read up to 4096 bytes, close the slot, linked; `depth` files at a time. */
static uint64_t files(uint64_t count, const char *folder, unsigned depth)
{
	char(*paths)[256] = calloc(depth, 256);
	char *buffers = aligned_alloc(4096, 4096ul * depth);
	open_ring(3 * depth);
	if (io_uring_register_files_sparse(&ring, depth))
		fail("register files");
	uint64_t start = now();
	for (uint64_t done = 0; done < count;) {
		unsigned batch = count - done < depth ? (unsigned)(count - done) : depth;
		for (unsigned i = 0; i < batch; i++) {
			struct io_uring_sqe *sqe = next_sqe();
			snprintf(paths[i], 256, "%s/%llu", folder, (unsigned long long)(done + i));
			io_uring_prep_openat_direct(sqe, AT_FDCWD, paths[i], O_RDONLY, 0, i);
			sqe->flags |= IOSQE_IO_LINK;
			sqe = next_sqe();
			io_uring_prep_read(sqe, (int)i, buffers + 4096ul * i, 4096, 0);
			sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
			sqe = next_sqe();
			io_uring_prep_close_direct(sqe, i);
		}
		io_uring_submit_and_wait(&ring, 3 * batch);
		drain();
		done += batch;
	}
	return now() - start;
}

static uint64_t files_plain(uint64_t count, const char *folder)
{
	char path[256], buffer[4096];
	uint64_t start = now();
	for (uint64_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%llu", folder, (unsigned long long)i);
		int fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, buffer, sizeof(buffer)) < 0)
			fail(path);
		close(fd);
	}
	return now() - start;
}

/* Answers what comes on loopback, until its input ends: prints the port first. */
static void serve_echo(void)
{
	enum { BUFFER = 1024, CONNECTIONS = 4096 };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096))
		fail("listen");
	getsockname(listener, (struct sockaddr *)&address, &length);
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	char(*buffers)[BUFFER] = calloc(CONNECTIONS, BUFFER);
	open_ring(4096);
	io_uring_prep_multishot_accept(next_sqe(), listener, NULL, NULL, 0);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			uint64_t what = cqe->user_data >> 32;
			int fd = (int)(cqe->user_data & 0xffffffff);
			struct io_uring_sqe *sqe;
			n++;
			if (what == 0) {
				fd = cqe->res;
				if (fd < 0 || fd >= CONNECTIONS)
					continue;
				what = 2;
			} else if (cqe->res <= 0) {
				close(fd);
				continue;
			}
			sqe = next_sqe();
			if (what == 1) {
				io_uring_prep_send(sqe, fd, buffers[fd], (size_t)cqe->res, 0);
				sqe->user_data = (2ull << 32) | (unsigned)fd;
			} else {
				io_uring_prep_recv(sqe, fd, buffers[fd], BUFFER, 0);
				sqe->user_data = (1ull << 32) | (unsigned)fd;
			}
		}
		io_uring_cq_advance(&ring, n);
	}
}

/* COUNT round trips of 64 bytes with a server on loopback, over so many connections at once. */
static uint64_t echo_client(uint64_t count, unsigned port, unsigned connections)
{
	enum { MESSAGE = 64 };
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char(*buffers)[MESSAGE] = calloc(connections, MESSAGE);
	unsigned *have = calloc(connections, sizeof(*have));
	int *fds = calloc(connections, sizeof(*fds));
	uint64_t started = 0, ended = 0;
	for (unsigned i = 0; i < connections; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof(address)))
			fail("connect");
	}
	open_ring(4096);
	uint64_t start = now();
	for (unsigned i = 0; i < connections && started < count; i++, started++) {
		struct io_uring_sqe *sqe = next_sqe();
		io_uring_prep_send(sqe, fds[i], buffers[i], MESSAGE, 0);
		sqe->user_data = i;
	}
	while (ended < count) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			unsigned i = (unsigned)(cqe->user_data & 0xffffffff);
			struct io_uring_sqe *sqe;
			n++;
			if (cqe->res <= 0) {
				errno = -cqe->res;
				fail("echo");
			}
			if (cqe->user_data >> 32) {
				have[i] += (unsigned)cqe->res;
				if (have[i] == MESSAGE) {
					have[i] = 0;
					ended++;
					if (started >= count)
						continue;
					started++;
					sqe = next_sqe();
					io_uring_prep_send(sqe, fds[i], buffers[i], MESSAGE, 0);
					sqe->user_data = i;
					continue;
				}
			}
			sqe = next_sqe();
			io_uring_prep_recv(sqe, fds[i], buffers[i] + have[i], MESSAGE - have[i], 0);
			sqe->user_data = i | (1ull << 32);
		}
		io_uring_cq_advance(&ring, n);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const char *what = argv[1];
	uint64_t count = strtoull(argv[2], NULL, 10), ns = 0;
	const char *first = argc > 3 ? argv[3] : "0", *second = argc > 4 ? argv[4] : "0";
	const char *third = argc > 5 ? argv[5] : "0", *fourth = argc > 6 ? argv[6] : "0";
	if (!strcmp(what, "nop"))
		ns = nops(count, (unsigned)atoi(first));
	else if (!strcmp(what, "link"))
		ns = links(count, (unsigned)atoi(first));
	else if (!strcmp(what, "read"))
		ns = reads(count, first, (unsigned)atoi(second), atoi(third));
	else if (!strcmp(what, "pread"))
		ns = preads(count, first, atoi(second));
	else if (!strcmp(what, "chase") || !strcmp(what, "chase-pread")) {
		/* CHASE COUNT FILE HOPS KEYS DEPTH */
		hops = (unsigned)atoi(second);
		keys = strtoull(third, NULL, 10);
		ns = !strcmp(what, "chase") ? chase_ring(count, first, (unsigned)atoi(fourth)) : chase_pread(count, first);
	}
	else if (!strcmp(what, "copy"))
		ns = copy(count, first, second, (unsigned)atoi(third), (unsigned)atoi(fourth));
	else if (!strcmp(what, "files"))
		ns = files(count, first, (unsigned)atoi(second));
	else if (!strcmp(what, "files-plain"))
		ns = files_plain(count, first);
	else if (!strcmp(what, "echo"))
		serve_echo();
	else if (!strcmp(what, "echo-client"))
		ns = echo_client(count, (unsigned)atoi(first), (unsigned)atoi(second));
	else
		return 2;
	printf("%llu\n", (unsigned long long)ns);
	return 0;
}
