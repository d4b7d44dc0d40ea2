// Red-black trees of objects under a lock (layout/record.ts): the program says what is less. Nothing calls itself, and the callback is the program's.
//
// Where an engine may stop a thread (loops and functions begin there) a tree is one of search, and WORKER_TREE says that its colours may be wrong: rotations, and what puts a node in
// or takes it out, are straight-line. tree_repair then colours it anew.
// Facts: __bpf_rbtree_add, bpf_rbtree_remove and their like, kernel/bpf/helpers.c.
import { EINVAL } from '../errno';
import { object_drop } from '../fields/free';
import { RB_NODE_LEFT, RB_NODE_OWNER, RB_NODE_PARENT, RB_NODE_RIGHT, RB_ROOT_LEFTMOST, RB_ROOT_NODE } from '../../layout/record';
import { WORKER_TREE } from '../../layout/worker';
import { WORKER } from '../worker';

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
@inline function replace(root: usize, node: usize, by: usize): void {
  const parent = parentOf(node);
  if (parent == 0) store<u64>(root, <u64>by, RB_ROOT_NODE);
  else setChild(parent, child(parent, RB_NODE_LEFT) == node ? RB_NODE_LEFT : RB_NODE_RIGHT, by);
  if (by != 0) setParent(by, parent);
}

/** The child on the other side comes up in the place of `node`, which goes down on `side`. */
@inline function rotate(root: usize, node: usize, side: usize, other: usize): void {
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

/** Takes a node out, which nobody owns then. */
function take(root: usize, node: usize): void {
  const left = child(node, RB_NODE_LEFT);
  const right = child(node, RB_NODE_RIGHT);
  const above = parentOf(node);
  // The next one in order is below on the right, or, of the leftmost, above.
  const next = right != 0 ? leftmost(right) : above;
  let removedBlack = isBlack(node);
  let below: usize = 0;
  let parent: usize = 0;
  store<u32>(WORKER, <u32>root, WORKER_TREE);
  // The leftmost has no left child.
  if (<usize>load<u32>(root, RB_ROOT_LEFTMOST) == node) store<u64>(root, <u64>next, RB_ROOT_LEFTMOST);
  if (left == 0 || right == 0) {
    below = left == 0 ? right : left;
    parent = above;
    replace(root, node, below);
  } else {
    below = child(next, RB_NODE_RIGHT);
    const wasBlack = isBlack(next);
    parent = next;
    if (next != right) {
      parent = parentOf(next);
      replace(root, next, below);
      setChild(next, RB_NODE_RIGHT, right);
      setParent(right, next);
    }
    replace(root, node, next);
    setChild(next, RB_NODE_LEFT, left);
    setParent(left, next);
    if (removedBlack) setBlack(next);
    else setRed(next);
    removedBlack = wasBlack;
  }
  store<u64>(node, 0, RB_NODE_PARENT);
  store<u64>(node, 0, RB_NODE_RIGHT);
  store<u64>(node, 0, RB_NODE_LEFT);
  atomic.store<u64>(node, 0, RB_NODE_OWNER);
  if (removedBlack) balanceRemoved(root, below, parent);
  store<u32>(WORKER, 0, WORKER_TREE);
}

/** The node above that is left by its left side, 0 at the end: what follows in order where there is nothing on the right. */
function nextAbove(node: usize): usize {
  let at = node;
  let parent = parentOf(at);
  while (parent != 0 && child(parent, RB_NODE_RIGHT) == at) {
    at = parent;
    parent = parentOf(at);
  }
  return parent;
}

/** Makes a tree anew from one whose order is right and whose colours may not be. For who comes after a CPU that was ended, in whose name no other is at the tree. */
export function tree_repair(root: usize): void {
  const top = <usize>load<u32>(root, RB_ROOT_NODE);
  if (top == 0) return;
  // A chain in order: by RIGHT, once a node's own right side has been gone into.
  let first: usize = 0;
  let last: usize = 0;
  let at = leftmost(top);
  while (at != 0) {
    const right = child(at, RB_NODE_RIGHT);
    const next = right != 0 ? leftmost(right) : nextAbove(at);
    // The left side is behind us: its word is free to lead on.
    setChild(at, RB_NODE_LEFT, 0);
    if (last == 0) first = at;
    else setChild(last, RB_NODE_LEFT, at);
    last = at;
    at = next;
  }
  store<u64>(root, 0, RB_ROOT_NODE);
  store<u64>(root, <u64>first, RB_ROOT_LEFTMOST);
  let greatest: usize = 0;
  at = first;
  while (at != 0) {
    const next = child(at, RB_NODE_LEFT);
    store<u64>(at, <u64>greatest, RB_NODE_PARENT);
    store<u64>(at, 0, RB_NODE_RIGHT);
    store<u64>(at, 0, RB_NODE_LEFT);
    store<u64>(at, <u64>root, RB_NODE_OWNER);
    if (greatest == 0) store<u64>(root, <u64>at, RB_ROOT_NODE);
    else setChild(greatest, RB_NODE_RIGHT, at);
    greatest = at;
    balanceAdded(root, at);
    at = next;
  }
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
  store<u32>(WORKER, <u32>root, WORKER_TREE);
  store<u64>(added, <u64>parent, RB_NODE_PARENT);
  store<u64>(added, 0, RB_NODE_RIGHT);
  store<u64>(added, 0, RB_NODE_LEFT);
  if (parent == 0) store<u64>(tree, node, RB_ROOT_NODE);
  else setChild(parent, side, added);
  if (first) store<u64>(tree, node, RB_ROOT_LEFTMOST);
  atomic.store<u64>(added, root, RB_NODE_OWNER);
  balanceAdded(tree, added);
  store<u32>(WORKER, 0, WORKER_TREE);
  return 0;
}

/** The node, out of the tree; 0 if another tree owns it, or none. */
export function bpf_rbtree_remove(root: u64, node: u64): u64 {
  if (atomic.load<u64>(<usize>node, RB_NODE_OWNER) != root) return 0;
  take(<usize>root, <usize>node);
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
