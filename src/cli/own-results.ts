/** Helpers whose results no two targets share: time, chance, and what only one kernel knows. */
import { helpers } from '../abi/helpers/index.ts';
import type { ProgramSpec } from '../object/spec.ts';

const own: ReadonlySet<string> = new Set([
  'bpf_get_current_ancestor_cgroup_id',
  'bpf_get_current_cgroup_id',
  'bpf_get_current_task',
  'bpf_get_current_task_btf',
  'bpf_get_hash_recalc',
  'bpf_get_ns_current_pid_tgid',
  'bpf_get_prandom_u32',
  'bpf_get_socket_cookie',
  'bpf_get_stack',
  'bpf_get_stackid',
  'bpf_jiffies64',
  'bpf_ktime_get_boot_ns',
  'bpf_ktime_get_coarse_ns',
  'bpf_ktime_get_ns',
  'bpf_ktime_get_tai_ns',
  'bpf_perf_event_read',
  'bpf_perf_event_read_value',
]);

const CALL = 0x85;

/** Names of such helpers that the program or a function of it calls. */
export function ownResults({ insns }: ProgramSpec): string[] {
  const names = insns.flatMap(({ opcode, src, imm }) => {
    const name = opcode === CALL && src === 0 ? helpers.get(imm)?.name : undefined;
    return name !== undefined && own.has(name) ? [name] : [];
  });
  return [...new Set(names)].sort();
}
