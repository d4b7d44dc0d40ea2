// Queues of a cpumap's elements: any CPU puts frames in, the CPU of the element takes them (layout/map-target.ts). One that is full drops; one whose element goes is still
// emptied by its CPU. Facts: kernel/bpf/cpumap.c (bq_flush_to_queue, __cpu_map_entry_free).
import { pages_alloc, pages_free } from '../pages';
import { retire } from '../slab/epoch';
import { targetOf } from '../maps/redirect-map';
import { WAITS_QUEUE } from '../../layout/allocator';
import { CPU_MAP_FRAMES } from '../../layout/cpu';
import {
  CPUMAP_QUEUE_CELL, CPUMAP_QUEUE_CELLS, CPUMAP_QUEUE_CLOSED, CPUMAP_QUEUE_CPU, CPUMAP_QUEUE_DROPS, CPUMAP_QUEUE_ENQUEUED, CPUMAP_QUEUE_HEAD, CPUMAP_QUEUE_LIMIT,
  CPUMAP_QUEUE_MASK, CPUMAP_QUEUE_NEXT, CPUMAP_QUEUE_PAGES, CPUMAP_QUEUE_PROGRAM, CPUMAP_QUEUE_SCHEDULED, CPUMAP_QUEUE_STATE, CPUMAP_QUEUE_TAIL, CPUMAP_QUEUES,
} from '../../layout/map-target';
import { ROOT, ROOT_CLOSING_QUEUES, WASM_PAGE, WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_INBOX, WORKER_MAP_QUEUE, WORKER_MAP_QUEUES, WORKER_MOVED, WORKER_SCHEDULES } from '../../layout/worker';
import { WORKER } from '../worker';
import { cpu_send } from './inbox';
import { abandonQueue } from './map-frames';

@inline export function cellAt(queue: usize, number: u32): usize {
  return queue + CPUMAP_QUEUE_CELLS + <usize>(number & load<u32>(queue, CPUMAP_QUEUE_MASK)) * CPUMAP_QUEUE_CELL;
}

@inline function workerOf(queue: usize): usize {
  return (WORKERS as usize) + <usize>load<u32>(queue, CPUMAP_QUEUE_CPU) * WORKER_SIZE;
}

@inline function hasThread(queue: usize): bool {
  return atomic.load<u32>(workerOf(queue) + WORKER_INBOX) != 0;
}

/** `element`: u32 length of the queue, u32 program. 0: no memory. */
function create(cpu: u32, element: u64): usize {
  const limit = <u32>element;
  let cells: u32 = 1;
  while (cells < limit) cells <<= 1;
  const pages = (CPUMAP_QUEUE_CELLS + cells * CPUMAP_QUEUE_CELL + WASM_PAGE - 1) / WASM_PAGE;
  const queue = pages_alloc(pages);
  if (queue == 0) return 0;
  store<u32>(queue, limit, CPUMAP_QUEUE_LIMIT);
  store<u32>(queue, cells - 1, CPUMAP_QUEUE_MASK);
  store<u32>(queue, <u32>(element >> 32), CPUMAP_QUEUE_PROGRAM);
  store<u32>(queue, cpu, CPUMAP_QUEUE_CPU);
  store<u32>(queue, pages, CPUMAP_QUEUE_PAGES);
  return queue;
}

/** Nobody puts frames in any more. */
export function queue_free(queue: usize): void {
  // One step: who comes after this CPU does not free it again.
  store<u32>(WORKER, 0, WORKER_MAP_QUEUE);
  atomic.sub<u32>(ROOT + ROOT_CLOSING_QUEUES, 1);
  pages_free(queue, load<u32>(queue, CPUMAP_QUEUE_PAGES));
}

@inline function slotOf(map: usize, key: u32): usize {
  return <usize>load<u32>(map, CPUMAP_QUEUES) + (<usize>key << 2);
}

/** The queue of an element, made when the first frame goes there; 0: there is no element, or no memory. */
export function queueOf(map: usize, key: u32): usize {
  if (targetOf(map, key) == 0) return 0;
  const slot = slotOf(map, key);
  while (true) {
    const queue = <usize>atomic.load<u32>(slot);
    if (queue != 0) return queue;
    const element = targetOf(map, key);
    if (element == 0) return 0;
    const made = create(key, element);
    if (made == 0) return 0;
    if (atomic.cmpxchg<u32>(slot, 0, <u32>made) != 0) {
      pages_free(made, load<u32>(made, CPUMAP_QUEUE_PAGES));
      continue;
    }
    if (targetOf(map, key) == element) return made;
    // The element has become another one meanwhile: whoever changed it may not have seen this queue.
    queue_replace(map, key);
  }
}

/** The element has another value, or none: what was sent to the one before goes its way. */
export function queue_replace(map: usize, key: u32): void {
  const queue = <usize>atomic.xchg<u32>(slotOf(map, key), 0);
  if (queue == 0) return;
  atomic.add<u32>(ROOT + ROOT_CLOSING_QUEUES, 1);
  retire(queue, WAITS_QUEUE);
}

/** Has the CPU look into the queue, if it is not about to; `flags` are set with that. */
function schedule(queue: usize, flags: u32): void {
  if ((atomic.or<u32>(queue + CPUMAP_QUEUE_STATE, CPUMAP_QUEUE_SCHEDULED | flags) & CPUMAP_QUEUE_SCHEDULED) != 0) return;
  store<u32>(WORKER, <u32>queue, WORKER_SCHEDULES);
  push(queue);
}

/** Puts the queue on its CPU's stack. The caller has set CPUMAP_QUEUE_SCHEDULED. */
function push(queue: usize): void {
  const top = workerOf(queue) + WORKER_MAP_QUEUES;
  while (true) {
    const before = atomic.load<u32>(top);
    store<u32>(queue, before, CPUMAP_QUEUE_NEXT);
    if (atomic.cmpxchg<u32>(top, before, <u32>queue) != before) continue;
    store<u32>(WORKER, 0, WORKER_SCHEDULES);
    break;
  }
  // A CPU whose inbox is full looks at the stack as well.
  cpu_send(load<u32>(queue, CPUMAP_QUEUE_CPU), CPU_MAP_FRAMES, 0, 0, 0, 0);
}

/** Has the CPU look into the queue, if it is not about to. */
export function queue_schedule(queue: usize): void {
  schedule(queue, 0);
}

/** Of a CPU that was ended: what it was about to put on a stack gets there. */
export function queue_reschedule(): void {
  const queue = <usize>load<u32>(WORKER, WORKER_SCHEDULES);
  if (queue != 0) push(queue);
}

/** After a grace period: no CPU can still put frames in. Its CPU empties and frees it. */
export function queue_close(queue: usize): void {
  if (!hasThread(queue)) {
    abandonQueue(queue);
    queue_free(queue);
    return;
  }
  schedule(queue, CPUMAP_QUEUE_CLOSED);
}

/** Gives a frame to the element's CPU; false: its queue is full, or no thread runs the CPU. The record is the CPU's from then on. */
export function enqueue(queue: usize, record: usize): bool {
  const limit = load<u32>(queue, CPUMAP_QUEUE_LIMIT);
  while (true) {
    const tail = atomic.load<u32>(queue + CPUMAP_QUEUE_TAIL);
    if (<i32>(tail - atomic.load<u32>(queue + CPUMAP_QUEUE_HEAD)) >= <i32>limit || !hasThread(queue)) {
      atomic.add<u64>(queue + CPUMAP_QUEUE_DROPS, 1);
      return false;
    }
    if (atomic.cmpxchg<u32>(queue + CPUMAP_QUEUE_TAIL, tail, tail + 1) != tail) continue;
    const cell = cellAt(queue, tail);
    store<u32>(cell, <u32>record, 4);
    store<u32>(WORKER, <u32>record, WORKER_MOVED);
    atomic.store<u32>(cell, tail + 1);
    break;
  }
  atomic.add<u64>(queue + CPUMAP_QUEUE_ENQUEUED, 1);
  if ((atomic.load<u32>(queue + CPUMAP_QUEUE_STATE) & CPUMAP_QUEUE_SCHEDULED) == 0) queue_schedule(queue);
  return true;
}

/** Queues that wait to be emptied after their elements went. */
export function queues_closing(): u32 {
  return atomic.load<u32>(ROOT + ROOT_CLOSING_QUEUES);
}

/** Queue of a cpumap's element as it is, 0: nothing was sent there yet. */
export function cpumap_queue(map: usize, key: u32): usize {
  return targetOf(map, key) == 0 ? 0 : <usize>atomic.load<u32>(slotOf(map, key));
}
