// SPDX-License-Identifier: MIT
// Opens and loads an object with libbpf, several times, and prints the shortest times in ns: open, and open with load (0 if the kernel
// refuses it). Usage: libbpf-load FILE ROUNDS
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long best_open = ~0ul, best_load = ~0ul;
	static char image[64 << 20];
	int rounds, round, refused = 0;
	size_t size;
	FILE *file;

	if (argc != 3) {
		fprintf(stderr, "usage: libbpf-load FILE ROUNDS\n");
		return 2;
	}
	rounds = atoi(argv[2]);
	file = fopen(argv[1], "rb");
	if (!file)
		return 3;
	size = fread(image, 1, sizeof(image), file);
	fclose(file);
	libbpf_set_print(silent);
	for (round = 0; round < rounds; round++) {
		unsigned long start = now(), opened, loaded;
		struct bpf_object *object = bpf_object__open_mem(image, size, NULL);

		opened = now();
		if (!object || libbpf_get_error(object))
			return 4;
		if (!refused && bpf_object__load(object))
			refused = 1;
		loaded = now();
		bpf_object__close(object);
		if (opened - start < best_open)
			best_open = opened - start;
		if (loaded - start < best_load)
			best_load = loaded - start;
	}
	printf("%lu %lu\n", best_open, refused ? 0 : best_load);
	return 0;
}
