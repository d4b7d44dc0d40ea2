/**
 * Steering: a device that gives packets their queues (one block), its configurations (a block each, never changed while it is in use: a new one takes its place)
 * and the records by which frames go in and come out of a batch.
 */

/** Configuration: u32 each. Hash types and tunnel types by virtio's bits; mask of the indirection table; queue of packets without a hash. */
export const RSS_HASH_TYPES = 0;
export const RSS_TUNNEL_TYPES = 4;
export const RSS_MASK = 8;
export const RSS_UNCLASSIFIED = 12;
/** Bytes of input that the key serves: its length less 4, at least 0. */
export const RSS_INPUT = 16;
/** Addresses: indirection table (u16 each), table of the key: for each byte of input 256 u32, what that byte adds to the hash. */
export const RSS_TABLE = 20;
export const RSS_KEY_TABLE = 24;
/** Key: length in bytes, and up to 255 of them. */
export const RSS_KEY_LENGTH = 28;
export const RSS_KEY = 32;
/** Address of the flows that were sent, which choose before the table does (automatic steering); 0: none. */
export const RSS_FLOWS = 288;
export const RSS_HEADER_SIZE = 304;
/** Of the key's table: a byte of input, and what packets need (36 bytes), whatever the key. */
export const RSS_KEY_TABLE_STRIDE = 1024;
export const RSS_PACKET_INPUT = 36;

/**
 * Flows of automatic steering: addresses of the configurations whose hash a flow is known by, of what is received, and of what is sent by IPv4 and by IPv6; u32: queues, those
 * beyond are not learned from; u64: time of the batch (ns), packets whose flow was known, flows that were put in, and of them those in place of another.
 */
export const FLOWS_HASH = 0;
export const FLOWS_HASH_SENT4 = 4;
export const FLOWS_HASH_SENT6 = 8;
export const FLOWS_QUEUES = 12;
export const FLOWS_NOW = 16;
export const FLOWS_FOUND = 24;
export const FLOWS_LEARNED = 32;
export const FLOWS_DISPLACED = 40;
/** Buckets of 4 flows, a line of the cache each. Flow: u32 what it is known by, u32 queue, u64 when it was last sent (ns), 0: none. As many, and as long, as in drivers/net/tun.c. */
export const FLOWS_ENTRIES = 64;
export const FLOWS_BUCKETS = 1024;
export const FLOWS_WAYS = 4;
export const FLOW_KEY = 0;
export const FLOW_QUEUE = 4;
export const FLOW_TIME = 8;
export const FLOW_SIZE = 16;
export const FLOWS_SIZE = 65600;
export const FLOWS_AGE_NS = 3_000_000_000;

/** Device: addresses of configurations, the default one and those of RSS contexts by number; 0: none. */
export const STEER_CONFIGURATIONS = 0;
export const STEER_CONTEXTS = 32;
/** u32: queues, at least 1; STEER_* flags; function-table index of the program, 0: the device's own computation. */
export const STEER_QUEUES = 128;
export const STEER_FLAGS = 132;
export const STEER_PROGRAM = 136;
/** u32: interface that programs see. */
export const STEER_IFINDEX = 140;
/** u64: packets without a hash; packets for which the program asked for the device's own computation. */
export const STEER_UNHASHED = 144;
export const STEER_FALLBACKS = 152;
/** u32: address of the rules that choose a context for frames that ask for none, in their order, and their number. */
export const STEER_RULES = 160;
export const STEER_RULE_COUNT = 164;
/**
 * What rules look at, of the packet that is compared: addresses (of IPv4 in 4 bytes), ports, u8 4 or 6 (0: no IP), u8 protocol, u16 TCI of the outer tag, all as they
 * lie in the packet; u8: what of these is known.
 */
export const STEER_FLOW_KEY = 192;
export const STEER_FLOW_SOURCE = 0;
export const STEER_FLOW_DESTINATION = 16;
export const STEER_FLOW_PORTS = 32;
export const STEER_FLOW_FAMILY = 36;
export const STEER_FLOW_PROTOCOL = 37;
export const STEER_FLOW_VLAN = 38;
export const STEER_FLOW_KNOWN = 40;
export const STEER_FLOW_KEY_SIZE = 48;
export const STEER_FLOW_KNOWN_VLAN = 1;
export const STEER_FLOW_KNOWN_PROTOCOL = 2;
export const STEER_FLOW_KNOWN_PORTS = 4;
/** Rule: a key and its mask; u32 context; u64 packets. */
export const STEER_RULE_CONTEXT = 96;
export const STEER_RULE_HITS = 104;
export const STEER_RULE_SIZE = 112;
export const STEER_MAX_RULES = 1024;
/** u64 each, by queue: packets, bytes. */
export const STEER_COUNTERS = 256;
export const STEER_COUNTER_SIZE = 16;
export const STEER_MAX_QUEUES = 1024;
/** The sk_buff of the device's program: its descriptor. */
export const STEER_SKB = 24576;
export const STEER_SIZE = 65536;

/** The program's return value -1 asks for the device's own computation (TUN_STEERINGEBPF_FALLBACK of the tun series); else it is a queue like any other. */
export const STEER_FALLBACK = 1;
/** The program's context says the queue (vnet_hash), not its return value. */
export const STEER_CONTEXT_QUEUE = 2;

/** Frame record: address of the Ethernet header and bytes from there; address of the virtio-net header of 20 bytes to complete, 0: none; number of the RSS context. */
export const STEER_FRAME_DATA = 0;
export const STEER_FRAME_LENGTH = 4;
export const STEER_FRAME_HEADER = 8;
export const STEER_FRAME_CONTEXT = 12;
/** Results: u32 hash; u16 report; u16 queue; u32 what the program returned. */
export const STEER_FRAME_HASH = 16;
export const STEER_FRAME_REPORT = 20;
export const STEER_FRAME_QUEUE = 22;
export const STEER_FRAME_RETURN = 24;
export const STEER_FRAME_SIZE = 32;

/** struct virtio_net_hdr_v1_hash, little-endian: u16 buffers, u32 hash, u16 report, u16 padding. */
export const VNET_NUM_BUFFERS = 10;
export const VNET_HASH_VALUE = 12;
export const VNET_HASH_REPORT = 16;
export const VNET_PADDING = 18;
export const VNET_HASH_HEADER_SIZE = 20;
