// Repeated runs of sk_lookup programs: each begins with the context as it came, and without a socket.
import { SK_LOOKUP_SIZE } from '../../layout/sk-lookup';
import { HOOK_SK_LOOKUP, WORKER_HOOK } from '../../layout/worker';
import { WORKER } from '../worker';

/** Puts the SK_LOOKUP_SIZE bytes at `seen` into `frame` and runs a program (function-table index), `count` times. Returns the last r0, whole. */
export function sk_lookup_repeat(entry: u32, frame: usize, seen: usize, count: u32): u64 {
  store<u32>(WORKER, HOOK_SK_LOOKUP, WORKER_HOOK);
  let r0: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    memory.copy(frame, seen, SK_LOOKUP_SIZE);
    r0 = call_indirect<u64>(entry, <u64>frame);
  }
  return r0;
}
