/**
 * Which functions of the kernel a tracing program may be attached to, and how: what Linux 6.18 keeps in lists of its own because BTF does
 * not say it (kernel/bpf/verifier.c, net/bpf/test_run.c, net/mptcp/bpf.c, ALLOW_ERROR_INJECTION throughout).
 */

/** Attaching would recurse (btf_id_deny). */
export const deniedFunctions: ReadonlySet<string> = new Set([
  '___migrate_enable',
  'migrate_disable',
  'migrate_enable',
  'rcu_read_unlock_strict',
  'preempt_count_add',
  'preempt_count_sub',
  '__rcu_read_lock',
  '__rcu_read_unlock',
]);

/** They do not come back: no fexit, no fmod_ret (noreturn_deny). */
export const noReturnFunctions: ReadonlySet<string> = new Set([
  '__ia32_sys_exit',
  '__ia32_sys_exit_group',
  '__kunit_abort',
  'kunit_try_catch_throw',
  '__module_put_and_kthread_exit',
  '__x64_sys_exit',
  '__x64_sys_exit_group',
  'do_exit',
  'do_group_exit',
  'kthread_complete_and_exit',
  'make_task_dead',
]);

/** fmod_ret without error injection (register_btf_fmodret_id_set); true: sleepable too. */
export const modifiableFunctions: ReadonlyMap<string, boolean> = new Map([
  ['bpf_modify_return_test', false],
  ['bpf_modify_return_test2', false],
  ['bpf_modify_return_test_tp', false],
  ['bpf_fentry_test1', true],
  ['update_socket_protocol', false],
]);

const injectable = new Set([
  '__filemap_add_folio',
  'btrfs_check_leaf',
  'btrfs_check_node',
  'btrfs_cow_block',
  'btrfs_search_slot',
  'btrfs_should_cancel_balance',
  'io_ctl_init',
  'mtd_block_markbad',
  'mtd_erase',
  'mtd_read',
  'mtd_write',
  'open_ctree',
  'page_pool_alloc_netmems',
  'should_fail_alloc_page',
  'should_fail_bio',
  'should_fail_net_realloc_skb',
  'should_failslab',
]);
const systemCall = /^__(x64|ia32|x32|arm64|arm64_compat|riscv|riscv_compat|s390|s390x|s390_compat)_(compat_)?sys_/;
/** Injectable, but also called where one may not sleep. */
const neverSleepable = new Set(['__filemap_add_folio', 'should_fail_alloc_page', 'should_failslab']);

/** In the kernel's error injection list, if it was built with one (CONFIG_FUNCTION_ERROR_INJECTION): all system calls, and a few more. */
export function allowsErrorInjection(name: string): boolean {
  return injectable.has(name) || systemCall.test(name);
}

export function maySleepInside(name: string): boolean {
  return (allowsErrorInjection(name) && !neverSleepable.has(name)) || modifiableFunctions.get(name) === true;
}

export function mayModifyReturn(name: string): boolean {
  return modifiableFunctions.has(name) || allowsErrorInjection(name) || name.startsWith('security_');
}
