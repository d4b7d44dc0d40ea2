// Redirects by interface, of XDP and of sk_buffs: the verdict, and the target that the hook keeps. No packet is sent from here.
import {
  SKB_CLONE_FLAGS, SKB_CLONE_INDEX, SKB_CLONES, SKB_GSO_SIZE, SKB_GSO_TYPE, SKB_LEN, SKB_MAC_HEADER, SKB_NETWORK_HEADER,
  SKB_REDIRECT_NEIGH, SKB_REDIRECT_NEXTHOP, SKB_REDIRECT_PEER,
} from '../../layout/skb';
import { HOOK_SKB, WORKER_HOOK, WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP } from '../../layout/worker';
import { EBADMSG, EINVAL, ERANGE } from '../errno';
import { cloneTo, is_on_path } from '../path/tc';
import { WORKER } from '../worker';

const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
const TC_ACT_SHOT: u64 = 2;
const TC_ACT_REDIRECT: u64 = 7;
const BPF_F_INGRESS: u64 = 1;
/** struct bpf_redir_neigh. */
const NEIGH_SIZE: u32 = 20;
/** The interface that a test run has: loopback. */
const LOOPBACK: u32 = 1;

function target(ifindex: u64, flags: u32): void {
  store<u32>(WORKER, 0, WORKER_REDIRECT_MAP);
  store<u32>(WORKER, <u32>ifindex, WORKER_REDIRECT_INDEX);
  store<u32>(WORKER, flags, WORKER_REDIRECT_FLAGS);
}

export function bpf_redirect(ifindex: u64, flags: u64): u64 {
  if (load<u32>(WORKER, WORKER_HOOK) == HOOK_SKB) {
    if ((flags & ~BPF_F_INGRESS) != 0) return TC_ACT_SHOT;
    target(ifindex, <u32>flags);
    return TC_ACT_REDIRECT;
  }
  if (flags != 0) return XDP_ABORTED;
  target(ifindex, 0);
  return XDP_REDIRECT;
}

export function bpf_redirect_peer(ifindex: u64, flags: u64): u64 {
  if (flags != 0) return TC_ACT_SHOT;
  target(ifindex, SKB_REDIRECT_PEER);
  return TC_ACT_REDIRECT;
}

export function bpf_redirect_neigh(ifindex: u64, _params: u64, size: u64, flags: u64): u64 {
  const given = <i32>size;
  if ((given != 0 && <u32>given < NEIGH_SIZE) || flags != 0) return TC_ACT_SHOT;
  target(ifindex, given != 0 ? SKB_REDIRECT_NEIGH | SKB_REDIRECT_NEXTHOP : SKB_REDIRECT_NEIGH);
  return TC_ACT_REDIRECT;
}

// Off a path, loopback is the one interface that exists: the copy is counted, and its target kept. On a path it goes there.
export function bpf_clone_redirect(ctx: u64, ifindex: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  if ((flags & ~BPF_F_INGRESS) != 0) return EINVAL;
  if (load<u32>(skb, SKB_GSO_SIZE) != 0 && load<u32>(skb, SKB_GSO_TYPE) == 0) return EBADMSG;
  const underWay = is_on_path();
  if (!underWay && <u32>ifindex != LOOPBACK) return EINVAL;
  if (load<u32>(skb, SKB_MAC_HEADER) >= load<u32>(skb, SKB_NETWORK_HEADER) || load<u32>(skb, SKB_LEN) == 0) return ERANGE;
  if (underWay && !cloneTo(skb, <u32>ifindex, <u32>flags)) return EINVAL;
  store<u32>(skb, load<u32>(skb, SKB_CLONES) + 1, SKB_CLONES);
  store<u32>(skb, <u32>ifindex, SKB_CLONE_INDEX);
  store<u32>(skb, <u32>flags, SKB_CLONE_FLAGS);
  return 0;
}
