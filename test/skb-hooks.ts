/** The hook of a program type that runs over packets. */
import type { ProgramTypeName } from '../src/abi/program-types.ts';
import { cgroupSkbHook } from '../src/hooks/cgroup-skb/index.ts';
import { lwtHooks } from '../src/hooks/lwt/index.ts';
import { socketFilterHook } from '../src/hooks/socket-filter/index.ts';
import { tcHooks } from '../src/hooks/tc/index.ts';
import type { Hook } from '../src/runtime/hook.ts';

const hooks = [...tcHooks, socketFilterHook, cgroupSkbHook, ...lwtHooks];

export function hookOf(type: ProgramTypeName): Hook {
  return hooks.find(({ declaration }) => declaration.type === type)!;
}
