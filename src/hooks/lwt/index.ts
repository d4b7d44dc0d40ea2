/** hooks/lwt: light-weight tunnels: programs on a route, over packets as they come in, go out, or are sent. */
import { lwtIn, lwtOut, lwtXmit } from '../../abi/programs/lwt.ts';
import type { Hook } from '../../runtime/hook.ts';
import { skbHook } from '../skb/index.ts';

export const lwtHooks: readonly Hook[] = [lwtIn, lwtOut, lwtXmit].map((declaration) => skbHook(declaration, 'network'));
