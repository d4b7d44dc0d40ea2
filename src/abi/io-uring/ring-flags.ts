/** Flags and commands of a ring as a whole: io_uring_setup(2), io_uring_enter(2), io_uring_register(2). Names without their prefix. */

/** IORING_SETUP_ */
export const setupFlags = {
  IOPOLL: 1 << 0,
  SQPOLL: 1 << 1,
  SQ_AFF: 1 << 2,
  CQSIZE: 1 << 3,
  CLAMP: 1 << 4,
  ATTACH_WQ: 1 << 5,
  R_DISABLED: 1 << 6,
  SUBMIT_ALL: 1 << 7,
  COOP_TASKRUN: 1 << 8,
  TASKRUN_FLAG: 1 << 9,
  SQE128: 1 << 10,
  CQE32: 1 << 11,
  SINGLE_ISSUER: 1 << 12,
  DEFER_TASKRUN: 1 << 13,
  NO_MMAP: 1 << 14,
  REGISTERED_FD_ONLY: 1 << 15,
  NO_SQARRAY: 1 << 16,
  HYBRID_IOPOLL: 1 << 17,
  CQE_MIXED: 1 << 18,
} as const;
export type SetupFlag = keyof typeof setupFlags;

/** First Linux that takes a setup flag. */
export const setupFlagSince: Readonly<Record<SetupFlag, string>> = {
  IOPOLL: '5.1',
  SQPOLL: '5.1',
  SQ_AFF: '5.1',
  CQSIZE: '5.5',
  CLAMP: '5.6',
  ATTACH_WQ: '5.6',
  R_DISABLED: '5.10',
  SUBMIT_ALL: '5.18',
  COOP_TASKRUN: '5.19',
  TASKRUN_FLAG: '5.19',
  SQE128: '5.19',
  CQE32: '5.19',
  SINGLE_ISSUER: '6.0',
  DEFER_TASKRUN: '6.1',
  NO_MMAP: '6.5',
  REGISTERED_FD_ONLY: '6.5',
  NO_SQARRAY: '6.6',
  HYBRID_IOPOLL: '6.13',
  CQE_MIXED: '6.18',
};

/** IORING_FEAT_: what the kernel answers in io_uring_params.features. */
export const ringFeatures = {
  SINGLE_MMAP: 1 << 0,
  NODROP: 1 << 1,
  SUBMIT_STABLE: 1 << 2,
  RW_CUR_POS: 1 << 3,
  CUR_PERSONALITY: 1 << 4,
  FAST_POLL: 1 << 5,
  POLL_32BITS: 1 << 6,
  SQPOLL_NONFIXED: 1 << 7,
  EXT_ARG: 1 << 8,
  NATIVE_WORKERS: 1 << 9,
  RSRC_TAGS: 1 << 10,
  CQE_SKIP: 1 << 11,
  LINKED_FILE: 1 << 12,
  REG_REG_RING: 1 << 13,
  RECVSEND_BUNDLE: 1 << 14,
  MIN_TIMEOUT: 1 << 15,
  RW_ATTR: 1 << 16,
  NO_IOWAIT: 1 << 17,
} as const;
export type RingFeature = keyof typeof ringFeatures;

/** IORING_ENTER_ */
export const enterFlags = {
  GETEVENTS: 1 << 0,
  SQ_WAKEUP: 1 << 1,
  SQ_WAIT: 1 << 2,
  EXT_ARG: 1 << 3,
  REGISTERED_RING: 1 << 4,
  ABS_TIMER: 1 << 5,
  EXT_ARG_REG: 1 << 6,
  NO_IOWAIT: 1 << 7,
} as const;

/** IORING_SQ_: the kernel's word in the submission ring. */
export const sqFlags = { NEED_WAKEUP: 1 << 0, CQ_OVERFLOW: 1 << 1, TASKRUN: 1 << 2 } as const;

/** IORING_CQ_ */
export const cqFlags = { EVENTFD_DISABLED: 1 << 0 } as const;

/** IORING_OFF_: offsets for mmap(2) of a ring's descriptor. */
export const ringOffsets = { SQ_RING: 0, CQ_RING: 0x800_0000, SQES: 0x1000_0000, PBUF_RING: 0x8000_0000 } as const;

/** IORING_REGISTER_ and IORING_UNREGISTER_ (with `UN` in front). */
export const registerOpcodes = {
  BUFFERS: 0,
  UNBUFFERS: 1,
  FILES: 2,
  UNFILES: 3,
  EVENTFD: 4,
  UNEVENTFD: 5,
  FILES_UPDATE: 6,
  EVENTFD_ASYNC: 7,
  PROBE: 8,
  PERSONALITY: 9,
  UNPERSONALITY: 10,
  RESTRICTIONS: 11,
  ENABLE_RINGS: 12,
  FILES2: 13,
  FILES_UPDATE2: 14,
  BUFFERS2: 15,
  BUFFERS_UPDATE: 16,
  IOWQ_AFF: 17,
  UNIOWQ_AFF: 18,
  IOWQ_MAX_WORKERS: 19,
  RING_FDS: 20,
  UNRING_FDS: 21,
  PBUF_RING: 22,
  UNPBUF_RING: 23,
  SYNC_CANCEL: 24,
  FILE_ALLOC_RANGE: 25,
  PBUF_STATUS: 26,
  NAPI: 27,
  UNNAPI: 28,
  CLOCK: 29,
  CLONE_BUFFERS: 30,
  SEND_MSG_RING: 31,
  ZCRX_IFQ: 32,
  RESIZE_RINGS: 33,
  MEM_REGION: 34,
  QUERY: 35,
} as const;
export type RegisterOpcode = keyof typeof registerOpcodes;

/** Added to the opcode of io_uring_register(2): the descriptor is the index of a registered ring. */
export const REGISTER_USE_REGISTERED_RING = 0x8000_0000;
/** IORING_RSRC_REGISTER_SPARSE: a table of empty slots. */
export const RSRC_REGISTER_SPARSE = 1;
/** Slots with this value are left as they are by FILES_UPDATE. */
export const REGISTER_FILES_SKIP = -2;
/** IOU_PBUF_RING_ */
export const bufferRingFlags = { MMAP: 1, INC: 2 } as const;
/** IO_URING_OP_SUPPORTED, in the answer to PROBE. */
export const OP_SUPPORTED = 1;

/** Limits of Linux 6.18 (io_uring/io_uring.c, io_uring/rsrc.c, io_uring/kbuf.c, io_uring/filetable.h, io_uring/tctx.c). */
export const ringLimits = {
  /** SQ entries. */
  entries: 32768,
  cqEntries: 65536,
  /** Registered files, where RLIMIT_NOFILE allows as many. */
  files: 1 << 20,
  buffers: 1 << 14,
  /** Bytes of one registered buffer. */
  bufferBytes: 2 ** 30,
  /** Entries of a ring of provided buffers. */
  bufferRingEntries: 1 << 15,
  bufferGroups: 1 << 16,
  /** Registered ring descriptors of a thread. */
  registeredRings: 16,
} as const;

/** The names whose bits are set, in the order of the table. */
export function flagNames<T extends string>(flags: Readonly<Record<T, number>>, value: number): T[] {
  return (Object.keys(flags) as T[]).filter((name) => (value & flags[name]) !== 0);
}
