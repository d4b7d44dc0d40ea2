/** The hook of a program type. */
import type { ProgramTypeName } from '../src/abi/program-types.ts';
import { cgroupSkbHook } from '../src/hooks/cgroup-skb/index.ts';
import { flowDissectorHook } from '../src/hooks/flow-dissector/index.ts';
import { lwtHooks } from '../src/hooks/lwt/index.ts';
import { rawTracepointHook } from '../src/hooks/raw-tracepoint/index.ts';
import { skLookupHook } from '../src/hooks/sk-lookup/index.ts';
import { socketFilterHook } from '../src/hooks/socket-filter/index.ts';
import { syscallHook } from '../src/hooks/syscall/index.ts';
import { tcHooks } from '../src/hooks/tc/index.ts';
import type { Hook } from '../src/runtime/hook.ts';

const hooks = [
  ...tcHooks,
  socketFilterHook,
  cgroupSkbHook,
  ...lwtHooks,
  flowDissectorHook,
  skLookupHook,
  rawTracepointHook,
  syscallHook,
];

export function hookOf(type: ProgramTypeName): Hook {
  return hooks.find(({ declaration }) => declaration.type === type)!;
}
