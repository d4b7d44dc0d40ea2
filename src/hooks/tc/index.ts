/** hooks/tc: classifiers and actions of tc, tcx and netkit: programs that see a packet with its link header. */
import { schedAct, schedCls } from '../../abi/programs/tc.ts';
import type { Hook } from '../../runtime/hook.ts';
import { skbHook } from '../skb/index.ts';

export const tcHooks: readonly Hook[] = [skbHook(schedCls, 'link'), skbHook(schedAct, 'link')];
