// Runs of programs that another CPU has asked for (run blocks of layout/cpu.ts).
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import { WORKER } from '../worker';
import { item_ends } from './inbox';
import {
  RUN_CONTEXT, RUN_DONE, RUN_ENTRY, RUN_FAULT, RUN_FUEL, RUN_REPEAT, RUN_RESULT, RUN_STATE, RUN_STOPPED, RUN_UNDER_WAY,
} from '../../layout/cpu';
import { WORKER_FUEL } from '../../layout/worker';

function end(block: usize, state: u32): void {
  item_ends();
  atomic.store<u32>(block, state, RUN_STATE);
  atomic.notify(block + RUN_STATE);
}

export function run_block(block: usize): void {
  atomic.store<u32>(block, RUN_UNDER_WAY, RUN_STATE);
  const entry = load<u32>(block, RUN_ENTRY);
  const context = load<u64>(block, RUN_CONTEXT);
  store<u32>(WORKER, load<u32>(block, RUN_FUEL), WORKER_FUEL);
  let r0: u64 = 0;
  for (let count = load<u32>(block, RUN_REPEAT); count != 0; count--) {
    r0 = call_indirect<u64>(entry, context);
    if (epoch_is_urgent()) epoch_pass();
  }
  store<u64>(block, r0, RUN_RESULT);
  end(block, RUN_DONE);
}

export function run_stopped(block: usize, why: u32): void {
  store<u32>(block, why, RUN_FAULT);
  end(block, RUN_STOPPED);
}
