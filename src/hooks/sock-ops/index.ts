/** hooks/sock-ops: events of TCP connections. `data`, if any, is the packet of callbacks about its header. __cgroup_bpf_run_filter_sock_ops, kernel/bpf/cgroup.c; Linux has no test run. */
import { sockOps } from '../../abi/programs/sock-ops.ts';
import { CONTEXT_DATA } from '../../plane/layout/context.ts';
import { contextHook } from '../context/hook.ts';

/** struct bpf_sock_ops. */
const FIELD = { family: 20, isFullsock: 72, sk: 184, skbData: 192, skbDataEnd: 200, skbLen: 208 };

/** A socket is there in every event; is_fullsock is 1 unless the caller's context says otherwise. */
export const sockOpsHook = contextHook({
  declaration: sockOps,
  data: 'packet',
  prepare(frame, input) {
    if (input.context === undefined) frame.u32(FIELD.isFullsock, 1);
    frame.socket(input, { family: frame.u32(FIELD.family) }, FIELD.sk);
    if (input.data === undefined) return;
    frame.data(input.data, { start: FIELD.skbData, end: FIELD.skbDataEnd });
    frame.u32(FIELD.skbLen, input.data.length);
  },
  result(frame, _r0, { data }) {
    const at = frame.address + CONTEXT_DATA;
    return { data: data === undefined ? undefined : frame.read(at, at + data.length) };
  },
});
