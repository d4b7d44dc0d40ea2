/**
 * A packet frame: descriptor and buffer. The descriptor begins with struct xdp_md (include/uapi/linux/bpf.h), so its address is
 * the XDP context as it is: 32-bit fields hold addresses in the linear memory.
 */

/** u32 each: struct xdp_md. */
export const FRAME_DATA = 0;
export const FRAME_DATA_END = 4;
export const FRAME_DATA_META = 8;
export const FRAME_INGRESS_IFINDEX = 12;
export const FRAME_RX_QUEUE_INDEX = 16;
export const FRAME_EGRESS_IFINDEX = 20;
/** Size of struct xdp_md: what a program may see of the descriptor. */
export const XDP_MD_SIZE = 24;
/** u32: first byte of the buffer (headroom begins here) and its size in bytes. */
export const FRAME_HARD_START = 24;
export const FRAME_SIZE_TOTAL = 28;
/** u32: return value of the last program that ran over the frame. */
export const FRAME_VERDICT = 32;
/** u32 copies of WORKER_REDIRECT_* after XDP_REDIRECT. */
export const FRAME_REDIRECT_MAP = 36;
export const FRAME_REDIRECT_INDEX = 40;
export const FRAME_REDIRECT_FLAGS = 44;
/** u64: receive timestamp in ns, 0 if unknown; u32: length on the wire (captures may be cut). */
export const FRAME_TIMESTAMP = 48;
export const FRAME_WIRE_LENGTH = 56;
/** u32: HINT_* bits of what the driver knows of the packet, HINTS_DRIVER where it is a driver that could know, and what programs stored (FRAME_RX_META). */
export const FRAME_HINTS = 60;
/** u32 each: RSS hash and its type (enum xdp_rss_hash_type); u64: receive time in ns; u32: tag protocol (big-endian), then tag << 16. */
export const FRAME_HINT_HASH = 64;
export const FRAME_HINT_HASH_TYPE = 68;
export const FRAME_HINT_TIMESTAMP = 72;
export const FRAME_HINT_VLAN = 80;
export const HINT_TIMESTAMP = 1;
export const HINT_HASH = 2;
export const HINT_VLAN = 4;
export const HINTS_DRIVER = 8;
/** u32: TRAITS_* bits (trait.ts); u32: address of the frame's block for traits of placement `side`, 0 without. */
export const FRAME_TRAITS = 84;
export const FRAME_TRAITS_SIDE = 88;
/** u32: epoch of the registry (TRAIT_TABLE_EPOCH) in which the area of the frame's traits was made; whoever copies traits to another frame or to an sk_buff copies it as well. */
export const FRAME_TRAITS_EPOCH = 92;
/**
 * What programs stored of the packet (bpf_xdp_store_rx_*), which readers prefer to what the driver says. struct xdp_rx_meta, 24 bytes: u32 hash, u32 enum
 * xdp_rss_hash_type; u16 tag protocol (big-endian), u16 TCI; 4 bytes of padding; u64 receive time in ns. Flags in FRAME_HINTS: HINT_* << STORED_SHIFT.
 */
export const FRAME_RX_META = 96;
export const FRAME_RX_HASH = 96;
export const FRAME_RX_HASH_TYPE = 100;
export const FRAME_RX_VLAN = 104;
export const FRAME_RX_TIMESTAMP = 112;
export const STORED_SHIFT = 4;
/** u64: number that programs give the packet (well-known trait packet_id), 0: none. */
export const FRAME_PACKET_ID = 120;
/** Bytes from one descriptor to the next in a batch. */
export const FRAME_DESCRIPTOR_SIZE = 128;

/** XDP_PACKET_HEADROOM, and what the kernel keeps of it for struct xdp_frame (40 bytes on 64-bit): 216 are free. */
export const XDP_HEADROOM = 256;
export const XDP_FRAME_RESERVED = 40;
/** SKB_DATA_ALIGN(sizeof(struct skb_shared_info)) on x86-64: tailroom that XDP may not use. */
export const XDP_TAILROOM = 320;
/** Buffer of BPF_PROG_TEST_RUN: one page. */
export const XDP_FRAME_SIZE = 4096;
/** Longest linear packet that fits: XDP_FRAME_SIZE - XDP_HEADROOM - XDP_TAILROOM. */
export const XDP_MAX_LINEAR = 3520;
