// A ring that a thread of its own drives: what wakes the thread while it waits in the kernel.
import { RING_SCRATCH, RING_WATCHED } from '../../layout/ring';
import { SQE_FD, SQE_LEN, SQE_OP_FLAGS, SQE_OPCODE, SQE_SIZE, SQE_USER_DATA } from '../../layout/sqe';
import { putRaw, WAKE } from './issue';
import { OP_POLL_ADD } from './opcodes';

const POLLIN: u32 = 1;
const POLL_ADD_MULTI: u32 = 1;

/** Has each write to the eventfd end a wait for completions. It goes with the next turn, without a slot. RING_WATCHED stays 0 if the kernel's SQ is full. */
export function ring_watch(ring: usize, eventfd: i32): void {
  const sqe = ring + RING_SCRATCH;
  memory.fill(sqe, 0, SQE_SIZE);
  store<u8>(sqe, <u8>OP_POLL_ADD, SQE_OPCODE);
  store<i32>(sqe, eventfd, SQE_FD);
  store<u32>(sqe, POLL_ADD_MULTI, SQE_LEN);
  store<u32>(sqe, POLLIN, SQE_OP_FLAGS);
  store<u64>(sqe, WAKE, SQE_USER_DATA);
  if (putRaw(ring, sqe)) store<u32>(ring, 1, RING_WATCHED);
}
