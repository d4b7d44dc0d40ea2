/**
 * User ring buffer: one producer in user space, programs consume. Positions, records and data lie as in a ring buffer (map-ringbuf.ts), with
 * the roles swapped: user space writes RINGBUF_PRODUCER, the plane RINGBUF_CONSUMER. RINGBUF_WAKES counts the drains that gave room.
 */

/** u32: 1 while a drain runs. */
export const USER_RINGBUF_BUSY = 144;
/** BPF_MAX_USER_RINGBUF_SAMPLES: most records of one drain. */
export const USER_RINGBUF_SAMPLES = 131072;
/** Longest record that a dynptr takes (DYNPTR_MAX_SIZE). */
export const USER_RINGBUF_RECORD_MAX = 0xff_ffff;
