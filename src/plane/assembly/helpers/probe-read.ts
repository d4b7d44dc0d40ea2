// Reads by address alone: bpf_probe_read and its like (kernel/trace/bpf_trace.c), bpf_copy_from_user (kernel/bpf/helpers.c). There is one
// memory here, for programs, kernel and user space; what lies outside it faults as in Linux on x86-64.
import { EFAULT, ERANGE } from '../errno';
import { readable } from '../text/format';

/** First address of the kernel's half. */
const KERNEL: u64 = 0xffff_8000_0000_0000;

/** copy_from_kernel_nofault refuses addresses of user space with -ERANGE. */
@inline function faultOf(from: u64, kernel: bool): i64 {
  return kernel && from < KERNEL ? ERANGE : EFAULT;
}

function read(to: u64, size: u64, from: u64, kernel: bool): i64 {
  const bytes = <u32>size;
  if (readable(from, bytes)) {
    memory.copy(<usize>to, <usize>from, bytes);
    return 0;
  }
  memory.fill(<usize>to, 0, bytes);
  return bytes == 0 && kernel == from >= KERNEL ? 0 : faultOf(from, kernel);
}

// Up to a NUL or `size - 1` bytes, which a NUL then follows; the length with the NUL.
function readText(to: u64, size: u64, from: u64, kernel: bool): i64 {
  const room = <u32>size;
  if (room == 0) return 0;
  const out = <usize>to;
  for (let i: u32 = 0; i < room; i++) {
    if (!readable(from + i, 1)) {
      memory.fill(out, 0, room);
      return faultOf(from, kernel);
    }
    const byte = load<u8>(<usize>from + i);
    store<u8>(out + i, byte);
    if (byte == 0) return i + 1;
  }
  store<u8>(out + room - 1, 0);
  return room;
}

// By the address: user space below, the kernel above.
export function bpf_probe_read(to: u64, size: u64, from: u64): i64 {
  return read(to, size, from, from >= KERNEL);
}

export function bpf_probe_read_str(to: u64, size: u64, from: u64): i64 {
  return readText(to, size, from, from >= KERNEL);
}

export function bpf_probe_read_user(to: u64, size: u64, from: u64): i64 {
  return read(to, size, from, false);
}

export function bpf_probe_read_user_str(to: u64, size: u64, from: u64): i64 {
  return readText(to, size, from, false);
}

export function bpf_probe_read_kernel(to: u64, size: u64, from: u64): i64 {
  return read(to, size, from, true);
}

export function bpf_probe_read_kernel_str(to: u64, size: u64, from: u64): i64 {
  return readText(to, size, from, true);
}

export function bpf_copy_from_user(to: u64, size: u64, from: u64): i64 {
  return read(to, size, from, false);
}
