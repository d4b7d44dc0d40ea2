// Control groups for programs: the objects that user space makes, by id. Facts: bpf_cgroup_from_id and its like in kernel/bpf/helpers.c.
import { object_by_id, object_release, object_try_hold } from '../objects';
import { OBJECT_CGROUP } from '../../layout/object';

/** A reference to the group, 0 if there is none of this id: the root, id 1, is no object. */
export function bpf_cgroup_from_id(id: u64): u64 {
  const group = id > u32.MAX_VALUE ? <usize>0 : object_by_id(<u32>id, OBJECT_CGROUP);
  return group != 0 && object_try_hold(group) ? group : 0;
}

/** NULL for one that was found under RCU, and has no references any more. */
export function bpf_cgroup_acquire(group: u64): u64 {
  return object_try_hold(<usize>group) ? group : 0;
}

export function bpf_cgroup_release(group: u64): u64 {
  object_release(<usize>group);
  return 0;
}
