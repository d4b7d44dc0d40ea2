/** hooks/: one folder a hook, what feeds programs of a type. This file: those that come with Sluice. */

import type { Hook } from '../runtime/hook.ts';
import { cgroupHooks } from './cgroup/index.ts';
import { cgroupSkbHook } from './cgroup-skb/index.ts';
import { flowDissectorHook } from './flow-dissector/index.ts';
import { lwtHooks } from './lwt/index.ts';
import { rawTracepointHook } from './raw-tracepoint/index.ts';
import { iouringHook, loopHook } from './ring/hook.ts';
import { skLookupHook } from './sk-lookup/index.ts';
import { skMsgHook } from './sk-msg/index.ts';
import { skReuseportHook } from './sk-reuseport/index.ts';
import { skSkbHook } from './sk-skb/index.ts';
import { sockOpsHook } from './sock-ops/index.ts';
import { socketFilterHook } from './socket-filter/index.ts';
import { vnetHashHook } from './steering/vnet-hash.ts';
import { syscallHook } from './syscall/index.ts';
import { tcHooks } from './tc/index.ts';
import { xdpHook } from './xdp/index.ts';

export const hooks: readonly Hook[] = [
  xdpHook,
  ...tcHooks,
  socketFilterHook,
  cgroupSkbHook,
  ...lwtHooks,
  flowDissectorHook,
  skLookupHook,
  rawTracepointHook,
  syscallHook,
  ...cgroupHooks,
  sockOpsHook,
  skMsgHook,
  skSkbHook,
  skReuseportHook,
  iouringHook,
  loopHook,
  vnetHashHook,
];
