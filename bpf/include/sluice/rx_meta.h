/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What is known of a received packet, in a fixed form: hash, VLAN tag, receive time. A program stores what is to be known behind a redirect, or in place of what the
 * driver says; bpf_xdp_metadata_rx_* (kfuncs.h) read it, and an sk_buff made of the packet has it as hash, vlan_tci and hwtstamp. As posted for Linux in
 * 2025 ("XDP: store RX hints for XDP_REDIRECT"), which does not have it.
 */
#ifndef SLUICE_RX_META_H
#define SLUICE_RX_META_H

#include "kfuncs.h"

/* Each returns 0. The protocol is in network byte order, the time in ns. */
extern int bpf_xdp_store_rx_hash(struct xdp_md *ctx, __u32 hash, enum xdp_rss_hash_type rss_type) __weak __ksym;
extern int bpf_xdp_store_rx_vlan(struct xdp_md *ctx, __be16 vlan_proto, __u16 vlan_tci) __weak __ksym;
extern int bpf_xdp_store_rx_ts(struct xdp_md *ctx, __u64 ts) __weak __ksym;

#endif
