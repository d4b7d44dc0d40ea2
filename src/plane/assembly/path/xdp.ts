// The part of a path that is frames: programs of an interface in order, their verdict, and where a redirect leads. Facts: xdp_do_redirect (net/core/filter.c),
// kernel/bpf/devmap.c and cpumap.c, the dispatcher of libxdp (xdp-dispatcher.c).
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_EGRESS_IFINDEX, FRAME_INGRESS_IFINDEX, FRAME_REDIRECT_FLAGS, FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP,
  FRAME_RX_QUEUE_INDEX,
} from '../../layout/frame';
import { MAP_TYPE } from '../../layout/map';
import { BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS } from '../../layout/map-target';
import {
  END_ABORTED, END_DROPPED, END_SENT, END_SOCKET, HOPS_MAX, HOP_XDP, HOP_XDP_COUNT, ITEM_CPU, ITEM_FRAME, ITEM_HOPS, ITEM_INTERFACE, ITEM_NEXT, ITEM_PROGRAM,
  ITEM_QUEUE, LOST_HOPS, LOST_NO_COPY, LOST_NO_TARGET, LOST_QUEUE, NEXT_CPUMAP, NEXT_DEVMAP, NEXT_SEND, NEXT_SKB, NEXT_XDP, STAGE_ENTRY, STAGE_GOES_ON,
  STAGE_SIZE, STEP_ARRIVED, STEP_CPUMAP, STEP_DEVMAP, STEP_REDIRECT, STEP_SENT, STEP_XDP,
} from '../../layout/path';
import { programOf, targetOf } from '../maps/redirect-map';
import { CPUMAP, XSKMAP } from '../maps/types';
import { leaveDriver } from './conversion';
import { copyItem } from './copies';
import { hopOf, nextDevice, peerOf, refusalOf } from './interfaces';
import { end, lose, makeReady, step } from './items';
import { runXdp } from './programs';

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

@inline function frameOf(item: usize): usize {
  return <usize>load<u32>(item, ITEM_FRAME);
}

@inline function lengthOf(frame: usize): u32 {
  return load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA);
}

/** Runs the programs of the interface that the item is on: each but the last goes on to the next after verdicts of its mask. */
export function arrive(path: usize, item: usize): void {
  const ifindex = load<u32>(item, ITEM_INTERFACE);
  const hop = hopOf(path, ifindex);
  let verdict = XDP_PASS;
  if (hop != 0) {
    let stage: usize = load<u32>(hop, HOP_XDP);
    const count = load<u32>(hop, HOP_XDP_COUNT);
    for (let i: u32 = 0; i < count; i++) {
      verdict = runXdp(path, item, load<u32>(stage, STAGE_ENTRY), STEP_XDP, ifindex);
      if (verdict > 31 || ((load<u32>(stage, STAGE_GOES_ON) >> verdict) & 1) == 0) break;
      // Behind the last program the dispatcher passes; a program that is alone is not dispatched.
      if (i + 1 == count && count > 1) verdict = XDP_PASS;
      stage += STAGE_SIZE;
    }
  }
  if (verdict == XDP_PASS) store<u32>(item, NEXT_SKB, ITEM_NEXT);
  else if (verdict == XDP_TX) {
    leaveDriver(path, frameOf(item));
    store<u32>(item, NEXT_SEND, ITEM_NEXT);
  } else if (verdict == XDP_REDIRECT) redirect(path, item);
  else end(item, verdict == XDP_DROP ? END_DROPPED : END_ABORTED);
}


function toDevice(item: usize, map: usize, key: u32, target: u64): void {
  const ifindex = <u32>target;
  const refused = refusalOf(ifindex, lengthOf(frameOf(item)));
  step(item, STEP_REDIRECT, <u32>map, ifindex, key);
  if (refused != 0) {
    lose(item, refused);
    return;
  }
  store<u32>(item, ifindex, ITEM_INTERFACE);
  store<u32>(item, programOf(map, target), ITEM_PROGRAM);
  store<u32>(item, NEXT_DEVMAP, ITEM_NEXT);
}

/** Where the frame's descriptor says. */
function redirect(path: usize, item: usize): void {
  const frame = frameOf(item);
  const map = <usize>load<u32>(frame, FRAME_REDIRECT_MAP);
  const key = load<u32>(frame, FRAME_REDIRECT_INDEX);
  const flags = load<u32>(frame, FRAME_REDIRECT_FLAGS);
  if (map == 0) {
    if (key == 0) {
      lose(item, LOST_NO_TARGET);
      return;
    }
    leaveDriver(path, frame);
    step(item, STEP_REDIRECT, 0, key, 0);
    store<u32>(item, key, ITEM_INTERFACE);
    store<u32>(item, NEXT_SEND, ITEM_NEXT);
    return;
  }
  const type = load<u32>(map, MAP_TYPE);
  if ((flags & BPF_F_BROADCAST) != 0) {
    leaveDriver(path, frame);
    broadcast(path, item, map, (flags & BPF_F_EXCLUDE_INGRESS) != 0 ? load<u32>(frame, FRAME_INGRESS_IFINDEX) : 0);
    return;
  }
  const target = targetOf(map, key);
  if (target == 0) lose(item, LOST_NO_TARGET);
  else if (type == XSKMAP) {
    const queue = <u32>target;
    step(item, STEP_REDIRECT, <u32>map, queue, key);
    store<u32>(item, queue, ITEM_QUEUE);
    // xsk_rcv_check: a socket takes frames of its own queue.
    if (queue == load<u32>(frame, FRAME_RX_QUEUE_INDEX)) end(item, END_SOCKET);
    else lose(item, LOST_QUEUE);
  } else {
    leaveDriver(path, frame);
    if (type == CPUMAP) {
      step(item, STEP_REDIRECT, <u32>map, key, key);
      store<u32>(item, key + 1, ITEM_CPU);
      store<u32>(item, programOf(map, target), ITEM_PROGRAM);
      store<u32>(item, NEXT_CPUMAP, ITEM_NEXT);
    } else toDevice(item, map, key, target);
  }
}

// Every target but one that is excluded: copies for all before the last, which gets the frame itself (dev_map_enqueue_multi).
function broadcast(path: usize, item: usize, map: usize, excluded: u32): void {
  const length = lengthOf(frameOf(item));
  let before: u32 = 0;
  let last: u64 = 0;
  for (let key = nextDevice(map, -1, excluded, length); key >= 0; key = nextDevice(map, key, excluded, length)) {
    const target = targetOf(map, <u32>key);
    if (target == 0) continue;
    if (last != 0) {
      const copy = copyItem(path, item);
      if (copy == 0) {
        lose(item, LOST_NO_COPY);
        return;
      }
      toDevice(copy, map, before, last);
      makeReady(path, copy, load<u32>(copy, ITEM_NEXT));
    }
    before = <u32>key;
    last = target;
  }
  if (last == 0) lose(item, LOST_NO_TARGET);
  else toDevice(item, map, before, last);
}

/** The program of a devmap's element, which sees egress_ifindex: only XDP_PASS sends. */
export function leaveByDevice(path: usize, item: usize): void {
  const frame = frameOf(item);
  const entry = load<u32>(item, ITEM_PROGRAM);
  const ifindex = load<u32>(item, ITEM_INTERFACE);
  if (entry != 0) {
    store<u32>(frame, ifindex, FRAME_EGRESS_IFINDEX);
    store<u32>(frame, 0, FRAME_RX_QUEUE_INDEX);
    const verdict = runXdp(path, item, entry, STEP_DEVMAP, ifindex);
    store<u32>(frame, 0, FRAME_EGRESS_IFINDEX);
    if (verdict != XDP_PASS) {
      end(item, verdict == XDP_DROP ? END_DROPPED : END_ABORTED);
      return;
    }
  }
  store<u32>(item, NEXT_SEND, ITEM_NEXT);
}

/** The program of a cpumap's element, on the CPU that it names: it may pass, drop or redirect. */
export function runOnCpu(path: usize, item: usize): void {
  const entry = load<u32>(item, ITEM_PROGRAM);
  store<u32>(frameOf(item), 0, FRAME_RX_QUEUE_INDEX);
  const verdict = entry == 0 ? XDP_PASS : runXdp(path, item, entry, STEP_CPUMAP, load<u32>(item, ITEM_CPU) - 1);
  if (verdict == XDP_PASS) store<u32>(item, NEXT_SKB, ITEM_NEXT);
  else if (verdict == XDP_REDIRECT) redirect(path, item);
  else end(item, verdict == XDP_DROP ? END_DROPPED : END_ABORTED);
}

/** False: the packet cannot leave by `ifindex`, or has been sent on too often. Else it has left; the index of the peer that it arrives at, or 0, stands in the item. */
export function leave(item: usize, length: u32): bool {
  const ifindex = load<u32>(item, ITEM_INTERFACE);
  const refused = refusalOf(ifindex, length);
  const hops = load<u32>(item, ITEM_HOPS) + 1;
  if (refused != 0 || hops > <u32>HOPS_MAX) {
    lose(item, refused != 0 ? refused : LOST_HOPS);
    return false;
  }
  store<u32>(item, hops, ITEM_HOPS);
  step(item, STEP_SENT, 0, ifindex, 0);
  const peer = peerOf(ifindex);
  if (peer == 0) {
    end(item, END_SENT);
    return false;
  }
  store<u32>(item, peer, ITEM_INTERFACE);
  step(item, STEP_ARRIVED, 0, peer, 0);
  return true;
}

/** A frame leaves by its interface, and arrives at that one's peer if it has one. */
export function sendFrame(path: usize, item: usize): void {
  const frame = frameOf(item);
  if (!leave(item, lengthOf(frame))) return;
  store<u32>(frame, load<u32>(item, ITEM_INTERFACE), FRAME_INGRESS_IFINDEX);
  store<u32>(frame, 0, FRAME_RX_QUEUE_INDEX);
  store<u32>(item, NEXT_XDP, ITEM_NEXT);
}
