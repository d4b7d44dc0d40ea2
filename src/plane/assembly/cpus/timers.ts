// A timer that the owner of a clock that stands lets another CPU fire (CPU_TIMERS of layout/cpu.ts).
import { timers_done, timers_run } from '../kfuncs/timer-firing';
import { item_ends } from './inbox';
import { ITEM_A, ITEM_B, ITEM_C } from '../../layout/cpu';
import { TIMER_FUEL, TIMERS_COMPILED, TIMERS_FOLLOW, TURN_DONE, TURN_STOPPED } from '../../layout/timer';
import { WORKER_TIMER_TURN, WORKER_TIMER_TURN_FIRED } from '../../layout/worker';

function answer(asked: usize, state: u32, fired: u32): void {
  item_ends();
  store<u32>(asked, fired, WORKER_TIMER_TURN_FIRED);
  atomic.store<u32>(asked, state, WORKER_TIMER_TURN);
  atomic.notify(asked + WORKER_TIMER_TURN, 1);
}

export function timers_turn(item: usize): void {
  const asked = <usize>load<u32>(item, ITEM_A);
  if (asked == 0) return;
  const until = (<u64>load<u32>(item, ITEM_C) << 32) | <u64>load<u32>(item, ITEM_B);
  answer(asked, TURN_DONE, timers_run(until, 1, TIMERS_FOLLOW | TIMERS_COMPILED, TIMER_FUEL));
}

/** No thread runs the CPU: nothing fired there, and who asked looks again. */
export function timers_abandon(item: usize): void {
  const asked = <usize>load<u32>(item, ITEM_A);
  if (asked != 0) answer(asked, TURN_DONE, 0);
}

export function timers_stopped(item: usize): void {
  timers_done();
  const asked = <usize>load<u32>(item, ITEM_A);
  if (asked != 0) answer(asked, TURN_STOPPED, 1);
}
