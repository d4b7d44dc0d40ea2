// What programs on a ring call: the helpers of the 2021 patches in both versions, and kfuncs for chains, queues and memory. The context lies in the
// control block, which tells the ring.
import {
  CQE_F_ESCALATED, EDGE_NEXT, EDGE_TO, ESCALATE_PROGRAM, LINK_MASK, QUEUE_FLAGS, QUEUE_VISIBLE, QUEUE_WAITING, REGION_END, REGION_START, RING_BUDGET_REQUESTS, RING_CONTEXT, RING_QUIET_CANCEL,
  RING_RUN_DEPTH, RING_RUN_EXCEEDED, RING_RUN_FIRST, RING_RUN_LINK, RING_RUN_REQUESTS,
  RING_RUNNING, RING_SCRATCH, RING_SLOT_COUNT, SLOT_CHAIN_ENDED, SLOT_COMPOUND, SLOT_CQE_FLAGS, SLOT_EDGES, SLOT_ENDED, SLOT_FLAGS, SLOT_GROUP, SLOT_ISSUED, SLOT_PENDING, SLOT_RES,
  SLOT_SQE, SLOT_STATE, SLOT_WAITS,
} from '../../layout/ring';
import { TRACE_EMIT, TRACE_REAP, TRACE_REQUEST } from '../../layout/ring-trace';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA, SQE_EXTRA, SQE_FLAGS, SQE_OPCODE, SQE_SIZE, SQE_USER_DATA } from '../../layout/sqe';
import { readable } from '../text/format';
import { E2BIG, EBUSY, ECANCELED, EFAULT, EINVAL, ENOENT, ENOMEM, EPERM } from '../errno';
import { cancelHere, cancelSlot } from './cancel';
import { copySqe } from './copying';
import { chainOf, connect, disconnect, endedMember, LINKED, newRequest, NO_GROUP } from './chains';
import { writeMessage } from './messages';
import { memoryAllowed } from './opcodes';
import { startPlain, withdrawEmitted } from './plain';
import { WORKER_RING } from '../../layout/worker';
import { WORKER } from '../worker';
import { count, escalate, post, STAT_REQUESTS } from './posting';
import { covers, regionAt } from './regions';
import { giveQueue, queueAt, queueCount, reapCompletion, ring_queue_create } from './queues';
import { appendSlot, edgeAt, handleOf, numberOf, slotAt, slotOfHandle } from './slots';
import { trace } from './trace';
import { follow, isValid } from './turn';

// @ts-ignore: decorator
@inline
function ringOf(ctx: u64): usize {
  return <usize>ctx - RING_CONTEXT;
}

/** Emits a request. It starts when the run is over. Its handle, or a negative errno. */
export function bpf_ring_submit(ctx: u64, from: u64, size: u64): i64 {
  const ring = ringOf(ctx);
  const sqe = <usize>from;
  if (<u32>size != SQE_SIZE) return EINVAL;
  const requests = load<u32>(ring, RING_RUN_REQUESTS);
  const depth = load<u32>(ring, RING_RUN_DEPTH) + 1;
  // Those that begin at the end of the run must not be overtaken.
  if (requests < load<u32>(ring, RING_BUDGET_REQUESTS) && (load<u32>(ring, RING_RUN_LINK) | load<u32>(ring, RING_RUN_FIRST)) == 0) {
    const slot = startPlain(ring, sqe, depth, true);
    if (slot != 0) {
      store<u32>(ring, requests + 1, RING_RUN_REQUESTS);
      count(ring, STAT_REQUESTS);
      return <i64>handleOf(slot);
    }
  }
  return emit(ring, sqe, requests, depth);
}

function emit(ring: usize, sqe: usize, requests: u32, depth: u32): i64 {
  if (!isValid(ring, sqe)) return EINVAL;
  if (requests >= load<u32>(ring, RING_BUDGET_REQUESTS)) {
    store<u32>(ring, 1, RING_RUN_EXCEEDED);
    return E2BIG;
  }
  if (!memoryAllowed(ring, sqe)) return EFAULT;
  const slot = newRequest(ring, sqe, depth);
  if (slot == 0) return ENOMEM;
  store<u32>(ring, requests + 1, RING_RUN_REQUESTS);
  count(ring, STAT_REQUESTS);
  const link = load<u32>(ring, RING_RUN_LINK);
  let goesOnBehind = slot;
  if (link == 0) appendSlot(ring, ring + RING_RUN_FIRST, slot);
  else goesOnBehind = follow(ring, slotAt(ring, link), slot);
  const linked = (<u32>load<u8>(sqe, SQE_FLAGS) & LINKED) != 0;
  store<u32>(ring, linked ? numberOf(ring, goesOnBehind) : 0, RING_RUN_LINK);
  const handle = handleOf(slot);
  trace(ring, TRACE_REQUEST, load<u64>(sqe, SQE_USER_DATA), 0, <u32>load<u8>(sqe, SQE_OPCODE), handle);
  return <i64>handle;
}

export function bpf_ring_emit(ctx: u64, queue: u64, userData: u64, res: u64, flags: u64): i64 {
  const ring = ringOf(ctx);
  const to = queueAt(ring, <u32>queue);
  if (to == 0) return EINVAL;
  trace(ring, TRACE_EMIT, userData, <i32>res, <u32>queue, 0);
  return post(ring, to, userData, <i32>res, <u32>flags & ~(<u32>CQE_F_ESCALATED), true);
}

export function bpf_ring_reap(ctx: u64, queue: u64, to: u64, size: u64): i64 {
  const ring = ringOf(ctx);
  if (<u32>size != CQE_SIZE) return EINVAL;
  const result = reapCompletion(ring, <u32>queue, <usize>to);
  trace(ring, TRACE_REAP, load<u64>(<usize>to, CQE_USER_DATA), <i32>result, <u32>queue, 0);
  return result;
}

/** 0 as in the patches, where the third version of them returns how many were submitted: callers compare with 0. */
export function bpf_iouring_queue_sqe(ctx: u64, sqe: u64, size: u64): i64 {
  const handle = bpf_ring_submit(ctx, sqe, size);
  return handle < 0 ? handle : 0;
}

/** Helpers without a context are of the ring whose program runs. */
export function bpf_copy_to_user(address: u64, from: u64, size: u64): i64 {
  const ring: usize = load<u32>(WORKER, WORKER_RING);
  return ring == 0 ? EFAULT : bpf_ring_write(<u64>(ring + RING_CONTEXT), address, from, size);
}

/** Leaves zeros where it fails, as bpf_copy_from_user does. */
export function bpf_iouring_copy_from_user(to: u64, size: u64, address: u64): i64 {
  const ring: usize = load<u32>(WORKER, WORKER_RING);
  const result: i64 = ring == 0 ? EFAULT : bpf_ring_read(<u64>(ring + RING_CONTEXT), address, to, size);
  if (result < 0) memory.fill(<usize>to, 0, <usize><u32>size);
  return result;
}

/** Address of the first byte `value`, 0 if there is none, or not all of the bytes are memory. */
export function bpf_memchr(from: u64, size: u64, value: u64): u64 {
  if (!readable(from, <u32>size)) return 0;
  const end = <usize>from + <usize><u32>size;
  for (let at = <usize>from; at < end; at++) if (load<u8>(at) == <u8>value) return <u64>at;
  return 0;
}

/** For whatever may be done with it. */
function requestOf(ring: usize, handle: u64): usize {
  withdrawEmitted(ring);
  const slot = slotOfHandle(ring, handle, load<u32>(ring, RING_SLOT_COUNT));
  if (slot != 0) store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_COMPOUND, SLOT_FLAGS);
  return slot;
}

// @ts-ignore: decorator
@inline
function waits(slot: usize): bool {
  const state = load<u32>(slot, SLOT_STATE);
  return state == SLOT_WAITS && !(load<u32>(slot, SLOT_PENDING) == 0 && load<u32>(slot, SLOT_GROUP) != NO_GROUP);
}

/** `to` goes on after `from`. EBUSY: `to` is on its way already; ENOENT: one of them has ended. */
export function bpf_ring_link(ctx: u64, from: u64, to: u64, policy: u64): i64 {
  const ring = ringOf(ctx);
  const first = requestOf(ring, from);
  const second = requestOf(ring, to);
  if (first == 0 || second == 0 || load<u32>(first, SLOT_STATE) == SLOT_ENDED) return ENOENT;
  if ((<u32>policy & LINK_MASK) > 6 || first == second || reaches(ring, second, first)) return EINVAL;
  if (!waits(second)) return EBUSY;
  return connect(ring, first, second, <u32>policy) ? 0 : ENOMEM;
}

/** A circle would never start. */
function reaches(ring: usize, from: usize, wanted: usize): bool {
  return chainOf(ring, from) == chainOf(ring, wanted) && walks(ring, from, wanted);
}

function walks(ring: usize, from: usize, wanted: usize): bool {
  let number = load<u32>(from, SLOT_EDGES);
  while (number != 0) {
    const edge = edgeAt(ring, number);
    const next = slotAt(ring, load<u32>(edge, EDGE_TO));
    if (next == wanted || walks(ring, next, wanted)) return true;
    number = load<u32>(edge, EDGE_NEXT);
  }
  return false;
}

/** ENOENT: they are not linked. */
export function bpf_ring_unlink(ctx: u64, from: u64, to: u64): i64 {
  const ring = ringOf(ctx);
  const first = requestOf(ring, from);
  const second = requestOf(ring, to);
  if (first == 0 || second == 0) return ENOENT;
  return disconnect(ring, first, second) ? 0 : ENOENT;
}

/** Takes back a request that the kernel does not have. EBUSY: it has it; ENOENT: it has ended. With flags 1 nobody is told. */
export function bpf_ring_drop(ctx: u64, request: u64, flags: u64): i64 {
  const ring = ringOf(ctx);
  const slot = requestOf(ring, request);
  if (<u32>flags > 1) return EINVAL;
  if (slot == 0 || load<u32>(slot, SLOT_STATE) == SLOT_ENDED) return ENOENT;
  if (numberOf(ring, slot) == load<u32>(ring, RING_RUNNING)) return EPERM;
  if (load<u32>(slot, SLOT_STATE) == SLOT_ISSUED) return EBUSY;
  if (<u32>flags == 1) store<u8>(slot, load<u8>(slot, SLOT_SQE + SQE_EXTRA) | RING_QUIET_CANCEL, SLOT_SQE + SQE_EXTRA);
  forgetLink(ring, slot);
  cancelHere(ring, slot, <i32>ECANCELED);
  return 0;
}

/** The next request that the run emits cannot be linked to one that is gone. */
function forgetLink(ring: usize, slot: usize): void {
  if (load<u32>(ring, RING_RUN_LINK) == numberOf(ring, slot)) store<u32>(ring, 0, RING_RUN_LINK);
}

/** 0: it has ended; EALREADY: the kernel was asked to end it. */
export function bpf_ring_cancel(ctx: u64, request: u64): i64 {
  const ring = ringOf(ctx);
  const slot = requestOf(ring, request);
  if (slot == 0 || load<u32>(slot, SLOT_STATE) == SLOT_ENDED) return ENOENT;
  if (numberOf(ring, slot) == load<u32>(ring, RING_RUNNING)) return EPERM;
  forgetLink(ring, slot);
  return cancelSlot(ring, slot);
}

/** A request of the running one's chain that has ended: from 0, in the order in which they joined it, or from -1 back from the running one. */
function memberAt(ring: usize, index: i32): usize {
  const running = slotAt(ring, load<u32>(ring, RING_RUNNING));
  const ended = load<u32>(chainOf(ring, running), SLOT_CHAIN_ENDED);
  const at = index < 0 ? <i32>ended + index : index;
  return at < 0 || <u32>at >= ended ? 0 : endedMember(ring, running, <u32>at, SLOT_ENDED);
}

export function bpf_ring_chain_cqe(ctx: u64, index: u64, to: u64, size: u64): i64 {
  const ring = ringOf(ctx);
  if (<u32>size != CQE_SIZE) return EINVAL;
  const slot = memberAt(ring, <i32>index);
  if (slot == 0) return ENOENT;
  const cqe = <usize>to;
  store<u64>(cqe, load<u64>(slot, SLOT_SQE + SQE_USER_DATA), CQE_USER_DATA);
  store<i32>(cqe, load<i32>(slot, SLOT_RES), CQE_RES);
  store<u32>(cqe, load<u32>(slot, SLOT_CQE_FLAGS), CQE_FLAGS);
  return 0;
}

export function bpf_ring_chain_sqe(ctx: u64, index: u64, to: u64, size: u64): i64 {
  const ring = ringOf(ctx);
  if (<u32>size != SQE_SIZE) return EINVAL;
  const slot = memberAt(ring, <i32>index);
  if (slot == 0) return ENOENT;
  copySqe(<usize>to, slot + SLOT_SQE);
  return 0;
}

/** The SQE of a request that lives; that of the running one too. */
export function bpf_ring_request(ctx: u64, request: u64, to: u64, size: u64): i64 {
  const slot = requestOf(ringOf(ctx), request);
  if (<u32>size != SQE_SIZE) return EINVAL;
  if (slot == 0) return ENOENT;
  copySqe(<usize>to, slot + SLOT_SQE);
  return 0;
}

/** Another SQE for a request that has not been issued, or for the running one, which then may be issued again. */
export function bpf_ring_change(ctx: u64, request: u64, from: u64, size: u64): i64 {
  const ring = ringOf(ctx);
  const slot = requestOf(ring, request);
  const sqe = <usize>from;
  if (<u32>size != SQE_SIZE || !isValid(ring, sqe)) return EINVAL;
  if (slot == 0 || load<u32>(slot, SLOT_STATE) == SLOT_ENDED) return ENOENT;
  if (numberOf(ring, slot) != load<u32>(ring, RING_RUNNING) && !waits(slot)) return EBUSY;
  if (!memoryAllowed(ring, sqe)) return EFAULT;
  copySqe(slot + SLOT_SQE, sqe);
  return 0;
}

/** Number of a new queue that only programs read. */
export function bpf_ring_queue_create(ctx: u64, entries: u64): i64 {
  return <i64>ring_queue_create(ringOf(ctx), <u32>entries, 0);
}

/** EBUSY: program requests wait for it. The user's queues are not the program's to end: EPERM. */
export function bpf_ring_queue_destroy(ctx: u64, index: u64): i64 {
  const ring = ringOf(ctx);
  const queue = queueAt(ring, <u32>index);
  if (queue == 0) return ENOENT;
  if ((load<u32>(queue, QUEUE_FLAGS) & QUEUE_VISIBLE) != 0) return EPERM;
  if (load<u32>(queue, QUEUE_WAITING) != 0) return EBUSY;
  giveQueue(ring, <u32>index);
  return 0;
}

export function bpf_ring_queue_ready(ctx: u64, index: u64): i64 {
  const queue = queueAt(ringOf(ctx), <u32>index);
  return queue == 0 ? EINVAL : <i64>queueCount(queue);
}

/** Address of the first byte of a region that has `size` bytes at least, else 0. */
export function bpf_ring_region(ctx: u64, index: u64, size: u64): u64 {
  const region = regionAt(ringOf(ctx), <u32>index);
  if (region == 0) return 0;
  const start = load<u32>(region, REGION_START);
  return size <= <u64>(load<u32>(region, REGION_END) - start) ? <u64>start : 0;
}

/** Bytes of a region; ENOENT if there is none of that number. */
export function bpf_ring_region_size(ctx: u64, index: u64): i64 {
  const region = regionAt(ringOf(ctx), <u32>index);
  return region == 0 ? ENOENT : <i64>(load<u32>(region, REGION_END) - load<u32>(region, REGION_START));
}

export function bpf_ring_read(ctx: u64, address: u64, to: u64, size: u64): i64 {
  if (!covers(ringOf(ctx), address, <u64><u32>size)) return EFAULT;
  memory.copy(<usize>to, <usize>address, <usize><u32>size);
  return 0;
}

export function bpf_ring_write(ctx: u64, address: u64, from: u64, size: u64): i64 {
  if (!covers(ringOf(ctx), address, <u64><u32>size)) return EFAULT;
  memory.copy(<usize>address, <usize>from, <usize><u32>size);
  return 0;
}

/** A message to ring `to`; `what`: MESSAGE_ kind, what it is the number of, and flags. Its handle; a failure is told to queue 0, with the data as user_data. */
export function bpf_ring_message(ctx: u64, to: u64, what: u64, data: u64, res: u64): i64 {
  const ring = ringOf(ctx);
  const sqe = ring + RING_SCRATCH;
  writeMessage(sqe, <u32>to, <u32>what, data, <i32>res);
  return bpf_ring_submit(ctx, <u64>sqe, SQE_SIZE);
}

/** Tells the user, with a reason of the program's own. */
export function bpf_ring_escalate(ctx: u64, reason: u64): i64 {
  const ring = ringOf(ctx);
  escalate(ring, slotAt(ring, load<u32>(ring, RING_RUNNING)), ESCALATE_PROGRAM, <i32>reason);
  return 0;
}
