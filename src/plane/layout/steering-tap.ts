/**
 * Steering of a real TAP: a block of TAP_SIZE bytes that says where the ring of the device is (an io_uring of its own, multishot reads into provided buffers), which
 * buffers wait in which queue, and what was counted. u32 in the linear memory's byte order unless said otherwise.
 */

/** Addresses of the kernel's words and entries; masks are values. */
export const TAP_SQ_HEAD = 0;
export const TAP_SQ_TAIL = 4;
export const TAP_SQES = 8;
export const TAP_SQ_MASK = 12;
export const TAP_CQ_HEAD = 16;
export const TAP_CQ_TAIL = 20;
export const TAP_CQES = 24;
export const TAP_CQ_MASK = 28;
/** u64: process address of the linear memory's first byte. */
export const TAP_BASE = 32;
/** Buffers: address of the first, bytes of each, how many (a power of two up to 32768). A packet lies at the beginning of one, with its header. */
export const TAP_BUFFERS = 40;
export const TAP_BUFFER_SIZE = 44;
export const TAP_BUFFER_COUNT = 48;
/** struct io_uring_buf_ring, its tail (u16), and how many buffers the kernel has. */
export const TAP_PROVIDED = 52;
export const TAP_PROVIDED_TAIL = 56;
export const TAP_AVAILABLE = 60;
/** Records of the batch (STEER_FRAME_SIZE each), TAP_BATCH of them. Their queue is the source's number until they are computed. */
export const TAP_FRAMES = 64;
/** Queues: address of the first (TAP_QUEUE_SIZE each), how many. */
export const TAP_QUEUES = 68;
export const TAP_QUEUE_COUNT = 72;
/** The negated errno that ended a read, 0 for none or the want of buffers. */
export const TAP_ERROR = 76;
/** 1 once nothing is to be read any more. */
export const TAP_ENDING = 80;
/** Header that the device puts before each packet. */
export const TAP_HEADER_SIZE = 84;
/** Queues of the device that are read: address of the first (TAP_SOURCE_SIZE each), how many. */
export const TAP_SOURCES = 88;
export const TAP_SOURCE_COUNT = 128;
/** SQEs that the kernel has not been told of. */
export const TAP_STAGED = 92;
/** u64 each: packets and bytes (without header) read, packets shorter than an Ethernet header, times that no buffer was left. */
export const TAP_PACKETS = 96;
export const TAP_BYTES = 104;
export const TAP_RUNTS = 112;
export const TAP_EXHAUSTED = 120;
export const TAP_SIZE = 192;

/** Most packets of a batch. */
export const TAP_BATCH = 256;

/** A source: its descriptor; 1 while its multishot read is under way. */
export const TAP_SOURCE_FD = 0;
export const TAP_SOURCE_ARMED = 4;
export const TAP_SOURCE_SIZE = 8;

/** A queue: a ring of entries, as many as there are buffers; positions run freely. */
export const TAP_QUEUE_ENTRIES = 0;
export const TAP_QUEUE_HEAD = 4;
export const TAP_QUEUE_TAIL = 8;
/** Requests of the ring that write its packets and have not completed. */
export const TAP_QUEUE_WRITES = 12;
/** 1: what its consumer waits for has come (a poll has completed). */
export const TAP_QUEUE_READY = 16;
/** u64 each: packets and bytes steered to it, packets that its consumer did not take, packets without a hash, packets with a write that failed. */
export const TAP_QUEUE_PACKETS = 24;
export const TAP_QUEUE_BYTES = 32;
export const TAP_QUEUE_DROPPED = 40;
export const TAP_QUEUE_UNHASHED = 48;
export const TAP_QUEUE_FAILED = 56;
export const TAP_QUEUE_SIZE = 64;

/** An entry: number of the buffer, bytes in it with the header; u32 hash, u32 report. */
export const TAP_ENTRY_BUFFER = 0;
export const TAP_ENTRY_LENGTH = 4;
export const TAP_ENTRY_HASH = 8;
export const TAP_ENTRY_REPORT = 12;
export const TAP_ENTRY_SIZE = 16;

/** user_data: what completed, in the upper half; number of a source (read), a buffer (write) or a queue (poll) in the lower one. A write has its queue in the upper half too. */
export const TAP_TAG_READ = 1;
export const TAP_TAG_WRITE = 2;
export const TAP_TAG_POLL = 3;
export const TAP_TAG_CANCEL = 4;
export const TAP_TAG_QUEUE_SHIFT = 8;
