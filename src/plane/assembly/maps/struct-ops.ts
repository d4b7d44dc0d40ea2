// struct_ops (layout/map-struct-ops.ts), modelled: the value and its states; nothing of the kernel calls the programs. Facts:
// kernel/bpf/bpf_struct_ops.c.
import { copy_bytes, header_allocate } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { E2BIG, EBUSY, EINPROGRESS, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from '../errno';
import { BPF_F_LINK, BPF_F_VTYPE_BTF_OBJ_FD, MAP_FLAGS, MAP_VALUES, MAP_VALUE_SIZE } from '../../layout/map';
import {
  STRUCT_OPS_DATA,
  STRUCT_OPS_INIT,
  STRUCT_OPS_INUSE,
  STRUCT_OPS_READY,
  STRUCT_OPS_REFERENCES,
  STRUCT_OPS_STATE,
  STRUCT_OPS_TOBEFREE,
} from '../../layout/map-struct-ops';

// Lock word, in the private part of the header.
export const STRUCT_OPS_LOCK: usize = 64;

export function struct_ops_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (key_size != 4 || max_entries != 1 || (flags & ~(BPF_F_LINK | BPF_F_VTYPE_BTF_OBJ_FD)) != 0) return <usize>EINVAL;
  if (value_size <= <u32>STRUCT_OPS_DATA) return <usize>EINVAL;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, value_size);
  return map == 0 ? <usize>ENOMEM : map;
}

/** User space: the value; zeros before the first update. */
export function struct_ops_read(map: usize, key: usize, out: usize): i32 {
  if (load<u32>(key) != 0) return <i32>ENOENT;
  const own = <usize>load<u32>(map, MAP_VALUES);
  // While the first update writes it, the value is still zeros.
  if (atomic.load<u32>(own, STRUCT_OPS_STATE) == STRUCT_OPS_INIT) memory.fill(out, 0, load<u32>(map, MAP_VALUE_SIZE));
  else copy_bytes(out, own, load<u32>(map, MAP_VALUE_SIZE));
  return 0;
}

/** User space, once: ready with BPF_F_LINK, else in use. */
export function struct_ops_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags != 0) return <i32>EINVAL;
  if (load<u32>(key) != 0) return <i32>E2BIG;
  if (load<u32>(value, STRUCT_OPS_STATE) != 0 || load<u32>(value, STRUCT_OPS_REFERENCES) != 0) return <i32>EINVAL;
  const own = <usize>load<u32>(map, MAP_VALUES);
  word_lock(map + STRUCT_OPS_LOCK);
  if (load<u32>(own, STRUCT_OPS_STATE) != STRUCT_OPS_INIT) {
    word_unlock(map + STRUCT_OPS_LOCK);
    return <i32>EBUSY;
  }
  copy_bytes(own, value, load<u32>(map, MAP_VALUE_SIZE));
  const link = (load<u32>(map, MAP_FLAGS) & BPF_F_LINK) != 0;
  // The registration holds the map.
  store<u32>(own, link ? 0 : 1, STRUCT_OPS_REFERENCES);
  atomic.store<u32>(own, link ? STRUCT_OPS_READY : STRUCT_OPS_INUSE, STRUCT_OPS_STATE);
  word_unlock(map + STRUCT_OPS_LOCK);
  return 0;
}

/** User space: ends the registration, once; the value stays. */
export function struct_ops_remove(map: usize, _key: usize): i32 {
  if (load<u32>(map, MAP_FLAGS) & BPF_F_LINK) return <i32>EOPNOTSUPP;
  const own = <usize>load<u32>(map, MAP_VALUES);
  const state = atomic.cmpxchg<u32>(own, STRUCT_OPS_INUSE, STRUCT_OPS_TOBEFREE, STRUCT_OPS_STATE);
  if (state == STRUCT_OPS_INIT) return <i32>ENOENT;
  if (state == STRUCT_OPS_TOBEFREE) return <i32>EINPROGRESS;
  store<u32>(own, 0, STRUCT_OPS_REFERENCES);
  return 0;
}

/** User space: 0 is the one key. */
export function struct_ops_next_key(key: usize, out: usize): i32 {
  if (key != 0 && load<u32>(key) == 0) return <i32>ENOENT;
  store<u32>(out, 0);
  return 0;
}
