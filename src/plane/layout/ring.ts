/**
 * A ring: io_uring as the plane drives it. One control block of RING_CONTROL_SIZE bytes, at the start of its own pages; its tables follow in
 * pages of their own. All words are u32 in the linear memory's byte order unless said otherwise; 0 is no address, and indices of programs count from 1.
 *
 * A request goes: staged SQE (written by JavaScript) or a program's call -> slot -> kernel SQ -> kernel CQ -> slot -> program or completion queue.
 */

/** Where the kernel's words are (addresses in the linear memory), and its masks (values). */
export const RING_SQ_HEAD = 0;
export const RING_SQ_TAIL = 4;
export const RING_SQ_FLAGS = 8;
/** Address of the index array, 0 with IORING_SETUP_NO_SQARRAY. */
export const RING_SQ_ARRAY = 12;
export const RING_SQES = 16;
export const RING_SQ_MASK = 20;
export const RING_CQ_HEAD = 24;
export const RING_CQ_TAIL = 28;
export const RING_CQES = 32;
export const RING_CQ_MASK = 36;
/** u64: address of the linear memory's first byte in the process; 0 in simulation. */
export const RING_BASE = 40;

/** Staged requests: a ring of SQEs with one producer (JavaScript, RING_STAGE_TAIL) and one consumer (the plane, RING_STAGE_HEAD). */
export const RING_STAGE = 48;
export const RING_STAGE_MASK = 52;
export const RING_STAGE_HEAD = 56;
export const RING_STAGE_TAIL = 60;

/** Slots: address, number; address of a stack of their addresses (u32 each), whose first RING_SLOTS_USED are taken. */
export const RING_SLOTS = 64;
export const RING_SLOT_COUNT = 68;
export const RING_SLOT_STACK = 72;
export const RING_SLOTS_USED = 76;
/** Edges between requests: address, number, first free (index + 1). */
export const RING_EDGES = 80;
export const RING_EDGE_COUNT = 84;
export const RING_EDGE_FREE = 88;
/** Requests that the kernel has or will have at the next enter. */
export const RING_ISSUED = 92;
/** Lists of slots (index + 1): ready for the kernel, but its SQ is full; program requests that are due. */
export const RING_READY_FIRST = 96;
export const RING_READY_LAST = 100;
export const RING_DUE_FIRST = 104;
export const RING_DUE_LAST = 108;
/** Completion queues: address of a table of u32 (address of each, 0: none), and how many entries the table has. */
export const RING_QUEUES = 112;
export const RING_QUEUE_COUNT = 116;
/** Programs: address of a table of RING_PROGRAM_SIZE bytes each; entries (index 1 is the first of the table). */
export const RING_PROGRAMS = 120;
export const RING_PROGRAM_COUNT = 124;
/** Groups: address of a table of RING_GROUP_SIZE bytes each. Group 0 is all requests without one. */
export const RING_GROUPS = 128;
export const RING_GROUP_COUNT = 132;
/** Regions that programs may name in requests and reach: address of a table of RING_REGION_SIZE bytes each. */
export const RING_REGIONS = 136;
export const RING_REGION_COUNT = 140;
export const RING_FLAGS = 144;
/** Programs may name any address of the linear memory. */
export const RING_OPEN_MEMORY = 1;
/** No program runs any more; what has not been issued is cancelled. */
export const RING_CLOSING = 2;
/** Keep effects in the trace (RING_TRACE). */
export const RING_TRACING = 4;
/** User space reads queues on another thread while the plane works. */
export const RING_SHARED = 8;
/** What a turn may take: program runs, requests of one run, program runs that follow from each other without the kernel between. */
export const RING_BUDGET_RUNS = 148;
export const RING_BUDGET_REQUESTS = 152;
export const RING_BUDGET_DEPTH = 156;
/** The running program: slot (index + 1; 0: none runs), program index, requests that it has emitted, its last one (index + 1) where that is linked on. */
export const RING_RUNNING = 160;
export const RING_RUNNING_PROGRAM = 164;
export const RING_RUN_REQUESTS = 168;
export const RING_RUN_LINK = 172;
export const RING_RUN_DEPTH = 176;
/** Slot (index + 1) of the user's last request, where it has a link flag and the next one is to follow it. */
export const RING_USER_LINK = 180;
/** Completions posted to queue 0 and to others that user space waits on; JavaScript sleeps on this word. */
export const RING_POSTED = 184;
/** 1 while whoever drives the ring sleeps, and must be woken for staged requests. */
export const RING_SLEEPING = 188;
/** Context of the running program: struct io_uring_bpf_ctx, RING_CTX_SIZE bytes. */
export const RING_CONTEXT = 192;
/** u64 counters: requests, completions, program runs, posted completions, cancelled, escalated, enters that were needed. */
export const RING_STATS = 256;
/** 1 while the kernel watches the eventfd that wakes the ring's thread; tail of the promises' queue at the end of its last turn. */
export const RING_WATCHED = 312;
export const RING_SETTLED = 316;
/** Trace ring of effects: address, mask (of records), position of the next record. See layout of records in ring-trace.ts. */
export const RING_TRACE = 320;
export const RING_TRACE_MASK = 324;
export const RING_TRACE_TAIL = 328;
/** Of a ring with a thread: RING_STAGE_TAIL when nothing was under way last, and all had been told. */
export const RING_IDLE = 332;
/** loop_step: address of struct iou_loop_params, staged SQEs of the program, their number, bytes of the rings' region, address and bytes of the parameter region. */
export const RING_LOOP_PARAMS = 336;
export const RING_LOOP_SQES = 340;
export const RING_LOOP_ENTRIES = 344;
export const RING_LOOP_RINGS = 348;
export const RING_LOOP_RINGS_SIZE = 352;
export const RING_LOOP_REGION = 356;
export const RING_LOOP_REGION_SIZE = 360;
/** Number of the function (of JavaScript) that enters for a loop; it takes the number of requests and returns 0 where that failed. */
export const RING_LOOP_ENTER = 380;
/** Tail of the kernel's SQ and head of its CQ as the plane has them; the kernel's words follow at the end of a turn. */
export const RING_SQ_OWN_TAIL = 440;
export const RING_CQ_OWN_HEAD = 444;
/** Tail at which the kernel's SQ is full, as of the beginning of the turn; tail when the running program began: what is behind it, that one has emitted. */
export const RING_SQ_LIMIT = 532;
export const RING_RUN_TAIL = 536;
/** Instructions (back edges and calls) that a run may take. */
export const RING_BUDGET_FUEL = 364;
/** Runs left in this turn. */
export const RING_RUNS_LEFT = 368;
/** First and last slot (index + 1) that the running program emitted and that have not been started. */
export const RING_RUN_FIRST = 372;
export const RING_RUN_LAST = 376;
/** u32 each: first free block of 256 << i bytes, i from 0 to 7; newest page that blocks are cut from, its first unused byte. */
export const RING_BLOCKS = 384;
export const RING_BLOCK_PAGE = 416;
export const RING_BLOCK_TOP = 420;
/** Slots (numbers of the first and last) that wait for nothing any more and are to be started. */
export const RING_START_FIRST = 424;
export const RING_START_LAST = 428;
/** Bytes of pages that the tables take, from the control block on; 1 while the running program exceeds its number of requests. */
export const RING_PAGES = 432;
export const RING_RUN_EXCEEDED = 436;
/** An SQE that the plane makes itself. */
export const RING_SCRATCH = 448;
/** struct __kernel_timespec: how long the plane rests before it asks once more to cancel what could not be cancelled. */
export const RING_PAUSE = 512;
/** 1: requests are to be cancelled (SLOT_CANCEL_WANTED) for which no slot was free to ask the kernel with. */
export const RING_CANCELS_WANTED = 528;
/** Program (from 1) that messages run which name none, 0: they are posted to queue 0. Queue of messages that found no free slot (address, 0: none yet). */
export const RING_MESSAGES = 540;
export const RING_HELD = 544;
/** First queue whose completions go on to a shared one (address; the next by QUEUE_NEXT); 1 while such completions found no room there. */
export const RING_FORWARDS = 548;
export const RING_BACKLOG = 552;
export const RING_CONTROL_SIZE = 576;

/** struct io_uring_bpf_ctx: what programs see. The first three fields are those of the 2021 patches. */
export const RING_CTX_USER_DATA = 0;
export const RING_CTX_WAIT_NR = 8;
export const RING_CTX_WAIT_IDX = 12;
/** i32 result and u32 flags of the completion that runs the program; 0 in program requests. */
export const RING_CTX_RES = 16;
export const RING_CTX_FLAGS = 20;
export const RING_CTX_OPCODE = 24;
/** Requests of the chain that have ended, this one included. */
export const RING_CTX_CHAIN = 28;
/** u64 handle of the request. */
export const RING_CTX_REQUEST = 32;
export const RING_CTX_PROGRAM = 40;
export const RING_CTX_QUEUE = 44;
/** Number of the ring among those of its memory (RING_TABLE of memory.ts); written once. */
export const RING_CTX_RING = 48;
export const RING_CTX_SIZE = 64;

/**
 * A slot: a request from the moment it is known until nothing refers to it. Three lines of the cache: the SQE; what every request needs; what only
 * compound ones do, which is as of a request alone in its chain while SLOT_FLAGS is 0.
 */
export const RING_SLOT_SIZE = 192;
/** The SQE as it was given. */
export const SLOT_SQE = 0;
/** u64 handle: what the kernel and programs call the request. Its lower half is the slot's index, which stays; the upper one counts its requests, and is never 0. */
export const SLOT_INDEX = 64;
export const SLOT_GENERATION = 68;
export const SLOT_STATE = 72;
export const SLOT_FREE = 0;
/** Waits for others (edges), for its group, for a completion queue to fill; is on the list of those ready; is with the kernel; a program request that is due; has ended. */
export const SLOT_WAITS = 1;
export const SLOT_GROUPED = 2;
export const SLOT_ARMED = 3;
export const SLOT_READY = 4;
export const SLOT_ISSUED = 5;
export const SLOT_DUE = 6;
export const SLOT_ENDED = 7;
/**
 * Bits: SLOT_INTERNAL: nobody is told of its end; SLOT_BROKEN: one that it follows has failed; SLOT_CANCELLING: the kernel is asked to end it; SLOT_COMPOUND:
 * others may refer to it. None: it is plain (plane/assembly/ring/plain.ts).
 */
export const SLOT_FLAGS = 76;
export const SLOT_INTERNAL = 1;
export const SLOT_BROKEN = 2;
export const SLOT_CANCELLING = 4;
export const SLOT_CANCEL_WANTED = 8;
export const SLOT_COMPOUND = 16;
/** i32, u32: the last completion. */
export const SLOT_RES = 80;
export const SLOT_CQE_FLAGS = 84;
/** Next in whichever list the slot is on (index + 1). */
export const SLOT_NEXT = 88;
/** Group that it counts in, 0xffff_ffff: none yet. */
export const SLOT_GROUP = 92;
/** Runs without the kernel between that led to it. */
export const SLOT_DEPTH = 96;
/** Bytes of a transfer that its last completion left undone. */
export const SLOT_LEFT = 100;
/** Here the words begin that only compound requests need. Chain: slot (index + 1) of its first request, whose SLOT_CHAIN_ members count; next member (index + 1). */
export const SLOT_CHAIN = 128;
export const SLOT_CHAIN_NEXT = 132;
export const SLOT_CHAIN_LAST = 136;
/** Of the first: members that have not ended, members that have; 1 while it may grow. */
export const SLOT_CHAIN_LIVE = 140;
export const SLOT_CHAIN_ENDED = 144;
export const SLOT_CHAIN_OPEN = 148;
/** Handles that keep it after its end (open chains of JavaScript). */
export const SLOT_HOLDS = 152;
/** Requests that must end first; first edge to those that follow (index + 1). */
export const SLOT_PENDING = 156;
export const SLOT_EDGES = 160;
/** LINK_TIMEOUT that goes with the request (index + 1). */
export const SLOT_TIMEOUT = 164;
/** Why it ends without having been issued: errno (positive), 0: it does not. */
export const SLOT_CANCELLED = 168;
/** Bytes done by earlier issues of the same request (LINK_RETRY_REST). */
export const SLOT_DONE = 172;
/** Of program requests: completions to wait for, and in which queue. */
export const SLOT_WAIT_NR = 176;
export const SLOT_WAIT_IDX = 180;
/** Of transfers by vectors: bytes that these name, as they were when it was issued; VECTORS_UNKNOWN: they lie outside of the linear memory. */
export const SLOT_VECTOR_BYTES = 176;
export const VECTORS_UNKNOWN = 0xffff_ffff;
export const RING_EDGE_SIZE = 12;
export const EDGE_TO = 0;
export const EDGE_POLICY = 4;
export const EDGE_NEXT = 8;

/** When the next request of a chain goes on: SQE_POLICY, and the policy of an edge. */
/** As the kernel would with IOSQE_IO_LINK: not after an error, nor after a short read or write of a file. */
export const LINK_KERNEL = 0;
/** The whole length was done. */
export const LINK_EXACT = 1;
/** No error. */
export const LINK_SHORT_OK = 2;
/** The rest of a short one is issued again, until all is done; the result is the sum. The end of the file before that is a failure. */
export const LINK_RETRY_REST = 3;
/** As LINK_RETRY_REST; the end of the file is no failure. */
export const LINK_EOF_OK = 4;
/** Whatever the result (IOSQE_IO_HARDLINK). */
export const LINK_ALWAYS = 5;
/** The callback says: unless it returns RING_BREAK. */
export const LINK_PROGRAM = 6;
export const LINK_MASK = 15;
/** The result becomes the next request's length; is added to its offset; becomes its descriptor. */
export const LINK_PASS_LENGTH = 16;
export const LINK_PASS_OFFSET = 32;
export const LINK_PASS_FD = 64;

/** SQE_EXTRA: runs even if those before it failed or were cancelled; its cancellation is not posted; its callback runs and its chain is kept for programs that ask for requests. */
export const RING_FINALLY = 1;
export const RING_QUIET_CANCEL = 2;
/** The completion is not posted at all (a chain's later programs can read it). */
export const RING_HIDDEN = 4;
/** Of msg_ring: the descriptor is the number of a ring of this memory, and SQE_FILE_INDEX of a message without a file says what becomes of it there (MESSAGE_). */
export const RING_TO_RING = 8;

/**
 * Flags of a message between rings of one memory, in the completion that the kernel brings: this bit, what the upper half is the number of, and what the sender
 * passes on: bits below MESSAGE_FLAGS, without CQE_F_MORE. To a queue: it is posted there. To a program: that runs. Cancel: the request with this user_data ends.
 */
export const CQE_F_MESSAGE = 0x2000;
export const MESSAGE_TO_QUEUE = 0;
export const MESSAGE_TO_PROGRAM = 0x800;
export const MESSAGE_CANCEL = 0x1000;
export const MESSAGE_KINDS = 0x1800;
export const MESSAGE_FLAGS = 0x800;

/** What a program returns: bits. 0 (IORING_BPF_OK): the completion ends here. */
/** A program request is armed again, to run when queue wait_idx holds wait_nr completions (IORING_BPF_WAIT of the third version). */
export const RING_WAIT = 1;
/** The completion that ran the program is posted to its queue as well. */
export const RING_POST = 2;
/** The chain is broken here. */
export const RING_BREAK = 4;
/** The request is issued again as it is. */
export const RING_AGAIN = 8;

/** Program request: `off` is the program's index from 0 as in the 2021 patches, `len` and op_flags the first wait_nr and wait_idx. */
export const IORING_OP_BPF = 128;

/** A completion queue: positions run freely. */
export const QUEUE_HEAD = 0;
export const QUEUE_TAIL = 4;
/** Block of the entries. It is replaced when the queue grows; blocks before stay readable until the queue goes, for a reader on another thread. */
export const QUEUE_BLOCK = 8;
/** QUEUE_VISIBLE: user space reads it, and is woken. */
export const QUEUE_FLAGS = 12;
export const QUEUE_VISIBLE = 1;
/** At creation: its number is out of the way of those that are counted from 1. */
export const QUEUE_LAST = 2;
/** Program requests that wait for it (index + 1). */
export const QUEUE_WAITING = 16;
/** Most entries that programs make it hold; for completions of the kernel it grows. */
export const QUEUE_LIMIT = 20;
/** Of a queue whose completions go on: address of the shared queue (0: they stay), next such queue of the ring. */
export const QUEUE_TO = 24;
export const QUEUE_NEXT = 28;
export const QUEUE_SIZE = 32;

/**
 * A queue that several rings post to, for one consumer: a bounded queue with a sequence an entry, on a line of the cache each what producers and what the consumer write.
 * Head, tail, mask (of positions); SHARED_STARVED: 1 once a ring found no room; SHARED_POSTED counts turns that have posted, and the consumer sleeps on it.
 */
export const SHARED_TAIL = 0;
export const SHARED_HEAD = 64;
export const SHARED_MASK = 128;
export const SHARED_STARVED = 192;
export const SHARED_POSTED = 196;
export const SHARED_ENTRIES = 256;
/** u32 sequence (position: free; position + 1: filled), u32 number of the ring; then a CQE. */
export const SHARED_ENTRY_SEQUENCE = 0;
export const SHARED_ENTRY_RING = 4;
export const SHARED_ENTRY_CQE = 8;
export const SHARED_ENTRY_SIZE = 32;

/** A block: mask of positions, the block before, its bytes; then CQEs. */
export const QUEUE_BLOCK_MASK = 0;
export const QUEUE_BLOCK_BEFORE = 4;
export const QUEUE_BLOCK_BYTES = 8;
export const QUEUE_BLOCK_ENTRIES = 16;

/** u32 function-table index of the entry, 0 for a function of JavaScript; then its number there. */
export const RING_PROGRAM_ENTRY = 0;
export const RING_PROGRAM_FUNCTION = 4;
export const RING_PROGRAM_SIZE = 16;

/** Requests admitted and not ended; those that wait (first, last: index + 1); 1: requests run side by side, and only a drain waits. */
export const RING_GROUP_LIVE = 0;
export const RING_GROUP_FIRST = 4;
export const RING_GROUP_LAST = 8;
export const RING_GROUP_PARALLEL = 12;
/** 1 while a drain request runs: nothing of the group goes beside it. */
export const RING_GROUP_DRAINING = 16;
export const RING_GROUP_SIZE = 32;

/** First address and one past the last; 0 to 0: none. */
export const REGION_START = 0;
export const REGION_END = 4;
export const RING_REGION_SIZE = 8;

/** Escalation: a completion for the user with this flag, the reason in the upper 16 bits, and a negated errno as result. */
export const CQE_F_ESCALATED = 0x4000;
export const ESCALATE_RUNS = 1;
export const ESCALATE_REQUESTS = 2;
export const ESCALATE_DEPTH = 3;
export const ESCALATE_INSTRUCTIONS = 4;
export const ESCALATE_FAULT = 5;
export const ESCALATE_PROGRAM = 6;
/** A message for a program, or a queue, that the ring does not have. */
export const ESCALATE_MESSAGE = 7;
