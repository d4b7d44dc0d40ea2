// What special fields own ends: references are given back, lists and trees emptied, their objects destroyed in turn. Nothing here calls itself: objects that
// are to be destroyed wait in a list that goes through their own RECORD_LINK words, so that any depth takes no memory. Facts: bpf_obj_free_fields,
// bpf_list_head_free, bpf_rb_root_free (kernel/bpf/syscall.c, helpers.c).
import { bpf_cpumask_release } from '../kfuncs/cpumask';
import { percpu_free } from '../kfuncs/percpu-object';
import { word_lock, word_unlock } from '../locks/word';
import { cpu_count } from '../maps/header';
import { object_release } from '../objects';
import { allocator_free } from '../slab/allocator';
import { allocator_free_later } from '../slab/epoch';
import { WORKER } from '../worker';
import {
  DESTRUCTOR_CPUMASK,
  DESTRUCTOR_OBJECT,
  FIELD_BYTES,
  FIELD_DESTRUCTOR,
  FIELD_KIND,
  FIELD_KPTR,
  FIELD_KPTR_UNTRUSTED,
  FIELD_LIST_HEAD,
  FIELD_NODE,
  FIELD_OFFSET,
  FIELD_PERCPU_KPTR,
  FIELD_RB_ROOT,
  FIELD_TARGET,
  LIST_HEAD_LAST,
  LIST_NODE_NEXT,
  LIST_NODE_OWNER,
  LIST_NODE_PREVIOUS,
  RB_NODE_LEFT,
  RB_NODE_OWNER,
  RB_NODE_PARENT,
  RB_NODE_RIGHT,
  RB_ROOT_LEFTMOST,
  RB_ROOT_NODE,
  RECORD_COUNT,
  RECORD_DEFERRED,
  RECORD_FIELDS,
  RECORD_FLAGS,
  RECORD_LINK,
  RECORD_LOCK,
  RECORD_OWNS,
  RECORD_REFCOUNT,
} from '../../layout/record';
import { WORKER_FIELD_LOCK, WORKER_LOCK_HELD } from '../../layout/worker';

/** Gives up one reference to an object of a program; the last one destroys it. `record` 0: a type without special fields. */
export function object_drop(object: usize, record: usize): void {
  destroy(dropped(0, object, record));
}

/**
 * Ends all that the special fields of a map's value own, and leaves them empty: pointers NULL, lists and trees without elements. Its lock, if it has one, is
 * taken where lists and trees are; timers and work are not looked at (kfuncs/timer.ts).
 */
export function fields_free(record: usize, value: usize): void {
  if ((load<u32>(record, RECORD_FLAGS) & RECORD_OWNS) != 0) destroy(released(0, value, record, true));
}

// Objects that wait: the first of them with its record in the high half, 0: none. The others follow by their links.

function destroy(waiting: u64): void {
  while (waiting != 0) {
    const object = <usize><u32>waiting;
    const record = <usize>(waiting >> 32);
    waiting = load<u64>(object + <usize>load<u32>(record, RECORD_LINK));
    waiting = released(waiting, object, record, false);
    object_give(object, record);
  }
}

function dropped(waiting: u64, object: usize, record: usize): u64 {
  const refcount = load<u32>(record, RECORD_REFCOUNT);
  if (refcount != 0 && atomic.sub<u32>(object + refcount - 1, 1) != 1) return waiting;
  if ((load<u32>(record, RECORD_FLAGS) & RECORD_OWNS) == 0) {
    object_give(object, record);
    return waiting;
  }
  store<u64>(object + <usize>load<u32>(record, RECORD_LINK), waiting);
  return <u64>object | (<u64>record << 32);
}

/** Memory of an object whose fields own nothing any more. */
// @ts-ignore: decorator
@inline
function object_give(object: usize, record: usize): void {
  if ((load<u32>(record, RECORD_FLAGS) & RECORD_DEFERRED) != 0) allocator_free_later(object);
  else allocator_free(object);
}

function released(waiting: u64, value: usize, record: usize, locked: bool): u64 {
  let field = record + RECORD_FIELDS;
  const end = field + <usize>load<u32>(record, RECORD_COUNT) * FIELD_BYTES;
  for (; field < end; field += FIELD_BYTES) {
    const at = value + <usize>load<u32>(field, FIELD_OFFSET);
    switch (load<u32>(field, FIELD_KIND)) {
      case FIELD_KPTR_UNTRUSTED:
        store<u64>(at, 0);
        break;
      case FIELD_KPTR: {
        const pointer = <usize>atomic.xchg<u64>(at, 0);
        if (pointer == 0) break;
        const target = <usize>load<u32>(field, FIELD_TARGET);
        if (target != 0) waiting = dropped(waiting, pointer, target);
        else give_kernel_object(pointer, load<u32>(field, FIELD_DESTRUCTOR));
        break;
      }
      case FIELD_PERCPU_KPTR: {
        const pointer = <usize>atomic.xchg<u64>(at, 0);
        if (pointer != 0) percpu_free(pointer, <usize>load<u32>(field, FIELD_TARGET));
        break;
      }
      case FIELD_LIST_HEAD: {
        const taken = locked && field_lock(record, value);
        const first = <usize>load<u64>(at);
        store<u64>(at, 0);
        store<u64>(at, 0, LIST_HEAD_LAST);
        if (taken) field_unlock(record, value);
        waiting = list_dropped(waiting, first, field);
        break;
      }
      case FIELD_RB_ROOT: {
        const taken = locked && field_lock(record, value);
        const root = <usize>load<u64>(at, RB_ROOT_NODE);
        store<u64>(at, 0, RB_ROOT_NODE);
        store<u64>(at, 0, RB_ROOT_LEFTMOST);
        if (taken) field_unlock(record, value);
        waiting = tree_dropped(waiting, root, field);
        break;
      }
    }
  }
  return waiting;
}

function give_kernel_object(pointer: usize, destructor: u32): void {
  if (destructor == DESTRUCTOR_OBJECT) object_release(pointer);
  else if (destructor == DESTRUCTOR_CPUMASK) bpf_cpumask_release(pointer);
}

/** Elements that others hold too may go into another list then: nobody owns them. */
function list_dropped(waiting: u64, first: usize, field: usize): u64 {
  const target = <usize>load<u32>(field, FIELD_TARGET);
  const offset = <usize>load<u32>(field, FIELD_NODE);
  let node = first;
  while (node != 0) {
    const next = <usize>load<u64>(node, LIST_NODE_NEXT);
    store<u64>(node, 0, LIST_NODE_NEXT);
    store<u64>(node, 0, LIST_NODE_PREVIOUS);
    atomic.store<u64>(node, 0, LIST_NODE_OWNER);
    waiting = dropped(waiting, node - offset, target);
    node = next;
  }
  return waiting;
}

/** Takes a tree apart from the left: what has a left child is turned to the right of it, what has none goes. */
function tree_dropped(waiting: u64, root: usize, field: usize): u64 {
  const target = <usize>load<u32>(field, FIELD_TARGET);
  const offset = <usize>load<u32>(field, FIELD_NODE);
  let node = root;
  while (node != 0) {
    const left = <usize>load<u64>(node, RB_NODE_LEFT);
    if (left != 0) {
      store<u64>(node, load<u64>(left, RB_NODE_RIGHT), RB_NODE_LEFT);
      store<u64>(left, <u64>node, RB_NODE_RIGHT);
      node = left;
      continue;
    }
    const right = <usize>load<u64>(node, RB_NODE_RIGHT);
    store<u64>(node, 0, RB_NODE_PARENT);
    store<u64>(node, 0, RB_NODE_RIGHT);
    atomic.store<u64>(node, 0, RB_NODE_OWNER);
    waiting = dropped(waiting, node - offset, target);
    node = right;
  }
  return waiting;
}

/**
 * Takes the lock of a value that another CPU's program may be using; false if there is no need to. A program is never stopped by another of its CPU: what
 * this CPU holds is left from one that an engine has stopped.
 */
function field_lock(record: usize, value: usize): bool {
  const offset = load<u32>(record, RECORD_LOCK);
  if (offset == 0 || cpu_count() == 1) return false;
  const lock = value + offset - 1;
  if (load<u32>(WORKER, WORKER_LOCK_HELD) == <u32>lock) return false;
  word_lock(lock);
  store<u32>(WORKER, <u32>lock, WORKER_FIELD_LOCK);
  return true;
}

function field_unlock(record: usize, value: usize): void {
  word_unlock(value + load<u32>(record, RECORD_LOCK) - 1);
  store<u32>(WORKER, 0, WORKER_FIELD_LOCK);
}
