// SPDX-License-Identifier: MIT
// The C side of `bench steer`: parse, Toeplitz by a table of the key, report and queue, for the same packets and by the same rule as the plane.
// Usage: steer FILE COUNT. FILE: u32 hash types, tunnel types, mask, unclassified queue; key of 40 bytes; u16 table[mask + 1]; u32 number of packets; for each u32 length and bytes.
// Prints the ns that COUNT packets took, and the XOR of (hash + report * 0x01000193 + queue * 0x85ebca6b) over the packets of the file. `toeplitz36`: the hash alone.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t types, tunnels, mask, unclassified, key_table[36][256];
static uint16_t *table;

struct result {
	uint32_t hash;
	uint16_t report, queue;
};

static void fill_key_table(const uint8_t *key)
{
	for (int i = 0; i < 36; i++)
		for (int byte = 0; byte < 256; byte++) {
			uint32_t window = (uint32_t)key[i] << 24 | key[i + 1] << 16 | key[i + 2] << 8 | key[i + 3], hash = 0;

			for (int bit = 7; bit >= 0; bit--) {
				if (byte >> bit & 1)
					hash ^= window;
				window = window << 1 | (key[i + 4] >> bit & 1);
			}
			key_table[i][byte] = hash;
		}
}

static inline __attribute__((always_inline)) uint32_t fold(int first, const uint8_t *from, int count)
{
	uint32_t hash = 0;

#pragma GCC unroll 16
	for (int i = 0; i < count; i++)
		hash ^= key_table[first + i][from[i]];
	return hash;
}

static inline uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

#define RESULT(h, r) ((uint64_t)(r) << 32 | (h))

static uint64_t link_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled);
static uint64_t ipv4_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled);
static uint64_t ipv6_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled);

static uint64_t network_hash(const uint8_t *at, const uint8_t *end, uint16_t type, uint32_t enabled)
{
	return type == 0x0800 ? ipv4_hash(at, end, enabled) : type == 0x86dd ? ipv6_hash(at, end, enabled) : 0;
}

static const uint8_t *gre(const uint8_t *at, const uint8_t *end, int version, uint32_t enabled, uint16_t *type)
{
	uint16_t flags, fields;
	uint32_t kind;

	if (at + 4 > end)
		return NULL;
	flags = get16(at);
	if (flags & 0x4c07)
		return NULL;
	*type = get16(at + 2);
	fields = flags & 0xb000;
	kind = version == 6 || *type == 0x86dd ? 4 : flags & 0x3000 ? 2 : 1;
	if (*type == 0x6558 && fields == 0x2000)
		kind |= 0x100;
	at += 4 + 4 * __builtin_popcount(fields);
	return (kind & enabled) && at <= end ? at : NULL;
}

static const uint8_t *tunnel(const uint8_t *at, const uint8_t *end, uint8_t protocol, int version, uint32_t enabled, uint16_t *type)
{
	if (protocol == 4) {
		*type = 0x0800;
		return version == 4 && (enabled & 0x80) ? at : NULL;
	}
	if (protocol == 47)
		return gre(at, end, version, enabled, type);
	if (at + 8 > end)
		return NULL;
	uint16_t port = get16(at + 2);

	at += 8;
	if (port == 4754)
		return enabled & 8 ? gre(at, end, version, 7, type) : NULL;
	if (at + 8 > end)
		return NULL;
	*type = 0x6558;
	switch (port) {
	case 4789:
		return (enabled & 0x10) && (at[0] & 8) ? at + 8 : NULL;
	case 4790:
		if (!(enabled & 0x20) || (at[0] & 0x30))
			return NULL;
		if (at[0] & 4)
			*type = at[3] == 1 ? 0x0800 : at[3] == 2 ? 0x86dd : at[3] == 3 ? 0x6558 : 0;
		return at + 8;
	case 6081:
		*type = get16(at + 2);
		if (!(enabled & 0x40) || at[0] >> 6)
			return NULL;
		at += 8 + (at[0] & 0x3f) * 4;
		return at <= end ? at : NULL;
	default:
		return NULL;
	}
}

static uint64_t inner_hash(const uint8_t *at, const uint8_t *end, uint16_t type)
{
	return type == 0x6558 ? link_hash(at, end, 0) : network_hash(at, end, type, 0);
}

static uint64_t ipv4_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled)
{
	if (at + 20 > end || at[0] >> 4 != 4 || (at[0] & 15) < 5)
		return 0;
	if (!(get16(at + 6) & 0x3fff)) {
		const uint8_t *transport = at + (at[0] & 15) * 4;
		uint8_t protocol = at[9];

		if (enabled && (protocol == 17 || protocol == 47 || protocol == 4)) {
			uint16_t type;
			const uint8_t *payload = tunnel(transport, end, protocol, 4, enabled, &type);

			if (payload)
				return inner_hash(payload, end, type);
		}
		if (transport + 4 <= end) {
			if (protocol == 6 && types & 2)
				return RESULT(fold(0, at + 12, 8) ^ fold(8, transport, 4), 2);
			if (protocol == 17 && types & 4)
				return RESULT(fold(0, at + 12, 8) ^ fold(8, transport, 4), 3);
		}
	}
	return types & 1 ? RESULT(fold(0, at + 12, 8), 1) : 0;
}

static int is_extension(uint8_t protocol)
{
	return protocol < 64 ? (1ULL << 0 | 1ULL << 43 | 1ULL << 44 | 1ULL << 51 | 1ULL << 60) >> protocol & 1
			     : protocol == 135 || protocol == 139 || protocol == 140;
}

static const uint8_t *home_address(const uint8_t *at, const uint8_t *to)
{
	for (int count = 0; count < 30 && at < to; count++) {
		if (at[0] == 0) {
			at++;
			continue;
		}
		if (at + 2 > to || at + 2 + at[1] > to)
			return NULL;
		if (at[0] == 0xc9 && at[1] == 16)
			return at + 2;
		at += 2 + at[1];
	}
	return NULL;
}

static uint64_t ipv6_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled)
{
	const uint8_t *transport = at + 40, *source = at + 8, *destination = at + 24, *home = NULL, *routed = NULL;
	uint32_t hash, report = 0;
	int protocol, extended, tcp, udp;

	if (at + 40 > end || at[0] >> 4 != 6)
		return 0;
	protocol = at[6];
	extended = is_extension(protocol);
	for (int count = 0; protocol >= 0 && is_extension(protocol); count++) {
		const uint8_t *next;

		if (count == 11 || transport + 8 > end || protocol == 44) {
			protocol = -1;
			break;
		}
		next = transport + (protocol == 51 ? (transport[1] + 2) * 4 : (transport[1] + 1) * 8);
		if (next > end) {
			protocol = -1;
			break;
		}
		if (protocol == 60 && !home)
			home = home_address(transport + 2, next);
		else if (protocol == 43 && !routed && transport[2] == 2 && transport[1] == 2)
			routed = transport + 8;
		protocol = transport[0];
		transport = next;
	}
	if (enabled && (protocol == 17 || protocol == 47)) {
		uint16_t type;
		const uint8_t *payload = tunnel(transport, end, protocol, 6, enabled, &type);

		if (payload)
			return inner_hash(payload, end, type);
	}
	tcp = protocol == 6 && transport + 4 <= end;
	udp = protocol == 17 && transport + 4 <= end;
	if (extended) {
		report = tcp && types & 0x80 ? 8 : udp && types & 0x100 ? 9 : types & 0x40 ? 7 : 0;
		if (report) {
			source = home ? home : source;
			destination = routed ? routed : destination;
		}
	}
	if (!report)
		report = tcp && types & 0x10 ? 5 : udp && types & 0x20 ? 6 : types & 8 ? 4 : 0;
	if (!report)
		return 0;
	hash = fold(0, source, 16) ^ fold(16, destination, 16);
	return RESULT(report == 7 || report == 4 ? hash : hash ^ fold(32, transport, 4), report);
}

static uint64_t link_hash(const uint8_t *at, const uint8_t *end, uint32_t enabled)
{
	uint16_t type;

	if (at + 14 > end)
		return 0;
	type = get16(at + 12);
	at += 14;
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		if (at + 4 > end)
			return 0;
		type = get16(at + 2);
		at += 4;
	}
	return network_hash(at, end, type, enabled);
}

static struct {
	uint64_t packets, bytes;
} queues[1024];
static uint64_t unhashed;
static uint32_t queue_count = 8;

/* A frame as ours are: where it lies, where its virtio-net header is, and what came out. */
struct frame {
	const uint8_t *data;
	uint8_t *header;
	uint32_t length;
	struct result result;
};

static void steer(struct frame *frame)
{
	uint64_t hash = link_hash(frame->data, frame->data + frame->length, tunnels);
	struct result result = { hash, hash >> 32, hash ? table[(uint32_t)hash & mask] : unclassified };
	uint16_t one = 1;
	uint32_t report = result.report;

	if (result.queue >= queue_count)
		result.queue %= queue_count;
	frame->result = result;
	if (!report)
		unhashed++;
	queues[result.queue].packets++;
	queues[result.queue].bytes += frame->length;
	memcpy(frame->header + 10, &one, 2);
	memcpy(frame->header + 12, &result.hash, 4);
	memcpy(frame->header + 16, &report, 4);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void need(void *to, size_t size, FILE *file)
{
	if (fread(to, 1, size, file) != size) {
		fprintf(stderr, "the file is cut\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	uint8_t key[40];
	uint32_t count, check = 0;
	struct frame *frames;
	uint64_t start, runs;
	FILE *file;

	if (argc < 3 || !(file = fopen(argv[1], "rb")))
		return 1;
	runs = strtoull(argv[2], NULL, 10);
	need(&types, 4, file);
	need(&tunnels, 4, file);
	need(&mask, 4, file);
	need(&unclassified, 4, file);
	need(key, sizeof(key), file);
	table = malloc((mask + 1) * 2);
	need(table, (mask + 1) * 2, file);
	need(&count, 4, file);
	frames = calloc(count + 1, sizeof(*frames));
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *bytes;

		need(&frames[i].length, 4, file);
		bytes = calloc(1, 32 + frames[i].length);
		need(bytes + 32, frames[i].length, file);
		frames[i].header = bytes + 12;
		frames[i].data = bytes + 32;
	}
	fill_key_table(key);
	if (argc > 3) {
		static uint8_t inputs[64][64];
		uint32_t hash = 0;

		for (int i = 0; i < 64; i++)
			for (int at = 0; at < 36; at++)
				inputs[i][at] = i * 41 + at * 7;
		start = now();
		for (uint64_t i = 0; i < runs; i++) {
			const uint8_t *input = inputs[i & 63];

			hash ^= fold(0, input, 16) ^ fold(16, input + 16, 16) ^ fold(32, input + 32, 4);
		}
		printf("%llu %u\n", (unsigned long long)(now() - start), hash);
		return 0;
	}
	start = now();
	for (uint64_t i = 0, at = 0; i < runs; i++) {
		steer(&frames[at]);
		if (++at == count)
			at = 0;
	}
	start = now() - start;
	for (uint32_t i = 0; i < count; i++) {
		struct result *result = &frames[i].result;

		steer(&frames[i]);
		check ^= result->hash + result->report * 0x01000193u + result->queue * 0x85ebca6bu;
	}
	printf("%llu %u\n", (unsigned long long)start, check);
	return 0;
}
