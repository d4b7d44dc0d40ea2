// Red-black trees of objects under a lock (layout/record.ts): the program says what is less. Nothing calls itself, and the callback is the program's.
// Facts: __bpf_rbtree_add, bpf_rbtree_remove and their like, kernel/bpf/helpers.c.
import { EINVAL } from '../errno';
import { object_drop } from '../fields/free';
import { RB_NODE_LEFT, RB_NODE_OWNER, RB_NODE_PARENT, RB_NODE_RIGHT, RB_ROOT_LEFTMOST, RB_ROOT_NODE } from '../../layout/record';

/** Owner of a node that is on its way into a tree. */
const ENTERING: u64 = u64.MAX_VALUE;
const BLACK: u32 = 1;

@inline function child(node: usize, side: usize): usize {
  return <usize>load<u32>(node + side);
}

@inline function setChild(node: usize, side: usize, to: usize): void {
  store<u64>(node + side, <u64>to);
}

@inline function parentOf(node: usize): usize {
  return <usize>(load<u32>(node, RB_NODE_PARENT) & ~BLACK);
}

/** What is no node counts as black. */
@inline function isBlack(node: usize): bool {
  return node == 0 || (load<u32>(node, RB_NODE_PARENT) & BLACK) != 0;
}

@inline function setBlack(node: usize): void {
  store<u64>(node, load<u64>(node, RB_NODE_PARENT) | BLACK, RB_NODE_PARENT);
}

@inline function setRed(node: usize): void {
  store<u64>(node, load<u64>(node, RB_NODE_PARENT) & ~(<u64>BLACK), RB_NODE_PARENT);
}

@inline function setParent(node: usize, parent: usize): void {
  store<u64>(node, <u64>(<u32>parent | (load<u32>(node, RB_NODE_PARENT) & BLACK)), RB_NODE_PARENT);
}

/** `by`, which may be none, hangs where `node` hung. */
function replace(root: usize, node: usize, by: usize): void {
  const parent = parentOf(node);
  if (parent == 0) store<u64>(root, <u64>by, RB_ROOT_NODE);
  else setChild(parent, child(parent, RB_NODE_LEFT) == node ? RB_NODE_LEFT : RB_NODE_RIGHT, by);
  if (by != 0) setParent(by, parent);
}

/** The child on the other side comes up in the place of `node`, which goes down on `side`. */
function rotate(root: usize, node: usize, side: usize, other: usize): void {
  const up = child(node, other);
  const between = child(up, side);
  setChild(node, other, between);
  if (between != 0) setParent(between, node);
  replace(root, node, up);
  setChild(up, side, node);
  setParent(node, up);
}

/** After `node`, red, was hung at a leaf. */
function balanceAdded(root: usize, added: usize): void {
  let node = added;
  while (true) {
    let parent = parentOf(node);
    if (parent == 0) {
      setBlack(node);
      return;
    }
    if (isBlack(parent)) return;
    const grandparent = parentOf(parent);
    const side: usize = child(grandparent, RB_NODE_LEFT) == parent ? RB_NODE_LEFT : RB_NODE_RIGHT;
    const other: usize = side == RB_NODE_LEFT ? RB_NODE_RIGHT : RB_NODE_LEFT;
    const uncle = child(grandparent, other);
    if (!isBlack(uncle)) {
      setBlack(parent);
      setBlack(uncle);
      setRed(grandparent);
      node = grandparent;
      continue;
    }
    if (child(parent, other) == node) {
      rotate(root, parent, side, other);
      parent = node;
    }
    setBlack(parent);
    setRed(grandparent);
    rotate(root, grandparent, other, side);
    return;
  }
}

/** After a black node went from above `node` (which may be none), under `above`. */
function balanceRemoved(root: usize, removed: usize, above: usize): void {
  let node = removed;
  let parent = above;
  while (parent != 0 && isBlack(node)) {
    const side: usize = child(parent, RB_NODE_LEFT) == node ? RB_NODE_LEFT : RB_NODE_RIGHT;
    const other: usize = side == RB_NODE_LEFT ? RB_NODE_RIGHT : RB_NODE_LEFT;
    let sibling = child(parent, other);
    if (!isBlack(sibling)) {
      setBlack(sibling);
      setRed(parent);
      rotate(root, parent, side, other);
      sibling = child(parent, other);
    }
    if (isBlack(child(sibling, side)) && isBlack(child(sibling, other))) {
      setRed(sibling);
      node = parent;
      parent = parentOf(node);
      continue;
    }
    if (isBlack(child(sibling, other))) {
      setBlack(child(sibling, side));
      setRed(sibling);
      rotate(root, sibling, other, side);
      sibling = child(parent, other);
    }
    if (isBlack(parent)) setBlack(sibling);
    else setRed(sibling);
    setBlack(parent);
    setBlack(child(sibling, other));
    rotate(root, parent, side, other);
    return;
  }
  if (node != 0) setBlack(node);
}

function leftmost(node: usize): usize {
  let at = node;
  for (let left = child(at, RB_NODE_LEFT); left != 0; left = child(at, RB_NODE_LEFT)) at = left;
  return at;
}

function take(root: usize, node: usize): void {
  // The leftmost has no left child: what follows it is below on the right, or above.
  if (<usize>load<u32>(root, RB_ROOT_LEFTMOST) == node) {
    const right = child(node, RB_NODE_RIGHT);
    store<u64>(root, <u64>(right != 0 ? leftmost(right) : parentOf(node)), RB_ROOT_LEFTMOST);
  }
  const left = child(node, RB_NODE_LEFT);
  const right = child(node, RB_NODE_RIGHT);
  if (left == 0 || right == 0) {
    const below = left == 0 ? right : left;
    const parent = parentOf(node);
    replace(root, node, below);
    if (isBlack(node)) balanceRemoved(root, below, parent);
    return;
  }
  const next = leftmost(right);
  const below = child(next, RB_NODE_RIGHT);
  const wasBlack = isBlack(next);
  let parent = next;
  if (next != right) {
    parent = parentOf(next);
    replace(root, next, below);
    setChild(next, RB_NODE_RIGHT, right);
    setParent(right, next);
  }
  replace(root, node, next);
  setChild(next, RB_NODE_LEFT, left);
  setParent(left, next);
  if (isBlack(node)) setBlack(next);
  else setRed(next);
  if (wasBlack) balanceRemoved(root, below, parent);
}

/** `less`: table index of the function that compares two nodes. `record`: of the elements; `offset`: of the node in them. -EINVAL drops the object. */
export function bpf_rbtree_add_impl(root: u64, node: u64, less: u64, record: u64, offset: u64): i64 {
  if (atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, RB_NODE_OWNER) != 0) {
    object_drop(<usize>(node - offset), <usize><u32>record);
    return EINVAL;
  }
  const tree = <usize>root;
  let parent: usize = 0;
  let side: usize = RB_NODE_LEFT;
  let first = true;
  let at = <usize>load<u32>(tree, RB_ROOT_NODE);
  while (at != 0) {
    parent = at;
    const before = call_indirect<u64>(<u32>less, node, <u64>at, <u64>0, <u64>0, <u64>0);
    side = before != 0 ? RB_NODE_LEFT : RB_NODE_RIGHT;
    if (before == 0) first = false;
    at = child(at, side);
  }
  const added = <usize>node;
  store<u64>(added, <u64>parent, RB_NODE_PARENT);
  store<u64>(added, 0, RB_NODE_RIGHT);
  store<u64>(added, 0, RB_NODE_LEFT);
  if (parent == 0) store<u64>(tree, node, RB_ROOT_NODE);
  else setChild(parent, side, added);
  if (first) store<u64>(tree, node, RB_ROOT_LEFTMOST);
  balanceAdded(tree, added);
  atomic.store<u64>(added, root, RB_NODE_OWNER);
  return 0;
}

/** The node, out of the tree; 0 if another tree owns it, or none. */
export function bpf_rbtree_remove(root: u64, node: u64): u64 {
  if (atomic.load<u64>(<usize>node, RB_NODE_OWNER) != root) return 0;
  take(<usize>root, <usize>node);
  store<u64>(<usize>node, 0, RB_NODE_PARENT);
  store<u64>(<usize>node, 0, RB_NODE_RIGHT);
  store<u64>(<usize>node, 0, RB_NODE_LEFT);
  atomic.store<u64>(<usize>node, 0, RB_NODE_OWNER);
  return node;
}

export function bpf_rbtree_first(root: u64): u64 {
  return load<u64>(<usize>root, RB_ROOT_LEFTMOST);
}

export function bpf_rbtree_root(root: u64): u64 {
  return load<u64>(<usize>root, RB_ROOT_NODE);
}

export function bpf_rbtree_left(root: u64, node: u64): u64 {
  return atomic.load<u64>(<usize>node, RB_NODE_OWNER) == root ? load<u64>(<usize>node, RB_NODE_LEFT) : 0;
}

export function bpf_rbtree_right(root: u64, node: u64): u64 {
  return atomic.load<u64>(<usize>node, RB_NODE_OWNER) == root ? load<u64>(<usize>node, RB_NODE_RIGHT) : 0;
}
