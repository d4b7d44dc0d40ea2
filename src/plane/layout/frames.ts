/**
 * Frames that CPUs share out (plane/assembly/cpus/frames.ts, spread.ts). A lot is up to 64 frames that go to one CPU; a record of it is a frame's. The side that
 * LOT_STATE names owns lot, records and frames: others neither read nor write them.
 */

/** u32: LOT_OWNED (its source's), LOT_SENT (a CPU's, since it lies in an inbox), LOT_DONE (its source's again, all frames have ended). */
export const LOT_STATE = 0;
export const LOT_OWNED = 0;
export const LOT_SENT = 1;
export const LOT_DONE = 2;
/** u32 addresses: source whose doorbell tells that it is done; attachment whose program runs. */
export const LOT_SOURCE = 4;
export const LOT_ATTACHMENT = 8;
/** u32: frames; CPU that they go to; next lot in a list of the source. */
export const LOT_COUNT = 12;
export const LOT_CPU = 16;
export const LOT_NEXT = 20;
/** u32: frames that have not ended: several CPUs subtract, as frames go on by themselves. */
export const LOT_LEFT = 24;
/** u32: frames that have been run, which is the index of the one that is; how many of them went on elsewhere. */
export const LOT_POSITION = 28;
export const LOT_MOVED = 32;
export const LOT_RECORDS = 64;
export const LOT_FRAMES = 64;

/** u32 each: frame descriptor; lot; CPU where a program last ran over it; that program (function-table index, 0: none). */
export const RECORD_FRAME = 0;
export const RECORD_LOT = 4;
export const RECORD_CPU = 8;
export const RECORD_ENTRY = 12;
/** u32: FRAME_ENDED_*; interface, socket's queue, or reason (LOST_* of path.ts) of that; CPUs that it was redirected to so far. */
export const RECORD_END = 16;
export const RECORD_PLACE = 20;
export const RECORD_HOPS = 24;
/** u32: the record of its last copy (of a broadcast), of that one the record of the copy before; 0: none. */
export const RECORD_COPIES = 28;
export const RECORD_SIZE = 32;
export const LOT_SIZE = 2112;

/** The verdict in the descriptor says it all. */
export const FRAME_ENDED_VERDICT = 1;
/** No CPU had room, and the source does not wait: it was dropped before any program. */
export const FRAME_ENDED_REFUSED = 2;
/** Its program was stopped; the verdict is XDP_ABORTED. */
export const FRAME_ENDED_FAULT = 3;
/** Of redirects that are followed: a cpumap's element passed it to the stack; it left by an interface; a socket has it; it found no way (reason). */
export const FRAME_ENDED_PASSED = 4;
export const FRAME_ENDED_SENT = 5;
export const FRAME_ENDED_SOCKET = 6;
export const FRAME_ENDED_LOST = 7;
/** The queue of the cpumap's element was full. */
export const FRAME_ENDED_QUEUE_FULL = 8;
/** The CPU that had it ended. */
export const FRAME_ENDED_CRASH = 9;

/** Attachment: u64 that is read and written at once: u32 program (function-table index, 0: none, all pass), u32 its budget (0: none). Then u32 ATTACHMENT_FOLLOWS. */
export const FRAMES_ENTRY = 0;
export const FRAMES_FUEL = 4;
export const FRAMES_FLAGS = 8;
/** XDP_REDIRECT is carried out; without, it stays a verdict. */
export const FRAMES_FOLLOW = 1;
/** Counters of each CPU, FRAMES_COUNTER_SIZE apart: written by that CPU alone. u64: lots; frames by verdict of the attached program (the sixth: no verdict); stopped; sent on by a cpumap. */
export const FRAMES_COUNTERS = 128;
export const FRAMES_COUNTER_SIZE = 128;
export const COUNT_LOTS = 0;
export const COUNT_VERDICTS = 8;
export const COUNT_VERDICT_KINDS = 6;
export const COUNT_STOPPED = 56;
export const COUNT_MOVED = 64;
/** With MAX_CPUS counters. */
export const FRAMES_ATTACHMENT_SIZE = 8320;

/** Source: whoever has frames, and gives them to CPUs by their hash. One thread writes it. u32: RSS configuration (steering.ts); attachment; SOURCE_DROPS, SOURCE_SETS_QUEUE. */
export const SOURCE_RSS = 0;
export const SOURCE_ATTACHMENT = 4;
export const SOURCE_FLAGS = 8;
/** Frames for which a CPU has no room are dropped and counted; without, they stay with the source. */
export const SOURCE_DROPS = 1;
/** The queue that the hash leads to becomes the frame's rx_queue_index. */
export const SOURCE_SETS_QUEUE = 2;
/** u32: first free lot; lots that CPUs have, in the order of sending: first and last. */
export const SOURCE_FREE = 12;
export const SOURCE_SENT_FIRST = 16;
export const SOURCE_SENT_LAST = 20;
/** u32: number of queues, at least 1; what the table says is taken modulo it. Then frames in a row that SOURCE_RESULTS is about, 0: none. */
export const SOURCE_QUEUES = 24;
export const SOURCE_FRAMES = 28;
export const SOURCE_RESULTS = 32;
/** u64: frames that were sent; that found no room at once (each time anew); that were dropped for that. */
export const SOURCE_FRAMES_SENT = 40;
export const SOURCE_REFUSED = 48;
export const SOURCE_DROPPED = 56;
/** u32: counts lots that were done, a futex word; 1: the source waits for it. */
export const SOURCE_DOORBELL = 128;
export const SOURCE_WAITING = 132;
/**
 * Copies of frames, for broadcasts: any CPU takes one, the source frees them. u64: record of the first free one, and above it a number that each change counts up; u32: first of the
 * chunks that they lie in, a page each.
 */
export const SOURCE_COPIES = 136;
export const SOURCE_CHUNKS = 144;
/** u32 at a chunk's beginning: the next one. Then copies: record (RECORD_*, of the lot of the frame), descriptor, block for traits, buffer. */
export const CHUNK_COPIES = 64;
export const CHUNK_COUNT = 13;
export const COPY_DESCRIPTOR = 64;
export const COPY_SIDE = 192;
export const COPY_BUFFER = 704;
export const COPY_SIZE = 4800;
/** By queue: u32 CPU; u32 lot that is being filled, 0: none; u64 frames. */
export const SOURCE_TARGETS = 192;
export const TARGET_CPU = 0;
export const TARGET_LOT = 4;
export const TARGET_FRAMES = 8;
export const SOURCE_TARGET_SIZE = 16;
/** With MAX_CPUS queues. */
export const SOURCE_SIZE = 1216;

/** Result of a frame by its place in the row: u32 CPU plus 1, 0: not yet; u32 FRAME_ENDED_*; u32 place or reason; u32 program. */
export const RESULT_CPU = 0;
export const RESULT_END = 4;
export const RESULT_PLACE = 8;
export const RESULT_ENTRY = 12;
/** u32: as RECORD_COPIES. */
export const RESULT_COPIES = 16;
export const RESULT_SIZE = 20;
