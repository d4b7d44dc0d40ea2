/** struct io_uring_sqe and struct io_uring_cqe (include/uapi/linux/io_uring.h), and what Sluice keeps in the SQE's last eight bytes. Offsets in bytes. */

export const SQE_SIZE = 64;
export const SQE_OPCODE = 0;
export const SQE_FLAGS = 1;
export const SQE_IOPRIO = 2;
export const SQE_FD = 4;
/** u64: offset in a file; addr2. */
export const SQE_OFF = 8;
/** u64: address, or what an opcode puts there. */
export const SQE_ADDR = 16;
export const SQE_LEN = 24;
/** u32: rw_flags, msg_flags, open_flags, … */
export const SQE_OP_FLAGS = 28;
export const SQE_USER_DATA = 32;
/** u16: buf_index, buf_group. */
export const SQE_BUF_INDEX = 40;
export const SQE_PERSONALITY = 42;
/** u32: file_index, splice_fd_in; u16 addr_len. */
export const SQE_FILE_INDEX = 44;
export const SQE_ADDR3 = 48;

/**
 * Bytes 56 to 63 are unused padding in the kernel's requests. Here they say what becomes of the completion; the kernel gets zeros.
 * u16: completion queue (0: the user's).
 */
export const SQE_CQ = 56;
/** u16: program or function that the completion runs, by index from 1; 0: none. */
export const SQE_CALLBACK = 58;
/** u8: what lets the next request of a chain go on: LINK_ constants of ring.ts; u8: RING_ flags of requests. */
export const SQE_POLICY = 60;
export const SQE_EXTRA = 61;
/** u16: group of requests that follow each other (0: none). */
export const SQE_GROUP = 62;

export const IOSQE_FIXED_FILE = 1;
export const IOSQE_IO_DRAIN = 2;
export const IOSQE_IO_LINK = 4;
export const IOSQE_IO_HARDLINK = 8;
export const IOSQE_ASYNC = 16;
export const IOSQE_BUFFER_SELECT = 32;
export const IOSQE_CQE_SKIP_SUCCESS = 64;

/**
 * Addresses in an SQE are offsets in the linear memory. With this bit in the upper word they are addresses of the process, as those of
 * Node's buffers are.
 */
export const ADDRESS_OF_PROCESS = 0x8000_0000;

export const CQE_SIZE = 16;
export const CQE_USER_DATA = 0;
/** i32 */
export const CQE_RES = 8;
export const CQE_FLAGS = 12;
export const CQE_F_BUFFER = 1;
export const CQE_F_MORE = 2;
export const CQE_F_SOCK_NONEMPTY = 4;
export const CQE_F_NOTIF = 8;
