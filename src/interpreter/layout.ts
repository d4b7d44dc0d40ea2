/**
 * interpreter/: the independent, checked engine: executes a resolved program over the linear memory, checks every access and stops
 * at the exact bad one; steps, traces and counts.
 *
 * This file: where things lie in a run's state block and in a program image, as constants that both compilers read (TypeScript and
 * AssemblyScript). Only literal constants and arithmetic on them may stand here. Offsets and sizes are in bytes.
 */

/**
 * A register: u64 value, then what is known of it as a pointer ("provenance"): u32 tag, u32 base and u32 size of the object that it
 * points into, u32 aux by kind. Registers r0 to r10 stand at the start of the state block; number 11 is scratch.
 */
export const REGISTER_SIZE = 32;
export const REGISTER_TAG = 8;
export const REGISTER_BASE = 12;
export const REGISTER_OBJECT_SIZE = 16;
/**
 * Stack: serial number of the frame << 8 | its index. Ringbuf: generation << 8 | index of the reservation. Function: its index. Map value: address of the
 * map. Global data with special fields: their record. Object: what STATE_OBJECT_SERIAL was when the program got the pointer; its record stands in place of
 * the size.
 */
export const REGISTER_AUX = 20;
export const REGISTER_SCRATCH = 352;

/** Kinds, the low 8 bits of a tag. 1 to KIND_LAST_PLAIN need nothing but their bounds checked. */
export const KIND_SCALAR = 0;
export const KIND_MEMORY = 1;
export const KIND_MAP_VALUE = 2;
export const KIND_GLOBAL = 3;
export const KIND_MAP_KEY = 4;
export const KIND_LAST_PLAIN = 4;
export const KIND_STACK = 5;
export const KIND_PACKET = 6;
export const KIND_METADATA = 7;
export const KIND_CONTEXT = 8;
export const KIND_RINGBUF = 9;
export const KIND_MAP = 10;
export const KIND_FUNCTION = 11;
/** A kernel object that programs hold but do not look into. */
export const KIND_OPAQUE = 12;
/** A packet pointer from before a helper that may have moved the packet. */
export const KIND_STALE_PACKET = 13;
/** NULL, as map lookups and reservations return it. */
export const KIND_NULL_MAP_VALUE = 14;
export const KIND_NULL_MEMORY = 15;
/**
 * Marks of stack slots, which loads take along: a dynptr (in its first slot's mark: tag, base and aux of what it is over in base, size and
 * aux; in its second's: the size), and an iterator. A write to the slot takes the mark away.
 */
export const KIND_DYNPTR = 16;
export const KIND_ITERATOR = 17;
/** A pointer into the arena whose header is in aux. */
export const KIND_ARENA = 18;
/** An object of a type of the program, and one with a copy for each CPU, which is not accessed by this pointer. */
export const KIND_OBJECT = 19;
export const KIND_PERCPU_OBJECT = 20;
export const KIND_UNINITIALISED = 255;
/** Flags of a tag. */
export const TAG_READ_ONLY = 0x100;
export const TAG_WRITE_ONLY = 0x200;
/** Memory in the packet: as stale as a packet pointer once the packet may have moved. */
export const TAG_IN_PACKET = 0x400;
/** Map value or global data with special fields (plane/layout/record.ts): not all of it may be accessed. */
export const TAG_FIELDS = 0x800;

/** u32 STATUS_*; u32 slot of the next instruction (at a fault: of the bad one). */
export const STATE_STATUS = 384;
export const STATE_SLOT = 388;
/** u32: image that runs; address of its instructions; first slot and number of slots of the function that runs. */
export const STATE_IMAGE = 392;
export const STATE_CODE = 396;
export const STATE_FUNCTION_START = 400;
export const STATE_FUNCTION_LENGTH = 404;
/** u64: steps made; steps at which to pause; steps at which the budget is used up. */
export const STATE_STEPS = 408;
export const STATE_PAUSE = 416;
export const STATE_BUDGET = 424;
/** u32: frames in use, and the number of frames at whose return the running loop ends (more than 1 inside a helper's callback). */
export const STATE_DEPTH = 432;
export const STATE_BASE_DEPTH = 436;
/** u32: address just above the first frame; lowest address that frames may use. */
export const STATE_STACK_TOP = 440;
export const STATE_STACK_LIMIT = 444;
/** u32: last serial number given to a frame, last generation given to a reservation. */
export const STATE_SERIAL = 448;
export const STATE_GENERATION = 452;
/** u32: addresses of the context, and of its data, data_end and data_meta fields (0: none). */
export const STATE_CONTEXT = 456;
export const STATE_DATA_FIELD = 460;
export const STATE_DATA_END_FIELD = 464;
export const STATE_DATA_META_FIELD = 468;
/** u32 OPTION_* bits. */
export const STATE_OPTIONS = 472;
/** u32: accesses whose object had to be found by address. */
export const STATE_BY_ADDRESS = 476;
export const STATE_TAIL_CALLS = 480;
/** u32: address and length of the u32 images by function table index. */
export const STATE_TAIL_TABLE = 484;
export const STATE_TAIL_COUNT = 488;
/** u32: reservations not yet given back; next place in the ring of recent map values. */
export const STATE_RESERVED = 492;
export const STATE_RECENT_NEXT = 496;
/** u32: what a helper in progress calls back: function index, helper id, map (0: none); the register that it passes on follows at CALLBACK_ARGUMENT. */
export const STATE_CALLBACK_FUNCTION = 500;
export const STATE_CALLBACK_HELPER = 504;
export const STATE_CALLBACK_MAP = 508;
export const STATE_CALLBACK_ARGUMENT = 512;
/** u32: table index of the entry that helpers call functions of the program through. */
export const STATE_CALLBACK_ENTRY = 544;
/** u32: address and length of what packet loads read, where the context has no packet; length 0: nothing. */
export const STATE_PACKET = 548;
export const STATE_PACKET_SIZE = 552;
/** u64: cookie of the exception. */
export const STATE_COOKIE = 560;
/** u64 each: what loads from an arena see that have no page, and where such stores go. */
export const STATE_ARENA_ZERO = 568;
export const STATE_ARENA_SINK = 624;

/** u32: number of the last object that a program made or gave up. */
export const STATE_OBJECT_SERIAL = 632;

export const OPTION_UNINITIALISED_STACK = 1;

export const STATUS_RUNNING = 0;
export const STATUS_EXIT = 1;
export const STATUS_PAUSED = 2;
export const STATUS_BREAKPOINT = 3;
export const STATUS_FAULT = 4;
/** An exception goes through a helper that called back. */
export const STATUS_THROWN = 5;

/** The fault. u32 code, register (NO_REGISTER: none), size and access; u64 address; u32 tag, base, size and aux of the object; u64 detail by code. */
export const FAULT_CODE = 576;
export const FAULT_REGISTER = 580;
export const FAULT_ACCESS_SIZE = 584;
export const FAULT_ACCESS = 588;
export const FAULT_ADDRESS = 592;
export const FAULT_TAG = 600;
export const FAULT_BASE = 604;
export const FAULT_OBJECT_SIZE = 608;
export const FAULT_AUX = 612;
export const FAULT_DETAIL = 616;
export const NO_REGISTER = 255;

export const ACCESS_NONE = 0;
export const ACCESS_READ = 1;
export const ACCESS_WRITE = 2;
/** Read and write at once. */
export const ACCESS_ATOMIC = 3;

/** Reservations of ringbuf memory: u32 generation (0: none), base, size, slot of the call. */
export const STATE_RESERVATIONS = 1024;
export const RESERVATIONS = 64;
/** Recent map values, u32 tag, base, size, aux each: where an address without provenance is looked for. */
export const STATE_RECENT = 2048;
export const RECENT = 256;

/**
 * Frames, at most MAX_FRAMES: those that 33 tail calls, each out of as deep a call as a program may make, leave below them. Registers r6 to
 * r10 of the caller as they were, then u32 fields.
 */
export const STATE_FRAMES = 6144;
export const MAX_FRAMES = 248;
export const FRAME_STRIDE = 1792;
export const FRAME_SAVED = 0;
export const FRAME_KIND = 160;
/** u32: serial << 8 | index while the frame is live, else 0. */
export const FRAME_IDENTITY = 164;
export const FRAME_INDEX_MASK = 0xff;
/** u32: address just above the frame's 512 bytes. */
export const FRAME_TOP = 168;
/** u32: fall-throughs that may_goto still grants. */
export const FRAME_MAY_GOTO = 172;
/** u32: where the caller goes on: slot, image, function start and length. */
export const FRAME_RETURN_SLOT = 176;
export const FRAME_RETURN_IMAGE = 180;
export const FRAME_RETURN_START = 184;
export const FRAME_RETURN_LENGTH = 188;
/** u32: bpf_loop: iteration, number of iterations, callback's function index; its context register. */
export const FRAME_LOOP_INDEX = 192;
export const FRAME_LOOP_COUNT = 196;
export const FRAME_LOOP_FUNCTION = 200;
export const FRAME_LOOP_CONTEXT = 224;
/** u32: index of the frame in which the program of this one was entered: exceptions end there, and depth is counted from there. */
export const FRAME_ENTRY = 204;
/** u64: 8-byte stack slots that hold a spilled pointer (or its like), bit by slot from the frame's lowest address. */
export const FRAME_SPILLED = 256;
/** One bit a byte: initialised. 64 bytes, and 8 that are never set. */
export const FRAME_INITIALISED = 264;
/** 16 bytes a slot: the provenance of what is spilled there. */
export const FRAME_SPILLS = 512;
/** Frame kinds. */
export const FRAME_CALL = 0;
export const FRAME_LOOP = 1;
export const FRAME_CALLBACK = 2;

/**
 * The last objects that were made or gave up their memory, by address >> 4: u32 address, number. A pointer to this address with a smaller number is to what
 * was there before.
 */
export const STATE_OBJECTS = STATE_FRAMES + MAX_FRAMES * FRAME_STRIDE;
export const OBJECTS = 4096;

export const STATE_SIZE = STATE_OBJECTS + OBJECTS * 8;

/** An image: u32 each. Instructions are 16 bytes a slot. */
export const IMAGE_SLOTS = 0;
export const IMAGE_CODE = 4;
/** u32 start and length by function. */
export const IMAGE_FUNCTIONS = 8;
export const IMAGE_FUNCTION_COUNT = 12;
/** One byte a slot: 1 where an indirect jump may go. */
export const IMAGE_TARGETS = 16;
/** u16 by slot: the operations that breakpoints stand in for. */
export const IMAGE_ORIGINALS = 20;
/** Where an address without provenance is looked for: REGION_* records. */
export const IMAGE_REGIONS = 24;
export const IMAGE_REGION_COUNT = 28;
/** One byte a context byte, FIELD_*; 0 when the program has no context. */
export const IMAGE_FIELDS = 32;
export const IMAGE_CONTEXT_SIZE = 36;
/** Offsets of data, data_end and data_meta in the context, NO_FIELD if it has none. */
export const IMAGE_DATA = 40;
export const IMAGE_DATA_END = 44;
export const IMAGE_DATA_META = 48;
/** Tag flags that packet pointers of this program get. */
export const IMAGE_PACKET_FLAGS = 52;
/** HELPER_ records of helpers and how many there are: what CALLX may call. */
export const IMAGE_HELPERS = 56;
export const IMAGE_HELPER_COUNT = 60;
/** Index of the function that exceptions go on in, NO_FIELD: there is none. */
export const IMAGE_EXCEPTION_CALLBACK = 64;
/** Header of the program's arena, 0: it has none. */
export const IMAGE_ARENA = 68;
export const IMAGE_HEADER_SIZE = 80;
export const NO_FIELD = 0xffffffff;

/** A context byte: 0 forbidden, else the kind of its field, with flags. */
export const FIELD_SCALAR = 1;
export const FIELD_PACKET = 2;
export const FIELD_METADATA = 3;
/** A pointer to a kernel object. */
export const FIELD_OPAQUE = 4;
/** Pointers to what the hook keeps behind the context: struct bpf_flow_keys, struct bpf_sock. */
export const FIELD_FLOW_KEYS = 5;
export const FIELD_SOCKET = 6;
export const FIELD_KIND = 0x0f;
export const FIELD_FIRST = 0x40;
export const FIELD_WRITABLE = 0x80;

/** A region: u32 tag, base, size, stride (0: one object), bytes of an element, aux. */
export const REGION_TAG = 0;
export const REGION_BASE = 4;
export const REGION_EXTENT = 8;
export const REGION_STRIDE = 12;
export const REGION_ELEMENT = 16;
export const REGION_AUX = 20;
export const REGION_SIZE = 24;

/** An instruction: u16 operation; u16 offset of the destination and source registers in the state block; i16 offset; i64 constant, or i32 constant and u32 target slot. */
export const INSN_SIZE = 16;
export const INSN_DST = 2;
export const INSN_SRC = 4;
export const INSN_OFF = 6;
export const INSN_IMM = 8;
export const INSN_TARGET = 12;
/** The second slot of LDDW holds what it loads: u16 OP_MIDDLE, u16 tag, u32 base, u32 size, u32 aux. */
export const WIDE_TAG = 2;
export const WIDE_BASE = 4;
export const WIDE_OBJECT_SIZE = 8;
export const WIDE_AUX = 12;

/** Operations: the opcode byte where it says all, else one of these. */
export const OP_INVALID = 0x100;
export const OP_MIDDLE = 0x101;
export const OP_SDIV32_K = 0x102;
export const OP_SDIV32_X = 0x103;
export const OP_SDIV64_K = 0x104;
export const OP_SDIV64_X = 0x105;
export const OP_SMOD32_K = 0x106;
export const OP_SMOD32_X = 0x107;
export const OP_SMOD64_K = 0x108;
export const OP_SMOD64_X = 0x109;
export const OP_MOVSX32_8 = 0x10a;
export const OP_MOVSX32_16 = 0x10b;
export const OP_MOVSX64_8 = 0x10c;
export const OP_MOVSX64_16 = 0x10d;
export const OP_MOVSX64_32 = 0x10e;
export const OP_ADDR_SPACE_CAST = 0x10f;
/** Calls: a helper or kfunc by HELPER_ record in the constant, a function by index, and what the interpreter does itself. */
export const OP_CALL_HELPER = 0x110;
export const OP_CALL_FUNCTION = 0x111;
export const OP_LOOP = 0x112;
export const OP_TAIL_CALL = 0x113;
export const OP_UNSUPPORTED = 0x114;
export const OP_BREAKPOINT = 0x115;
export const OP_THROW = 0x116;

/** Numbers of the helpers that the interpreter does itself. */
export const TAIL_CALL = 12;
export const BPF_LOOP = 181;
/** The kfunc that it does itself. */
export const THROW = 'bpf_throw';

/** A helper or kfunc: u32 id, index in the shared table, number of arguments, RETURN_*, HELPER_* flags; 5 bytes ARGUMENT_*; u32 × 5 fixed sizes. */
export const HELPER_ID = 0;
export const HELPER_INDEX = 4;
export const HELPER_ARGUMENT_COUNT = 8;
export const HELPER_RETURNS = 12;
export const HELPER_FLAGS = 16;
export const HELPER_ARGUMENTS = 20;
export const HELPER_FIXED_SIZES = 28;
/** u32: bytes that RETURN_FIXED_MEM points to; of RETURN_OBJECT the number of the argument that is its record. */
export const HELPER_RETURNS_SIZE = 48;
/** u32: bit by number of the argument: what is passed in its place stands in the row of u64 (ResolvedProgram.passed). */
export const HELPER_PASSED = 52;
export const HELPER_PASSED_VALUES = 64;
export const HELPER_SIZE = 112;
export const HELPER_CHANGES_PACKET = 1;
/** Takes a reservation back (argument 1). */
export const HELPER_RELEASES = 2;
/** Makes a dynptr: over the memory in argument 1, the packet, its metadata, a new record; or the dynptr in argument 1 once more. */
export const HELPER_DYNPTR_OF_MEMORY = 4;
export const HELPER_DYNPTR_OF_PACKET = 8;
export const HELPER_DYNPTR_OF_METADATA = 16;
export const HELPER_DYNPTR_OF_RECORD = 32;
export const HELPER_DYNPTR_CLONE = 64;
/** Hands the record of the dynptr in argument 1 over, and ends the dynptr. */
export const HELPER_RELEASES_DYNPTR = 128;
export const HELPER_DESTROYS_ITERATOR = 256;
/** Keeps the function in argument 2 for later: it is given image << 32 | index of the function, as layout/timer.ts has it. */
export const HELPER_KEEPS_CALLBACK = 512;
/** Gives up the object in argument 1; compares elements by the function in argument 3. */
export const HELPER_DROPS_OBJECT = 1024;
export const HELPER_COMPARES = 2048;
/** In STATE_CALLBACK_HELPER: the function compares elements, STATE_CALLBACK_MAP is the offset of the node in them. */
export const CALLBACK_COMPARES = 0xffff_ffff;

export const ARGUMENT_DONTCARE = 0;
export const ARGUMENT_ANYTHING = 1;
export const ARGUMENT_MAP = 2;
export const ARGUMENT_MAP_KEY = 3;
export const ARGUMENT_MAP_VALUE = 4;
export const ARGUMENT_MAP_VALUE_UNINIT = 5;
export const ARGUMENT_MEM = 6;
export const ARGUMENT_MEM_OR_NULL = 7;
export const ARGUMENT_MEM_UNINIT = 8;
export const ARGUMENT_FIXED_MEM = 9;
export const ARGUMENT_FIXED_MEM_UNINIT = 10;
export const ARGUMENT_SIZE = 11;
export const ARGUMENT_SIZE_OR_ZERO = 12;
export const ARGUMENT_ALLOC_SIZE = 13;
export const ARGUMENT_CONTEXT = 14;
export const ARGUMENT_CONTEXT_OR_NULL = 15;
export const ARGUMENT_RINGBUF_MEM = 16;
export const ARGUMENT_FUNCTION = 17;
export const ARGUMENT_STACK_OR_NULL = 18;
export const ARGUMENT_STRING = 19;
/** Memory of the fixed size in a map value (locks, timers, kptrs). */
export const ARGUMENT_IN_MAP_VALUE = 20;
export const ARGUMENT_DYNPTR = 21;
export const ARGUMENT_DYNPTR_UNINIT = 22;
export const ARGUMENT_MAP_VALUE_OR_NULL = 23;
/** Written by the helper, which may read it before. */
export const ARGUMENT_MEM_WRITE = 24;
export const ARGUMENT_MEM_WRITE_OR_NULL = 25;
export const ARGUMENT_FIXED_MEM_WRITE = 26;
/** On the stack, of the fixed size. */
export const ARGUMENT_ITERATOR = 27;
export const ARGUMENT_ITERATOR_UNINIT = 28;
/** Memory that the kfunc may write, of the size in the next argument. */
export const ARGUMENT_BUFFER_OR_NULL = 29;

/** The start of an object; of one with a copy for each CPU. */
export const ARGUMENT_OBJECT = 30;
export const ARGUMENT_PERCPU_OBJECT = 31;
/** A special field of a map value, global data or an object; a field of an object: FIELD_ kind in place of the size. */
export const ARGUMENT_FIELD = 32;
export const ARGUMENT_NODE = 33;
export const ARGUMENT_KPTR = 34;

export const RETURN_INTEGER = 0;
export const RETURN_VOID = 1;
export const RETURN_MAP_VALUE = 2;
export const RETURN_RINGBUF_MEM = 3;
export const RETURN_OPAQUE = 4;
/** NULL or memory of the dynptr in argument 1, of the size in argument 3 (bpf_dynptr_data). */
export const RETURN_DYNPTR_MEM = 5;
/** NULL or struct bpf_sock. */
export const RETURN_SOCKET = 6;
/** NULL or memory of HELPER_RETURNS_SIZE bytes, to be read. */
export const RETURN_FIXED_MEM = 7;
/** NULL or memory of the dynptr in argument 1, of the size in argument 4; the first only to be read. */
export const RETURN_SLICE = 8;
export const RETURN_SLICE_WRITABLE = 9;
/** NULL or memory of the size in argument 3. */
export const RETURN_SIZED_MEM = 10;
/** NULL or an object of the record that is passed; the object in argument 1; one with a copy for each CPU. */
export const RETURN_OBJECT = 11;
export const RETURN_SAME_OBJECT = 12;
export const RETURN_PERCPU_OBJECT = 13;
/** NULL or an element of the list or tree whose root is argument 1: the address of its node. */
export const RETURN_ELEMENT = 14;
/** What was in the field that argument 1 points to; the copy of a CPU. */
export const RETURN_EXCHANGED = 15;
export const RETURN_PERCPU_COPY = 16;

/** Fault codes; fault.ts has their names and words. */
export const FAULT_UNINITIALISED_REGISTER = 1;
export const FAULT_OUT_OF_BOUNDS = 2;
export const FAULT_NOT_A_POINTER = 3;
export const FAULT_NULL_POINTER = 4;
export const FAULT_READ_ONLY = 5;
export const FAULT_WRITE_ONLY = 6;
export const FAULT_UNINITIALISED_STACK = 7;
export const FAULT_MISALIGNED_ATOMIC = 8;
export const FAULT_ATOMIC_OBJECT = 9;
export const FAULT_RELEASED_MEMORY = 10;
export const FAULT_DEAD_FRAME = 11;
export const FAULT_CONTEXT_ACCESS = 12;
export const FAULT_STALE_PACKET = 13;
export const FAULT_OPAQUE_OBJECT = 14;
export const FAULT_JUMP_OUT = 15;
export const FAULT_JUMP_MIDDLE = 16;
export const FAULT_FALL_OFF = 17;
export const FAULT_JUMP_TABLE = 18;
export const FAULT_CALL_DEPTH = 19;
export const FAULT_STACK_OVERFLOW = 20;
export const FAULT_BUDGET = 21;
export const FAULT_INVALID_INSN = 22;
export const FAULT_UNSUPPORTED = 23;
export const FAULT_ARGUMENT_TYPE = 24;
export const FAULT_ARGUMENT_SIZE = 25;
export const FAULT_MODIFIED_POINTER = 26;
export const FAULT_UNRELEASED_REFERENCE = 27;
export const FAULT_TOO_MANY_REFERENCES = 28;
/** Access to a special field: its FIELD_ kind in the detail. */
export const FAULT_SPECIAL_FIELD = 29;

/** Iterations that bpf_loop and may_goto grant: BPF_MAX_LOOPS of the kernel. */
export const MAX_LOOPS = 8388608;
