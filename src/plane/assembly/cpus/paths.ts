// Packets of a path that a cpumap has sent to this CPU: they go as far as they can here (path/run.ts), in the CPU's lane, which is its own until it says so.
import { STOPPED_CRASH } from '../../layout/cpu';
import { ITEM_REASON, LOST_CRASH, PATH_FUEL, PATH_UNDER_WAY } from '../../layout/path';
import { WORKER_FUEL } from '../../layout/worker';
import { itemAt, lose } from '../path/items';
import { path_fault, path_run } from '../path/run';
import { WORKER } from '../worker';
import { item_ends } from './inbox';

/** CPU_PATH. A fault leaves it: path_stopped, then this again. */
export function path_lane(lane: usize): void {
  const fuel = load<u32>(lane, PATH_FUEL);
  if (fuel != 0) store<u32>(WORKER, fuel, WORKER_FUEL);
  path_run(lane, 0);
  // The lane may be freed from here on.
  item_ends();
  atomic.store<u32>(lane + PATH_UNDER_WAY, 0);
  atomic.notify(lane + PATH_UNDER_WAY, -1);
}

/** Ends the packet whose program was stopped; the others of the lane follow. 0: none was under way. */
export function path_stopped(lane: usize, why: u32): u32 {
  const running = path_fault(lane);
  if (running == 0) return 0;
  const item = itemAt(lane, running - 1);
  if (why == STOPPED_CRASH) lose(item, LOST_CRASH);
  else store<u32>(item, why, ITEM_REASON);
  return 1;
}
