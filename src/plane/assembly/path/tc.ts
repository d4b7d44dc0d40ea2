// The part of a path that is sk_buffs: programs on tc ingress in order, their verdict, and where it leads. Facts: cls_bpf_exec_opcode (net/sched/cls_bpf.c), tcx_action_code
// (include/net/tcx.h), sch_handle_ingress (net/core/dev.c), skb_do_redirect (net/core/filter.c).
import {
  END_CONSUMED, END_DROPPED, END_PASSED, HOPS_MAX, HOP_TC, HOP_TC_COUNT, HOP_XDP_COUNT, ITEM_HOPS, ITEM_INTERFACE, ITEM_NEXT, ITEM_SKB, LOST_HOPS,
  LOST_NO_INTERFACE, LOST_NO_ROOM, NEXT_SEND, NEXT_TC, NEXT_XDP, STAGE_ENTRY, STAGE_GOES_ON, STAGE_SIZE, STEP_ARRIVED, STEP_REDIRECT, STEP_TC,
} from '../../layout/path';
import {
  SKB_DATA, SKB_IFINDEX, SKB_INGRESS_IFINDEX, SKB_LEN, SKB_DATA_META, SKB_QUEUE_MAPPING, SKB_REDIRECT_FLAGS, SKB_REDIRECT_INDEX, SKB_REDIRECT_PEER,
} from '../../layout/skb';
import { toFrame } from './conversion';
import { copyItem } from './copies';
import { hopOf, peerOf, refusalOf } from './interfaces';
import { end, itemAt, lose, makeReady, step } from './items';
import { runTc } from './programs';
import { leave } from './xdp';
import { PATH_RUNNING } from '../../layout/path';
import { WORKER_PATH } from '../../layout/worker';
import { WORKER } from '../worker';

const TC_ACT_OK: u32 = 0;
const TC_ACT_SHOT: u32 = 2;
const TC_ACT_STOLEN: u32 = 4;
const TC_ACT_REDIRECT: u32 = 7;
const TC_ACT_TRAP: u32 = 8;
const BPF_F_INGRESS: u32 = 1;

@inline function skbOf(item: usize): usize {
  return <usize>load<u32>(item, ITEM_SKB);
}

/** Whether this verdict is not the last word: the next program decides. */
@inline function goesOn(verdict: u32, tcx: bool): bool {
  if (verdict == TC_ACT_OK || verdict == TC_ACT_SHOT || verdict == TC_ACT_REDIRECT) return false;
  return tcx || (verdict != TC_ACT_STOLEN && verdict != TC_ACT_TRAP);
}

/** Runs the programs of tc on the interface that the item is on; an sk_buff that none of them takes is its reader's. */
export function ingress(path: usize, item: usize): void {
  const ifindex = load<u32>(item, ITEM_INTERFACE);
  const hop = hopOf(path, ifindex);
  let verdict = TC_ACT_OK;
  if (hop != 0) {
    let stage: usize = load<u32>(hop, HOP_TC);
    for (let left = load<u32>(hop, HOP_TC_COUNT); left != 0; left--) {
      const result = runTc(path, item, load<u32>(stage, STAGE_ENTRY), STEP_TC, ifindex);
      if (!goesOn(result, load<u32>(stage, STAGE_GOES_ON) != 0)) {
        verdict = result;
        break;
      }
      stage += STAGE_SIZE;
    }
  }
  if (verdict == TC_ACT_REDIRECT) {
    const skb = skbOf(item);
    redirectTo(item, load<u32>(skb, SKB_REDIRECT_INDEX), load<u32>(skb, SKB_REDIRECT_FLAGS));
  } else end(item, verdict == TC_ACT_OK ? END_PASSED : verdict == TC_ACT_SHOT ? END_DROPPED : END_CONSUMED);
}

/** Of bpf_redirect and its like, and of copies: into the receive path of an interface, out of it, or to its peer. */
function redirectTo(item: usize, ifindex: u32, flags: u32): void {
  step(item, STEP_REDIRECT, 0, ifindex, flags);
  if (refusalOf(ifindex, 0) != 0) {
    lose(item, LOST_NO_INTERFACE);
    return;
  }
  store<u32>(item, ifindex, ITEM_INTERFACE);
  if ((flags & (BPF_F_INGRESS | SKB_REDIRECT_PEER)) == 0) {
    store<u32>(item, NEXT_SEND, ITEM_NEXT);
    return;
  }
  const to = (flags & SKB_REDIRECT_PEER) != 0 ? peerOf(ifindex) : ifindex;
  const hops = load<u32>(item, ITEM_HOPS) + 1;
  if (to == 0 || hops > <u32>HOPS_MAX) {
    lose(item, to == 0 ? LOST_NO_INTERFACE : LOST_HOPS);
    return;
  }
  store<u32>(item, hops, ITEM_HOPS);
  store<u32>(item, to, ITEM_INTERFACE);
  step(item, STEP_ARRIVED, 0, to, 0);
  arriveAt(item, to);
  store<u32>(item, NEXT_TC, ITEM_NEXT);
}

function arriveAt(item: usize, ifindex: u32): void {
  const skb = skbOf(item);
  store<u32>(skb, ifindex, SKB_INGRESS_IFINDEX);
  store<u32>(skb, ifindex, SKB_IFINDEX);
  store<u32>(skb, 0, SKB_QUEUE_MAPPING);
}

/** An sk_buff leaves by its interface, and arrives at that one's peer: as a frame where programs of XDP wait for it. */
export function sendSkb(path: usize, item: usize): void {
  if (!leave(item, load<u32>(skbOf(item), SKB_LEN))) return;
  const peer = load<u32>(item, ITEM_INTERFACE);
  const hop = hopOf(path, peer);
  if (hop == 0 || load<u32>(hop, HOP_XDP_COUNT) == 0) {
    arriveAt(item, peer);
    store<u32>(item, NEXT_TC, ITEM_NEXT);
  } else if (toFrame(item, peer)) store<u32>(item, NEXT_XDP, ITEM_NEXT);
  else lose(item, LOST_NO_ROOM);
}

/** Whether the sk_buff that runs is on a path, so that its copies go somewhere. */
export function is_on_path(): bool {
  return load<u32>(WORKER, WORKER_PATH) != 0;
}

/**
 * bpf_clone_redirect of the sk_buff that runs: a copy of it as it is now goes its own way. As in Linux up to 6.18 the original loses the metadata before its data,
 * since its head is made writable again (pskb_expand_head). False: no such interface, or no room for a copy.
 */
export function cloneTo(skb: usize, ifindex: u32, flags: u32): bool {
  const path = <usize>load<u32>(WORKER, WORKER_PATH);
  const item = itemAt(path, load<u32>(path, PATH_RUNNING) - 1);
  if (refusalOf(ifindex, 0) != 0) return false;
  const copy = copyItem(path, item);
  if (copy == 0) return false;
  store<u32>(skb, load<u32>(skb, SKB_DATA), SKB_DATA_META);
  redirectTo(copy, ifindex, flags);
  if (load<u32>(copy, ITEM_NEXT) != 0) makeReady(path, copy, load<u32>(copy, ITEM_NEXT));
  return true;
}
