/** hooks/cgroup-skb: which packets the tasks of a control group may receive and send. */
import { cgroupSkb } from '../../abi/programs/cgroup-skb.ts';
import type { Hook } from '../../runtime/hook.ts';
import { skbHook } from '../skb/index.ts';

export const cgroupSkbHook: Hook = skbHook(cgroupSkb, 'network');
