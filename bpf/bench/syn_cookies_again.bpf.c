/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The SYN proxy answers a SYN, which then takes the answer's place again: repeated runs do the same work, which is the proxy's and two copies. */
#include "../xdp_syn_cookies.bpf.c"

/* Of the SYN: Ethernet, IPv4, TCP with 20 bytes of options. */
#define SYN_LENGTH 74

SEC("xdp")
int syn_cookies_again(struct xdp_md *ctx)
{
	__u64 words[(SYN_LENGTH + 7) / 8];
	__u64 length;

	if (bpf_xdp_load_bytes(ctx, 0, words, SYN_LENGTH) || decide(ctx) != ANSWERED)
		return XDP_ABORTED;
	length = xdp_data_end(ctx) - xdp_data(ctx);
	barrier_var(length);
	if (bpf_xdp_adjust_tail(ctx, SYN_LENGTH - (int)length) || bpf_xdp_store_bytes(ctx, 0, words, SYN_LENGTH))
		return XDP_ABORTED;
	return XDP_TX;
}
