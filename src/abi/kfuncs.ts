/**
 * The kfuncs that programs may call in the user-space target, by name, and what they work on where that is a model. Prototypes stand in
 * kfunc-prototypes.ts and own-kfuncs.ts, bodies in plane/assembly/kfuncs/. A name that is not in here is refused at load, even if the plane exports a function
 * of that name: what the plane exports is for the runtime as well.
 */
import { ownKfuncs } from './own-kfuncs.ts';
import type { ProgramTypeName } from './program-types.ts';

export interface KfuncState {
  /** Undefined: it does what Linux does. Else what stands in for the part of Linux that is not here. */
  readonly modelledWith?: string;
  /** Version of Sluice that has it first, of those of Linux; undefined: 0.1.0. */
  readonly since?: string;
  /** Done by the engines themselves: the plane exports nothing of the name. */
  readonly engine?: true;
}

function family(names: string, state: KfuncState = {}): [string, KfuncState][] {
  return names
    .trim()
    .split(/\s+/)
    .map((name) => [name, state]);
}

const prefixed = (prefix: string, names: string): string => names.trim().replace(/\S+/g, (name) => `${prefix}${name}`);

export const kfuncs: ReadonlyMap<string, KfuncState> = new Map([
  ...family(prefixed('bpf_dynptr_', 'from_skb from_skb_meta from_xdp adjust is_null is_rdonly size clone copy memset')),
  ...family('bpf_dynptr_slice bpf_dynptr_slice_rdwr', {
    modelledWith: 'packets are linear: a slice is the packet, never the buffer',
  }),
  ...family(prefixed('bpf_iter_', 'num_new num_next num_destroy bits_new bits_next bits_destroy')),
  ...family(prefixed('bpf_str', 'cmp casecmp chr chrnul nchr rchr len nlen spn cspn str nstr'), {
    modelledWith: 'the null page stands for addresses of user space',
  }),
  ...family(
    prefixed(
      'bpf_cpumask_',
      `create acquire release first first_zero first_and set_cpu clear_cpu test_cpu test_and_set_cpu test_and_clear_cpu setall clear
       and or xor equal intersects subset empty full copy weight populate`,
    ),
    { modelledWith: 'the CPUs of the runtime, at most 64' },
  ),
  ...family('bpf_cpumask_any_distribute bpf_cpumask_any_and_distribute', {
    modelledWith: 'the first CPU, not one after another',
  }),
  ...family('bpf_cgroup_from_id bpf_cgroup_acquire bpf_cgroup_release', {
    modelledWith: 'groups that the run makes, but for the root; their fields are zeros',
  }),
  ...family('bpf_throw', { engine: true }),
  ...family('bpf_arena_alloc_pages bpf_arena_free_pages bpf_arena_reserve_pages', {
    modelledWith: 'pages of the linear memory: pointers are addresses in it; one NUMA node',
  }),
  ...family('bpf_xdp_metadata_rx_timestamp bpf_xdp_metadata_rx_hash bpf_xdp_metadata_rx_vlan_tag', {
    modelledWith:
      'what a program stored (bpf_xdp_store_rx_*), then hints of the frame that the run sets; EOPNOTSUPP without either; no program must be bound to a device',
  }),
  ...family('bpf_xdp_pull_data', { modelledWith: 'packets are linear: nothing moves' }),
  ...family('bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable bpf_preempt_enable', {
    modelledWith: 'nothing interrupts a program of a worker',
  }),
  ...family('bpf_local_irq_save bpf_local_irq_restore', { modelledWith: 'there are no interrupts' }),
  ...family('bpf_res_spin_lock bpf_res_spin_unlock bpf_res_spin_lock_irqsave bpf_res_spin_unlock_irqrestore', {
    modelledWith:
      'EDEADLK for a lock that this CPU holds, and where two CPUs each hold what the other waits for; ETIMEDOUT after 250 ms',
  }),
  ...family('bpf_wq_init bpf_wq_set_callback_impl bpf_wq_start', {
    modelledWith: 'work runs once the program has ended, as timers do that are due',
  }),
  ...family('bpf_task_work_schedule_signal_impl bpf_task_work_schedule_resume_impl', {
    modelledWith:
      'the callback runs as the CPU returns from the run, or the lot, to control code; the task is the one that programs run in',
    since: '0.2.0',
  }),
  ...family(
    prefixed(
      'bpf_',
      `obj_new obj_drop refcount_acquire list_push_front list_push_back rbtree_add list_add list_del list_is_first list_is_last list_empty
       obj_new_impl obj_drop_impl refcount_acquire_impl list_push_front_impl list_push_back_impl list_pop_front list_pop_back list_front list_back
       rbtree_add_impl rbtree_remove rbtree_first rbtree_root rbtree_left rbtree_right`,
    ),
  ),
  ...family('bpf_percpu_obj_new bpf_percpu_obj_drop bpf_percpu_obj_new_impl bpf_percpu_obj_drop_impl', {
    modelledWith: 'one allocation with a copy for each CPU of the runtime, zeroed',
  }),
  ...family([...ownKfuncs.keys()].join(' ')),
]);

/** Program types that may not write to their packets by a dynptr (may_access_direct_pkt_data, kernel/bpf/verifier.c). */
const readOnlyPackets: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  'socket_filter',
  'vnet_hash',
  'cgroup_skb',
  'lwt_in',
  'lwt_out',
  'lwt_seg6local',
  'sk_reuseport',
  'flow_dissector',
]);
const READ_ONLY = '_rdonly';

/** Kfuncs without arguments for what the loader passes: it is passed behind the others. Under the older names the arguments are there. */
const implicit: ReadonlySet<string> = new Set(
  prefixed(
    'bpf_',
    'obj_new obj_drop percpu_obj_new percpu_obj_drop refcount_acquire list_push_front list_push_back list_add rbtree_add',
  ).split(' '),
);

/** Name of the body that a call becomes in a program of the type (specialize_kfunc, kernel/bpf/verifier.c). */
export function kfuncBody(name: string, type: ProgramTypeName): string {
  if (implicit.has(name)) return `${name}_impl`;
  return name === 'bpf_dynptr_from_skb' && readOnlyPackets.has(type) ? name + READ_ONLY : name;
}

/** The kfunc that a body is of. */
export function kfuncOfBody(body: string): string {
  if (kfuncs.has(body)) return body;
  if (body.endsWith(READ_ONLY)) return body.slice(0, -READ_ONLY.length);
  return body.endsWith('_impl') ? body.slice(0, -'_impl'.length) : body;
}
