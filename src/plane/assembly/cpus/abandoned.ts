// Work of a CPU whose thread has ended, and that no other does: items of its inbox, frames in queues of cpumaps, and the one that it ran. It ends, and goes back to who sent it.
import { CPU_FRAMES, CPU_NOTHING, CPU_RUN, CPU_SOCKET, CPU_TIMERS, INBOX_HEAD, ITEM_A, ITEM_KIND, STOPPED_CRASH } from '../../layout/cpu';
import { FRAME_ENDED_CRASH, RECORD_LOT } from '../../layout/frames';
import { CPUMAP_QUEUE_CLOSED, CPUMAP_QUEUE_NEXT, CPUMAP_QUEUE_SCHEDULED, CPUMAP_QUEUE_STATE } from '../../layout/map-target';
import { WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_INBOX, WORKER_MAP_QUEUE, WORKER_MAP_QUEUES, WORKER_MAP_RECORD, WORKER_MAP_TAKEN, WORKER_SCRATCH } from '../../layout/worker';
import { abandonLot, abortRecord, endFrames } from './frames';
import { inbox_count, item_at, item_take } from './inbox';
import { abandonQueue } from './map-frames';
import { queue_free } from './map-queue';
import { run_stopped } from './run';
import { socket_abandon } from './sockets';
import { timers_abandon } from './timers';
import { WORKER } from '../worker';

function abandonQueues(first: usize): void {
  let queue = first;
  while (queue != 0) {
    const next = <usize>load<u32>(queue, CPUMAP_QUEUE_NEXT);
    const state = atomic.and<u32>(queue + CPUMAP_QUEUE_STATE, ~<u32>CPUMAP_QUEUE_SCHEDULED);
    abandonQueue(queue);
    if ((state & CPUMAP_QUEUE_CLOSED) != 0) queue_free(queue);
    queue = next;
  }
}

/**
 * Ends the first item of a CPU without a thread, `inbox` being its inbox; 0: there is none. What is sent there meanwhile is found by the next call. By the thread that starts CPUs,
 * which starts none meanwhile. Traps where the item leads to nothing that is there; it is out of the inbox before.
 */
export function item_abandon(cpu: u32, inbox: usize): u32 {
  if (hasThread(cpu)) return 0;
  const item: usize = WORKER + WORKER_SCRATCH;
  if (!item_take(inbox, item)) return 0;
  const at = <usize>load<u32>(item, ITEM_A);
  switch (load<u32>(item, ITEM_KIND)) {
    case CPU_RUN:
      run_stopped(at, STOPPED_CRASH);
      break;
    case CPU_FRAMES:
      abandonLot(at);
      break;
    case CPU_SOCKET:
      socket_abandon(at, STOPPED_CRASH);
      break;
    case CPU_TIMERS:
      timers_abandon(item);
      break;
  }
  return 1;
}

/** A timer that `asked` asked a CPU without a thread to fire: it has another way. */
export function timers_withdraw(inbox: usize, asked: u32): void {
  const head = load<u32>(inbox, INBOX_HEAD);
  const count = inbox_count(inbox);
  for (let i: u32 = 0; i < count; i++) {
    const item = item_at(inbox, head + i);
    if (load<u32>(item, ITEM_KIND) == CPU_TIMERS && load<u32>(item, ITEM_A) == asked) store<u32>(item, CPU_NOTHING, ITEM_KIND);
  }
}

@inline function hasThread(cpu: u32): bool {
  return atomic.load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_INBOX) != 0;
}

/** Ends the frames that cpumaps have sent to a CPU without a thread. As item_abandon. */
export function frames_recover(cpu: u32): void {
  if (hasThread(cpu)) return;
  const worker = (WORKERS as usize) + <usize>cpu * WORKER_SIZE;
  const record = <usize>load<u32>(worker, WORKER_MAP_RECORD);
  if (record != 0) {
    store<u32>(worker, 0, WORKER_MAP_RECORD);
    abortRecord(record, FRAME_ENDED_CRASH);
    endFrames(<usize>load<u32>(record, RECORD_LOT), 1);
  }
  const queue = <usize>load<u32>(worker, WORKER_MAP_QUEUE);
  if (queue != 0) {
    store<u32>(worker, 0, WORKER_MAP_QUEUE);
    abandonQueue(queue);
    // It was taken off the stack, and nobody has put it there again.
    if (atomic.load<u32>(queue + CPUMAP_QUEUE_STATE) == CPUMAP_QUEUE_CLOSED) queue_free(queue);
  }
  const taken = <usize>load<u32>(worker, WORKER_MAP_TAKEN);
  store<u32>(worker, 0, WORKER_MAP_TAKEN);
  abandonQueues(taken);
  abandonQueues(<usize>atomic.xchg<u32>(worker + WORKER_MAP_QUEUES, 0));
}
