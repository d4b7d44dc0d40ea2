/**
 * A path: packets that go from an interface through XDP, redirects and the conversion to an sk_buff to tc and their reader (plane/assembly/path/). The block is
 * followed by the programs of its interfaces and by its items.
 */

/** u32: PATH_GRO, PATH_CARRIES_HINTS. */
export const PATH_FLAGS = 0;
export const PATH_GRO = 1;
/** What the driver knows survives a redirect, as if every program stored it (bpf_xdp_store_rx_*). */
export const PATH_CARRIES_HINTS = 2;
/** u32 each: address of the items; those in use, sources first, then copies; how many there may be; the next one to begin with. */
export const PATH_ITEMS = 4;
export const PATH_ITEM_COUNT = 8;
export const PATH_ITEM_MAX = 12;
export const PATH_NEXT = 16;
/** u32: item whose program runs, plus 1; 0: none. */
export const PATH_RUNNING = 20;
/** u32: items that wait for their next step, in order: first and last, plus 1; 0: none. */
export const PATH_READY_FIRST = 24;
export const PATH_READY_LAST = 28;
/** u32: number of items that wait for more of their flow; their indices, at most GRO_HELD_MAX. MAX_GRO_SKBS of Linux is of a hash bucket. */
export const PATH_HELD_COUNT = 32;
export const PATH_HELD = 36;
export const GRO_HELD_MAX = 8;
/** u32: CPU that the worker is. */
export const PATH_CPU = 68;
/** u32: number of interfaces with programs; the records. */
export const PATH_INTERFACES = 72;
/**
 * With threads that run CPUs (plane/assembly/path/lanes.ts): u32 each: items that a cpumap has sent to other CPUs, first and last, plus 1; lanes by CPU, a table of MAX_CPUS addresses of
 * blocks like this one that share its items, 0: no thread runs the CPU; where the number of items in use is counted; 1 while a lane is its CPU's; what programs of a lane have for a turn, 0: no budget.
 */
export const PATH_AWAY_FIRST = 76;
export const PATH_AWAY_LAST = 80;
export const PATH_LANES = 84;
export const PATH_COUNTER = 88;
export const PATH_UNDER_WAY = 92;
export const PATH_FUEL = 96;
export const PATH_INTERFACE_RECORDS = 100;

/** Programs of an interface: u32 index, then address and number of those on XDP, and of those on tc. */
export const HOP_INDEX = 0;
export const HOP_XDP = 4;
export const HOP_XDP_COUNT = 8;
export const HOP_TC = 12;
export const HOP_TC_COUNT = 16;
export const HOP_SIZE = 20;

/** A program of an interface: u32 function-table index; u32: on XDP, verdicts (bit n: verdict n) after which the next one runs; on tc, 1 for a link of tcx. */
export const STAGE_ENTRY = 0;
export const STAGE_GOES_ON = 4;
export const STAGE_SIZE = 8;
/** XDP_PASS, and 31: what a place without a program returns to libxdp's dispatcher. */
export const GOES_ON_DEFAULT = 0x8000_0004;

/** u32 each: descriptors of the item as a frame and as an sk_buff, first bytes of their buffers, address of the frame's block for traits or 0. */
export const ITEM_FRAME = 0;
export const ITEM_SKB = 4;
export const ITEM_FRAME_BUFFER = 8;
export const ITEM_SKB_BUFFER = 12;
export const ITEM_SIDE = 16;
/** u32: NEXT_*. */
export const ITEM_NEXT = 20;
/** u32: END_*, 0 as long as it is under way; LOST_* of END_LOST, STOPPED_* (cpu.ts) of an END_FAULT on another CPU's thread, else 0. */
export const ITEM_END = 24;
export const ITEM_REASON = 28;
/** u32: 1 if it is an sk_buff. */
export const ITEM_IS_SKB = 32;
/** u32: interface where it is, or is to be sent from; program to run there first (function-table index, 0: none). */
export const ITEM_INTERFACE = 36;
export const ITEM_PROGRAM = 40;
/** u32: receive queue of the socket that it went to. */
export const ITEM_QUEUE = 44;
/** u32: CPU that a cpumap sent it to, plus 1; 0: that of the worker. Its programs run as on that CPU. */
export const ITEM_CPU = 88;
/** u32: item that it is a copy of, plus 1; item that it became a part of, plus 1; the next in the list of those that are ready, plus 1. */
export const ITEM_COPY_OF = 48;
export const ITEM_MERGED_INTO = 52;
export const ITEM_READY_NEXT = 56;
/** u32: interfaces that it was sent to so far; steps so far, of which the last STEP_MAX - 1 and the last one are kept. */
export const ITEM_HOPS = 60;
export const ITEM_STEP_COUNT = 64;
/** u32: of a packet of several segments (GRO): their number, payload of the first, and of all. */
export const ITEM_SEGMENTS = 68;
export const ITEM_SEGMENT_SIZE = 72;
export const ITEM_PAYLOAD = 76;
/** u32: offset of its network and transport header from its data, where GRO has looked. */
export const ITEM_NETWORK = 80;
export const ITEM_TRANSPORT = 84;
export const ITEM_STEPS = 96;
export const STEP_MAX = 64;

/** u32 each: STEP_*; what it was about; interface, queue or CPU; what came out. */
export const STEP_KIND = 0;
export const STEP_SUBJECT = 4;
export const STEP_PLACE = 8;
export const STEP_RESULT = 12;
export const STEP_SIZE = 16;
export const ITEM_SIZE = 1120;

/** Interfaces that a packet may be sent to before it is lost. */
export const HOPS_MAX = 16;

/** Steps. A program of an interface, of a devmap's element, of a cpumap's element, on tc: subject its function-table index, result its verdict. */
export const STEP_XDP = 1;
export const STEP_DEVMAP = 2;
export const STEP_CPUMAP = 3;
export const STEP_TC = 4;
/** Subject: the map's address, 0 for an interface; place: interface, CPU or queue; result: the key. */
export const STEP_REDIRECT = 5;
/** Left by the interface `place`; arrived at it; became an sk_buff there. */
export const STEP_SENT = 6;
export const STEP_ARRIVED = 7;
export const STEP_SKB = 8;
/** A copy was made, item `subject`. */
export const STEP_COPY = 9;
/** Item `subject` became a part of it. */
export const STEP_MERGED = 10;
/** Result of a program's step while it runs. */
export const STEP_RUNS = 0xffff_fffe;

/** What an item does next: arrive as a frame, run a devmap element's program and leave, leave, become an sk_buff, wait for its flow, arrive as an sk_buff. */
export const NEXT_NOTHING = 0;
export const NEXT_XDP = 1;
export const NEXT_DEVMAP = 2;
export const NEXT_CPUMAP = 3;
export const NEXT_SKB = 4;
export const NEXT_TC = 5;
export const NEXT_SEND = 6;

/** How an item ended: its reader on the interface has it; a verdict dropped it; XDP_ABORTED, or a verdict that there is not; it left by an interface; a socket of AF_XDP has it;
 * tc took it; it is a part of another; its program was stopped; it could not go where it was sent to. */
export const END_PASSED = 1;
export const END_DROPPED = 2;
export const END_ABORTED = 3;
export const END_SENT = 4;
export const END_SOCKET = 5;
export const END_CONSUMED = 6;
export const END_MERGED = 7;
export const END_FAULT = 8;
export const END_LOST = 9;

/** The modelled network has no such interface; longer than its MTU; XDP_REDIRECT without a target, or none of a broadcast; the socket is bound to another queue; HOPS_MAX;
 * no room for a copy; too long for an sk_buff or a frame; the thread of the CPU that had it ended. */
export const LOST_NO_INTERFACE = 1;
export const LOST_TOO_LONG = 2;
export const LOST_NO_TARGET = 3;
export const LOST_QUEUE = 4;
export const LOST_HOPS = 5;
export const LOST_NO_COPY = 6;
export const LOST_NO_ROOM = 7;
export const LOST_CRASH = 8;
