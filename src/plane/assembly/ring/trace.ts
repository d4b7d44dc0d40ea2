// Effects of a ring, one after the other, for whoever asks for them (RING_TRACING).
import { RING_FLAGS, RING_TRACE, RING_TRACE_MASK, RING_TRACE_TAIL, RING_TRACING } from '../../layout/ring';
import {
  TRACE_FLAGS, TRACE_HANDLE, TRACE_KIND, TRACE_RES, TRACE_SIZE, TRACE_TIME, TRACE_USER_DATA,
} from '../../layout/ring-trace';
import { bpf_ktime_get_ns } from '../helpers/clock';

// @ts-ignore: decorator
@inline
export function trace(ring: usize, kind: u32, userData: u64, res: i32, flags: u32, handle: u64): void {
  if ((load<u32>(ring, RING_FLAGS) & RING_TRACING) != 0) write(ring, kind, userData, res, flags, handle);
}

function write(ring: usize, kind: u32, userData: u64, res: i32, flags: u32, handle: u64): void {
  const tail = load<u32>(ring, RING_TRACE_TAIL);
  const at = <usize>load<u32>(ring, RING_TRACE) + <usize>(tail & load<u32>(ring, RING_TRACE_MASK)) * TRACE_SIZE;
  store<u64>(at, bpf_ktime_get_ns(), TRACE_TIME);
  store<u64>(at, userData, TRACE_USER_DATA);
  store<i32>(at, res, TRACE_RES);
  store<u32>(at, flags, TRACE_FLAGS);
  store<u32>(at, kind, TRACE_KIND);
  store<u64>(at, handle, TRACE_HANDLE);
  store<u32>(ring, tail + 1, RING_TRACE_TAIL);
}
