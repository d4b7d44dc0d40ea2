// What the plane must know of opcodes: which fields of an SQE are addresses, and how much memory lies behind them (io_uring/opdef.c and the prep function
// of each in Linux 6.18).
import {
  ADDRESS_OF_PROCESS, SQE_ADDR, SQE_ADDR3, SQE_FD, SQE_FILE_INDEX, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_OPCODE,
} from '../../layout/sqe';
import { IORING_OP_BPF, VECTORS_UNKNOWN } from '../../layout/ring';
import { covers } from './regions';

export const OP_POLL_ADD: u32 = 6;
export const OP_POLL_REMOVE: u32 = 7;
export const OP_TIMEOUT: u32 = 11;
export const OP_TIMEOUT_REMOVE: u32 = 12;
export const OP_ASYNC_CANCEL: u32 = 14;
export const OP_LINK_TIMEOUT: u32 = 15;
export const OP_SPLICE: u32 = 30;
export const OP_TEE: u32 = 33;
export const OP_MSG_RING: u32 = 40;
export const OP_COUNT: u32 = 63;

/** Bits of an opcode: SQE_ADDR, SQE_OFF, SQE_ADDR3 are addresses; a result is a number of bytes of SQE_LEN; SQE_ADDR names a request by its user_data. */
const ADDR: u16 = 1;
const OFF: u16 = 2;
const ADDR3: u16 = 4;
/** File transfers: short ones break a kernel link. */
const FILE: u16 = 8;
/** Socket transfers: with MSG_WAITALL they do. */
const SOCKET: u16 = 16;
const REQUEST: u16 = 32;
/** Memory behind the address holds addresses of the process. */
const NESTED: u16 = 64;
/** The address is a path. */
const PATH: u16 = 128;
/** For plain.ts: the plane need not count the bytes of vectors, nor find who is meant, nor keep it together with another one. */
const PLAIN: u16 = 256;

const facts: usize = memory.data<u16>([
  // nop readv writev fsync read_fixed write_fixed poll_add poll_remove
  PLAIN, ADDR | FILE | NESTED, ADDR | FILE | NESTED, PLAIN, PLAIN | ADDR | FILE, PLAIN | ADDR | FILE, PLAIN, REQUEST,
  // sync_file_range sendmsg recvmsg timeout timeout_remove accept async_cancel link_timeout
  PLAIN, ADDR | SOCKET | NESTED, ADDR | SOCKET | NESTED, PLAIN | ADDR, REQUEST | OFF, PLAIN | ADDR | OFF, REQUEST, ADDR,
  // connect fallocate openat close files_update statx read write
  PLAIN | ADDR, PLAIN, PLAIN | PATH | ADDR, PLAIN, PLAIN | ADDR, PLAIN | PATH | ADDR | OFF, PLAIN | ADDR | FILE, PLAIN | ADDR | FILE,
  // fadvise madvise send recv openat2 epoll_ctl splice provide_buffers
  PLAIN, PLAIN | ADDR, PLAIN | ADDR | OFF | SOCKET, PLAIN | ADDR | SOCKET, PLAIN | PATH | ADDR | OFF, PLAIN | ADDR, PLAIN | FILE, PLAIN | ADDR,
  // remove_buffers tee shutdown renameat unlinkat mkdirat symlinkat linkat
  PLAIN, PLAIN | FILE, PLAIN, PLAIN | PATH | ADDR | OFF, PLAIN | PATH | ADDR, PLAIN | PATH | ADDR, PLAIN | PATH | ADDR | OFF, PLAIN | PATH | ADDR | OFF,
  // msg_ring fsetxattr setxattr fgetxattr getxattr socket uring_cmd send_zc
  0, PLAIN | PATH | ADDR | OFF, PATH | ADDR | OFF | ADDR3, PLAIN | PATH | ADDR | OFF, PATH | ADDR | OFF | ADDR3, PLAIN, NESTED | ADDR3, PLAIN | ADDR | OFF | SOCKET,
  // sendmsg_zc read_multishot waitid futex_wait futex_wake futex_waitv fixed_fd_install ftruncate
  ADDR | SOCKET | NESTED, PLAIN, PLAIN | OFF, PLAIN | ADDR, PLAIN | ADDR, ADDR | NESTED, PLAIN, PLAIN,
  // bind listen recv_zc epoll_wait readv_fixed writev_fixed pipe
  PLAIN | ADDR, PLAIN, PLAIN, PLAIN | ADDR, ADDR | FILE | NESTED, ADDR | FILE | NESTED, PLAIN | ADDR,

]);

// @ts-ignore: decorator
@inline
function factsOf(opcode: u32): u32 {
  return opcode < OP_COUNT ? <u32>load<u16>(facts + (opcode << 1)) : 0;
}

/** Of plain requests: not 0. Bit 0: SQE_ADDR is an address; bit 1: SQE_OFF is. */
// @ts-ignore: decorator
@inline
export function plainShape(opcode: u32): u32 {
  const kind = factsOf(opcode);
  return (kind & PLAIN) != 0 ? kind & (PLAIN | ADDR | OFF) : 0;
}

export function isOpcode(opcode: u32): bool {
  return opcode < OP_COUNT || opcode == IORING_OP_BPF;
}

/** The result counts bytes of SQE_LEN, and what is left can be asked for by another request. Not of tee, which leaves in the pipe what it has copied. */
export function isTransfer(opcode: u32): bool {
  return (factsOf(opcode) & (FILE | SOCKET)) != 0 && (factsOf(opcode) & NESTED) == 0 && opcode != OP_TEE;
}

/** The result counts bytes, and vectors say of how many. */
export function isVectored(opcode: u32): bool {
  return (factsOf(opcode) & (FILE | SOCKET)) != 0 && (factsOf(opcode) & NESTED) != 0;
}

/** `opcode` is a transfer: what is left of it after `done` bytes becomes the request. */
export function advance(sqe: usize, opcode: u32, done: u32): void {
  store<u32>(sqe, load<u32>(sqe, SQE_LEN) - done, SQE_LEN);
  const kind = factsOf(opcode);
  if ((kind & ADDR) != 0 || opcode == OP_SPLICE) moveOn(sqe + SQE_ADDR, done);
  if ((kind & FILE) != 0) moveOn(sqe + SQE_OFF, done);
}

// @ts-ignore: decorator
@inline
function moveOn(at: usize, done: u32): void {
  // -1: the file's own position, or what has none.
  const position = load<u64>(at);
  if (position != 0xffff_ffff_ffff_ffff) store<u64>(at, position + done);
}

export function namesRequest(opcode: u32): bool {
  return (factsOf(opcode) & REQUEST) != 0;
}

const MSG_WAITALL: u32 = 0x100;
const TIMEOUT_ETIME_SUCCESS: u32 = 1 << 5;
const ETIME: i32 = -62;

/** Whether the kernel would go on with what is linked by IOSQE_IO_LINK: io_read, io_recv, io_splice and others call req_set_fail else. */
export function linkGoesOn(sqe: usize, res: i32, vectorBytes: u32): bool {
  const opcode = <u32>load<u8>(sqe, SQE_OPCODE);
  if (opcode == OP_TIMEOUT && res == ETIME) return (load<u32>(sqe, SQE_OP_FLAGS) & TIMEOUT_ETIME_SUCCESS) != 0;
  if (res < 0) return false;
  const kind = factsOf(opcode);
  const whole = (kind & NESTED) != 0 ? vectorBytes : load<u32>(sqe, SQE_LEN);
  if (whole == VECTORS_UNKNOWN) return true;
  if ((kind & FILE) != 0) return <u32>res == whole;
  if ((kind & SOCKET) != 0 && (load<u32>(sqe, SQE_OP_FLAGS) & MSG_WAITALL) != 0) return <u32>res == whole;
  return true;
}

const IOVEC_SIZE: u64 = 16;
const MSGHDR_VECTORS: u64 = 16;
const MSGHDR_COUNT: u64 = 24;
const MSGHDR_SIZE: u64 = 56;
/** UIO_MAXIOV: the kernel takes no more. */
const MOST_VECTORS: u64 = 1024;

/** Where `size` bytes of the process lie in the linear memory; u64.MAX_VALUE: elsewhere. */
function linear(address: u64, base: u64, size: u64): u64 {
  const at = address - base;
  const end = <u64>memory.size() << 16;
  return at < end && size <= end - at ? at : u64.MAX_VALUE;
}

/** Bytes that the vectors of a request name; its address is the kernel's already. */
export function vectorBytes(sqe: usize, base: u64): u32 {
  const opcode = <u32>load<u8>(sqe, SQE_OPCODE);
  let vectors = load<u64>(sqe, SQE_ADDR);
  let count = <u64>load<u32>(sqe, SQE_LEN);
  if ((factsOf(opcode) & SOCKET) != 0) {
    const message = linear(vectors, base, MSGHDR_SIZE);
    if (message == u64.MAX_VALUE) return VECTORS_UNKNOWN;
    vectors = load<u64>(<usize>(message + MSGHDR_VECTORS));
    count = load<u64>(<usize>(message + MSGHDR_COUNT));
  }
  if (count > MOST_VECTORS) return VECTORS_UNKNOWN;
  const first = linear(vectors, base, count * IOVEC_SIZE);
  if (first == u64.MAX_VALUE) return VECTORS_UNKNOWN;
  let bytes: u64 = 0;
  for (let i: u64 = 0; i < count; i++) bytes += load<u64>(<usize>(first + i * IOVEC_SIZE + 8));
  return bytes >= <u64>VECTORS_UNKNOWN ? VECTORS_UNKNOWN : <u32>bytes;
}

/** Offsets in the linear memory become addresses of the process in a kernel's SQE. NULL stays NULL. */
export function translate(sqe: usize, base: u64): void {
  const kind = factsOf(<u32>load<u8>(sqe, SQE_OPCODE));
  if ((kind & (ADDR | OFF | ADDR3)) == 0) return;
  if ((kind & ADDR) != 0) translateField(sqe + SQE_ADDR, base);
  if ((kind & OFF) != 0) translateField(sqe + SQE_OFF, base);
  if ((kind & ADDR3) != 0) translateField(sqe + SQE_ADDR3, base);
}

// @ts-ignore: decorator
@inline
function translateField(at: usize, base: u64): void {
  store<u64>(at, ofProcess(load<u64>(at), base));
}

// @ts-ignore: decorator
@inline
export function ofProcess(address: u64, base: u64): u64 {
  const already = <u64>ADDRESS_OF_PROCESS << 32;
  return address == 0 ? 0 : (address & already) != 0 ? address & ~already : base + address;
}

const PATH_MAX: u32 = 4096;

/** Memory that a request of a program reaches must lie in its regions. A path must end inside, too. */
export function memoryAllowed(ring: usize, sqe: usize): bool {
  const opcode = <u32>load<u8>(sqe, SQE_OPCODE);
  const kind = factsOf(opcode);
  if ((kind & NESTED) != 0) return false;
  const address = load<u64>(sqe, SQE_ADDR);
  const second = load<u64>(sqe, SQE_OFF);
  const length = <u64>load<u32>(sqe, SQE_LEN);
  if ((kind & PATH) != 0 && !pathAllowed(ring, address)) return false;
  if ((kind & ADDR) != 0 && (kind & PATH) == 0 && address != 0 && !covers(ring, address, behindAddress(opcode, sqe, length)))
    return false;
  if ((kind & OFF) != 0 && second != 0) {
    // renameat, symlinkat, linkat: a second path.
    if (opcode == 35 || opcode == 38 || opcode == 39) return pathAllowed(ring, second);
    if (!covers(ring, second, behindSecond(opcode, sqe, length))) return false;
  }
  if ((kind & ADDR3) != 0) return pathAllowed(ring, load<u64>(sqe, SQE_ADDR3));
  return true;
}

function pathAllowed(ring: usize, address: u64): bool {
  for (let i: u32 = 0; i < PATH_MAX; i++) {
    if (!covers(ring, address + i, 1)) return false;
    if (load<u8>(<usize>(address + i)) == 0) return true;
  }
  return false;
}

function behindAddress(opcode: u32, sqe: usize, length: u64): u64 {
  switch (opcode) {
    case OP_TIMEOUT:
    case OP_LINK_TIMEOUT:
      return 16;
    // accept writes at most what the length behind SQE_OFF says; the largest sockaddr has 128 bytes.
    case 13:
      return 128;
    // connect, bind: the length is in SQE_OFF.
    case 16:
    case 56:
      return load<u64>(sqe, SQE_OFF);
    case 20:
      return length * 4;
    // epoll_ctl, epoll_wait: struct epoll_event, packed.
    case 29:
      return 12;
    case 59:
      return length * 12;
    // provide_buffers: SQE_FD of them.
    case 31:
      return length * <u64>load<u32>(sqe, SQE_FD);
    case 51:
    case 52:
      return 8;
    case 62:
      return 8;
    default:
      return length;
  }
}

function behindSecond(opcode: u32, sqe: usize, length: u64): u64 {
  switch (opcode) {
    case OP_TIMEOUT_REMOVE:
      return 16;
    case 13:
      return 4;
    // statx
    case 21:
      return 256;
    // send, send_zc: addr_len of the destination.
    case 26:
    case 47:
      return <u64>load<u16>(sqe, SQE_FILE_INDEX);
    // waitid: siginfo_t
    case 50:
      return 128;
    default:
      return length;
  }
}
