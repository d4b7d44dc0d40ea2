/**
 * io_uring as data: opcodes, flags, commands, as Linux 6.18 has them (include/uapi/linux/io_uring.h). Numbers are fixed by the kernel's interface.
 *
 * This file: opcodes of requests, and which of a request's words are addresses (io_uring/opdef.c and the prep functions of each opcode).
 */

/** A 64-bit word of the SQE: `off` at byte 8 (addr2), `addr` at 16, `addr3` at 48. */
export type SqeWord = 'off' | 'addr' | 'addr3';

/** What lies behind an address and holds further addresses, which are process addresses: the kernel reads them where they are. */
export type IndirectLayout = 'iovec' | 'msghdr' | 'futex_waitv';

export interface OpcodeDeclaration {
  readonly number: number;
  /** First Linux that has it; '': no Linux, a request of Sluice. */
  readonly since: string;
  /** Words that are addresses of memory; 0 stays 0 in them. Others are values, never translated. */
  readonly addresses: readonly SqeWord[];
  /** Words that hold the user_data of another request. */
  readonly requests: readonly SqeWord[];
  readonly indirect: IndirectLayout | undefined;
  /** The request works on the file in `fd`: IOSQE_FIXED_FILE may be set. */
  readonly file: boolean;
  /** It can complete more than once. */
  readonly multishot: boolean;
  /** It can take its buffer from a group (IOSQE_BUFFER_SELECT). */
  readonly bufferSelect: boolean;
}

function opcode(
  number: number,
  since: string,
  addresses: readonly SqeWord[] = [],
  traits: Partial<Omit<OpcodeDeclaration, 'number' | 'since' | 'addresses'>> = {},
): OpcodeDeclaration {
  return {
    number,
    since,
    addresses,
    requests: [],
    indirect: undefined,
    file: false,
    multishot: false,
    bufferSelect: false,
    ...traits,
  };
}

const file = { file: true } as const;

/** By name: IORING_OP_ in small letters. */
export const opcodes = {
  nop: opcode(0, '5.1'),
  readv: opcode(1, '5.1', ['addr'], { file: true, indirect: 'iovec', bufferSelect: true }),
  writev: opcode(2, '5.1', ['addr'], { file: true, indirect: 'iovec' }),
  fsync: opcode(3, '5.1', [], file),
  read_fixed: opcode(4, '5.1', ['addr'], file),
  write_fixed: opcode(5, '5.1', ['addr'], file),
  poll_add: opcode(6, '5.1', [], { file: true, multishot: true }),
  poll_remove: opcode(7, '5.1', [], { requests: ['addr', 'off'] }),
  sync_file_range: opcode(8, '5.2', [], file),
  sendmsg: opcode(9, '5.3', ['addr'], { file: true, indirect: 'msghdr' }),
  recvmsg: opcode(10, '5.3', ['addr'], { file: true, indirect: 'msghdr', multishot: true, bufferSelect: true }),
  timeout: opcode(11, '5.4', ['addr'], { multishot: true }),
  timeout_remove: opcode(12, '5.5', ['off'], { requests: ['addr'] }),
  accept: opcode(13, '5.5', ['addr', 'off'], { file: true, multishot: true }),
  async_cancel: opcode(14, '5.5', [], { requests: ['addr'] }),
  link_timeout: opcode(15, '5.5', ['addr']),
  connect: opcode(16, '5.5', ['addr'], file),
  fallocate: opcode(17, '5.6', [], file),
  openat: opcode(18, '5.6', ['addr']),
  close: opcode(19, '5.6'),
  files_update: opcode(20, '5.6', ['addr']),
  statx: opcode(21, '5.6', ['addr', 'off']),
  read: opcode(22, '5.6', ['addr'], { file: true, bufferSelect: true }),
  write: opcode(23, '5.6', ['addr'], file),
  fadvise: opcode(24, '5.6', [], file),
  madvise: opcode(25, '5.6', ['addr']),
  send: opcode(26, '5.6', ['addr', 'off'], { file: true, bufferSelect: true }),
  recv: opcode(27, '5.6', ['addr'], { file: true, multishot: true, bufferSelect: true }),
  openat2: opcode(28, '5.6', ['addr', 'off']),
  epoll_ctl: opcode(29, '5.6', ['addr']),
  splice: opcode(30, '5.7', [], file),
  provide_buffers: opcode(31, '5.7', ['addr']),
  remove_buffers: opcode(32, '5.7'),
  tee: opcode(33, '5.8', [], file),
  shutdown: opcode(34, '5.11', [], file),
  renameat: opcode(35, '5.11', ['addr', 'off']),
  unlinkat: opcode(36, '5.11', ['addr']),
  mkdirat: opcode(37, '5.15', ['addr']),
  symlinkat: opcode(38, '5.15', ['addr', 'off']),
  linkat: opcode(39, '5.15', ['addr', 'off']),
  msg_ring: opcode(40, '5.18', [], file),
  fsetxattr: opcode(41, '5.19', ['addr', 'off'], file),
  setxattr: opcode(42, '5.19', ['addr', 'off', 'addr3']),
  fgetxattr: opcode(43, '5.19', ['addr', 'off'], file),
  getxattr: opcode(44, '5.19', ['addr', 'off', 'addr3']),
  socket: opcode(45, '5.19'),
  /** Commands of sockets alone: `addr3` is the option's value. */
  uring_cmd: opcode(46, '5.19', ['addr3'], file),
  send_zc: opcode(47, '6.0', ['addr', 'off'], file),
  sendmsg_zc: opcode(48, '6.1', ['addr'], { file: true, indirect: 'msghdr' }),
  read_multishot: opcode(49, '6.7', [], { file: true, multishot: true, bufferSelect: true }),
  waitid: opcode(50, '6.7', ['off']),
  futex_wait: opcode(51, '6.7', ['addr']),
  futex_wake: opcode(52, '6.7', ['addr']),
  futex_waitv: opcode(53, '6.7', ['addr'], { indirect: 'futex_waitv' }),
  fixed_fd_install: opcode(54, '6.8', [], file),
  ftruncate: opcode(55, '6.9', [], file),
  bind: opcode(56, '6.11', ['addr'], file),
  listen: opcode(57, '6.11', [], file),
  recv_zc: opcode(58, '6.15', [], { file: true, multishot: true }),
  epoll_wait: opcode(59, '6.15', ['addr'], file),
  readv_fixed: opcode(60, '6.15', ['addr'], { file: true, indirect: 'iovec' }),
  writev_fixed: opcode(61, '6.15', ['addr'], { file: true, indirect: 'iovec' }),
  pipe: opcode(62, '6.16', ['addr']),
  /** A program as a request of its own, as in the patches of 2021. The kernel never sees it. */
  bpf: opcode(128, ''),
} as const satisfies Readonly<Record<string, OpcodeDeclaration>>;

export type OpcodeName = keyof typeof opcodes;

/** Opcodes of Linux 6.18: 0 to one less than this. */
export const KERNEL_OPCODES = 63;

const names = new Map<number, OpcodeName>();
for (const [name, declaration] of Object.entries(opcodes) as [OpcodeName, OpcodeDeclaration][])
  names.set(declaration.number, name);

/** Name of an opcode, `op <number>` where there is none. */
export function opcodeName(number: number): string {
  return names.get(number) ?? `op ${number}`;
}

export function opcodeDeclaration(number: number): OpcodeDeclaration | undefined {
  const name = names.get(number);
  return name === undefined ? undefined : opcodes[name];
}
