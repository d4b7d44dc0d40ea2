// What all map types share: storage with a header, copying of keys and values.
import { WORKER } from '../worker';
import { pages_alloc } from '../pages';
import { ROOT, ROOT_CPU_COUNT, ROOT_NEXT_MAP_ID, WASM_PAGE } from '../../layout/memory';
import { WORKER_CPU } from '../../layout/worker';
import {
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  MAP_FLAGS,
  MAP_HEADER_SIZE,
  MAP_ID,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_PAGES,
  MAP_PAGE_COUNT,
  MAP_REFERENCES,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_USERS,
  MAP_VALUES,
  MAP_VALUE_SIZE,
} from '../../layout/map';

// @ts-ignore: decorator
@inline
export function round_up_8(size: u32): u32 {
  return (size + 7) & ~7;
}

// @ts-ignore: decorator
@inline
export function this_cpu(): u32 {
  return load<u32>(WORKER, WORKER_CPU);
}

// @ts-ignore: decorator
@inline
export function cpu_count(): u32 {
  return load<u32>(ROOT, ROOT_CPU_COUNT);
}

/** False if a map would be closed to programs both ways, or to user space both ways (bpf_map_flags_access_ok, bpf_get_file_flag). */
export function access_flags_ok(flags: u32): bool {
  const program = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  const user = BPF_F_RDONLY | BPF_F_WRONLY;
  return (flags & program) != program && (flags & user) != user;
}

/**
 * A header and `body` zeroed bytes behind it, in pages of their own; 0 if the memory has no room. MAP_VALUES points to the body.
 * References: 1, the caller's, which is user space.
 */
export function header_allocate(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  body: u64,
): usize {
  const pages = (MAP_HEADER_SIZE + body + WASM_PAGE - 1) / WASM_PAGE;
  if (pages > 65535) return 0;
  const map = pages_alloc(<u32>pages);
  if (map == 0) return 0;
  store<u32>(map, type, MAP_TYPE);
  store<u32>(map, key_size, MAP_KEY_SIZE);
  store<u32>(map, value_size, MAP_VALUE_SIZE);
  store<u32>(map, max_entries, MAP_MAX_ENTRIES);
  store<u32>(map, flags, MAP_FLAGS);
  store<u32>(map, atomic.add<u32>(ROOT + ROOT_NEXT_MAP_ID, 1), MAP_ID);
  store<u32>(map, 1, MAP_REFERENCES);
  store<u32>(map, 1, MAP_USERS);
  store<u32>(map, round_up_8(value_size), MAP_STRIDE);
  store<u32>(map, <u32>map + MAP_HEADER_SIZE, MAP_VALUES);
  store<u32>(map, <u32>map, MAP_PAGES);
  store<u32>(map, <u32>pages, MAP_PAGE_COUNT);
  return map;
}

/** Copies exactly `size` bytes; small ones without the call that memory.copy costs. */
export function copy_bytes(to: usize, from: usize, size: u32): void {
  if (size > 128) {
    memory.copy(to, from, size);
    return;
  }
  const words = to + (size & ~7);
  while (to < words) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
  }
  if (size & 4) {
    store<u32>(to, load<u32>(from));
    to += 4;
    from += 4;
  }
  if (size & 2) {
    store<u16>(to, load<u16>(from));
    to += 2;
    from += 2;
  }
  if (size & 1) store<u8>(to, load<u8>(from));
}
