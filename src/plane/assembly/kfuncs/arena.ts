// Pages of arenas for programs (maps/arena.ts keeps them). Facts: kernel/bpf/arena.c.
import { may_free_pages } from './arena-objects';
import { EINVAL } from '../errno';
import { arena_give, arena_reserve, arena_take } from '../maps/arena';
import { ARENA } from '../maps/types';
import { MAP_TYPE } from '../../layout/map';

const NUMA_NO_NODE: i32 = -1;

@inline function isArena(map: u64): bool {
  return load<u32>(<usize>map, MAP_TYPE) == ARENA;
}

/** There is one node, number 0. */
export function bpf_arena_alloc_pages(map: u64, address: u64, count: u64, node: u64, flags: u64): u64 {
  if (!isArena(map) || flags != 0 || <u32>count == 0) return 0;
  if (<i32>node != NUMA_NO_NODE && <i32>node != 0) return 0;
  return <u64>arena_take(<usize>map, address, <u32>count);
}

export function bpf_arena_free_pages(map: u64, address: u64, count: u64): u64 {
  if (!isArena(map) || <u32>count == 0 || address == 0) return 0;
  if (may_free_pages(<usize>map, address, <u32>count)) arena_give(<usize>map, address, <u32>count);
  return 0;
}

export function bpf_arena_reserve_pages(map: u64, address: u64, count: u64): i64 {
  if (!isArena(map)) return EINVAL;
  return <i64>arena_reserve(<usize>map, address, <u32>count);
}
