/**
 * All helpers of Linux 6.18 by number: the families in this folder, one row each. Where a program type has another prototype for the same
 * number (a socket pointer instead of a context), the family exports that as a variant and the type's declaration names it.
 *
 * Which helpers run here is not said in abi/: those that the plane exports, and those that the engines expand.
 */
import type { HelperPrototype } from '../prototype.ts';
import { cgroupHelpers } from './cgroup.ts';
import { checksumHelpers } from './checksum.ts';
import { commonHelpers } from './common.ts';
import { dynptrHelpers } from './dynptr.ts';
import { lircHelpers } from './lirc.ts';
import { mapHelpers } from './maps.ts';
import { perfOutputHelpers } from './perf-output.ts';
import { redirectHelpers } from './redirect.ts';
import { ringbufHelpers } from './ringbuf.ts';
import { securityHelpers } from './security.ts';
import { skbHelpers } from './skb.ts';
import { sockOpsHelpers } from './sock-ops.ts';
import { socketHelpers } from './socket.ts';
import { sockmapHelpers } from './sockmap.ts';
import { storageHelpers } from './storage.ts';
import { syncookieHelpers } from './syncookie.ts';
import { syscallHelpers } from './syscall.ts';
import { taskHelpers } from './task.ts';
import { textHelpers } from './text.ts';
import { tracingHelpers } from './tracing.ts';
import { tunnelHelpers } from './tunnel.ts';
import { valueFieldHelpers } from './value-fields.ts';
import { xdpHelpers } from './xdp.ts';

export { helperId, helperName, helperNames } from './names.ts';

export const helpers: ReadonlyMap<number, HelperPrototype> = new Map(
  [
    ...commonHelpers,
    ...mapHelpers,
    ...ringbufHelpers,
    ...dynptrHelpers,
    ...valueFieldHelpers,
    ...textHelpers,
    ...taskHelpers,
    ...tracingHelpers,
    ...perfOutputHelpers,
    ...storageHelpers,
    ...skbHelpers,
    ...checksumHelpers,
    ...tunnelHelpers,
    ...redirectHelpers,
    ...xdpHelpers,
    ...socketHelpers,
    ...syncookieHelpers,
    ...sockmapHelpers,
    ...sockOpsHelpers,
    ...cgroupHelpers,
    ...securityHelpers,
    ...syscallHelpers,
    ...lircHelpers,
  ].map((prototype) => [prototype.id, prototype]),
);

/** Name of the plane's function that a call becomes. */
export function helperBody({ name, body }: HelperPrototype): string {
  return body ?? name;
}

/** Helpers without a body in the plane: they change the flow of the program itself. */
export const enginesExpand: ReadonlySet<string> = new Set(['bpf_tail_call', 'bpf_loop']);
