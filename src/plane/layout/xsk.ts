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
export const XSK_SIZE = 256;

/** Most frames of one batch. */
export const XSK_BATCH = 64;

/** struct xdp_desc (include/uapi/linux/if_xdp.h): u64 offset, u32 length, u32 options. */
export const XDP_DESC_ADDRESS = 0;
export const XDP_DESC_LENGTH = 8;
export const XDP_DESC_OPTIONS = 12;
export const XDP_DESC_SIZE = 16;
