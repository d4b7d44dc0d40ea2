// SPDX-License-Identifier: MIT
// Allocators of C on the patterns of bpf/bench/mem.bpf.c, by whichever malloc is loaded (LD_PRELOAD). Prints the shortest ns that COUNT
// operations took in ROUNDS rounds, and by how many KiB the resident memory had grown when the most objects lived, with the bytes of those objects.
// Usage: mem lifo|batch|mixed|cross|overwrite|add_del COUNT ROUNDS
// Build: gcc -O2 -fno-builtin -pthread -o mem mem.c
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZES 16
#define SLOTS 1024
#define BATCH 128
#define CROSS 4096
#define KEYS 8192
#define ADDED 512

static const unsigned sizes[SIZES] = { 64, 16, 256, 32, 1024, 128, 24, 512, 48, 768, 80, 40, 192, 96, 384, 160 };

static unsigned long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

static long resident(void)
{
	long all, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2)
		exit(3);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static uint32_t xorshift(uint32_t x)
{
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void *must(void *p)
{
	if (!p)
		exit(4);
	return p;
}

static uint64_t sum;
static unsigned long bytes;

static unsigned long lifo(long count)
{
	unsigned long start = now();

	for (long i = 0; i < count; i++) {
		uint64_t *p = must(malloc(64));

		*p = i;
		free(p);
	}
	return now() - start;
}

static unsigned long batch(long count)
{
	static uint64_t *slots[BATCH];
	unsigned long start = now();

	for (long done = 0; done < count; done += BATCH) {
		for (int i = 0; i < BATCH; i++) {
			uint64_t *p = must(malloc(64));

			*p = i;
			slots[i] = p;
		}
		for (int i = 0; i < BATCH; i++) {
			uint64_t *p = slots[i];

			slots[i] = NULL;
			sum += *p;
			free(p);
		}
	}
	return now() - start;
}

static void *mixed_slots[SIZES][SLOTS];

static void fill_mixed(void)
{
	for (int k = 0; k < SIZES; k++)
		for (int i = 0; i < SLOTS; i++) {
			mixed_slots[k][i] = memset(must(malloc(sizes[k])), 1, sizes[k]);
			bytes += sizes[k];
		}
}

static unsigned long mixed(long count)
{
	static uint32_t x = 0x12345678;
	unsigned long start = now();

	for (long done = 0; done < count; done += SIZES) {
		for (int k = 0; k < SIZES; k++) {
			uint64_t *p, *old;

			x = xorshift(x);
			p = must(malloc(sizes[k]));
			*p = x;
			old = mixed_slots[k][x & (SLOTS - 1)];
			mixed_slots[k][x & (SLOTS - 1)] = p;
			free(old);
		}
	}
	return now() - start;
}

static uint64_t *cross_slots[CROSS];
static atomic_long turn;

/* The other thread frees what it finds; each waits for its turn, and only work counts. */
static void *consumer(void *limit)
{
	long turns = (long)limit;
	unsigned long took = 0;

	for (long i = 0; i < turns; i++) {
		unsigned long start;

		while (atomic_load(&turn) != 2 * i + 1)
			;
		start = now();
		for (int k = 0; k < CROSS; k++) {
			sum += *cross_slots[k];
			free(cross_slots[k]);
		}
		took += now() - start;
		atomic_store(&turn, 2 * i + 2);
	}
	return (void *)took;
}

static unsigned long cross(long count)
{
	long turns = (count + CROSS - 1) / CROSS;
	unsigned long took = 0;
	pthread_t thread;
	void *theirs;

	atomic_store(&turn, 0);
	if (pthread_create(&thread, NULL, consumer, (void *)turns))
		exit(5);
	for (long i = 0; i < turns; i++) {
		unsigned long start;

		while (atomic_load(&turn) != 2 * i)
			;
		start = now();
		for (int k = 0; k < CROSS; k++) {
			cross_slots[k] = must(malloc(64));
			*cross_slots[k] = k;
		}
		took += now() - start;
		atomic_store(&turn, 2 * i + 1);
	}
	pthread_join(thread, &theirs);
	bytes = CROSS * 64;
	return (took + (unsigned long)theirs) * count / (turns * CROSS);
}

struct element {
	struct element *next;
	uint32_t hash;
	uint32_t key;
	uint64_t value;
};

static struct element *buckets[KEYS];

static uint32_t hash(uint32_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15ull;

	return (h ^ h >> 32) * 0xd6e8feb86659fd93ull >> 32;
}

/* As a hash map without preallocation: each update has an element of its own. */
static void update(uint32_t key, uint64_t value)
{
	struct element *made = must(malloc(sizeof(*made))), **at;
	uint32_t h = hash(key);

	for (at = &buckets[h & (KEYS - 1)]; *at && (*at)->key != key; at = &(*at)->next)
		;
	made->next = *at ? (*at)->next : NULL;
	made->hash = h;
	made->key = key;
	made->value = value;
	free(*at);
	*at = made;
}

static void delete(uint32_t key)
{
	struct element **at, *gone;

	for (at = &buckets[hash(key) & (KEYS - 1)]; *at && (*at)->key != key; at = &(*at)->next)
		;
	gone = *at;
	if (!gone)
		exit(6);
	*at = gone->next;
	free(gone);
}

static void fill_overwrite(void)
{
	for (int i = 0; i < KEYS; i++)
		update(i, i);
	bytes = KEYS * sizeof(struct element);
}

static unsigned long overwrite(long count)
{
	static uint32_t x = 0x12345678;
	unsigned long start = now();

	for (long i = 0; i < count; i++) {
		x = xorshift(x);
		update(x & (KEYS - 1), i);
	}
	return now() - start;
}

static unsigned long add_del(long count)
{
	unsigned long start = now();

	for (long done = 0; done < count; done += 2 * ADDED) {
		for (uint32_t i = 0; i < ADDED; i++)
			update(i, i);
		for (uint32_t i = 0; i < ADDED; i++)
			delete(i);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned long (*run)(long count);
		void (*fill)(void);
	} cases[] = { { "lifo", lifo, NULL }, { "batch", batch, NULL }, { "mixed", mixed, fill_mixed }, { "cross", cross, NULL },
		      { "overwrite", overwrite, fill_overwrite }, { "add_del", add_del, NULL } };
	long count = argc == 4 ? atol(argv[2]) : 0, rounds = argc == 4 ? atol(argv[3]) : 0;

	for (unsigned i = 0; count > 0 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			unsigned long best = ~0ul;
			long before = resident();

			if (cases[i].fill)
				cases[i].fill();
			for (long round = 0; round < rounds; round++) {
				unsigned long ns = cases[i].run(count);

				if (ns < best)
					best = ns;
			}
			/* Everything has been touched: what the allocator holds is resident. */
			printf("%lu %ld %lu\n", best, resident() - before, bytes);
			return sum == 1;
		}
	fprintf(stderr, "usage: mem lifo|batch|mixed|cross|overwrite|add_del COUNT ROUNDS\n");
	return 2;
}
