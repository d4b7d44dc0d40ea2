/**
 * The trace ring of one CPU: what bpf_trace_printk wrote, as records of a u32 length and the text, each padded to 4 bytes. One
 * producer (the CPU), one consumer (whoever collects). Positions count bytes from the start and wrap at 2^32.
 */
export const PRINTK_PRODUCED = 0;
export const PRINTK_CONSUMED = 4;
/** u32: records that found no room. */
export const PRINTK_DROPPED = 8;
export const PRINTK_DATA = 64;
/** Power of two. */
export const PRINTK_DATA_SIZE = 32768;
/** Longest text of one call (MAX_BPRINTF_BUF of the kernel is 1024, TRACE_PRINTK buffer too). */
export const PRINTK_MAX_TEXT = 1024;
