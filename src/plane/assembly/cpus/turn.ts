// What a CPU's thread does with its inbox. Each kind of item has a file of its own; a kind is a case here, and one in `stopped`.
import { epoch_enter, epoch_exit } from '../slab/epoch';
import { WORKER } from '../worker';
import { CPU_FRAMES, CPU_NOTHING, CPU_PATH, CPU_RUN, CPU_SOCKET, CPU_TIMERS, ITEM_A, ITEM_KIND, STOPPED_CRASH } from '../../layout/cpu';
import { FRAME_ENDED_CRASH, FRAME_ENDED_FAULT } from '../../layout/frames';
import { WORKER_ITEM } from '../../layout/worker';
import { item_done, item_next } from './inbox';
import { frames_run, frames_stopped } from './frames';
import { has_map_frames, map_frames_run, map_frames_stopped } from './map-frames';
import { path_lane, path_stopped } from './paths';
import { socket_run, socket_stopped } from './sockets';
import { run_block, run_stopped } from './run';
import { timers_stopped, timers_turn } from './timers';

/** Does up to `most` items; returns how many. A trap leaves the item that it came from as WORKER_ITEM: cpu_stopped. */
export function cpu_turn(most: u32): u32 {
  let done: u32 = 0;
  // Also where the item that told of them found no room.
  if (has_map_frames()) {
    epoch_enter();
    map_frames_run();
    epoch_exit();
    done = 1;
  }
  for (; done < most; done++) {
    const item = item_next();
    if (item == 0) break;
    store<u32>(WORKER, <u32>item, WORKER_ITEM);
    epoch_enter();
    switch (load<u32>(item, ITEM_KIND)) {
      case CPU_RUN:
        run_block(load<u32>(item, ITEM_A));
        break;
      case CPU_FRAMES:
        frames_run(load<u32>(item, ITEM_A));
        break;
      case CPU_SOCKET:
        socket_run(load<u32>(item, ITEM_A));
        break;
      case CPU_PATH:
        path_lane(load<u32>(item, ITEM_A));
        break;
      case CPU_TIMERS:
        timers_turn(item);
        break;
    }
    epoch_exit();
    item_done();
  }
  return done;
}

/** Ends the item that was under way when the CPU was stopped, STOPPED_ `why`; the CPU is out of its epochs. 0: there was none. */
export function cpu_stopped(why: u32): u32 {
  const item = <usize>load<u32>(WORKER, WORKER_ITEM);
  const how: u32 = why == STOPPED_CRASH ? FRAME_ENDED_CRASH : FRAME_ENDED_FAULT;
  if (item == 0) return map_frames_stopped(how);
  switch (load<u32>(item, ITEM_KIND)) {
    case CPU_RUN:
      run_stopped(load<u32>(item, ITEM_A), why);
      break;
    case CPU_FRAMES: {
      // The frames behind it follow: the item stays.
      const stopped = frames_stopped(load<u32>(item, ITEM_A), how);
      store<u32>(WORKER, 0, WORKER_ITEM);
      return stopped;
    }
    case CPU_PATH: {
      // As well.
      const stopped = path_stopped(load<u32>(item, ITEM_A), why);
      store<u32>(WORKER, 0, WORKER_ITEM);
      return stopped;
    }
    case CPU_SOCKET:
      socket_stopped(load<u32>(item, ITEM_A), why);
      break;
    case CPU_TIMERS:
      timers_stopped(item);
      break;
  }
  item_done();
  return 1;
}

/** An item that cannot even be ended, as what it leads to is not there: it says nothing from now on. */
export function cpu_drop_item(): void {
  const item = <usize>load<u32>(WORKER, WORKER_ITEM);
  if (item == 0) return;
  store<u32>(item, CPU_NOTHING, ITEM_KIND);
  item_done();
}
