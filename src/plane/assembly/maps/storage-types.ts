// Which map types are storage that hangs on objects; apart, because the registry asks without needing the rest.
import { CGROUP_STORAGE, CGRP_STORAGE, INODE_STORAGE, PERCPU_CGROUP_STORAGE, SK_STORAGE, TASK_STORAGE } from './types';

export function is_storage(type: u32): bool {
  return (
    type == SK_STORAGE ||
    type == TASK_STORAGE ||
    type == INODE_STORAGE ||
    type == CGRP_STORAGE ||
    type == CGROUP_STORAGE ||
    type == PERCPU_CGROUP_STORAGE
  );
}
