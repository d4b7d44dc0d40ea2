// A batch of packets along their path: each item goes as far as it can by itself; copies and what GRO held go on behind it.
import {
  END_FAULT, ITEM_INTERFACE, ITEM_IS_SKB, ITEM_NEXT, ITEM_SEGMENTS, NEXT_CPUMAP, NEXT_DEVMAP, NEXT_NOTHING, NEXT_SEND, NEXT_SKB, NEXT_TC, NEXT_XDP, PATH_FLAGS,
  PATH_GRO, PATH_HELD_COUNT, PATH_NEXT, PATH_RUNNING, STEP_SKB,
} from '../../layout/path';
import { WORKER_CPU, WORKER_FRAME, WORKER_HOOK, HOOK_XDP } from '../../layout/worker';
import { storage_end_run } from '../maps/storage';
import { WORKER } from '../worker';
import { toSkb } from './conversion';
import { hold, releaseOldest } from './gro';
import { end, itemAt, step, takeReady } from './items';
import { isElsewhere, sendAway } from './lanes';
import { finish } from './programs';
import { ingress, sendSkb } from './tc';
import { arrive, leaveByDevice, runOnCpu, sendFrame } from './xdp';
import { PATH_CPU } from '../../layout/path';

// Until it has ended, or waits.
function advance(path: usize, item: usize): void {
  for (;;) {
    const next = load<u32>(item, ITEM_NEXT);
    if (next == NEXT_NOTHING) return;
    if (next == NEXT_XDP) arrive(path, item);
    else if (next == NEXT_DEVMAP) leaveByDevice(path, item);
    else if (next == NEXT_CPUMAP) {
      if (isElsewhere(path, item)) {
        sendAway(path, item);
        return;
      }
      runOnCpu(path, item);
    }
    else if (next == NEXT_TC) ingress(path, item);
    else if (next == NEXT_SEND) {
      if (load<u32>(item, ITEM_IS_SKB) != 0) sendSkb(path, item);
      else sendFrame(path, item);
    } else if (next == NEXT_SKB) {
      const ifindex = load<u32>(item, ITEM_INTERFACE);
      step(item, STEP_SKB, 0, ifindex, 0);
      toSkb(item, ifindex, load<u32>(item, ITEM_SEGMENTS) != 0);
      store<u32>(item, 1, ITEM_SEGMENTS);
      if ((load<u32>(path, PATH_FLAGS) & PATH_GRO) != 0 && hold(path, item)) return;
      store<u32>(item, NEXT_TC, ITEM_NEXT);
    }
  }
}

/** Brings the first `count` items of the path, which wait to arrive, and their copies to their ends. After a fault: path_fault, then this again. */
export function path_run(path: usize, count: u32): void {
  store<u32>(path, load<u32>(WORKER, WORKER_CPU), PATH_CPU);
  for (;;) {
    const ready = takeReady(path);
    if (ready != 0) advance(path, ready);
    else if (load<u32>(path, PATH_NEXT) < count) {
      const index = load<u32>(path, PATH_NEXT);
      store<u32>(path, index + 1, PATH_NEXT);
      advance(path, itemAt(path, index));
    } else if (load<u32>(path, PATH_HELD_COUNT) != 0) releaseOldest(path);
    else return;
  }
}

/** Ends the item whose program was stopped; its index plus 1, 0: none ran. */
export function path_fault(path: usize): u32 {
  const running = load<u32>(path, PATH_RUNNING);
  if (running == 0) return 0;
  end(itemAt(path, running - 1), END_FAULT);
  finish(path);
  store<u32>(WORKER, HOOK_XDP, WORKER_HOOK);
  store<u32>(WORKER, 0, WORKER_FRAME);
  storage_end_run();
  return running;
}
