// An LPM trie whose lock a CPU held when it ended: links are single stores and whole; counts, the table and the nodes in hand are not.
import { refresh_bytes } from './lpm-trie';
import { is_waiting } from '../slab/repair';
import { allocator_free_later } from '../slab/epoch';
import { MAP_COUNT } from '../../layout/map';
import {
  LPM_FREE, LPM_GENERATION, LPM_HAND, LPM_INTERMEDIATE, LPM_NODE_CHILDREN, LPM_NODE_LINK, LPM_NODE_PREFIX, LPM_ROOT, LPM_USED,
} from '../../layout/map-lpm';

export function lpm_repair(map: usize): void {
  // One that was taken out, and is in the list already, or waits; or that was not put in.
  for (let at: usize = 0; at < 8; at += 4) {
    const node = <usize>load<u32>(map + at, LPM_HAND);
    if (node == 0 || is_in_list(map, node) || is_waiting(node) || is_in_trie(map, node)) continue;
    allocator_free_later(node);
  }
  store<u64>(map, 0, LPM_HAND);
  let used: u32 = 0;
  for (let node = <usize>load<u32>(map, LPM_FREE); node != 0; node = load<u32>(node, LPM_NODE_LINK)) used++;
  let entries: u32 = 0;
  for (let node = walk_begin(map); node != 0; node = walk_next(node)) {
    used++;
    if ((load<u32>(node, LPM_NODE_PREFIX) & LPM_INTERMEDIATE) == 0) entries++;
  }
  store<u32>(map, used, LPM_USED);
  store<u32>(map, entries, MAP_COUNT);
  refresh_bytes(map, 0, 0);
  atomic.add<u32>(map, 1, LPM_GENERATION);
}

// All nodes of the trie, in a list through words that only free nodes use.
function walk_begin(map: usize): usize {
  const root = <usize>load<u32>(map, LPM_ROOT);
  if (root != 0) store<u32>(root, 0, LPM_NODE_LINK);
  return root;
}

function walk_next(node: usize): usize {
  let next = <usize>load<u32>(node, LPM_NODE_LINK);
  for (let bit: usize = 0; bit < 2; bit++) {
    const child = <usize>load<u32>(node + (bit << 2), LPM_NODE_CHILDREN);
    if (child == 0) continue;
    store<u32>(child, <u32>next, LPM_NODE_LINK);
    next = child;
  }
  return next;
}

function is_in_trie(map: usize, node: usize): bool {
  let found = false;
  for (let at = walk_begin(map); at != 0; at = walk_next(at)) found = found || at == node;
  return found;
}

function is_in_list(map: usize, node: usize): bool {
  let at = <usize>load<u32>(map, LPM_FREE);
  while (at != 0 && at != node) at = load<u32>(at, LPM_NODE_LINK);
  return at != 0;
}
