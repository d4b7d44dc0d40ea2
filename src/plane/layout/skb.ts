/**
 * An sk_buff: descriptor and buffer. The descriptor begins with struct __sk_buff (include/uapi/linux/bpf.h), so its address is the
 * context as it is: 32-bit fields hold addresses in the linear memory. What the kernel keeps in struct sk_buff besides stands after it.
 *
 * Fields that the kernel keeps in 16 bits (queue_mapping, tc_index, tc_classid) have 32 here: a program that writes more reads more back.
 */

/** u32 each unless said otherwise: struct __sk_buff. Protocols are big-endian, as on the wire. */
export const SKB_LEN = 0;
export const SKB_PKT_TYPE = 4;
export const SKB_MARK = 8;
export const SKB_QUEUE_MAPPING = 12;
export const SKB_PROTOCOL = 16;
export const SKB_VLAN_PRESENT = 20;
export const SKB_VLAN_TCI = 24;
export const SKB_VLAN_PROTO = 28;
export const SKB_PRIORITY = 32;
export const SKB_INGRESS_IFINDEX = 36;
export const SKB_IFINDEX = 40;
export const SKB_TC_INDEX = 44;
/** Five words. */
export const SKB_CB = 48;
export const SKB_HASH = 68;
export const SKB_TC_CLASSID = 72;
export const SKB_DATA = 76;
export const SKB_DATA_END = 80;
export const SKB_NAPI_ID = 84;
export const SKB_FAMILY = 88;
/** Addresses and port in network byte order. */
export const SKB_REMOTE_IP4 = 92;
export const SKB_LOCAL_IP4 = 96;
export const SKB_REMOTE_IP6 = 100;
export const SKB_LOCAL_IP6 = 116;
export const SKB_REMOTE_PORT = 132;
export const SKB_LOCAL_PORT = 136;
export const SKB_DATA_META = 140;
/** u64: address of struct bpf_flow_keys. */
export const SKB_FLOW_KEYS = 144;
/** u64, ns. */
export const SKB_TSTAMP = 152;
export const SKB_WIRE_LEN = 160;
export const SKB_GSO_SEGS = 164;
/** u64: address of struct bpf_sock. */
export const SKB_SK = 168;
export const SKB_GSO_SIZE = 176;
/** u8. */
export const SKB_TSTAMP_TYPE = 180;
/** u64, ns. */
export const SKB_HWTSTAMP = 184;
/** Size of struct __sk_buff: what a program may see of the descriptor. */
export const SKB_CONTEXT_SIZE = 192;

/** Fields that programs of type vnet_hash have behind it: u32 hash; u16 report; u16 queue. */
export const SKB_VNET_HASH = 192;
export const SKB_VNET_REPORT = 196;
export const SKB_VNET_QUEUE = 198;
export const SKB_VNET_CONTEXT_SIZE = 200;

/** u32 addresses: link and network header, transport header or 0 where none was set. */
export const SKB_MAC_HEADER = 200;
export const SKB_NETWORK_HEADER = 204;
export const SKB_TRANSPORT_HEADER = 208;
/** u32: CHECKSUM_NONE or CHECKSUM_UNNECESSARY, and the level of the latter. */
export const SKB_IP_SUMMED = 212;
export const SKB_CSUM_LEVEL = 216;
/** u32: 1 if the packet is encapsulated (bpf_skb_adjust_room said so). */
export const SKB_ENCAPSULATION = 220;
/** u32: 1 if SKB_HASH holds a hash. */
export const SKB_HASH_VALID = 224;
/** u32: GSO_* bits. */
export const SKB_GSO_TYPE = 228;
/** u32: length of the link header as vlan helpers leave it. */
export const SKB_MAC_LEN = 232;
/** u32: return value of the last program that ran over the frame. */
export const SKB_VERDICT = 236;
/** u32: interface of the redirect that the verdict asks for, and its flags (BPF_F_INGRESS, SKB_REDIRECT_*). */
export const SKB_REDIRECT_INDEX = 240;
export const SKB_REDIRECT_FLAGS = 244;
/** u32: how many copies bpf_clone_redirect sent, and the interface and flags of the last. */
export const SKB_CLONES = 248;
export const SKB_CLONE_INDEX = 252;
export const SKB_CLONE_FLAGS = 256;
/** u32: 1 once bpf_skb_set_tunnel_key gave the packet a tunnel; then its family (0: IPv4, 1: IPv6) and flags (IP_TUNNEL_*). */
export const SKB_TUNNEL = 260;
export const SKB_TUNNEL_IPV6 = 264;
export const SKB_TUNNEL_FLAGS = 268;
/** struct bpf_tunnel_key as it was set, 44 bytes. */
export const SKB_TUNNEL_KEY = 272;
export const TUNNEL_KEY_SIZE = 44;
/** u32: bytes of options, and up to 256 of them. */
export const SKB_TUNNEL_OPTIONS_SIZE = 316;
export const SKB_TUNNEL_OPTIONS = 320;
/** struct bpf_sock that SKB_SK points to, 80 bytes. */
export const SKB_SOCK = 576;
export const SOCK_SIZE = 80;
/** u64: cookie of the socket, 0 without one. */
export const SKB_SOCK_COOKIE = 656;
/** u64: id of the cgroup that the packet's socket belongs to. */
export const SKB_CGROUP_ID = 664;
/** struct bpf_flow_keys that SKB_FLOW_KEYS points to, 56 bytes. */
export const SKB_KEYS = 672;
export const FLOW_KEYS_SIZE = 56;
/**
 * u32: headroom that the packet would have in Linux: the buffer that Linux makes anew where it runs out gives the packet a transport header
 * one byte before the old buffer, which bounds what bpf_skb_change_tail may cut.
 */
export const SKB_LINUX_HEADROOM = 728;
/**
 * u32: end of the buffer that the packet would have in Linux, counted from its start. Every buffer that is made anew is rounded up to what
 * the allocator gives, and the next grows from there: after some ten of them Linux runs out (ENOMEM), however short the packet is.
 */
export const SKB_LINUX_END = 732;
/** u32: TRAITS_PRESENT where the packet has traits; their area (trait.ts), TRAITS_SIDE_SIZE bytes, whatever the placement of frames. */
export const SKB_TRAITS_STATE = 736;
/** u32: as FRAME_TRAITS_EPOCH. */
export const SKB_TRAITS_EPOCH = 740;
/** u64: number that programs give the packet (well-known trait packet_id), 0: none. */
export const SKB_PACKET_ID = 744;
/** u32: first byte of the buffer, and one past its last. */
export const SKB_HEAD = 752;
export const SKB_END = 756;
/** u32: configuration of the device that the packet is steered by (layout/steering.ts), 0 for none. */
export const SKB_STEER_CONFIGURATION = 760;
export const SKB_TRAITS = 768;
/** Bytes from one descriptor to the next in a batch. */
export const SKB_DESCRIPTOR_SIZE = 1280;

/** Internal flags of a redirect, besides BPF_F_INGRESS (1). */
export const SKB_REDIRECT_NEIGH = 0x1_0000;
export const SKB_REDIRECT_PEER = 0x2_0000;
export const SKB_REDIRECT_NEXTHOP = 0x4_0000;

/** SKB_MAX_ALLOC on machines with pages of 4 KiB: what helpers may grow a packet to. */
export const SKB_MAX_LENGTH = 16064;
/** Buffer of a frame (a GSO packet, which Linux lets grow beyond, gets ENOMEM), and where the packet begins in it at first. Room is made by moving the packet where one side runs out. */
export const SKB_BUFFER_SIZE = 49152;
export const SKB_HEADROOM = 16384;
/** NET_SKB_PAD: headroom of a test run's packet, and the step in which more is made. */
export const SKB_PAD = 64;
/** Facts of Linux's allocator on x86-64: struct skb_shared_info behind the data, objects of skb_small_head_cache (704 bytes with the options of distributions, 576 without wireless and tunnels), the largest allocation. */
export const SKB_SHARED_INFO = 320;
export const SKB_SMALL_HEAD = 704;
export const KMALLOC_MAX = 0x40_0000;
/** Longest packet of BPF_PROG_TEST_RUN: a page less NET_SKB_PAD (64) and struct skb_shared_info (320). */
export const SKB_TEST_RUN_MAX = 3712;
