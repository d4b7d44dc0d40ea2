// One turn of a ring: the kernel's completions, what the user staged, programs that are due; then the kernel's SQ is full of what there is to do.
import {
  CQE_F_MESSAGE, ESCALATE_DEPTH, ESCALATE_FAULT, ESCALATE_INSTRUCTIONS, IORING_OP_BPF, RING_BREAK, RING_BUDGET_DEPTH, RING_BUDGET_RUNS, RING_CLOSING, RING_CONTEXT,
  RING_CANCELS_WANTED, RING_HELD, RING_CQ_HEAD, RING_CQ_MASK, RING_CQ_OWN_HEAD, RING_CQ_TAIL, RING_CQES, RING_CTX_FLAGS, RING_CTX_WAIT_IDX, RING_CTX_WAIT_NR, RING_DUE_FIRST, RING_FLAGS, RING_FORWARDS, RING_HIDDEN,
  RING_PROGRAM_COUNT, RING_READY_FIRST, RING_RUN_FIRST, RING_RUNNING, RING_RUNS_LEFT, RING_SLOT_COUNT, RING_SLOTS_USED, RING_SQ_HEAD, RING_SQ_LIMIT, RING_SQ_MASK, RING_SQ_OWN_TAIL, RING_SQES, RING_STAGE, RING_STAGE_HEAD,
  RING_STAGE_MASK, RING_STAGE_TAIL, RING_START_FIRST, RING_TRACING, RING_WAIT, SLOT_CHAIN_ENDED, SLOT_DEPTH, SLOT_ISSUED, SLOT_PENDING, SLOT_SQE,
  SLOT_STATE, SLOT_TIMEOUT, SLOT_WAIT_IDX, SLOT_WAIT_NR,
} from '../../layout/ring';
import { TRACE_REQUEST } from '../../layout/ring-trace';
import {
  CQE_F_MORE, CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA, IOSQE_CQE_SKIP_SUCCESS, SQE_CALLBACK, SQE_CQ, SQE_EXTRA, SQE_FLAGS, SQE_GROUP, SQE_OFF,
  SQE_OPCODE, SQE_SIZE, SQE_USER_DATA,
} from '../../layout/sqe';
import { WORKER_EPOCH_DEPTH, WORKER_RING, WORKER_RING_DEPTH } from '../../layout/worker';
import { WORKER } from '../worker';
import { E2BIG, ECANCELED, EFAULT, EINVAL, ELOOP, ETIME } from '../errno';
import { cancelWanted } from './cancel';
import { chainOf, connect, joinChains, LINKED, newRequest, policyOf } from './chains';
import { complete } from './completion';
import { clear64 } from './copying';
import { end, endUnissued } from './finish';
import { admit, enterAlone, isGroup } from './groups';
import { issueReady, publish } from './issue';
import { deliverHeld, isMessage } from './messages';
import { isOpcode, OP_LINK_TIMEOUT, OP_MSG_RING } from './opcodes';
import { completePlain, startPlain, withdrawEmitted } from './plain';
import { count, escalate, post, STAT_COMPLETIONS, STAT_REQUESTS, STAT_RUNS } from './posting';
import { runProgram } from './programs';
import { queueAt } from './queues';
import { ring_forward } from './shared-queue';
import { handleOf, numberOf, shiftSlot, slotAt } from './slots';
import { arm, begin, startAll } from './start';
import { trace } from './trace';
import { epoch_enter, epoch_exit, epoch_leave } from '../slab/epoch';

function reap(ring: usize): void {
  const headWord: usize = load<u32>(ring, RING_CQ_HEAD);
  const cqes: usize = load<u32>(ring, RING_CQES);
  const mask = load<u32>(ring, RING_CQ_MASK);
  const tail = atomic.load<u32>(<usize>load<u32>(ring, RING_CQ_TAIL));
  let head = load<u32>(headWord);
  store<u32>(ring, head, RING_CQ_OWN_HEAD);
  while (head != tail && load<u32>(ring, RING_RUNS_LEFT) != 0) {
    const cqe = cqes + <usize>(head & mask) * CQE_SIZE;
    const userData = load<u64>(cqe, CQE_USER_DATA);
    const res = load<i32>(cqe, CQE_RES);
    const flags = load<u32>(cqe, CQE_FLAGS);
    // Before a program runs that may be stopped: it is not to see the completion twice.
    head++;
    store<u32>(ring, head, RING_CQ_OWN_HEAD);
    completeOne(ring, userData, res, flags);
  }
  publishHead(ring);
}

// @ts-ignore: decorator
@inline
function completeOne(ring: usize, userData: u64, res: i32, flags: u32): void {
  const index = <u32>userData;
  const slot = slotAt(ring, index + 1);
  const apart = (flags & (CQE_F_MORE | CQE_F_MESSAGE)) | (load<u32>(ring, RING_FLAGS) & (RING_TRACING | RING_CLOSING));
  // Issued, and with no flags: plain.
  const plain = index < load<u32>(ring, RING_SLOT_COUNT) && handleOf(slot) == userData && load<u64>(slot, SLOT_STATE) == SLOT_ISSUED;
  if (plain && apart == 0) completePlain(ring, slot, res, flags);
  else complete(ring, userData, res, flags);
}

/** Lets the kernel know what has been taken. */
function publishHead(ring: usize): void {
  const word: usize = load<u32>(ring, RING_CQ_HEAD);
  const head = load<u32>(ring, RING_CQ_OWN_HEAD);
  const taken = head - load<u32>(word);
  if (taken == 0) return;
  count(ring, STAT_COMPLETIONS, taken);
  atomic.store<u32>(word, head);
}

/** A request that cannot be: the kernel's EINVAL, without harm to those before it. */
export function isValid(ring: usize, sqe: usize): bool {
  const opcode = <u32>load<u8>(sqe, SQE_OPCODE);
  if (!isOpcode(opcode) || !isGroup(ring, load<u16>(sqe, SQE_GROUP))) return false;
  if (queueAt(ring, load<u16>(sqe, SQE_CQ)) == 0 || <u32>load<u16>(sqe, SQE_CALLBACK) > load<u32>(ring, RING_PROGRAM_COUNT)) return false;
  if (opcode == OP_MSG_RING && !isMessage(sqe)) return false;
  return opcode != IORING_OP_BPF || load<u64>(sqe, SQE_OFF) < <u64>load<u32>(ring, RING_PROGRAM_COUNT);
}

/** Requests from `head` on that are linked with each other. */
function chainLength(ring: usize, head: u32, tail: u32): u32 {
  let at = head;
  while (at != tail) {
    const sqe = <usize>load<u32>(ring, RING_STAGE) + <usize>(at & load<u32>(ring, RING_STAGE_MASK)) * SQE_SIZE;
    at++;
    if ((<u32>load<u8>(sqe, SQE_FLAGS) & LINKED) == 0) break;
  }
  return at - head;
}

/** Takes one staged chain, for which slots are free; there are as many edges as slots at least. */
function takeChain(ring: usize, head: u32, length: u32): void {
  let first: usize = 0;
  let previous: usize = 0;
  for (let i: u32 = 0; i < length; i++) {
    const sqe = <usize>load<u32>(ring, RING_STAGE) + <usize>((head + i) & load<u32>(ring, RING_STAGE_MASK)) * SQE_SIZE;
    const slot = newRequest(ring, sqe, 0);
    count(ring, STAT_REQUESTS);
    trace(ring, TRACE_REQUEST, load<u64>(sqe, SQE_USER_DATA), 0, <u32>load<u8>(sqe, SQE_OPCODE), handleOf(slot));
    if (!isValid(ring, sqe)) spoil(slot);
    clear64(sqe);
    if (first == 0) first = slot;
    previous = follow(ring, previous, slot);
  }
  if (length == 1 && enterAlone(ring, first)) begin(ring, first);
  else admit(ring, first);
}

/** Appends a request to a chain, which goes on behind the one that is returned. */
export function follow(ring: usize, previous: usize, slot: usize): usize {
  if (previous == 0) return slot;
  if (<u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE) == OP_LINK_TIMEOUT && load<u32>(previous, SLOT_TIMEOUT) == 0) {
    // Goes to the kernel with the request before it, and what is linked to it waits for that one.
    joinChains(ring, previous, slot);
    store<u32>(slot, 1, SLOT_PENDING);
    store<u32>(previous, numberOf(ring, slot), SLOT_TIMEOUT);
    return previous;
  }
  connect(ring, previous, slot, policyOf(previous));
  return slot;
}

const INVALID: u8 = 255;

/** Nothing that the kernel or the plane knows: it ends with EINVAL when its turn comes. */
function spoil(slot: usize): void {
  store<u8>(slot, INVALID, SLOT_SQE + SQE_OPCODE);
  store<u16>(slot, 0, SLOT_SQE + SQE_GROUP);
  store<u16>(slot, 0, SLOT_SQE + SQE_CALLBACK);
}

/** Longer than the ring has slots: none of it begins. */
function refuseChain(ring: usize, head: u32, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const sqe = <usize>load<u32>(ring, RING_STAGE) + <usize>((head + i) & load<u32>(ring, RING_STAGE_MASK)) * SQE_SIZE;
    const queue = queueAt(ring, load<u16>(sqe, SQE_CQ));
    post(ring, queue != 0 ? queue : queueAt(ring, 0), load<u64>(sqe, SQE_USER_DATA), <i32>E2BIG, 0, false);
    clear64(sqe);
  }
}

function stage(ring: usize): void {
  const tail = atomic.load<u32>(ring, RING_STAGE_TAIL);
  let head = load<u32>(ring, RING_STAGE_HEAD);
  let plain: u32 = 0;
  while (head != tail) {
    const sqe = <usize>load<u32>(ring, RING_STAGE) + <usize>(head & load<u32>(ring, RING_STAGE_MASK)) * SQE_SIZE;
    if (startPlain(ring, sqe, 0, false) != 0) {
      plain++;
      clear64(sqe);
      head++;
      continue;
    }
    const length = chainLength(ring, head, tail);
    if (length > load<u32>(ring, RING_SLOT_COUNT)) refuseChain(ring, head, length);
    else if (length > load<u32>(ring, RING_SLOT_COUNT) - load<u32>(ring, RING_SLOTS_USED)) break;
    else takeChain(ring, head, length);
    head += length;
  }
  if (plain != 0) count(ring, STAT_REQUESTS, plain);
  if (load<u32>(ring, RING_STAGE_HEAD) != head) atomic.store<u32>(ring, head, RING_STAGE_HEAD);
}

/** A program request whose time has come. */
function runDue(ring: usize, slot: usize): void {
  if (load<u32>(slot, SLOT_DEPTH) >= load<u32>(ring, RING_BUDGET_DEPTH)) {
    escalate(ring, slot, ESCALATE_DEPTH, <i32>ELOOP);
    end(ring, slot, <i32>ELOOP, true);
    return;
  }
  // Nothing that a program does to its own request finds it on a list.
  store<u32>(slot, SLOT_ISSUED, SLOT_STATE);
  const verdict = runProgram(ring, slot, <u32>load<u64>(slot, SLOT_SQE + SQE_OFF) + 1, 0, 0, load<u32>(chainOf(ring, slot), SLOT_CHAIN_ENDED));
  const wait = load<u32>(ring + RING_CONTEXT, RING_CTX_WAIT_NR);
  if ((wait != 0 || (verdict & RING_WAIT) != 0) && (load<u32>(ring, RING_FLAGS) & RING_CLOSING) == 0) {
    store<u32>(slot, wait, SLOT_WAIT_NR);
    store<u32>(slot, load<u32>(ring + RING_CONTEXT, RING_CTX_WAIT_IDX), SLOT_WAIT_IDX);
    const depth = load<u32>(slot, SLOT_DEPTH);
    arm(ring, slot);
    // At once again: as deep as what it emitted.
    if (load<u32>(slot, SLOT_DEPTH) == 0) store<u32>(slot, depth + 1, SLOT_DEPTH);
    return;
  }
  const quiet = (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_CQE_SKIP_SUCCESS) != 0 || (load<u8>(slot, SLOT_SQE + SQE_EXTRA) & RING_HIDDEN) != 0;
  if (!quiet) post(ring, queueAt(ring, load<u16>(slot, SLOT_SQE + SQE_CQ)), load<u64>(slot, SLOT_SQE + SQE_USER_DATA), 0, 0, false);
  end(ring, slot, 0, (verdict & RING_BREAK) != 0);
}

/**
 * Takes the ring as far as it gets without the kernel. Returns how many requests an enter would submit. Completions that are left in the kernel's
 * queue, and program requests that are left due, wait for the next turn: RING_RUNS_LEFT is 0 then.
 */
export function ring_turn(ring: usize): u32 {
  beginTurn(ring);
  return finishTurn(ring);
}

/** A turn, where the last request of the kernel's SQ, which the kernel has not seen, is taken back: it has been done by other means, with this result. */
export function ring_answer(ring: usize, res: i32): u32 {
  beginTurn(ring);
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL) - 1;
  const sqe = <usize>load<u32>(ring, RING_SQES) + <usize>(tail & load<u32>(ring, RING_SQ_MASK)) * SQE_SIZE;
  store<u32>(ring, tail, RING_SQ_OWN_TAIL);
  store<u32>(ring, load<u32>(<usize>load<u32>(ring, RING_CQ_HEAD)), RING_CQ_OWN_HEAD);
  count(ring, STAT_COMPLETIONS);
  completeOne(ring, load<u64>(sqe, SQE_USER_DATA), res, 0);
  return finishTurn(ring);
}

function beginTurn(ring: usize): void {
  store<u32>(WORKER, load<u32>(WORKER, WORKER_EPOCH_DEPTH), WORKER_RING_DEPTH);
  epoch_enter();
  store<u32>(ring, load<u32>(ring, RING_BUDGET_RUNS), RING_RUNS_LEFT);
  store<u32>(ring, atomic.load<u32>(<usize>load<u32>(ring, RING_SQ_HEAD)) + load<u32>(ring, RING_SQ_MASK) + 1, RING_SQ_LIMIT);
  store<u32>(WORKER, <u32>ring, WORKER_RING);
}

function finishTurn(ring: usize): u32 {
  reap(ring);
  if (load<u32>(ring, RING_CANCELS_WANTED) != 0) cancelWanted(ring);
  stage(ring);
  settle(ring);
  store<u32>(WORKER, 0, WORKER_RING);
  countRuns(ring);
  if (load<u32>(ring, RING_READY_FIRST) != 0) issueReady(ring);
  if (load<u32>(ring, RING_FORWARDS) != 0) ring_forward(ring);
  const queued = publish(ring);
  epoch_exit();
  return queued;
}

function countRuns(ring: usize): void {
  count(ring, STAT_RUNS, load<u32>(ring, RING_BUDGET_RUNS) - load<u32>(ring, RING_RUNS_LEFT));
}

function settle(ring: usize): void {
  for (;;) {
    if (load<u32>(ring, RING_START_FIRST) != 0) startAll(ring);
    if (load<u32>(ring, RING_RUNS_LEFT) == 0) return;
    if (load<u32>(ring, RING_HELD) != 0) deliverHeld(ring);
    const slot = shiftSlot(ring, ring + RING_DUE_FIRST);
    if (slot == 0) return;
    runDue(ring, slot);
  }
}

/**
 * The engine stopped the running program: because of its budget, or of a fault. What it emitted in this run is cancelled, the user is told, and the
 * ring can turn again. False: no program was running.
 */
export function ring_stopped(ring: usize, exhausted: u32): u32 {
  epoch_leave(load<u32>(WORKER, WORKER_RING_DEPTH));
  const number = load<u32>(ring, RING_RUNNING);
  if (number == 0) return 0;
  // The completion that it ran for is taken.
  publishHead(ring);
  countRuns(ring);
  withdrawEmitted(ring);
  store<u32>(ring, 0, RING_RUNNING);
  let emitted = shiftSlot(ring, ring + RING_RUN_FIRST);
  while (emitted != 0) {
    endUnissued(ring, emitted, <i32>ECANCELED);
    emitted = shiftSlot(ring, ring + RING_RUN_FIRST);
  }
  const slot = slotAt(ring, number);
  const res = <i32>(exhausted != 0 ? ETIME : EFAULT);
  escalate(ring, slot, exhausted != 0 ? ESCALATE_INSTRUCTIONS : ESCALATE_FAULT, res);
  // Its completion was the last, or it was a program request; of a multishot request more will come.
  if ((load<u32>(ring + RING_CONTEXT, RING_CTX_FLAGS) & CQE_F_MORE) == 0) end(ring, slot, res, true);
  return 1;
}
