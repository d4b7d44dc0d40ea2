// Messages between rings, by the kernel's MSG_RING. A ring of this memory is named by its number; what the message is for goes with it as flags of the completion
// there, so that all 64 bits of user_data and the result are the sender's. Other messages, and files, have a mark in the user_data.
import {
  CQE_F_MESSAGE, ESCALATE_MESSAGE, MESSAGE_CANCEL, MESSAGE_FLAGS, MESSAGE_KINDS, MESSAGE_TO_PROGRAM, RING_AGAIN, RING_CLOSING, RING_FLAGS, RING_GROUP_LIVE, RING_GROUPS,
  RING_HELD, RING_MESSAGES, RING_PROGRAM_COUNT, RING_RUNS_LEFT, RING_SCRATCH, RING_SLOT_COUNT, RING_SLOTS_USED, RING_TO_RING, SLOT_GROUP, SLOT_ISSUED, SLOT_SQE, SLOT_STATE,
} from '../../layout/ring';
import { MAX_RINGS, RING_TABLE } from '../../layout/memory';
import {
  CQE_F_MORE, CQE_FLAGS, CQE_RES, CQE_USER_DATA, IOSQE_CQE_SKIP_SUCCESS, SQE_ADDR, SQE_CALLBACK, SQE_EXTRA, SQE_FD, SQE_FILE_INDEX, SQE_FLAGS, SQE_LEN, SQE_OFF, SQE_OP_FLAGS,
  SQE_OPCODE, SQE_USER_DATA,
} from '../../layout/sqe';
import { ENOENT } from '../errno';
import { cancelByUserData } from './cancel';
import { newRequest } from './chains';
import { conclude } from './completion';
import { clear64 } from './copying';
import { MESSAGE } from './issue';
import { OP_MSG_RING } from './opcodes';
import { escalateTo, post } from './posting';
import { runProgram } from './programs';
import { newQueue, pushCompletion, queueAt, queueCount, shiftCompletion } from './queues';

const MSG_DATA: u64 = 0;
const MSG_RING_FLAGS_PASS: u32 = 2;
const EBADF: i32 = -9;
/** Bits of SQE_FILE_INDEX that a message to a ring by number may have. */
const ALLOWED: u32 = (0xffff_0000 | MESSAGE_KINDS | (MESSAGE_FLAGS - 1)) & ~CQE_F_MORE;

/** Whether a MSG_RING says what it may. */
export function isMessage(sqe: usize): bool {
  if ((<u32>load<u8>(sqe, SQE_EXTRA) & RING_TO_RING) == 0 || load<u64>(sqe, SQE_ADDR) != MSG_DATA) return true;
  const flags = load<u32>(sqe, SQE_FILE_INDEX);
  return (flags & ~ALLOWED) == 0 && (flags & MESSAGE_KINDS) != MESSAGE_KINDS;
}

/** Descriptor of a ring by its number; a number of none has none. */
function descriptorOf(number: u32): i32 {
  return number < <u32>MAX_RINGS ? atomic.load<i32>(<usize>RING_TABLE + <usize>number * 4) - 1 : EBADF;
}

/** A MSG_RING in the kernel's SQ, as it was given with these extras. */
export function seal(sqe: usize, extra: u32): void {
  if ((extra & RING_TO_RING) != 0) {
    store<i32>(sqe, descriptorOf(load<u32>(sqe, SQE_FD)), SQE_FD);
    if (load<u64>(sqe, SQE_ADDR) == MSG_DATA) {
      store<u32>(sqe, load<u32>(sqe, SQE_FILE_INDEX) | CQE_F_MESSAGE, SQE_FILE_INDEX);
      store<u32>(sqe, load<u32>(sqe, SQE_OP_FLAGS) | MSG_RING_FLAGS_PASS, SQE_OP_FLAGS);
      return;
    }
  }
  store<u64>(sqe, load<u64>(sqe, SQE_OFF) | MESSAGE, SQE_OFF);
}

/** Writes the request of a message, of whose end nobody is told unless it fails. */
export function writeMessage(sqe: usize, to: u32, what: u32, data: u64, res: i32): void {
  clear64(sqe);
  store<u8>(sqe, <u8>OP_MSG_RING, SQE_OPCODE);
  store<u8>(sqe, <u8>IOSQE_CQE_SKIP_SUCCESS, SQE_FLAGS);
  store<u32>(sqe, to, SQE_FD);
  store<u64>(sqe, data, SQE_OFF);
  store<i32>(sqe, res, SQE_LEN);
  store<u64>(sqe, data, SQE_USER_DATA);
  store<u32>(sqe, what, SQE_FILE_INDEX);
  store<u8>(sqe, <u8>RING_TO_RING, SQE_EXTRA);
}

/** A message of another ring has come, with CQE_F_MESSAGE. */
export function deliver(ring: usize, data: u64, res: i32, flags: u32): void {
  if ((load<u32>(ring, RING_FLAGS) & RING_CLOSING) != 0) return;
  const kind = flags & MESSAGE_KINDS;
  const number = flags >>> 16;
  if (kind == MESSAGE_TO_PROGRAM) {
    const program = number != 0 ? number : load<u32>(ring, RING_MESSAGES);
    if (program == 0 || program > load<u32>(ring, RING_PROGRAM_COUNT)) escalateTo(ring, data, ESCALATE_MESSAGE, <i32>ENOENT);
    else run(ring, data, res, flags & (MESSAGE_FLAGS - 1), program);
  } else if (kind == MESSAGE_CANCEL) {
    cancelByUserData(ring, data);
  } else {
    const queue = queueAt(ring, number);
    if (queue == 0) escalateTo(ring, data, ESCALATE_MESSAGE, <i32>ENOENT);
    else post(ring, queue, data, res, flags & (MESSAGE_FLAGS - 1), false);
  }
}

/** Any other message, or a file. */
export function deliverMarked(ring: usize, data: u64, res: i32, flags: u32): void {
  const program = load<u32>(ring, RING_MESSAGES);
  if (program != 0 && (load<u32>(ring, RING_FLAGS) & RING_CLOSING) == 0) run(ring, data, res, flags & ~<u32>CQE_F_MORE, program);
  else post(ring, queueAt(ring, 0), data, res, flags, false);
}

/** Room for the message, and for a request that its program makes of it. */
function hasRoom(ring: usize): bool {
  return load<u32>(ring, RING_SLOTS_USED) + 2 <= load<u32>(ring, RING_SLOT_COUNT);
}

/** Messages keep their order: while one waits for a slot, those behind it wait too. */
function run(ring: usize, data: u64, res: i32, flags: u32, program: u32): void {
  let held: usize = load<u32>(ring, RING_HELD);
  if (hasRoom(ring) && (held == 0 || queueCount(held) == 0)) {
    runNow(ring, data, res, flags, program);
    return;
  }
  if (held == 0) {
    held = newQueue(ring, 64, 0);
    store<u32>(ring, <u32>held, RING_HELD);
  }
  if (held == 0 || !pushCompletion(ring, held, data, res, (flags & 0xffff) | (program << 16), false)) post(ring, queueAt(ring, 0), data, res, flags, false);
}

/** Takes what waited for a slot, as far as there are some and the turn may run programs. */
export function deliverHeld(ring: usize): void {
  const held: usize = load<u32>(ring, RING_HELD);
  const cqe = ring + RING_SCRATCH;
  while (queueCount(held) != 0 && load<u32>(ring, RING_RUNS_LEFT) != 0 && hasRoom(ring)) {
    shiftCompletion(held, cqe);
    const flags = load<u32>(cqe, CQE_FLAGS);
    runNow(ring, load<u64>(cqe, CQE_USER_DATA), load<i32>(cqe, CQE_RES), flags & 0xffff, flags >>> 16);
  }
}

/** As the completion of a request that is in no group but the first, and has been with the kernel. */
function runNow(ring: usize, data: u64, res: i32, flags: u32, program: u32): void {
  const sqe = ring + RING_SCRATCH;
  clear64(sqe);
  store<u8>(sqe, <u8>OP_MSG_RING, SQE_OPCODE);
  store<i32>(sqe, res, SQE_LEN);
  store<u64>(sqe, data, SQE_USER_DATA);
  store<u16>(sqe, <u16>program, SQE_CALLBACK);
  const slot = newRequest(ring, sqe, 0);
  store<u32>(slot, SLOT_ISSUED, SLOT_STATE);
  store<u32>(slot, 0, SLOT_GROUP);
  const group: usize = load<u32>(ring, RING_GROUPS);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) + 1, RING_GROUP_LIVE);
  const verdict = runProgram(ring, slot, program, res, flags, 1);
  // There is nothing to issue again.
  conclude(ring, slot, data, res, flags, verdict & ~<u32>RING_AGAIN, false);
}
