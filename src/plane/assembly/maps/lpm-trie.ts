// LPM trie (layout/map-lpm.ts). Facts on behaviour: kernel/bpf/lpm_trie.c.
import { element_allocator_common } from './element';
import { allocator_alloc, allocator_free } from '../slab/allocator';
import { allocator_free_later } from '../slab/epoch';
import { ALLOCATION_MAX } from '../../layout/allocator';
import { access_flags_ok, copy_bytes, cpu_count, header_allocate, round_up_8 } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC } from '../errno';
import {
  BPF_EXIST,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  KMALLOC_MAX_SIZE,
  MAP_COUNT,
  MAP_ELEM_ALLOCATOR,
  MAP_MAX_ENTRIES,
  MAP_VALUES,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import {
  LPM_CAPACITY,
  LPM_DATA_SIZE,
  LPM_DATA_SIZE_MAX,
  LPM_FREE,
  LPM_GENERATION,
  LPM_HAND,
  LPM_LOCK,
  LPM_MAX_PREFIX,
  LPM_NODE_CHILDREN,
  LPM_NODE_LINK,
  LPM_NODE_PREFIX,
  LPM_NODE_SIZE,
  LPM_NODE_WORDS,
  LPM_ROOT,
  LPM_TABLE,
  LPM_TABLE_BITS,
  LPM_TABLE_SIZE,
  LPM_USED,
  LPM_VALUE_OFFSET,
} from '../../layout/map-lpm';

const INTERMEDIATE: u32 = 0x8000_0000;
/** Where the data of a key begins. */
const DATA: usize = 4;
// Size of struct lpm_trie_node, which counts in Linux's bound of the value.
const KERNEL_NODE_SIZE = 24;

export function lpm_trie_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  const known = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | access;
  if (max_entries == 0 || !(flags & BPF_F_NO_PREALLOC) || (flags & ~known) != 0) return <usize>EINVAL;
  if (!access_flags_ok(flags) || key_size <= <u32>DATA || key_size > <u32>(DATA + LPM_DATA_SIZE_MAX)) return <usize>EINVAL;
  if (value_size == 0 || value_size > <u32>(KMALLOC_MAX_SIZE - LPM_DATA_SIZE_MAX - KERNEL_NODE_SIZE)) return <usize>EINVAL;
  const data_size = key_size - <u32>DATA;
  const value_offset = <u32>LPM_NODE_WORDS + round_up_8(data_size);
  const node_size = value_offset + round_up_8(value_size);
  // At most one intermediate node for each entry but one, and the node that an update brings before the old one goes.
  const capacity = <u64>max_entries * 2;
  if (capacity > 0x7fff_ffff) return <usize>ENOMEM;
  if (node_size > <u32>ALLOCATION_MAX) return <usize>ENOMEM;
  const allocator = element_allocator_common();
  if (allocator == 0) return <usize>ENOMEM;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, LPM_TABLE_SIZE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, <u32>allocator, MAP_ELEM_ALLOCATOR);
  store<u32>(map, load<u32>(map, MAP_VALUES), LPM_TABLE);
  store<u32>(map, data_size, LPM_DATA_SIZE);
  store<u32>(map, data_size * 8, LPM_MAX_PREFIX);
  store<u32>(map, node_size, LPM_NODE_SIZE);
  store<u32>(map, value_offset, LPM_VALUE_OFFSET);
  store<u32>(map, <u32>capacity, LPM_CAPACITY);
  return map;
}

// @ts-ignore: decorator
@inline
function prefix_of(node: usize): u32 {
  return load<u32>(node, LPM_NODE_PREFIX) & ~INTERMEDIATE;
}

// @ts-ignore: decorator
@inline
function is_intermediate(node: usize): bool {
  return (load<u32>(node, LPM_NODE_PREFIX) & INTERMEDIATE) != 0;
}

// @ts-ignore: decorator
@inline
function child_of(node: usize, bit: u32): usize {
  return atomic.load<u32>(node + (bit << 2), LPM_NODE_CHILDREN);
}

/** Bit `index` of a key's data, counted from its first bit. */
// @ts-ignore: decorator
@inline
function key_bit(key: usize, index: u32): u32 {
  return (load<u8>(key + (index >> 3), DATA) >> (7 - (index & 7))) & 1;
}

/** Bit `index` of a node's data. */
// @ts-ignore: decorator
@inline
function node_bit(node: usize, index: u32): u32 {
  return <u32>(load<u64>(node + ((index >> 6) << 3), LPM_NODE_WORDS) >> (63 - (index & 63))) & 1;
}

/**
 * Word `i` of a key's data. The last one may reach past the key: bits beyond the longest prefix are never looked at, and an address
 * past the end of the memory cannot be, since its last page is never given out.
 */
// @ts-ignore: decorator
@inline
function key_word(key: usize, i: u32): u64 {
  // Two loads: a program has just written the data, field by field (key.ts).
  const at = key + (i << 3);
  return bswap<u64>(<u64>load<u32>(at, DATA) | (<u64>load<u32>(at, DATA + 4) << 32));
}

/** Number of leading bits that node and key have in common, at most the shorter of their prefixes. */
function common_prefix(node: usize, key: usize): u32 {
  const limit = min<u32>(prefix_of(node), load<u32>(key));
  for (let i: u32 = 0; i << 6 < limit; i++) {
    const differ = load<u64>(node + (i << 3), LPM_NODE_WORDS) ^ key_word(key, i);
    if (differ != 0) return min<u32>(limit, (i << 6) + <u32>clz<u64>(differ));
  }
  return limit;
}

/** Address of the value of the longest prefix that covers the key, 0 if none does. */
export function lpm_trie_lookup(map: usize, key: usize): usize {
  const length = load<u32>(key);
  if (length > load<u32>(map, LPM_MAX_PREFIX)) return 0;
  while (true) {
    const generation = atomic.load<u32>(map, LPM_GENERATION);
    let node: usize;
    let found: usize = 0;
    if (length >= <u32>LPM_TABLE_BITS) {
      const start = atomic.load<u64>(load<u32>(map, LPM_TABLE) + (<u32>load<u8>(key, DATA) << 3));
      node = <usize>(start >> 32);
      found = <usize>(<u32>start);
    } else {
      node = atomic.load<u32>(map, LPM_ROOT);
    }
    if (load<u32>(map, LPM_DATA_SIZE) <= 8) found = longest_in_word(key, length, node, found);
    else found = longest(map, key, length, node, found);
    if (atomic.load<u32>(map, LPM_GENERATION) == generation) {
      return found == 0 ? 0 : found + load<u32>(map, LPM_VALUE_OFFSET);
    }
  }
}

/** Entry of the longest prefix over data of at most 8 bytes, from `node` on; `found` if there is none. */
// @ts-ignore: decorator
@inline
function longest_in_word(key: usize, length: u32, node: usize, found: usize): usize {
  const word = key_word(key, 0);
  while (node != 0) {
    const prefix = load<u32>(node, LPM_NODE_PREFIX);
    const bits = prefix & ~INTERMEDIATE;
    // The empty prefix is told apart: a shift by 64 is one by 0.
    if (bits > length || (bits != 0 && (load<u64>(node, LPM_NODE_WORDS) ^ word) >> (64 - bits) != 0)) break;
    found = select<usize>(node, found, <i32>prefix >= 0);
    // At the last bit of the data there are no children to choose from.
    if (bits == 64) break;
    node = child_of(node, <u32>(word >> (63 - bits)) & 1);
  }
  return found;
}

/** The same over longer data. */
function longest(map: usize, key: usize, length: u32, node: usize, found: usize): usize {
  const last = load<u32>(map, LPM_MAX_PREFIX);
  while (node != 0) {
    const prefix = load<u32>(node, LPM_NODE_PREFIX);
    const bits = prefix & ~INTERMEDIATE;
    if (bits > length || common_prefix(node, key) < bits) break;
    if (<i32>prefix >= 0) found = node;
    if (bits == last) break;
    node = child_of(node, key_bit(key, bits));
  }
  return found;
}

/** Brings the table up to date for the first bytes that the first `length` bits of the key's data allow. */
function refresh_table(map: usize, key: usize): void {
  refresh_bytes(map, load<u32>(key), load<u8>(key, DATA));
}

/** The same for the first byte alone; with 0 bits, for all. */
export function refresh_bytes(map: usize, length: u32, byte_of: u32): void {
  const table = load<u32>(map, LPM_TABLE);
  const open = length < <u32>LPM_TABLE_BITS ? LPM_TABLE_BITS - length : 0;
  const first = (byte_of >> open) << open;
  const end = first + (<u32>1 << open);
  for (let byte = first; byte < end; byte++) {
    let found: usize = 0;
    let node = <usize>load<u32>(map, LPM_ROOT);
    while (node != 0) {
      const bits = prefix_of(node);
      if (bits >= <u32>LPM_TABLE_BITS) break;
      const differ = <u32>(load<u64>(node, LPM_NODE_WORDS) >> 56) ^ byte;
      if (differ >> (LPM_TABLE_BITS - bits) != 0) {
        node = 0;
        break;
      }
      if (!is_intermediate(node)) found = node;
      node = child_of(node, (byte >> (LPM_TABLE_BITS - 1 - bits)) & 1);
    }
    atomic.store<u64>(table + (byte << 3), (<u64>node << 32) | <u64>found);
  }
}

/** Notes which nodes, two at most, an operation has in hand, for the case that its CPU ends in the middle. */
// @ts-ignore: decorator
@inline
function hold(map: usize, node: usize): void {
  store<u32>(map + (load<u32>(map, LPM_HAND) == 0 ? 0 : 4), <u32>node, LPM_HAND);
}

/** A node without children. Only under the lock, and only where the capacity allows it. */
function take(map: usize): usize {
  let node = <usize>load<u32>(map, LPM_FREE);
  if (node != 0) {
    store<u32>(map, load<u32>(node, LPM_NODE_LINK), LPM_FREE);
    hold(map, node);
    // Readers may still stand on it: they look again once it changes.
    atomic.add<u32>(map, 1, LPM_GENERATION);
  } else {
    const used = load<u32>(map, LPM_USED);
    if (used == load<u32>(map, LPM_CAPACITY)) return 0;
    node = allocator_alloc(load<u32>(map, MAP_ELEM_ALLOCATOR), load<u32>(map, LPM_NODE_SIZE), 0);
    if (node == 0) return 0;
    hold(map, node);
    store<u32>(map, used + 1, LPM_USED);
  }
  store<u64>(node, 0, LPM_NODE_CHILDREN);
  return node;
}

/** Gives a node back that nothing in the trie points to any more. It keeps its content until it is taken again. */
function give(map: usize, node: usize): void {
  store<u32>(node, load<u32>(map, LPM_FREE), LPM_NODE_LINK);
  store<u32>(map, <u32>node, LPM_FREE);
}

/**
 * With several CPUs no node is used again while a run may have its value: those that the operation has given back wait for the epoch, once the table does not lead to them
 * any more either. With one they stay in the list, for the next update.
 */
function retire_given(map: usize): void {
  if (cpu_count() == 1) return;
  let node = <usize>load<u32>(map, LPM_FREE);
  if (node == 0) return;
  for (; node != 0; node = load<u32>(map, LPM_FREE)) {
    hold(map, node);
    store<u32>(map, load<u32>(node, LPM_NODE_LINK), LPM_FREE);
    store<u32>(map, load<u32>(map, LPM_USED) - 1, LPM_USED);
    allocator_free_later(node);
    store<u64>(map, 0, LPM_HAND);
  }
}

/** The nodes of a map that goes: those that are free, and the trie from its root down, in a list through the nodes themselves. */
export function lpm_trie_release(map: usize): void {
  let node = <usize>load<u32>(map, LPM_FREE);
  while (node != 0) {
    const next = load<u32>(node, LPM_NODE_LINK);
    allocator_free(node);
    node = next;
  }
  node = load<u32>(map, LPM_ROOT);
  if (node != 0) store<u32>(node, 0, LPM_NODE_LINK);
  while (node != 0) {
    let next = <usize>load<u32>(node, LPM_NODE_LINK);
    for (let bit: u32 = 0; bit < 2; bit++) {
      const child = child_of(node, bit);
      if (child == 0) continue;
      store<u32>(child, <u32>next, LPM_NODE_LINK);
      next = child;
    }
    allocator_free(node);
    node = next;
  }
}

/** 0 if one more entry may come in. */
function check_room(map: usize, flags: u64): i64 {
  if (flags == BPF_EXIST) return ENOENT;
  return load<u32>(map, MAP_COUNT) == load<u32>(map, MAP_MAX_ENTRIES) ? ENOSPC : 0;
}

/** A node for the key and its value. */
function make_entry(map: usize, key: usize, value: usize): usize {
  const node = take(map);
  if (node == 0) return 0;
  store<u32>(node, load<u32>(key), LPM_NODE_PREFIX);
  const words = round_up_8(load<u32>(map, LPM_DATA_SIZE)) >> 3;
  for (let i: u32 = 0; i < words; i++) store<u64>(node + (i << 3), key_word(key, i), LPM_NODE_WORDS);
  copy_bytes(node + load<u32>(map, LPM_VALUE_OFFSET), value, load<u32>(map, MAP_VALUE_SIZE));
  return node;
}

/** 0, -EINVAL (unknown flags, prefix too long), -EEXIST, -ENOENT, -ENOSPC if the trie is full, or -ENOMEM. */
export function lpm_trie_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  if (flags > <u64>BPF_EXIST || load<u32>(key) > load<u32>(map, LPM_MAX_PREFIX)) return EINVAL;
  word_lock(map + LPM_LOCK);
  const result = update_locked(map, key, value, flags);
  if (result == 0) refresh_table(map, key);
  store<u64>(map, 0, LPM_HAND);
  retire_given(map);
  word_unlock(map + LPM_LOCK);
  return result;
}

function update_locked(map: usize, key: usize, value: usize, flags: u64): i64 {
  const length = load<u32>(key);
  // Down to the place of the new node: an empty slot, or the node that it replaces or goes above.
  let slot = map + LPM_ROOT;
  let node = <usize>load<u32>(slot);
  let common: u32 = 0;
  while (node != 0) {
    common = common_prefix(node, key);
    const prefix = prefix_of(node);
    if (common != prefix || prefix == length) break;
    slot = node + (key_bit(key, prefix) << 2) + LPM_NODE_CHILDREN;
    node = load<u32>(slot);
  }
  const replaces = node != 0 && common == prefix_of(node);
  const renews = replaces && !is_intermediate(node);
  if (renews) {
    if (flags == BPF_NOEXIST) return EEXIST;
  } else {
    const refused = check_room(map, flags);
    if (refused != 0) return refused;
  }
  const entry = make_entry(map, key, value);
  if (entry == 0) return ENOMEM;
  if (replaces) {
    store<u64>(entry, load<u64>(node, LPM_NODE_CHILDREN), LPM_NODE_CHILDREN);
    atomic.store<u32>(slot, <u32>entry);
    give(map, node);
  } else if (node == 0) {
    atomic.store<u32>(slot, <u32>entry);
  } else if (common == length) {
    store<u32>(entry + (node_bit(node, common) << 2), <u32>node, LPM_NODE_CHILDREN);
    atomic.store<u32>(slot, <u32>entry);
  } else {
    const fork = take(map);
    if (fork == 0) {
      give(map, entry);
      return ENOMEM;
    }
    store<u32>(fork, common | INTERMEDIATE, LPM_NODE_PREFIX);
    copy_bytes(fork + LPM_NODE_WORDS, node + LPM_NODE_WORDS, round_up_8(load<u32>(map, LPM_DATA_SIZE)));
    const bit = key_bit(key, common);
    store<u32>(fork + (bit << 2), <u32>entry, LPM_NODE_CHILDREN);
    store<u32>(fork + ((bit ^ 1) << 2), <u32>node, LPM_NODE_CHILDREN);
    atomic.store<u32>(slot, <u32>fork);
  }
  if (!renews) store<u32>(map, load<u32>(map, MAP_COUNT) + 1, MAP_COUNT);
  return 0;
}

/** 0, -EINVAL (prefix too long) or -ENOENT: only exactly this prefix is removed. */
export function lpm_trie_delete(map: usize, key: usize): i64 {
  if (load<u32>(key) > load<u32>(map, LPM_MAX_PREFIX)) return EINVAL;
  word_lock(map + LPM_LOCK);
  const result = delete_locked(map, key);
  if (result == 0) refresh_table(map, key);
  store<u64>(map, 0, LPM_HAND);
  retire_given(map);
  word_unlock(map + LPM_LOCK);
  return result;
}

function delete_locked(map: usize, key: usize): i64 {
  const length = load<u32>(key);
  let slot = map + LPM_ROOT;
  let parent: usize = 0;
  let parent_slot: usize = 0;
  let node = <usize>load<u32>(slot);
  while (node != 0) {
    const prefix = prefix_of(node);
    if (common_prefix(node, key) != prefix) return ENOENT;
    if (prefix == length) break;
    parent = node;
    parent_slot = slot;
    slot = node + (key_bit(key, prefix) << 2) + LPM_NODE_CHILDREN;
    node = load<u32>(slot);
  }
  if (node == 0 || is_intermediate(node)) return ENOENT;
  store<u32>(map, load<u32>(map, MAP_COUNT) - 1, MAP_COUNT);
  const zero = child_of(node, 0);
  const one = child_of(node, 1);
  if (zero != 0 && one != 0) {
    // It still parts two others.
    atomic.store<u32>(node, length | INTERMEDIATE, LPM_NODE_PREFIX);
  } else if (zero == 0 && one == 0 && parent != 0 && is_intermediate(parent)) {
    // Its parent has nothing to part any more: the sibling takes the parent's place.
    const sibling = child_of(parent, slot == parent + LPM_NODE_CHILDREN ? 1 : 0);
    atomic.store<u32>(parent_slot, <u32>sibling);
    give(map, parent);
    give(map, node);
  } else {
    atomic.store<u32>(slot, <u32>(zero | one));
    give(map, node);
  }
  return 0;
}

/** The entry of a subtree that comes first in postorder. */
function leftmost(node: usize): usize {
  let entry: usize = 0;
  while (node != 0) {
    if (!is_intermediate(node)) entry = node;
    const zero = child_of(node, 0);
    node = zero != 0 ? zero : child_of(node, 1);
  }
  return entry;
}

/**
 * Key after the one at `key` (0: the first) in postorder, longer prefixes before the shorter ones that cover them, to `out`; -ENOENT
 * at the end. A key that is not there starts again at the first.
 */
export function lpm_trie_next_key(map: usize, key: usize, out: usize): i32 {
  word_lock(map + LPM_LOCK);
  const root = <usize>load<u32>(map, LPM_ROOT);
  const next = key == 0 ? leftmost(root) : after(map, root, key);
  if (next == 0) {
    word_unlock(map + LPM_LOCK);
    return <i32>ENOENT;
  }
  store<u32>(out, prefix_of(next));
  const size = load<u32>(map, LPM_DATA_SIZE);
  for (let i: u32 = 0; i < size; i++) {
    const word = load<u64>(next + ((i >> 3) << 3), LPM_NODE_WORDS);
    store<u8>(out + i, <u8>(word >> (56 - ((i & 7) << 3))), DATA);
  }
  word_unlock(map + LPM_LOCK);
  return 0;
}

function after(map: usize, root: usize, key: usize): usize {
  const length = load<u32>(key);
  if (length > load<u32>(map, LPM_MAX_PREFIX)) return leftmost(root);
  // What follows the node is the nearest thing that follows on the way down to it: the one-side beside a step to the zero-side,
  // else the entry above.
  let following: usize = 0;
  let node = root;
  while (node != 0) {
    const prefix = prefix_of(node);
    if (common_prefix(node, key) != prefix) return leftmost(root);
    if (prefix == length) return is_intermediate(node) ? leftmost(root) : following;
    const bit = key_bit(key, prefix);
    const one = child_of(node, 1);
    if (bit == 0 && one != 0) following = leftmost(one);
    else if (!is_intermediate(node)) following = node;
    node = child_of(node, bit);
  }
  return leftmost(root);
}
