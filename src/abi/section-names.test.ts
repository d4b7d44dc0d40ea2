import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { attachTypes, isLinuxProgramType, programTypes } from './program-types.ts';
import { sectionMeaning } from './section-names.ts';

type TypeByName = (name: string, type: Uint32Array, attach: Uint32Array) => number;

function libbpf(): TypeByName | undefined {
  try {
    const library = koffi.load('libbpf.so.1');
    // Silence its warnings about names that it does not know.
    library.func('void *libbpf_set_print(void *fn)')(null);
    return library.func('int libbpf_prog_type_by_name(const char *name, void *type, void *attach)');
  } catch {
    return undefined;
  }
}

const typeByName = libbpf();

describe('section names', () => {
  it('say what a program is', () => {
    expect(sectionMeaning('xdp')).toEqual({
      type: 'xdp',
      attachType: 'xdp',
      attachTo: undefined,
      sleepable: false,
      frags: false,
    });
    expect(sectionMeaning('xdp.frags/cpumap')).toMatchObject({ type: 'xdp', attachType: 'xdp_cpumap', frags: true });
    expect(sectionMeaning('kprobe/do_sys_open')).toMatchObject({ type: 'kprobe', attachTo: 'do_sys_open' });
    expect(sectionMeaning('uprobe.s//bin/sh:main')).toMatchObject({ sleepable: true, attachTo: '/bin/sh:main' });
    expect(sectionMeaning('tp/syscalls/sys_enter_open')).toMatchObject({
      type: 'tracepoint',
      attachTo: 'syscalls/sys_enter_open',
    });
    expect(sectionMeaning('lsm.s/bpf')).toMatchObject({
      type: 'lsm',
      attachType: 'lsm_mac',
      sleepable: true,
      attachTo: 'bpf',
    });
    expect(sectionMeaning('syscall')).toMatchObject({ type: 'syscall', sleepable: true });
  });

  it('say it of the programs of rings', () => {
    const none = { attachType: undefined, attachTo: undefined, frags: false };
    expect(sectionMeaning('iouring')).toEqual({ type: 'iouring', sleepable: false, ...none });
    expect(sectionMeaning('iouring.s/')).toEqual({ type: 'iouring', sleepable: true, ...none });
    expect(sectionMeaning('iouring.s/split')).toMatchObject({ type: 'iouring', sleepable: true, attachTo: 'split' });
    expect(sectionMeaning('iouring/cat')).toMatchObject({ type: 'iouring', sleepable: false, attachTo: 'cat' });
    expect(sectionMeaning('iourings')).toBeUndefined();
    expect(sectionMeaning('vnet_hash')).toEqual({ type: 'vnet_hash', sleepable: false, ...none });
  });

  it.each(['xdpdump', 'tcp', 'kprobe_multi', 'sockopt', '', '.text', 'prog', 'constructor', 'classifiers'])(
    'are not known: %s',
    (name) => {
      expect(sectionMeaning(name)).toBeUndefined();
    },
  );

  // Made for libbpf 0.x, bpf2go or iproute2; libbpf 1.x refuses them.
  it.each([
    ['xdp_pass', 'xdp', 'xdp'],
    ['xdp/lo', 'xdp', 'xdp'],
    ['xdp1', 'xdp', 'xdp'],
    ['xdp.frags_tail', 'xdp', 'xdp'],
    ['xdp/cpumap/0', 'xdp', 'xdp_cpumap'],
    ['classifier/tc_ingress', 'sched_cls', undefined],
    ['classifier_egress', 'sched_cls', undefined],
    ['tc/ingress_from_host', 'sched_cls', 'tcx_ingress'],
    ['socket/http', 'socket_filter', undefined],
    ['sockops-main', 'sock_ops', 'cgroup_sock_ops'],
  ] as const)('are read as older loaders do: %s', (name, type, attachType) => {
    expect(sectionMeaning(name)).toMatchObject({ type, attachType, attachTo: undefined });
  });

  it.skipIf(typeByName === undefined)(
    `agree with libbpf on this machine${typeByName === undefined ? ' (skipped: no libbpf.so.1)' : ''}`,
    () => {
      const names = [
        ...[
          'socket',
          'sk_reuseport/migrate',
          'sk_reuseport',
          'kprobe/x',
          'uprobe/x',
          'uprobe.s/x',
          'kretprobe/x',
          'uretprobe/x',
        ],
        ...[
          'kprobe.multi/x',
          'kretprobe.multi/x',
          'ksyscall/x',
          'kretsyscall/x',
          'usdt/x',
          'tc',
          'classifier',
          'action',
          'kprobe',
        ],
        ...[
          'tracepoint/x',
          'tp/x',
          'raw_tracepoint/x',
          'raw_tp/x',
          'raw_tracepoint.w/x',
          'raw_tp.w/x',
          'tp_btf/x',
          'fentry/x',
        ],
        ...[
          'fmod_ret/x',
          'fexit/x',
          'fentry.s/x',
          'fmod_ret.s/x',
          'fexit.s/x',
          'freplace/x',
          'lsm/x',
          'lsm.s/x',
          'lsm_cgroup/x',
        ],
        ...[
          'iter/x',
          'iter.s/x',
          'syscall',
          'xdp.frags/devmap',
          'xdp/devmap',
          'xdp.frags/cpumap',
          'xdp/cpumap',
          'xdp.frags',
          'xdp',
        ],
        ...[
          'perf_event',
          'lwt_in',
          'lwt_out',
          'lwt_xmit',
          'lwt_seg6local',
          'sockops',
          'sk_skb/stream_parser',
          'sk_skb',
        ],
        ...[
          'sk_skb/stream_verdict',
          'sk_msg',
          'lirc_mode2',
          'flow_dissector',
          'cgroup_skb/ingress',
          'cgroup_skb/egress',
        ],
        ...[
          'cgroup/skb',
          'cgroup/sock_create',
          'cgroup/sock_release',
          'cgroup/sock',
          'cgroup/post_bind4',
          'cgroup/post_bind6',
        ],
        ...['cgroup/bind4', 'cgroup/bind6', 'cgroup/connect4', 'cgroup/connect6', 'cgroup/sendmsg4', 'cgroup/sendmsg6'],
        ...['cgroup/recvmsg4', 'cgroup/recvmsg6', 'cgroup/getpeername4', 'cgroup/getpeername6', 'cgroup/getsockname4'],
        ...[
          'cgroup/getsockname6',
          'cgroup/sysctl',
          'cgroup/getsockopt',
          'cgroup/setsockopt',
          'cgroup/dev',
          'struct_ops/x',
        ],
        ...['sk_lookup', 'kprobe/', 'cgroup/what', 'xdpx', 'lwt'],
      ];
      for (const name of names) {
        const type = new Uint32Array(1);
        const attach = new Uint32Array(1);
        const known = typeByName!(name, type, attach) === 0;
        const ours = sectionMeaning(name);
        const numbers = ours && [
          isLinuxProgramType(ours.type) ? programTypes[ours.type] : ours.type,
          ours.attachType === undefined ? 0 : attachTypes[ours.attachType],
        ];
        expect(numbers, name).toEqual(known ? [type[0], attach[0]] : undefined);
      }
    },
  );
});
