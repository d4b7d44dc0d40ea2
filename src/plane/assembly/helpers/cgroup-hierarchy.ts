// Where packets and the current task are among the control groups: in the group that programs run for (runtime/objects.ts, attachCgroup), which is a
// child of the root; without one, in the root. Facts: net/core/filter.c, kernel/trace/bpf_trace.c, kernel/bpf/helpers.c.
import { cgroup_array_at } from '../maps/cgroup-array';
import { E2BIG, EAGAIN, ENOENT } from '../errno';
import { WORKER } from '../worker';
import { MAP_MAX_ENTRIES } from '../../layout/map';
import { OBJECT_BODY, OBJECT_ID } from '../../layout/object';
import { SKB_CGROUP_ID, SKB_SK } from '../../layout/skb';
import { WORKER_CGROUP } from '../../layout/worker';

/** Id of the first group of all. */
const ROOT_CGROUP: u64 = 1;

function idOf(group: usize): u64 {
  return group == 0 ? ROOT_CGROUP : load<u32>(group - OBJECT_BODY, OBJECT_ID);
}

function ofWorker(): u64 {
  return idOf(load<u32>(WORKER, WORKER_CGROUP));
}

function ofPacket(skb: usize): u64 {
  const id = load<u64>(skb, SKB_CGROUP_ID);
  return id == ROOT_CGROUP ? ofWorker() : id;
}

// A group that is not the root is its child: level 1.
function ancestor(id: u64, level: i32): u64 {
  if (level == 0) return ROOT_CGROUP;
  return level == 1 && id != ROOT_CGROUP ? id : 0;
}

export function bpf_get_current_cgroup_id(): u64 {
  return ofWorker();
}

export function bpf_get_current_ancestor_cgroup_id(level: u64): u64 {
  return ancestor(ofWorker(), <i32>level);
}

export function bpf_skb_cgroup_id(ctx: u64): u64 {
  return ofPacket(<usize>ctx);
}

export function bpf_skb_ancestor_cgroup_id(ctx: u64, level: u64): u64 {
  return ancestor(ofPacket(<usize>ctx), <i32>level);
}

/** 1, 0, -E2BIG (index) or -EAGAIN (nothing there). */
function under(map: usize, index: u32, id: u64): i64 {
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return E2BIG;
  const group = cgroup_array_at(map, index);
  if (group == 0) return EAGAIN;
  return idOf(group) == id ? 1 : 0;
}

export function bpf_current_task_under_cgroup(map: u64, index: u64): i64 {
  return under(<usize>map, <u32>index, ofWorker());
}

/** -ENOENT: the packet has no socket. */
export function bpf_skb_under_cgroup(ctx: u64, map: u64, index: u64): i64 {
  if (load<u64>(<usize>ctx, SKB_SK) == 0) return ENOENT;
  return under(<usize>map, <u32>index, ofPacket(<usize>ctx));
}
