// Running the programs of a path: each run is a step, whose verdict is written down when it is known.
import { ITEM_FRAME, ITEM_CPU, ITEM_SKB, PATH_CPU, PATH_RUNNING, STEP_RESULT, STEP_RUNS } from '../../layout/path';
import { WORKER_CPU, WORKER_PATH, WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP } from '../../layout/worker';
import { skb_begin, skb_finish } from '../hooks/skb';
import { xdp_begin, xdp_finish } from '../hooks/xdp';
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import { WORKER } from '../worker';
import { indexOf, step } from './items';

// What a program before asked for is not this one's.
function begin(path: usize, item: usize): void {
  store<u32>(WORKER, 0, WORKER_REDIRECT_MAP);
  store<u32>(WORKER, 0, WORKER_REDIRECT_INDEX);
  store<u32>(WORKER, 0, WORKER_REDIRECT_FLAGS);
  store<u32>(path, indexOf(path, item) + 1, PATH_RUNNING);
  store<u32>(WORKER, <u32>path, WORKER_PATH);
  const cpu = load<u32>(item, ITEM_CPU);
  if (cpu != 0) store<u32>(WORKER, cpu - 1, WORKER_CPU);
}

/** After a fault as well. */
export function finish(path: usize): void {
  store<u32>(path, 0, PATH_RUNNING);
  store<u32>(WORKER, 0, WORKER_PATH);
  store<u32>(WORKER, load<u32>(path, PATH_CPU), WORKER_CPU);
}

/** Runs a program (function-table index) over the item's frame; its verdict. */
export function runXdp(path: usize, item: usize, entry: u32, kind: u32, place: u32): u32 {
  const frame = <usize>load<u32>(item, ITEM_FRAME);
  const at = step(item, kind, entry, place, STEP_RUNS);
  begin(path, item);
  xdp_begin(frame);
  const verdict = <u32>call_indirect<u64>(entry, <u64>frame);
  xdp_finish(frame, verdict);
  finish(path);
  store<u32>(at, verdict, STEP_RESULT);
  if (epoch_is_urgent()) epoch_pass();
  return verdict;
}

/** Runs a program over the item's sk_buff; its verdict. */
export function runTc(path: usize, item: usize, entry: u32, kind: u32, place: u32): u32 {
  const skb = <usize>load<u32>(item, ITEM_SKB);
  const at = step(item, kind, entry, place, STEP_RUNS);
  begin(path, item);
  skb_begin(skb);
  const verdict = <u32>call_indirect<u64>(entry, <u64>skb);
  skb_finish(skb, verdict);
  finish(path);
  // bpf_clone_redirect writes steps of its own.
  store<u32>(at, verdict, STEP_RESULT);
  if (epoch_is_urgent()) epoch_pass();
  return verdict;
}
