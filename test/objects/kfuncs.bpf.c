// SPDX-License-Identifier: MIT OR GPL-2.0-only
// What dynptrs, iterators, strings, cpumasks and sections do, as numbers: every program returns a value that depends on all that it did.
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[64]);
} memory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

/* Mixes a result, errors included, into a sum that tells them apart. */
#define mix(sum, value) ((sum) = (sum) * 31 + (__u32)(value))

SEC("tc")
int dynptr_local(struct __sk_buff *skb)
{
	__u32 key = 0, sum = 1, word = 0x01020304;
	__u8 *value = bpf_map_lookup_elem(&memory, &key);
	struct bpf_dynptr ptr, clone;
	if (!value)
		return 0;
	mix(sum, bpf_dynptr_from_mem(value, 64, 0, &ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_write(&ptr, 10, &word, 4, 0));
	mix(sum, bpf_dynptr_write(&ptr, 61, &word, 4, 0));
	mix(sum, bpf_dynptr_write(&ptr, 0, &word, 4, 1));
	mix(sum, bpf_dynptr_adjust(&ptr, 8, 20));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_adjust(&ptr, 5, 4));
	mix(sum, bpf_dynptr_adjust(&ptr, 5, 13));
	word = 0;
	mix(sum, bpf_dynptr_read(&word, 4, &ptr, 2, 0));
	mix(sum, word);
	mix(sum, bpf_dynptr_read(&word, 4, &ptr, 9, 0));
	mix(sum, bpf_dynptr_read(&word, 4, &ptr, 2, 7));
	mix(sum, bpf_dynptr_clone(&ptr, &clone));
	mix(sum, bpf_dynptr_adjust(&clone, 2, 6));
	__u8 *data = bpf_dynptr_data(&clone, 0, 4);
	if (data) {
		mix(sum, data[0] << 8 | data[3]);
		data[1] = 77;
	}
	data = bpf_dynptr_data(&clone, 1, 4);
	mix(sum, data != NULL);
	mix(sum, bpf_dynptr_is_null(&clone));
	mix(sum, bpf_dynptr_is_rdonly(&clone));
	mix(sum, value[11] + value[63]);
	return sum;
}

SEC("tc")
int dynptr_too_large(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr, clone;
	__u32 key = 0, sum = 1;
	__u8 *value = bpf_map_lookup_elem(&memory, &key);
	if (!value)
		return 0;
	/* Flags are refused, and leave a null dynptr. */
	mix(sum, bpf_dynptr_from_mem(value, 64, 1, &ptr));
	mix(sum, bpf_dynptr_is_null(&ptr));
	mix(sum, bpf_dynptr_is_rdonly(&ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_adjust(&ptr, 0, 0));
	mix(sum, bpf_dynptr_read(&key, 4, &ptr, 0, 0));
	mix(sum, bpf_dynptr_write(&ptr, 0, &key, 4, 0));
	mix(sum, bpf_dynptr_data(&ptr, 0, 1) != NULL);
	mix(sum, bpf_dynptr_clone(&ptr, &clone));
	mix(sum, bpf_dynptr_is_null(&clone));
	return sum;
}

SEC("tc")
int dynptr_ringbuf(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u32 sum = 1;
	__u64 word = 0x1122334455667788;
	mix(sum, bpf_ringbuf_reserve_dynptr(&records, 24, 0, &ptr));
	mix(sum, bpf_dynptr_write(&ptr, 8, &word, 8, 0));
	__u32 *data = bpf_dynptr_data(&ptr, 0, 24);
	if (data) {
		data[0] = skb->len;
		data[1] = 5;
		mix(sum, data[2]);
		data[4] = data[5] = 0;
	}
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	mix(sum, bpf_ringbuf_reserve_dynptr(&records, 5000, 0, &ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_is_null(&ptr));
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	mix(sum, bpf_ringbuf_reserve_dynptr(&records, 16, 3, &ptr));
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	mix(sum, bpf_ringbuf_reserve_dynptr(&records, 16, 0, &ptr));
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	return sum;
}

SEC("tc")
int dynptr_skb(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr, whole;
	__u8 buffer[16] = {};
	__u32 sum = 1;
	mix(sum, bpf_dynptr_from_skb(skb, 1, &ptr));
	mix(sum, bpf_dynptr_from_skb(skb, 0, &whole));
	mix(sum, bpf_dynptr_clone(&whole, &ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_is_rdonly(&ptr));
	__u8 *slice = bpf_dynptr_slice(&ptr, 12, buffer, 4);
	if (slice)
		mix(sum, slice[0] << 8 | slice[1]);
	slice = bpf_dynptr_slice_rdwr(&ptr, 0, buffer, 14);
	if (slice) {
		slice[0] ^= 0xff;
		slice[13] += 3;
	}
	mix(sum, bpf_dynptr_slice(&ptr, skb->len - 3, buffer, 4) != NULL);
	mix(sum, bpf_dynptr_adjust(&ptr, 6, 14));
	mix(sum, bpf_dynptr_read(buffer, 8, &ptr, 0, 0));
	mix(sum, buffer[0] + buffer[7]);
	mix(sum, bpf_dynptr_write(&ptr, 2, buffer, 4, 0));
	mix(sum, bpf_dynptr_write(&ptr, 6, buffer, 4, 0));
	mix(sum, bpf_dynptr_copy(&whole, 0, &ptr, 1, 5));
	mix(sum, bpf_dynptr_copy(&whole, 0, &ptr, 1, 50));
	mix(sum, bpf_dynptr_memset(&ptr, 6, 2, 0xab));
	mix(sum, bpf_dynptr_memset(&ptr, 6, 3, 0xab));
	mix(sum, bpf_dynptr_data(&ptr, 0, 4) != NULL);
	return sum;
}

SEC("socket")
int dynptr_read_only(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u8 buffer[8] = { 1, 2, 3, 4 };
	__u32 sum = 1;
	mix(sum, bpf_dynptr_from_skb(skb, 0, &ptr));
	mix(sum, bpf_dynptr_is_rdonly(&ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	mix(sum, bpf_dynptr_write(&ptr, 0, buffer, 4, 0));
	mix(sum, bpf_dynptr_memset(&ptr, 0, 4, 0));
	mix(sum, bpf_dynptr_memset(&ptr, 0, 4000000, 0));
	mix(sum, bpf_dynptr_copy(&ptr, 0, &ptr, 1, 2));
	mix(sum, bpf_dynptr_read(buffer, 8, &ptr, 0, 0));
	mix(sum, buffer[0] + buffer[7]);
	return sum;
}

SEC("xdp")
int dynptr_xdp(struct xdp_md *ctx)
{
	struct bpf_dynptr ptr;
	__u8 buffer[16] = {};
	__u32 sum = 1;
	mix(sum, bpf_dynptr_from_xdp(ctx, 4, &ptr));
	mix(sum, bpf_dynptr_from_xdp(ctx, 0, &ptr));
	mix(sum, bpf_dynptr_size(&ptr));
	__u8 *slice = bpf_dynptr_slice_rdwr(&ptr, 2, buffer, 12);
	if (slice && slice != buffer) {
		mix(sum, slice[11]);
		slice[0] = 9;
	}
	mix(sum, bpf_dynptr_slice(&ptr, 4000, NULL, 4) != NULL);
	mix(sum, bpf_dynptr_write(&ptr, 4, buffer, 3, 0));
	mix(sum, bpf_dynptr_write(&ptr, 4, buffer, 3, 1));
	mix(sum, bpf_dynptr_read(buffer, 8, &ptr, 0, 0));
	mix(sum, buffer[2]);
	mix(sum, bpf_dynptr_memset(&ptr, 10, 4, 0x5a));
	return sum;
}

SEC("tc")
int iterators(struct __sk_buff *skb)
{
	__u64 words[3] = { 0x8000000000000001, 0, 0x100 };
	__u32 sum = 1;
	int i, *bit;
	bpf_for(i, -3, 5)
		mix(sum, i);
	bpf_for(i, 5, 5)
		mix(sum, 100);
	bpf_for(i, 5, -5)
		mix(sum, 101);
	bpf_repeat(10) {
		mix(sum, 7);
		if (sum & 1)
			break;
	}
	bpf_for_each(bits, bit, words, 3)
		mix(sum, *bit);
	bpf_for_each(bits, bit, words, 1)
		mix(sum, *bit);
	bpf_for_each(bits, bit, words, 0)
		mix(sum, *bit);
	struct bpf_iter_num num;
	mix(sum, bpf_iter_num_new(&num, 0, 8 * 1024 * 1024 + 1));
	mix(sum, bpf_iter_num_next(&num) != NULL);
	bpf_iter_num_destroy(&num);
	mix(sum, bpf_iter_num_new(&num, 2147483646, 2147483647));
	int *n = bpf_iter_num_next(&num);
	if (n)
		mix(sum, *n);
	mix(sum, bpf_iter_num_next(&num) != NULL);
	bpf_iter_num_destroy(&num);
	struct bpf_iter_bits bits;
	mix(sum, bpf_iter_bits_new(&bits, words, 512));
	bpf_iter_bits_destroy(&bits);
	mix(sum, bpf_iter_bits_new(&bits, NULL, 1));
	bpf_iter_bits_destroy(&bits);
	return sum;
}

/* A sum over a range that the packet's length bounds, through a loop of a subprogram. */
static __noinline __u32 triangle(__u32 n)
{
	__u32 sum = 0;
	int i;
	bpf_for(i, 0, n)
		sum += i * (n & 3);
	return sum;
}

SEC("tc")
int iterators_nested(struct __sk_buff *skb)
{
	__u32 sum = 0;
	int i, j;
	bpf_for(i, 0, 10) {
		bpf_for(j, 0, i)
			mix(sum, i * j);
		sum += triangle(i + skb->len);
	}
	return sum;
}

char text[64] = "Hello, world of programs";
char part[16] = "world";
char upper[64] = "HELLO, WORLD OF PROGRAMS";
char letters[16] = "Helo";
char stops[16] = ",w";
char high[8] = "a\x80z";
char long_text[70000];

SEC("syscall")
int strings(void *ctx)
{
	__u32 sum = 1;
	mix(sum, bpf_strcmp(text, upper));
	mix(sum, bpf_strcmp(upper, text));
	mix(sum, bpf_strcmp(text, text));
	mix(sum, bpf_strcmp(high, text));
	mix(sum, bpf_strcasecmp(text, upper));
	mix(sum, bpf_strchr(text, 'o'));
	mix(sum, bpf_strchr(text, 'X'));
	mix(sum, bpf_strchr(text, 0));
	mix(sum, bpf_strchr(high, (char)0x80));
	mix(sum, bpf_strchrnul(text, 'X'));
	mix(sum, bpf_strchrnul(text, 'w'));
	mix(sum, bpf_strnchr(text, 3, 'o'));
	mix(sum, bpf_strnchr(text, 5, 'o'));
	mix(sum, bpf_strrchr(text, 'o'));
	mix(sum, bpf_strrchr(text, 'X'));
	mix(sum, bpf_strrchr(high, 0x80));
	mix(sum, bpf_strrchr(high, -128));
	mix(sum, bpf_strlen(text));
	mix(sum, bpf_strnlen(text, 5));
	mix(sum, bpf_strnlen(text, 100));
	mix(sum, bpf_strspn(text, letters));
	mix(sum, bpf_strcspn(text, stops));
	mix(sum, bpf_strspn(text, part));
	mix(sum, bpf_strcspn(text, part));
	mix(sum, bpf_strstr(text, part));
	mix(sum, bpf_strstr(text, upper));
	mix(sum, bpf_strstr(part, text));
	mix(sum, bpf_strstr(text, part + 5));
	mix(sum, bpf_strnstr(text, part, 11));
	mix(sum, bpf_strnstr(text, part, 12));
	mix(sum, bpf_strnstr(text, part, 1000));
	mix(sum, bpf_strnstr(text, part + 5, 0));
	return sum;
}

SEC("syscall")
int strings_without_end(void *ctx)
{
	__u32 sum = 1;
	for (int i = 0; i < 16; i++)
		long_text[i] = 'x';
	int i;
	bpf_for(i, 0, 70000)
		long_text[i] = 'x';
	mix(sum, bpf_strlen(long_text));
	mix(sum, bpf_strnlen(long_text, 65536));
	mix(sum, bpf_strnlen(long_text, 65535));
	mix(sum, bpf_strchr(long_text, 'y'));
	mix(sum, bpf_strnchr(long_text, 65536, 'y'));
	mix(sum, bpf_strnchr(long_text, 100, 'y'));
	mix(sum, bpf_strchrnul(long_text, 'y'));
	mix(sum, bpf_strrchr(long_text, 'x'));
	mix(sum, bpf_strcmp(long_text, long_text));
	mix(sum, bpf_strcasecmp(long_text, long_text));
	mix(sum, bpf_strspn(long_text, long_text));
	mix(sum, bpf_strcspn(long_text, text));
	mix(sum, bpf_strspn(text, long_text));
	mix(sum, bpf_strstr(long_text, text));
	mix(sum, bpf_strlen(NULL));
	mix(sum, bpf_strlen((char *)1));
	mix(sum, bpf_strlen((char *)-1L));
	mix(sum, bpf_strcmp(text, NULL));
	mix(sum, bpf_strstr((char *)-1L, text));
	return sum;
}

SEC("syscall")
int cpumasks(void *ctx)
{
	__u32 sum = 1;
	struct bpf_cpumask *a = bpf_cpumask_create(), *b;
	if (!a)
		return 0;
	b = bpf_cpumask_create();
	if (!b) {
		bpf_cpumask_release(a);
		return 0;
	}
	const struct cpumask *ca = (void *)a, *cb = (void *)b;
	mix(sum, bpf_cpumask_empty(ca));
	bpf_cpumask_set_cpu(0, a);
	mix(sum, bpf_cpumask_test_cpu(0, ca));
	mix(sum, bpf_cpumask_test_cpu(1, ca));
	mix(sum, bpf_cpumask_test_and_set_cpu(1, a));
	mix(sum, bpf_cpumask_test_and_set_cpu(1, a));
	mix(sum, bpf_cpumask_test_and_clear_cpu(0, a));
	mix(sum, bpf_cpumask_first(ca));
	mix(sum, bpf_cpumask_first_zero(ca));
	mix(sum, bpf_cpumask_weight(ca));
	bpf_cpumask_set_cpu(0, b);
	mix(sum, bpf_cpumask_intersects(ca, cb));
	mix(sum, bpf_cpumask_equal(ca, cb));
	bpf_cpumask_or(b, ca, cb);
	mix(sum, bpf_cpumask_subset(ca, cb));
	mix(sum, bpf_cpumask_subset(cb, ca));
	mix(sum, bpf_cpumask_first_and(ca, cb));
	mix(sum, bpf_cpumask_and(a, ca, cb));
	bpf_cpumask_xor(a, ca, cb);
	mix(sum, bpf_cpumask_first(ca));
	bpf_cpumask_copy(a, cb);
	mix(sum, bpf_cpumask_equal(ca, cb));
	bpf_cpumask_setall(a);
	mix(sum, bpf_cpumask_full(ca));
	bpf_cpumask_clear_cpu(0, a);
	mix(sum, bpf_cpumask_full(ca));
	bpf_cpumask_clear(a);
	mix(sum, bpf_cpumask_weight(ca));
	bpf_cpumask_set_cpu(100000, a);
	mix(sum, bpf_cpumask_empty(ca));
	struct bpf_cpumask *again = bpf_cpumask_acquire(a);
	bpf_cpumask_release(a);
	bpf_cpumask_set_cpu(1, again);
	mix(sum, bpf_cpumask_weight((void *)again));
	bpf_cpumask_release(again);
	bpf_cpumask_release(b);
	return sum;
}

struct locked {
	struct bpf_res_spin_lock lock;
	__u32 count;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

SEC("tc")
int sections(struct __sk_buff *skb)
{
	__u32 key = 0, sum = 1;
	unsigned long flags;
	struct locked *locked;
	bpf_rcu_read_lock();
	mix(sum, 1);
	bpf_rcu_read_unlock();
	bpf_preempt_disable();
	mix(sum, 2);
	bpf_preempt_enable();
	bpf_local_irq_save(&flags);
	mix(sum, 3);
	bpf_local_irq_restore(&flags);
	locked = bpf_map_lookup_elem(&locks, &key);
	if (!locked)
		return 0;
	int refused = bpf_res_spin_lock(&locked->lock);
	mix(sum, refused);
	if (refused)
		return sum;
	locked->count++;
	bpf_res_spin_unlock(&locked->lock);
	mix(sum, locked->count);
	return sum;
}

SEC("xdp")
int pull(struct xdp_md *ctx)
{
	__u32 sum = 1;
	mix(sum, bpf_xdp_pull_data(ctx, 0));
	mix(sum, bpf_xdp_pull_data(ctx, 40));
	mix(sum, bpf_xdp_pull_data(ctx, 64));
	mix(sum, bpf_xdp_pull_data(ctx, 65));
	mix(sum, bpf_xdp_pull_data(ctx, 101));
	mix(sum, bpf_xdp_pull_data(ctx, -1));
	__u8 *data = xdp_data(ctx);
	if (data + 60 <= (__u8 *)xdp_data_end(ctx))
		mix(sum, data[59]);
	return sum;
}

SEC("xdp")
int hints(struct xdp_md *ctx)
{
	__u64 timestamp = 0;
	__u32 hash = 0, sum = 1;
	enum xdp_rss_hash_type type = 0;
	__be16 protocol = 0;
	__u16 tci = 0;
	mix(sum, bpf_xdp_metadata_rx_timestamp(ctx, &timestamp));
	mix(sum, timestamp);
	mix(sum, bpf_xdp_metadata_rx_hash(ctx, &hash, &type));
	mix(sum, hash);
	mix(sum, bpf_xdp_metadata_rx_vlan_tag(ctx, &protocol, &tci));
	mix(sum, tci);
	return sum;
}
