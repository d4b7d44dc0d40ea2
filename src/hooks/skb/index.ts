/** hooks/skb: what all hooks over sk_buffs share: frames, struct __sk_buff in and out, the test run. */
import type { ProgramDeclaration } from '../../abi/program-declaration.ts';
import type { Hook } from '../../runtime/hook.ts';
import type { Layer } from './frames.ts';
import { testRunSkb } from './test-run.ts';

export type { Layer } from './frames.ts';

export function skbHook(declaration: ProgramDeclaration, layer: Layer): Hook {
  const steers = declaration.type === 'socket_filter' || declaration.type === 'vnet_hash';
  return { declaration, testRun: testRunSkb(layer, declaration.context.size, steers) };
}
