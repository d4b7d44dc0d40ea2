/** The trace of a ring: records of TRACE_SIZE bytes in a ring of memory that wraps; the reader knows by RING_TRACE_TAIL what was lost. */
export const TRACE_SIZE = 48;
/** u64 time in ns, u64 user_data, i32 result, u32 flags, opcode or program, u32 kind, u64 handle. */
export const TRACE_TIME = 0;
export const TRACE_USER_DATA = 8;
export const TRACE_RES = 16;
export const TRACE_FLAGS = 20;
export const TRACE_KIND = 28;
export const TRACE_HANDLE = 32;

export const TRACE_REQUEST = 1;
export const TRACE_ISSUE = 2;
export const TRACE_COMPLETE = 3;
export const TRACE_RUN = 4;
export const TRACE_RETURN = 5;
export const TRACE_POST = 6;
export const TRACE_CANCEL = 7;
export const TRACE_ESCALATE = 8;
export const TRACE_EMIT = 9;
export const TRACE_REAP = 10;
export const TRACE_END = 11;
