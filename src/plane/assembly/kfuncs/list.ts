// Lists of objects under a lock (layout/record.ts): heads and nodes of zeros are empty and in no list; a node says which head owns it, so that no second list
// or pointer can take it out. Facts: __bpf_list_add, __bpf_list_del, kernel/bpf/helpers.c.
import { EINVAL } from '../errno';
import { object_drop } from '../fields/free';
import { LIST_HEAD_FIRST, LIST_HEAD_LAST, LIST_NODE_NEXT, LIST_NODE_OWNER, LIST_NODE_PREVIOUS } from '../../layout/record';

/** Owner of a node that is on its way into a list. */
const ENTERING: u64 = u64.MAX_VALUE;

/** Takes a node that nobody owns. One that is owned is not taken: the reference that came with it is given up. Straight-line with `link`, where a thread is not stopped. */
@inline function take(node: u64, record: u64, offset: u64): bool {
  if (atomic.cmpxchg<u64>(<usize>node, 0, ENTERING, LIST_NODE_OWNER) == 0) return true;
  object_drop(<usize>(node - offset), <usize><u32>record);
  return false;
}

/** Puts a node between two neighbours, 0 where the list begins or ends. */
@inline function link(head: u64, node: u64, previous: u64, next: u64): void {
  store<u64>(<usize>node, next, LIST_NODE_NEXT);
  store<u64>(<usize>node, previous, LIST_NODE_PREVIOUS);
  if (previous == 0) store<u64>(<usize>head, node, LIST_HEAD_FIRST);
  else store<u64>(<usize>previous, node, LIST_NODE_NEXT);
  if (next == 0) store<u64>(<usize>head, node, LIST_HEAD_LAST);
  else store<u64>(<usize>next, node, LIST_NODE_PREVIOUS);
  atomic.store<u64>(<usize>node, head, LIST_NODE_OWNER);
}

/** Takes a node out of the list that owns it; 0 if that is another one, or none. */
@inline function unlink(head: u64, node: u64): u64 {
  if (node == 0 || atomic.load<u64>(<usize>node, LIST_NODE_OWNER) != head) return 0;
  const next = load<u64>(<usize>node, LIST_NODE_NEXT);
  const previous = load<u64>(<usize>node, LIST_NODE_PREVIOUS);
  if (previous == 0) store<u64>(<usize>head, next, LIST_HEAD_FIRST);
  else store<u64>(<usize>previous, next, LIST_NODE_NEXT);
  if (next == 0) store<u64>(<usize>head, previous, LIST_HEAD_LAST);
  else store<u64>(<usize>next, previous, LIST_NODE_PREVIOUS);
  store<u64>(<usize>node, 0, LIST_NODE_NEXT);
  store<u64>(<usize>node, 0, LIST_NODE_PREVIOUS);
  atomic.store<u64>(<usize>node, 0, LIST_NODE_OWNER);
  return node;
}

/** `record`: of the elements; `offset`: of the node in them. */
export function bpf_list_push_front_impl(head: u64, node: u64, record: u64, offset: u64): i64 {
  if (!take(node, record, offset)) return EINVAL;
  link(head, node, 0, load<u64>(<usize>head, LIST_HEAD_FIRST));
  return 0;
}

export function bpf_list_push_back_impl(head: u64, node: u64, record: u64, offset: u64): i64 {
  if (!take(node, record, offset)) return EINVAL;
  link(head, node, load<u64>(<usize>head, LIST_HEAD_LAST), 0);
  return 0;
}

/** Behind `previous`, which the list must own. */
export function bpf_list_add_impl(head: u64, node: u64, previous: u64, record: u64, offset: u64): i64 {
  if (atomic.load<u64>(<usize>previous, LIST_NODE_OWNER) != head) {
    object_drop(<usize>(node - offset), <usize><u32>record);
    return EINVAL;
  }
  if (!take(node, record, offset)) return EINVAL;
  link(head, node, previous, load<u64>(<usize>previous, LIST_NODE_NEXT));
  return 0;
}

export function bpf_list_pop_front(head: u64): u64 {
  return unlink(head, load<u64>(<usize>head, LIST_HEAD_FIRST));
}

export function bpf_list_pop_back(head: u64): u64 {
  return unlink(head, load<u64>(<usize>head, LIST_HEAD_LAST));
}

export function bpf_list_del(head: u64, node: u64): u64 {
  return unlink(head, node);
}

export function bpf_list_front(head: u64): u64 {
  return load<u64>(<usize>head, LIST_HEAD_FIRST);
}

export function bpf_list_back(head: u64): u64 {
  return load<u64>(<usize>head, LIST_HEAD_LAST);
}

export function bpf_list_is_first(head: u64, node: u64): u64 {
  return node != 0 && load<u64>(<usize>head, LIST_HEAD_FIRST) == node ? 1 : 0;
}

export function bpf_list_is_last(head: u64, node: u64): u64 {
  return node != 0 && load<u64>(<usize>head, LIST_HEAD_LAST) == node ? 1 : 0;
}

export function bpf_list_empty(head: u64): u64 {
  return load<u64>(<usize>head, LIST_HEAD_FIRST) == 0 ? 1 : 0;
}
