/**
 * Kfuncs about objects of a program's own types: what each does with the object, under all its names. Read by the verifier, for its rules, and by
 * whoever fills in what calls are given beside their arguments.
 */

/** `make`, `drop` and `share` (count one more reference) an object; `insert` it into a list or tree, `take` it out, or `look` at it where it is. */
export type ObjectAct = 'make' | 'drop' | 'share' | 'insert' | 'take' | 'look';

export interface ObjectKfunc {
  readonly act: ObjectAct;
  /** Object with a copy for each CPU. */
  readonly percpu?: true;
  /** Calls that are given the type of the object (a record) beside their arguments: the number of that argument, from 1. */
  readonly record?: number;
  /** And the offset of the node in it. */
  readonly offset?: number;
  /** Where the memory of a new object comes from: the number of that argument. */
  readonly allocator?: number;
}

const make: ObjectKfunc = { act: 'make', allocator: 1, record: 2 };
const drop: ObjectKfunc = { act: 'drop', record: 2 };
const share: ObjectKfunc = { act: 'share', record: 2 };
const push: ObjectKfunc = { act: 'insert', record: 3, offset: 4 };
const add: ObjectKfunc = { act: 'insert', record: 4, offset: 5 };
const take: ObjectKfunc = { act: 'take' };
const look: ObjectKfunc = { act: 'look' };

export const objectKfuncs: ReadonlyMap<string, ObjectKfunc> = new Map<string, ObjectKfunc>([
  ['bpf_obj_new_impl', make],
  ['bpf_percpu_obj_new_impl', { ...make, percpu: true }],
  ['bpf_obj_drop_impl', drop],
  ['bpf_percpu_obj_drop_impl', { ...drop, percpu: true }],
  ['bpf_refcount_acquire_impl', share],
  ['bpf_list_push_front_impl', push],
  ['bpf_list_push_back_impl', push],
  ['bpf_list_pop_front', take],
  ['bpf_list_pop_back', take],
  ['bpf_list_front', look],
  ['bpf_list_back', look],
  ['bpf_rbtree_add_impl', add],
  ['bpf_rbtree_remove', take],
  ['bpf_rbtree_first', look],
  ['bpf_rbtree_root', look],
  ['bpf_rbtree_left', look],
  ['bpf_rbtree_right', look],
]);
