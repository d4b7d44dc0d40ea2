/** hooks/socket-filter: which packets a socket gets, and how much of each. */
import { socketFilter } from '../../abi/programs/socket-filter.ts';
import type { Hook } from '../../runtime/hook.ts';
import { skbHook } from '../skb/index.ts';

export const socketFilterHook: Hook = skbHook(socketFilter, 'network');
