/** Flags of requests and completions that io_uring brings itself. Names without their prefix; those of the system calls are in call-flags.ts. */

/** IOSQE_ */
export const sqeFlags = {
  FIXED_FILE: 1 << 0,
  IO_DRAIN: 1 << 1,
  IO_LINK: 1 << 2,
  IO_HARDLINK: 1 << 3,
  ASYNC: 1 << 4,
  BUFFER_SELECT: 1 << 5,
  CQE_SKIP_SUCCESS: 1 << 6,
} as const;

/** IORING_CQE_F_ */
export const cqeFlags = {
  /** The upper 16 bits are the number of the buffer that was taken. */
  BUFFER: 1 << 0,
  /** The request will complete again. */
  MORE: 1 << 1,
  SOCK_NONEMPTY: 1 << 2,
  /** Zero-copy send: the buffer is free again. */
  NOTIF: 1 << 3,
  /** The buffer was used in part, and stays with the kernel. */
  BUF_MORE: 1 << 4,
  SKIP: 1 << 5,
  CQE32: 1 << 15,
} as const;
export const CQE_BUFFER_SHIFT = 16;

/** In `file_index`: the kernel picks the slot of a direct descriptor, and completes with its number. */
export const FILE_INDEX_ALLOC = 0xffff_ffff;

/** IORING_NOP_ */
export const nopFlags = {
  INJECT_RESULT: 1 << 0,
  FILE: 1 << 1,
  FIXED_FILE: 1 << 2,
  FIXED_BUFFER: 1 << 3,
  TW: 1 << 4,
  CQE32: 1 << 5,
} as const;

/** IORING_FSYNC_ */
export const fsyncFlags = { DATASYNC: 1 } as const;

/** IORING_TIMEOUT_, and LINK_UPDATE for IORING_LINK_TIMEOUT_UPDATE. */
export const timeoutFlags = {
  ABS: 1 << 0,
  UPDATE: 1 << 1,
  BOOTTIME: 1 << 2,
  REALTIME: 1 << 3,
  LINK_UPDATE: 1 << 4,
  ETIME_SUCCESS: 1 << 5,
  MULTISHOT: 1 << 6,
} as const;

/** IORING_POLL_, in `len`. */
export const pollFlags = {
  ADD_MULTI: 1 << 0,
  UPDATE_EVENTS: 1 << 1,
  UPDATE_USER_DATA: 1 << 2,
  ADD_LEVEL: 1 << 3,
} as const;

/** IORING_ASYNC_CANCEL_ */
export const cancelFlags = {
  ALL: 1 << 0,
  FD: 1 << 1,
  ANY: 1 << 2,
  FD_FIXED: 1 << 3,
  USERDATA: 1 << 4,
  OP: 1 << 5,
} as const;

/** IORING_RECVSEND_, IORING_RECV_ and IORING_SEND_, in `ioprio`. */
export const recvSendFlags = {
  POLL_FIRST: 1 << 0,
  MULTISHOT: 1 << 1,
  FIXED_BUF: 1 << 2,
  ZC_REPORT_USAGE: 1 << 3,
  BUNDLE: 1 << 4,
  VECTORIZED: 1 << 5,
} as const;
/** Result of the notification of a zero-copy send: it was copied after all. */
export const NOTIF_USAGE_ZC_COPIED = 0x8000_0000;

/** IORING_ACCEPT_, in `ioprio`. */
export const acceptFlags = { MULTISHOT: 1 << 0, DONTWAIT: 1 << 1, POLL_FIRST: 1 << 2 } as const;

/** IORING_MSG_: what a message is, in `addr`. */
export const msgRingCommands = { DATA: 0, SEND_FD: 1 } as const;
/** IORING_MSG_RING_ */
export const msgRingFlags = { CQE_SKIP: 1 << 0, FLAGS_PASS: 1 << 1 } as const;

/** IORING_FIXED_FD_ */
export const fixedFdFlags = { NO_CLOEXEC: 1 } as const;

/** SPLICE_F_, and FD_IN_FIXED, which is io_uring's. */
export const spliceFlags = { MOVE: 1, NONBLOCK: 2, MORE: 4, GIFT: 8, FD_IN_FIXED: 0x8000_0000 } as const;

/** SOCKET_URING_OP_: commands of a socket, in the lower half of `off`. */
export const socketCommands = { SIOCINQ: 0, SIOCOUTQ: 1, GETSOCKOPT: 2, SETSOCKOPT: 3, TX_TIMESTAMP: 4 } as const;
