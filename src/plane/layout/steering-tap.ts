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
/** Buffers: address of the first, bytes of each, how many (a power of two up to 32768). A packet is read to behind TAP_HEADROOM bytes of one, with its header. */
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
/** Bytes of a buffer that are left free before the header; address of what programs on CPUs are given packets by (WORK_*), 0: none. */
export const TAP_HEADROOM = 132;
export const TAP_WORK = 136;
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

/** A queue: a ring of entries, as many as there are buffers; positions run freely. Behind the last one is one more, of packets that go back to the device. */
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

/** An entry: number of the buffer, bytes in it with the header; u32 hash, u16 report; u16 where the header begins in the buffer. */
export const TAP_ENTRY_BUFFER = 0;
export const TAP_ENTRY_LENGTH = 4;
export const TAP_ENTRY_HASH = 8;
export const TAP_ENTRY_REPORT = 12;
export const TAP_ENTRY_START = 14;
export const TAP_ENTRY_SIZE = 16;

/** user_data: what completed, in the upper half; number of a source (read), a buffer (write) or a queue (poll) in the lower one. A write has its queue in the upper half too. */
export const TAP_TAG_READ = 1;
export const TAP_TAG_WRITE = 2;
export const TAP_TAG_POLL = 3;
export const TAP_TAG_CANCEL = 4;
export const TAP_TAG_QUEUE_SHIFT = 8;

/**
 * Programs on CPUs between steering and consumers (plane/assembly/steering/tap-work.ts). Addresses: source of lots (frames.ts); descriptors of frames, one a buffer; u32 of each
 * buffer, FRAME_ENDED_* once its frame has come back, else 0; records of queues (WORK_QUEUE_SIZE each).
 */
export const WORK_SOURCE = 0;
export const WORK_FRAMES = 4;
export const WORK_ENDS = 8;
export const WORK_QUEUES = 12;
/** u32: CPUs, packets that one may have at once (0: as many as come), and address of how many each has; interface that programs see; blocks for traits, 0: they lie elsewhere. */
export const WORK_CPUS = 16;
export const WORK_LIMIT = 20;
export const WORK_UNDER_WAY = 24;
export const WORK_IFINDEX = 28;
export const WORK_SIDES = 32;
export const WORK_SIZE = 64;
/** A queue: numbers of the buffers of its packets in their order, a ring of as many as there are buffers. Positions run freely: the oldest that has not come back, the next to be given, the end. */
export const WORK_CELLS = 0;
export const WORK_HEAD = 4;
export const WORK_GIVEN = 8;
export const WORK_TAIL = 12;
/** u64, what became of its packets: passed; XDP_DROP; XDP_TX; aborted (program stopped, verdicts that are none); redirected to where there is no way; refused for want of room. */
export const WORK_PASSED = 16;
export const WORK_DROPPED = 24;
export const WORK_RETURNED = 32;
export const WORK_ABORTED = 40;
export const WORK_LOST = 48;
export const WORK_REFUSED = 56;
export const WORK_QUEUE_SIZE = 64;
/**
 * A buffer that programs work on: its header, hash and report aside, before the frame's headroom, which a program may fill; then the headroom, whose end the header is read to; the
 * packet; and, behind it, the tailroom.
 */
export const WORK_KEPT_HASH = 20;
export const WORK_KEPT_REPORT = 24;
export const WORK_KEPT = 32;
