/**
 * Ring buffer. Positions are u64 and only grow; a position's place in the ring is its lower bits (RINGBUF_MASK). Linux maps the ring twice
 * in a row, so that a record that crosses the end is contiguous. Here the data area has twice the ring's size and such a record
 * runs on into the second half: its header lies in the first half, and the bytes that it would have covered at the ring's start stay
 * unused for that lap. Positions, and with them when a reservation fails, are Linux's; the second half is touched only as far as records run.
 *
 * A record: u32 length with the two bits below, u32 address of the map header (in Linux the page offset, which finds the same; its lower bits, which are 0, hold RINGBUF_OWNER_MASK),
 * then the sample; the next record begins at the next multiple of 8.
 */

/** u64: position up to which the consumer has read. Alone in its cache line. */
export const RINGBUF_CONSUMER = 64;
/** u64: position after the last reserved record; bit 0 is the producers' lock. */
export const RINGBUF_PRODUCER = 128;
export const RINGBUF_LOCKED = 1;
/** u32: size of the ring - 1. */
export const RINGBUF_MASK = 136;
/**
 * u32: counts wake-ups; a consumer reads it, drains the ring, then waits for it to change (memory.atomic.notify is sent after
 * each change). u32: number of consumers that wait: without any, no notification is sent.
 */
export const RINGBUF_WAKES = 192;
export const RINGBUF_WAITERS = 196;

/**
 * u32: address of the consumer's position, and of the producer's: those above, or in a ring that is shared with the kernel (linux/shared-maps.ts) those
 * of its pages. u32: 1 in a shared ring, whose producer's position has no lock bit: RINGBUF_PRODUCER_LOCK is the word in its place.
 */
export const RINGBUF_CONSUMER_AT = 148;
export const RINGBUF_PRODUCER_AT = 152;
export const RINGBUF_SHARED = 156;
export const RINGBUF_PRODUCER_LOCK = 160;

/**
 * Of the rings of perf event arrays, u32 each: the CPU that writes there; records that found no room since the reader last asked; and since the ring last said so:
 * that takes RINGBUF_LOST_RECORD bytes before the next record (struct perf_event_header, u64 id, u64 number), here a discarded one.
 */
export const RINGBUF_CPU = 164;
export const RINGBUF_LOST = 168;
export const RINGBUF_UNTOLD = 172;
export const RINGBUF_LOST_RECORD = 24;

/** Offset of the data from the header. */
export const RINGBUF_DATA = 4096;

export const RINGBUF_RECORD_HEADER = 8;
export const RINGBUF_BUSY = 0x8000_0000;
export const RINGBUF_DISCARD = 0x4000_0000;
export const RINGBUF_LENGTH_MASK = 0x3fff_ffff;
/** Lower bits of a record's second word: CPU that reserved it, plus 1. */
export const RINGBUF_OWNER_MASK = 0xff;

/** Flags of output, submit and discard; kinds of query (include/uapi/linux/bpf.h). */
export const BPF_RB_NO_WAKEUP = 1;
export const BPF_RB_FORCE_WAKEUP = 2;
export const BPF_RB_AVAIL_DATA = 0;
export const BPF_RB_RING_SIZE = 1;
export const BPF_RB_CONS_POS = 2;
export const BPF_RB_PROD_POS = 3;
