// Call stacks: those that the run gives (Task.stack); without any, stacks without an address. Facts: kernel/bpf/stackmap.c.
import { stack_trace_depth, stack_trace_put, stack_write } from '../maps/stack-trace';
import { EFAULT, EINVAL } from '../errno';
import { WORKER } from '../worker';
import { BUILD_ID_SIZE, GIVEN_ADDRESSES, GIVEN_KERNEL, GIVEN_USER, MAX_STACK } from '../../layout/stack-trace';
import { WORKER_STACK_TRACE } from '../../layout/worker';

const SKIP_MASK: u64 = 0xff;
const USER_STACK: u64 = 0x100;
const FAST_COMPARE: u64 = 0x200;
const REUSE_ID: u64 = 0x400;
const USER_BUILD_ID: u64 = 0x800;

function countOf(user: bool): u32 {
  const given = <usize>load<u32>(WORKER, WORKER_STACK_TRACE);
  if (given == 0) return 0;
  return user ? load<u32>(given, GIVEN_USER) : load<u32>(given, GIVEN_KERNEL);
}

function addressesOf(user: bool): usize {
  const given = <usize>load<u32>(WORKER, WORKER_STACK_TRACE);
  return given + <usize>GIVEN_ADDRESSES + (user ? <usize>load<u32>(given, GIVEN_KERNEL) * 8 : 0);
}

/** What a walk of so many addresses behind the skipped ones finds, those included. */
function walked(user: bool, depth: u32, skip: u32): u32 {
  return min(countOf(user), min(depth + skip, <u32>MAX_STACK));
}

export function bpf_get_stackid(_ctx: u64, map: u64, flags: u64): i64 {
  if ((flags & ~(SKIP_MASK | USER_STACK | FAST_COMPARE | REUSE_ID)) != 0) return EINVAL;
  const user = (flags & USER_STACK) != 0;
  const skip = <u32>(flags & SKIP_MASK);
  const count = walked(user, stack_trace_depth(<usize>map), skip);
  if (count <= skip) return EFAULT;
  const addresses = addressesOf(user) + skip * 8;
  return stack_trace_put(<usize>map, addresses, count - skip, (flags & FAST_COMPARE) != 0, (flags & REUSE_ID) != 0);
}

/** Bytes written, -EINVAL or -EFAULT; the rest of the buffer is zeros, all of it after an error. */
export function bpf_get_stack(_ctx: u64, buffer: u64, size: u64, flags: u64): i64 {
  const to = <usize>buffer;
  const room = <u32>size;
  if (room == 0 && buffer == 0) return (flags & ~(SKIP_MASK | USER_STACK | USER_BUILD_ID)) != 0 ? EINVAL : 0;
  memory.fill(to, 0, room);
  if ((flags & ~(SKIP_MASK | USER_STACK | USER_BUILD_ID)) != 0) return EINVAL;
  const user = (flags & USER_STACK) != 0;
  const named = (flags & USER_BUILD_ID) != 0;
  if (named && !user) return EINVAL;
  const entry: u32 = named ? BUILD_ID_SIZE : 8;
  if (room % entry != 0) return EINVAL;
  const skip = <u32>(flags & SKIP_MASK);
  const count = walked(user, room / entry, skip);
  if (count < skip) return EFAULT;
  if (count > skip) stack_write(to, addressesOf(user) + skip * 8, count - skip, entry);
  return (count - skip) * entry;
}
