// The current task: what the worker block says (runtime/surroundings.ts).
import { WORKER_COMM, WORKER_PID_TGID, WORKER_TASK, WORKER_UID_GID } from '../../layout/worker';
import { EINVAL } from '../errno';
import { WORKER } from '../worker';
import { object_create } from '../objects';
import { OBJECT_TASK } from '../../layout/object';

const COMM_SIZE: u32 = 16;

export function bpf_get_current_pid_tgid(): u64 {
  return load<u64>(WORKER, WORKER_PID_TGID);
}

/** The modelled task (layout/object.ts), whose body is zeros as yet: what programs read of it is not modelled, storage on it is. */
export function bpf_get_current_task_btf(): u64 {
  const task = load<u32>(WORKER, WORKER_TASK);
  if (task != 0) return task;
  const made = object_create(OBJECT_TASK);
  if (made == 0) unreachable();
  store<u32>(WORKER, <u32>made, WORKER_TASK);
  return made;
}

/** The same object, as a number. */
export function bpf_get_current_task(): u64 {
  return bpf_get_current_task_btf();
}

export function bpf_get_current_uid_gid(): u64 {
  return load<u64>(WORKER, WORKER_UID_GID);
}

// strscpy_pad: cut with a NUL at the end, zeros behind.
export function bpf_get_current_comm(buffer: u64, size: u64): i64 {
  const to = <usize>buffer;
  const room = <u32>size;
  if (room == 0) return EINVAL;
  const length = min<u32>(room, COMM_SIZE);
  memory.copy(to, WORKER + WORKER_COMM, length);
  if (room > length) memory.fill(to + length, 0, room - length);
  store<u8>(to + length - 1, 0);
  return 0;
}

/** The first namespace of processes: PROC_PID_INIT_INO. The device of its file system differs from machine to machine. */
const PID_NAMESPACE: u64 = 0xefff_fffc;
/** struct bpf_pidns_info. */
const PIDNS_INFO_SIZE: u32 = 8;

export function bpf_get_ns_current_pid_tgid(device: u64, inode: u64, info: u64, size: u64): i64 {
  if (<u32>size == PIDNS_INFO_SIZE && device >> 32 == 0 && inode == PID_NAMESPACE) {
    store<u64>(<usize>info, load<u64>(WORKER, WORKER_PID_TGID));
    return 0;
  }
  memory.fill(<usize>info, 0, <u32>size);
  return EINVAL;
}
