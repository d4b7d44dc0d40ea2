/** Helpers that depend on what the program is attached to, beyond its type: the `allowed` functions and get_func_proto of single hooks and structs. */

import { socketOptionTargets } from '../../abi/iterator-targets.ts';
import type { LinuxKfunc } from '../../abi/linux-kfuncs.ts';
import { sleepableLsmHooks, socketOptionLsmHooks } from '../../abi/lsm-hooks.ts';
import { structOpsRules } from '../../abi/struct-ops.ts';
import type { Verification } from '../verification.ts';

/** Functions inside which a path is safe to be printed (btf_allowlist_d_path, kernel/trace/bpf_trace.c). */
const pathFunctions = new Set([
  'security_file_permission',
  'security_inode_getattr',
  'security_file_open',
  'security_path_truncate',
  'vfs_truncate',
  'vfs_fallocate',
  'dentry_open',
  'vfs_getattr',
  'filp_close',
]);

/** Those that only some structs of struct_ops have. */
const ofStructs = new Set([
  'tcp_send_ack',
  'sk_storage_get',
  'sk_storage_delete',
  'setsockopt',
  'getsockopt',
  'ktime_get_coarse_ns',
]);

/** @param name without `bpf_`. `absent`: the program has no such helper; `refused`: it has, but not there. */
export function helperRight(v: Verification, name: string): 'fine' | 'absent' | 'refused' {
  const { declaration, program, target } = v;
  const { attachType } = program;
  if (v.lacksHelper?.(declaration.type, name) === true) return 'absent';
  if (target === undefined) {
    // Programs of user space are attached to nothing that the kernel could look up.
    const needs = name === 'd_path' || name === 'sk_storage_get' || name === 'sk_storage_delete';
    return declaration.type === 'syscall' && needs ? 'refused' : 'fine';
  }
  if (target.struct !== undefined) {
    const rules = structOpsRules(target.struct);
    if (!ofStructs.has(name)) return 'fine';
    return rules.helpers.includes(name) && rules.helpersBut?.[target.short]?.includes(name) !== true
      ? 'fine'
      : 'absent';
  }
  const lsm = declaration.type === 'lsm';
  switch (name) {
    case 'd_path':
      if (attachType === 'trace_iter') return 'fine';
      return (lsm ? sleepableLsmHooks.has(target.short) : pathFunctions.has(target.name)) ? 'fine' : 'refused';
    case 'ima_inode_hash':
    case 'ima_file_hash':
      return sleepableLsmHooks.has(target.short) ? 'fine' : 'refused';
    case 'getsockopt':
    case 'setsockopt': {
      const where = lsm ? socketOptionLsmHooks : socketOptionTargets;
      return where.has(target.short) ? 'fine' : 'absent';
    }
    case 'sk_storage_get':
    case 'sk_storage_delete':
      if (lsm || attachType === 'trace_iter' || attachType === 'trace_raw_tp') return 'fine';
      return attachType !== 'modify_return' && !target.name.startsWith('bpf_sk_storage') ? 'fine' : 'refused';
    default:
      return 'fine';
  }
}

/** Kfuncs that not all programs of their types may call (the filters of kernel/bpf/btf.c's kfunc sets, check_css_task_iter_allowlist). */
export function refuseKfunc(v: Verification, { name, source }: LinuxKfunc): void {
  const { declaration, program, target } = v;
  const lsm = declaration.type === 'lsm';
  const iterator = program.attachType === 'trace_iter';
  let fine = true;
  if (source === 'fs/bpf_fs_kfuncs.c' || source === 'fs/verity/measure.c') fine = lsm;
  else if (source === 'net/sched/bpf_qdisc.c') fine = target?.struct === 'Qdisc_ops';
  else if (source === 'io_uring/bpf-ops.c') fine = target?.struct === 'io_uring_bpf_ops';
  else if (name === 'bpf_sock_destroy') fine = iterator;
  else if (name === 'bpf_session_is_return' || name === 'bpf_session_cookie')
    fine = program.attachType === 'trace_kprobe_session' || program.attachType === 'trace_uprobe_session';
  if (!fine)
    v.refuse(
      'kfunc-not-allowed',
      'Execution Context Safety',
      `calling kernel function ${name} is not allowed`,
      'Programs that are attached there may not call it.',
    );
  if (name === 'bpf_iter_css_task_new' && !lsm && !iterator && !v.state.sleepable)
    v.refuse(
      'kfunc-not-allowed',
      'Execution Context Safety',
      'css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs',
      'Elsewhere its lock may be held already.',
    );
}
