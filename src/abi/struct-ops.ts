/**
 * Kernel structs whose methods BPF programs can be, where Linux has rules of its own: which methods may sleep, what may be written, which
 * helpers there are. A struct without a row has the rules of `plain` (bpf_struct_ops of kernel/bpf, and of the subsystem named with each).
 */
export interface WriteRules {
  /** Members that programs may write, by struct; `all` of them, or by their paths. */
  readonly writable: Readonly<Record<string, 'all' | readonly string[]>>;
  /** What the kernel says of other structs. */
  readonly nothingElseIsWritable: string;
}

export interface StructOpsRules extends WriteRules {
  /** Methods that sleepable programs may be; `any` where the struct does not say. */
  readonly sleepable: 'any' | readonly string[];
  /** Methods that no program may be. */
  readonly refused: readonly string[];
  /** Pointers to the first struct are taken for pointers to the second. */
  readonly promotes?: readonly [string, string];
  /** Helpers on top of the base set, without prefix; by method where only some have one. */
  readonly helpers: readonly string[];
  readonly helpersBut?: Readonly<Record<string, readonly string[]>>;
}

const plain: StructOpsRules = {
  sleepable: 'any',
  refused: [],
  writable: {},
  nothingElseIsWritable: 'only read is supported',
  helpers: [],
};

const rules: ReadonlyMap<string, StructOpsRules> = new Map([
  [
    // net/ipv4/bpf_tcp_ca.c
    'tcp_congestion_ops',
    {
      ...plain,
      refused: ['get_info'],
      promotes: ['sock', 'tcp_sock'],
      writable: {
        tcp_sock: [
          'sk_pacing_rate',
          'sk_pacing_status',
          'icsk_ca_priv',
          'icsk_ack.pending',
          'snd_cwnd',
          'snd_cwnd_cnt',
          'snd_cwnd_stamp',
          'snd_ssthresh',
          'ecn_flags',
          'app_limited',
        ],
      },
      helpers: [
        'tcp_send_ack',
        'sk_storage_get',
        'sk_storage_delete',
        'setsockopt',
        'getsockopt',
        'ktime_get_coarse_ns',
      ],
      // The socket is on its way out there.
      helpersBut: { release: ['setsockopt', 'getsockopt'] },
    },
  ],
  [
    // net/bpf/bpf_dummy_struct_ops.c
    'bpf_dummy_ops',
    {
      ...plain,
      sleepable: ['test_sleepable'],
      writable: { bpf_dummy_ops_state: 'all' },
      nothingElseIsWritable: 'only access to bpf_dummy_ops_state is supported',
    },
  ],
  [
    // io_uring/bpf-ops.c, Linux 7.1
    'io_uring_bpf_ops',
    {
      ...plain,
      writable: { iou_loop_params: ['cq_wait_idx'] },
      nothingElseIsWritable: 'only cq_wait_idx of struct iou_loop_params may be written',
    },
  ],
  [
    // kernel/sched/ext.c
    'sched_ext_ops',
    {
      ...plain,
      sleepable: [
        'init_task',
        'cgroup_init',
        'cgroup_exit',
        'cgroup_prep_move',
        'init',
        'exit',
        'cpu_online',
        'cpu_offline',
      ],
      writable: { task_struct: ['scx.slice', 'scx.dsq_vtime', 'scx.disallow'] },
    },
  ],
]);

export function structOpsRules(struct: string): StructOpsRules {
  return rules.get(struct) ?? plain;
}
