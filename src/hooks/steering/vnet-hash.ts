/** Programs of type vnet_hash alone, without a device: a test run over a packet from its link header on, which gives the context back. */
import { vnetHash } from '../../abi/programs/vnet-hash.ts';
import type { Hook } from '../../runtime/hook.ts';
import { skbHook } from '../skb/index.ts';

export const vnetHashHook: Hook = skbHook(vnetHash, 'link');
