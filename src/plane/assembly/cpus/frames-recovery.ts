// Frames of a CPU whose thread has ended: those in its inbox, in queues of cpumaps, and the one that it ran. They end, and go back to their sources.
import {
  CPU_FRAMES, CPU_NOTHING, INBOX_HEAD, INBOX_ITEMS, INBOX_ROOM, ITEM_A, ITEM_BYTES, ITEM_KIND, ITEM_SEQUENCE,
} from '../../layout/cpu';
import { FRAME_ENDED_CRASH, RECORD_LOT } from '../../layout/frames';
import { CPUMAP_QUEUE_CLOSED, CPUMAP_QUEUE_NEXT, CPUMAP_QUEUE_SCHEDULED, CPUMAP_QUEUE_STATE } from '../../layout/map-target';
import { WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_INBOX, WORKER_MAP_QUEUE, WORKER_MAP_QUEUES, WORKER_MAP_RECORD, WORKER_MAP_TAKEN } from '../../layout/worker';
import { abandonLot, abortRecord, endFrames } from './frames';
import { abandonQueue } from './map-frames';
import { queue_free } from './map-queue';

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
 * Ends the frames that a CPU without a thread has, `inbox` being its inbox; what is sent there while this runs is found by the next call. By the thread that starts CPUs,
 * which starts none meanwhile.
 */
export function frames_recover(cpu: u32, inbox: usize): void {
  const worker = (WORKERS as usize) + <usize>cpu * WORKER_SIZE;
  if (atomic.load<u32>(worker + WORKER_INBOX) != 0) return;
  for (let number = load<u32>(inbox, INBOX_HEAD); ; number++) {
    const item = inbox + INBOX_ITEMS + <usize>(number & <u32>(INBOX_ROOM - 1)) * ITEM_BYTES;
    if (atomic.load<u32>(item + ITEM_SEQUENCE) != number + 1) break;
    if (load<u32>(item, ITEM_KIND) != CPU_FRAMES) continue;
    store<u32>(item, CPU_NOTHING, ITEM_KIND);
    abandonLot(<usize>load<u32>(item, ITEM_A));
  }
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
