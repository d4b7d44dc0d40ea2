/**
 * Kfuncs about objects of a program's own types: what each does with the object, under all its names. Read by the verifier, for its rules, and by
 * whoever fills in what calls are given beside their arguments.
 */

/**
 * `make`, `drop` and `share` (count one more reference) an object; `insert` it into a list or tree, `take` it out, or `look` at it where it is;
 * `ask` about it; `reserve` memory for objects to come.
 */
export type ObjectAct = 'make' | 'drop' | 'share' | 'insert' | 'take' | 'look' | 'ask' | 'reserve';

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
  /** The program says from which allocator: argument 1. */
  readonly from?: true;
  /** Calls back to compare objects. */
  readonly less?: true;
}

const make: ObjectKfunc = { act: 'make', allocator: 1, record: 2 };
const drop: ObjectKfunc = { act: 'drop', record: 2 };
const share: ObjectKfunc = { act: 'share', record: 2 };
const push: ObjectKfunc = { act: 'insert', record: 3, offset: 4 };
const add: ObjectKfunc = { act: 'insert', record: 4, offset: 5 };
const take: ObjectKfunc = { act: 'take' };
const look: ObjectKfunc = { act: 'look' };
const ask: ObjectKfunc = { act: 'ask' };

/** A kfunc as Linux calls it from 7.1 on, and before. */
function named(name: string, kfunc: ObjectKfunc): [string, ObjectKfunc][] {
  return [name, `${name}_impl`].map((each) => [each, kfunc]);
}

export const objectKfuncs: ReadonlyMap<string, ObjectKfunc> = new Map<string, ObjectKfunc>([
  ...named('bpf_obj_new', make),
  ...named('bpf_percpu_obj_new', { ...make, percpu: true }),
  ...named('bpf_obj_drop', drop),
  ...named('bpf_percpu_obj_drop', { ...drop, percpu: true }),
  ...named('bpf_refcount_acquire', share),
  ...named('bpf_list_push_front', push),
  ...named('bpf_list_push_back', push),
  ['bpf_list_add', add],
  ['bpf_list_del', take],
  ['bpf_list_is_first', ask],
  ['bpf_list_is_last', ask],
  ['bpf_list_empty', ask],
  ['bpf_list_pop_front', take],
  ['bpf_list_pop_back', take],
  ['bpf_list_front', look],
  ['bpf_list_back', look],
  ...named('bpf_rbtree_add', { ...add, less: true }),
  ['bpf_rbtree_remove', take],
  ['bpf_rbtree_first', look],
  ['bpf_rbtree_root', look],
  ['bpf_rbtree_left', look],
  ['bpf_rbtree_right', look],
  ['bpf_mem_alloc_impl', { act: 'make', allocator: 1, record: 3, from: true }],
  ['bpf_mem_free_impl', drop],
  ['bpf_mem_prefill_impl', { act: 'reserve', allocator: 1, record: 4, from: true }],
]);
