/**
 * An AF_XDP socket as the plane runs it: its four rings, which are mapped into the linear memory, the frames of its UMEM, the batch
 * that is being worked on, and what was counted. One socket belongs to one worker.
 */

/** A ring: u32 each. Addresses of the producer's and the consumer's u32, of the flags, of the first entry; entries - 1. */
export const XSK_RING_PRODUCER = 0;
export const XSK_RING_CONSUMER = 4;
export const XSK_RING_FLAGS = 8;
export const XSK_RING_ENTRIES = 12;
export const XSK_RING_MASK = 16;
export const XSK_RING_SIZE = 20;

/** The rings. RX and TX hold struct xdp_desc (16 bytes), fill and completion u64 offsets into the UMEM. */
export const XSK_RX = 0;
export const XSK_TX = 20;
export const XSK_FILL = 40;
export const XSK_COMPLETION = 60;

/** u32: address of the UMEM's first byte. Chunks are XDP_FRAME_SIZE bytes; an offset in a ring is relative to this address. */
export const XSK_UMEM = 80;
/** u32: address of a stack of u32 chunk offsets that nobody else holds, and how many there are. */
export const XSK_FREE = 84;
export const XSK_FREE_COUNT = 88;
/** u32: address of the batch's frame descriptors (frame.ts) in a row; how many are in use; XSK_BATCH is the most. */
export const XSK_FRAMES = 92;
export const XSK_COUNT = 96;
/** u32: interface and queue that packets come from. */
export const XSK_IFINDEX = 100;
export const XSK_QUEUE = 104;
/** u32: address of a socket over the same UMEM through which passed frames leave; 0: they are dropped after having been counted. */
export const XSK_PASS_TO = 108;

/** u64 counters: packets and bytes received. */
export const XSK_PACKETS = 112;
export const XSK_BYTES = 120;
/** u64 each: packets by verdict, enum xdp_action; the sixth are values that are none (aborted, in the kernel). */
export const XSK_VERDICTS = 128;
export const XSK_VERDICT_COUNT = 6;
/** u64: XDP_TX and passed frames that found no room in a TX ring; redirects to where nothing leads. */
export const XSK_TX_FULL = 176;
export const XSK_UNREACHABLE = 184;
/** u64: frames given to the kernel to send: back, and by XSK_PASS_TO. */
export const XSK_SENT = 192;
export const XSK_PASSED_ON = 200;
/** u32: what lies before the data of a received packet: XSK_META_* in the low byte; the length of XSK_META_FIXED above it. */
export const XSK_METADATA = 208;
/** Nothing; bytes whose length is known beforehand; sealed (below) metadata of a program; sealed traits in the runtime's layout. */
export const XSK_META_NONE = 0;
export const XSK_META_FIXED = 1;
export const XSK_META_SEALED = 2;
export const XSK_META_TRAITS = 3;
/** u32: address of a block of TRAITS_SIDE_SIZE bytes for each frame of a batch, 0 where traits lie elsewhere. */
export const XSK_SIDES = 212;
/** u32: address of the interfaces that redirects lead to (XSK_TARGET_SIZE each), and how many there are; XSK_TARGET_MAX is the most. */
export const XSK_TARGETS = 216;
export const XSK_TARGET_COUNT = 220;
/** u32: bytes before the data of a sent packet that are struct xsk_tx_metadata, 0: there are none. */
export const XSK_TX_METADATA = 224;
/** u32: address of a stack of chunks that are never given to the fill ring, how many it holds, and the first of these chunks. */
export const XSK_SPARE = 228;
export const XSK_SPARE_COUNT = 232;
export const XSK_SPARE_FROM = 236;
/** u64 counters: redirects to a socket (handed to the reader); frames given to another interface; packets whose metadata was read, and was lost in the kernel. */
export const XSK_DELIVERED = 240;
export const XSK_FORWARDED = 248;
export const XSK_META_READ = 256;
export const XSK_META_LOST = 264;
/** u64: frames whose checksum the kernel was asked to fill in. */
export const XSK_CHECKSUMS = 272;
/**
 * A socket that a CPU's thread runs (CPU_SOCKET): u32 XSK_TURN, 1 while the socket is that CPU's, a futex word that is notified; packets of the last turn; attachment whose program
 * runs (frames.ts), packets that a turn may take; why the last one was stopped (STOPPED_ of cpu.ts), 0: it was not.
 */
export const XSK_TURN = 280;
export const XSK_TURN_PACKETS = 284;
export const XSK_ATTACHMENT = 288;
export const XSK_TURN_LIMIT = 292;
export const XSK_TURN_STOPPED = 296;
/** u32: address of the word that counts turns that have ended, for whoever waits for several sockets. */
export const XSK_DOORBELL = 300;
export const XSK_SIZE = 320;

/** A target: u32 interface; u32 address of the socket that sends there, 0: there can be none. */
export const XSK_TARGET_SIZE = 8;
export const XSK_TARGET_MAX = 64;

/**
 * The seal: 8 bytes just before the data, as the descriptor of AF_XDP says no length of metadata. u32: bytes of metadata before the seal (and before the
 * hints), with XSK_SEAL_HINTS, XSK_SEAL_LOST; u32: XSK_SEAL_MAGIC.
 */
export const XSK_SEAL_SIZE = 8;
export const XSK_SEAL_LENGTH = 0xffff;
/** 24 bytes between metadata and seal are hints of the driver (below). */
export const XSK_SEAL_HINTS = 0x1_0000;
/** There was metadata, and no room for it and the seal. */
export const XSK_SEAL_LOST = 0x2_0000;
export const XSK_SEAL_MAGIC = 0x6c_61_65_73;

/** Hints before a seal: u64 time in ns; u32 hash, u32 hash type; u32 VLAN (be16 protocol, u16 tag); u32 HINT_* bits of those that are there. */
export const XSK_HINTS_TIMESTAMP = 0;
export const XSK_HINTS_HASH = 8;
export const XSK_HINTS_HASH_TYPE = 12;
export const XSK_HINTS_VLAN = 16;
export const XSK_HINTS_KNOWN = 20;
export const XSK_HINTS_SIZE = 24;

/** Most frames of one batch. */
export const XSK_BATCH = 64;

/** struct xdp_desc (include/uapi/linux/if_xdp.h): u64 offset, u32 length, u32 options. */
export const XDP_DESC_ADDRESS = 0;
export const XDP_DESC_LENGTH = 8;
export const XDP_DESC_OPTIONS = 12;
export const XDP_DESC_SIZE = 16;
/** xdp_desc.options: struct xsk_tx_metadata lies before the data. */
export const XDP_TX_METADATA = 2;

/** struct xsk_tx_metadata: u64 flags; request: u16 csum_start, u16 csum_offset, u64 launch time. Offsets count from the packet's first byte. */
export const TX_METADATA_FLAGS = 0;
export const TX_METADATA_CSUM_START = 8;
export const TX_METADATA_CSUM_OFFSET = 10;
export const TX_METADATA_LAUNCH_TIME = 16;
export const TX_METADATA_SIZE = 24;
export const XDP_TXMD_FLAGS_TIMESTAMP = 1;
export const XDP_TXMD_FLAGS_CHECKSUM = 2;
