// Instruction array (layout/map-insn-array.ts). Facts: kernel/bpf/bpf_insn_array.c of Linux 6.19. Programs read the slots directly; the helpers take none.
import { array_update_check } from './array';
import { header_allocate } from './header';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from '../errno';
import { MAP_MAX_ENTRIES, MAP_STRIDE, MAP_VALUES } from '../../layout/map';
import {
  INSN_ARRAY_JITTED,
  INSN_ARRAY_OFFSETS,
  INSN_ARRAY_ORIGINAL,
  INSN_ARRAY_TRANSLATED,
  INSN_ARRAY_VALUE_SIZE,
} from '../../layout/map-insn-array';

export function insn_array_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (key_size != 4 || value_size != INSN_ARRAY_VALUE_SIZE || max_entries == 0 || flags != 0) return <usize>EINVAL;
  const body = <u64>max_entries * (8 + INSN_ARRAY_VALUE_SIZE);
  const map = header_allocate(type, key_size, value_size, max_entries, flags, body);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, 8, MAP_STRIDE);
  store<u32>(map, load<u32>(map, MAP_VALUES) + max_entries * 8, INSN_ARRAY_OFFSETS);
  return map;
}

// @ts-ignore: decorator
@inline
function value(map: usize, index: u32): usize {
  return load<u32>(map, INSN_ARRAY_OFFSETS) + index * INSN_ARRAY_VALUE_SIZE;
}

/** User space. */
export function insn_array_read(map: usize, key: usize, out: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>ENOENT;
  memory.copy(out, value(map, index), INSN_ARRAY_VALUE_SIZE);
  return 0;
}

/** User space: only the original offset may be set. */
export function insn_array_write(map: usize, key: usize, from: usize, flags: u32): i32 {
  const refused = array_update_check(map, key, flags);
  if (refused != 0) return <i32>refused;
  if (load<u32>(from, INSN_ARRAY_TRANSLATED) != 0 || load<u32>(from, INSN_ARRAY_JITTED) != 0) return <i32>EINVAL;
  store<u32>(value(map, load<u32>(key)), load<u32>(from), INSN_ARRAY_ORIGINAL);
  return 0;
}

/** The loader: the element leads to the slot. `-E2BIG` for an index out of range. */
export function insn_array_connect(map: usize, index: u32, slot: u32): i32 {
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  store<u32>(value(map, index), slot, INSN_ARRAY_ORIGINAL);
  store<u32>(value(map, index), slot, INSN_ARRAY_TRANSLATED);
  store<u64>(load<u32>(map, MAP_VALUES) + index * 8, slot);
  return 0;
}
