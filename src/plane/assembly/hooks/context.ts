// Programs over contexts that are no packets (layout/context.ts): one run, or repeated runs over the same frame.
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import { CONTEXT_SKB, CONTEXT_SOCKET } from '../../layout/context';
import { HOOK_REUSEPORT, HOOK_SKB, HOOK_XDP, WORKER_FRAME, WORKER_HOOK, WORKER_REDIRECT_MAP } from '../../layout/worker';
import { storage_end_run } from '../maps/storage';
import { WORKER } from '../worker';

/** Says which context runs, and what it is: HOOK_CONTEXT or HOOK_REUSEPORT. */
export function context_begin(frame: usize, hook: u32): void {
  store<u32>(WORKER, <u32>frame, WORKER_FRAME);
  store<u32>(WORKER, hook, WORKER_HOOK);
  store<u32>(WORKER, 0, WORKER_REDIRECT_MAP);
}

/** Ends what context_begin began, after a fault as well. */
export function context_finish(): void {
  store<u32>(WORKER, HOOK_XDP, WORKER_HOOK);
  store<u32>(WORKER, 0, WORKER_FRAME);
  storage_end_run();
}

/** Runs a program (function-table index) `count` times; changes add up. Returns the last r0, whole. */
export function context_repeat(entry: u32, frame: usize, hook: u32, count: u32): u64 {
  context_begin(frame, hook);
  let r0: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    r0 = call_indirect<u64>(entry, <u64>frame);
    if (epoch_is_urgent()) epoch_pass();
  }
  context_finish();
  return r0;
}

/** Descriptor of the sk_buff that a helper's context is of. Not exported from the module. */
@inline export function skbOfContext(ctx: u64): usize {
  if (load<u32>(WORKER, WORKER_HOOK) != HOOK_REUSEPORT) return <usize>ctx;
  return <usize>load<u32>(<usize>ctx, CONTEXT_SKB);
}

/** Body of the socket that a helper's first argument means: the context's, or the argument itself. */
@inline export function socketOf(argument: u64): usize {
  const body = <usize>argument;
  const context = body == <usize>load<u32>(WORKER, WORKER_FRAME) && load<u32>(WORKER, WORKER_HOOK) != HOOK_SKB;
  return context ? <usize>load<u32>(body, CONTEXT_SOCKET) : body;
}
