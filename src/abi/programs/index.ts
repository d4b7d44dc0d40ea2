/**
 * The program types of Linux 6.18 and of Sluice's own, by name: one file each, with what they may see and call. What runs here is decided by
 * the hooks (src/hooks) and by what the plane exports.
 */
import { helperNameIn } from '../context-access.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { ProgramTypeName } from '../program-types.ts';
import { cgroupDevice } from './cgroup-device.ts';
import { cgroupSkb } from './cgroup-skb.ts';
import { cgroupSock } from './cgroup-sock.ts';
import { cgroupSockAddr } from './cgroup-sock-addr.ts';
import { cgroupSockopt } from './cgroup-sockopt.ts';
import { cgroupSysctl } from './cgroup-sysctl.ts';
import { ext } from './ext.ts';
import { flowDissector } from './flow-dissector.ts';
import { iouring } from './iouring.ts';
import { kprobe } from './kprobe.ts';
import { lircMode2 } from './lirc-mode2.ts';
import { lsm } from './lsm.ts';
import { lwtIn, lwtOut, lwtSeg6local, lwtXmit } from './lwt.ts';
import { netfilter } from './netfilter.ts';
import { perfEvent } from './perf-event.ts';
import { rawTracepoint, rawTracepointWritable } from './raw-tracepoint.ts';
import { skLookup } from './sk-lookup.ts';
import { skMsg } from './sk-msg.ts';
import { skReuseport } from './sk-reuseport.ts';
import { skSkb } from './sk-skb.ts';
import { sockOps } from './sock-ops.ts';
import { socketFilter } from './socket-filter.ts';
import { structOps } from './struct-ops.ts';
import { syscall } from './syscall.ts';
import { schedAct, schedCls } from './tc.ts';
import { tracepoint } from './tracepoint.ts';
import { tracing } from './tracing.ts';
import { vnetHash } from './vnet-hash.ts';
import { xdp } from './xdp.ts';

export const programDeclarations: ReadonlyMap<ProgramTypeName, ProgramDeclaration> = new Map(
  [
    xdp,
    schedCls,
    schedAct,
    socketFilter,
    cgroupSkb,
    lwtIn,
    lwtOut,
    lwtXmit,
    lwtSeg6local,
    skSkb,
    skMsg,
    skLookup,
    skReuseport,
    flowDissector,
    sockOps,
    cgroupSock,
    cgroupSockAddr,
    cgroupDevice,
    cgroupSysctl,
    cgroupSockopt,
    kprobe,
    tracepoint,
    perfEvent,
    rawTracepoint,
    rawTracepointWritable,
    tracing,
    lsm,
    structOps,
    ext,
    syscall,
    netfilter,
    lircMode2,
    iouring,
    vnetHash,
  ].map((declaration) => [declaration.type, declaration]),
);

/** `bpf_…` name that a helper's number has in programs of the type; undefined: it has none. */
export function helperNameFor(type: ProgramTypeName | undefined, id: number): string | undefined {
  return helperNameIn(type === undefined ? undefined : programDeclarations.get(type), id);
}
