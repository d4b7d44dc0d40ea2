/** Where helpers and verdicts send a packet, out of the descriptor. */
import {
  SKB_CLONE_FLAGS,
  SKB_CLONE_INDEX,
  SKB_CLONES,
  SKB_REDIRECT_FLAGS,
  SKB_REDIRECT_INDEX,
  SKB_REDIRECT_NEIGH,
  SKB_REDIRECT_PEER,
  SKB_VERDICT,
} from '../../plane/layout/skb.ts';
import type { RedirectTarget, RunResult } from '../../runtime/handles.ts';
import type { SkbPool } from './frames.ts';

/** TC_ACT_REDIRECT, and BPF_REDIRECT of tunnels. */
const REDIRECT = 7;
const BPF_F_INGRESS = 1;

export function redirectsOf(pool: SkbPool, index: number): Pick<RunResult, 'redirect' | 'clones'> {
  const field = (offset: number) => pool.field(index, offset);
  const count = field(SKB_CLONES);
  return {
    ...(field(SKB_VERDICT) === REDIRECT
      ? { redirect: target(field(SKB_REDIRECT_INDEX), field(SKB_REDIRECT_FLAGS)) }
      : {}),
    ...(count > 0 ? { clones: { count, last: target(field(SKB_CLONE_INDEX), field(SKB_CLONE_FLAGS)) } } : {}),
  };
}

function target(ifindex: number, flags: number): RedirectTarget {
  if ((flags & SKB_REDIRECT_PEER) !== 0) return { ifindex, to: 'peer' };
  if ((flags & SKB_REDIRECT_NEIGH) !== 0) return { ifindex, to: 'neighbour' };
  return { ifindex, to: (flags & BPF_F_INGRESS) !== 0 ? 'ingress' : 'egress' };
}
