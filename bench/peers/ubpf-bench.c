/* SPDX-License-Identifier: MIT */
/*
 * Runs one XDP program without maps or helpers in uBPF's JIT and prints the median time of a run in ns.
 * usage: ubpf-bench CODE-HEX PACKET-HEX ROUNDS MS EXPECTED
 * build: cc -O2 ubpf-bench.c -I UBPF/vm/inc -I UBPF-BUILD/vm UBPF-BUILD/lib/libubpf.a -lm -o ubpf-bench
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <ubpf.h>

/* What an XDP program may see; its 32-bit fields hold addresses, so packet and context lie below 4 GiB. */
struct xdp_md {
	uint32_t data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		sscanf(hex + 2 * i, "%2hhx", &out[i]);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	uint8_t *low = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		return 1;
	uint8_t *code = malloc(strlen(argv[1]) / 2 + 1), *packet = low + 4096;
	size_t code_len = from_hex(argv[1], code), packet_len = from_hex(argv[2], packet);
	int rounds = atoi(argv[3]), expected = atoi(argv[5]);
	double target = atof(argv[4]) * 1e6;
	struct xdp_md *ctx = (void *)low;
	char *error = NULL;

	ctx->data = ctx->data_meta = (uint32_t)(uintptr_t)packet;
	ctx->data_end = ctx->data + packet_len;
	struct ubpf_vm *vm = ubpf_create();
	if (!vm || ubpf_load(vm, code, code_len, &error) < 0) {
		fprintf(stderr, "load: %s\n", error ? error : "?");
		return 1;
	}
	ubpf_jit_fn run = ubpf_compile(vm, &error);
	if (!run) {
		fprintf(stderr, "compile: %s\n", error);
		return 1;
	}
	if ((int)run(ctx, sizeof(*ctx)) != expected) {
		fprintf(stderr, "wrong result\n");
		return 1;
	}
	long count = 1;
	double ns = 0;
	while (ns < target / 4) {
		count *= 4;
		double start = now();
		for (long i = 0; i < count; i++)
			run(ctx, sizeof(*ctx));
		ns = now() - start;
	}
	count = count * target / ns + 1;
	double *samples = calloc(rounds, sizeof(*samples));
	for (int r = 0; r < rounds; r++) {
		double start = now();
		for (long i = 0; i < count; i++)
			run(ctx, sizeof(*ctx));
		samples[r] = (now() - start) / count;
	}
	qsort(samples, rounds, sizeof(*samples), by_value);
	printf("%.3f\n", samples[rounds / 2]);
	return 0;
}
