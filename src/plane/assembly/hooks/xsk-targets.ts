// Where XDP_REDIRECT leads over AF_XDP: interfaces, by number or by devmap, each with a socket over the same UMEM; xskmaps: the reader of this socket;
// cpumaps: on, as XDP_PASS. Facts: net/core/filter.c, kernel/bpf/devmap.c.
import { FRAME_DATA, FRAME_DATA_END, FRAME_DESCRIPTOR_SIZE, FRAME_HARD_START, FRAME_INGRESS_IFINDEX, FRAME_REDIRECT_FLAGS, FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP, FRAME_VERDICT } from '../../layout/frame';
import { MAP_TYPE } from '../../layout/map';
import { BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS } from '../../layout/map-target';
import { WORKER_SCRATCH } from '../../layout/worker';
import {
  XSK_COUNT, XSK_DELIVERED, XSK_FORWARDED, XSK_FRAMES, XSK_IFINDEX, XSK_PASSED_ON, XSK_PASS_TO, XSK_SENT, XSK_TARGETS, XSK_TARGET_COUNT, XSK_TARGET_MAX, XSK_TARGET_SIZE,
  XSK_TX_FULL, XSK_TX_METADATA, XSK_UMEM, XSK_UNREACHABLE,
} from '../../layout/xsk';
import { targetOf } from '../maps/redirect-map';
import { CPUMAP, XSKMAP } from '../maps/types';
import { map_next_key } from '../maps/user';
import { WORKER } from '../worker';
import { send_frame } from './xsk';
import { request_checksum } from './xsk-metadata';
import { count, reclaim, release, transmit, xsk_take_spare } from './xsk-rings';

const XDP_REDIRECT: u32 = 4;
/** The interface has no entry yet. */
const UNKNOWN: usize = 1;

/** Socket through which an interface is reached, 0: by none, UNKNOWN. */
function socket_of(xsk: usize, ifindex: u32): usize {
  if (ifindex == load<u32>(xsk, XSK_IFINDEX)) return xsk;
  let target: usize = load<u32>(xsk, XSK_TARGETS);
  const end = target + <usize>load<u32>(xsk, XSK_TARGET_COUNT) * XSK_TARGET_SIZE;
  for (; target < end; target += XSK_TARGET_SIZE) {
    if (load<u32>(target) == ifindex) return load<u32>(target, 4);
  }
  return load<u32>(xsk, XSK_TARGET_COUNT) >= <u32>XSK_TARGET_MAX ? 0 : UNKNOWN;
}

/** Interface of a devmap's element, 0: it is empty. */
function device_at(map: usize, key: u32): u32 {
  return <u32>targetOf(map, key);
}

/** First interface that a frame of the batch is redirected to and that has no target yet, 0: none. */
export function xsk_wanted(xsk: usize): u32 {
  let frame: usize = load<u32>(xsk, XSK_FRAMES);
  const end = frame + <usize>load<u32>(xsk, XSK_COUNT) * FRAME_DESCRIPTOR_SIZE;
  for (; frame < end; frame += FRAME_DESCRIPTOR_SIZE) {
    if (load<u32>(frame, FRAME_VERDICT) != XDP_REDIRECT) continue;
    const wanted = wanted_by(xsk, frame);
    if (wanted != 0) return wanted;
  }
  return 0;
}

function wanted_by(xsk: usize, frame: usize): u32 {
  const map: usize = load<u32>(frame, FRAME_REDIRECT_MAP);
  const index = load<u32>(frame, FRAME_REDIRECT_INDEX);
  if (map == 0) return index != 0 && socket_of(xsk, index) == UNKNOWN ? index : 0;
  const type = load<u32>(map, MAP_TYPE);
  if (type == XSKMAP || type == CPUMAP) return 0;
  const flags = load<u32>(frame, FRAME_REDIRECT_FLAGS);
  if ((flags & BPF_F_BROADCAST) == 0) {
    const ifindex = device_at(map, index);
    return ifindex != 0 && socket_of(xsk, ifindex) == UNKNOWN ? ifindex : 0;
  }
  const key = WORKER + WORKER_SCRATCH + 8;
  for (let status = map_next_key(map, 0, key); status == 0; status = map_next_key(map, key, key)) {
    const ifindex = device_at(map, load<u32>(key));
    if (ifindex != 0 && !excluded(frame, flags, ifindex) && socket_of(xsk, ifindex) == UNKNOWN) return ifindex;
  }
  return 0;
}

@inline function excluded(frame: usize, flags: u32, ifindex: u32): bool {
  return (flags & BPF_F_EXCLUDE_INGRESS) != 0 && ifindex == load<u32>(frame, FRAME_INGRESS_IFINDEX);
}

/** Takes frames back that were sent elsewhere. */
export function reclaim_targets(xsk: usize): void {
  let target: usize = load<u32>(xsk, XSK_TARGETS);
  const end = target + <usize>load<u32>(xsk, XSK_TARGET_COUNT) * XSK_TARGET_SIZE;
  for (; target < end; target += XSK_TARGET_SIZE) {
    const socket: usize = load<u32>(target, 4);
    if (socket != 0) reclaim(xsk, socket);
  }
}

@inline function drop(xsk: usize, frame: usize, counter: usize): void {
  count(xsk, counter);
  release(xsk, load<u32>(frame, FRAME_HARD_START) - load<u32>(xsk, XSK_UMEM));
}

export function redirect_frame(xsk: usize, frame: usize): void {
  const map: usize = load<u32>(frame, FRAME_REDIRECT_MAP);
  const index = load<u32>(frame, FRAME_REDIRECT_INDEX);
  if (map == 0) return send_to(xsk, frame, index);
  const type = load<u32>(map, MAP_TYPE);
  if (type == XSKMAP) return drop(xsk, frame, XSK_DELIVERED);
  if (type == CPUMAP) {
    const pass: usize = load<u32>(xsk, XSK_PASS_TO);
    if (pass == 0) drop(xsk, frame, XSK_UNREACHABLE);
    else send_frame(xsk, pass, frame, XSK_PASSED_ON);
    return;
  }
  const flags = load<u32>(frame, FRAME_REDIRECT_FLAGS);
  if ((flags & BPF_F_BROADCAST) == 0) send_to(xsk, frame, device_at(map, index));
  else broadcast(xsk, frame, map, flags);
}

function send_to(xsk: usize, frame: usize, ifindex: u32): void {
  const socket: usize = ifindex == 0 ? 0 : socket_of(xsk, ifindex);
  if (socket == 0 || socket == UNKNOWN) drop(xsk, frame, XSK_UNREACHABLE);
  else send_frame(xsk, socket, frame, socket == xsk ? XSK_SENT : XSK_FORWARDED);
}

/** A copy to each interface of the map; the frame itself is given back. */
function broadcast(xsk: usize, frame: usize, map: usize, flags: u32): void {
  const umem = load<u32>(xsk, XSK_UMEM);
  const key = WORKER + WORKER_SCRATCH + 8;
  for (let status = map_next_key(map, 0, key); status == 0; status = map_next_key(map, key, key)) {
    const ifindex = device_at(map, load<u32>(key));
    if (ifindex == 0 || excluded(frame, flags, ifindex)) continue;
    const socket = socket_of(xsk, ifindex);
    if (socket == 0 || socket == UNKNOWN) count(xsk, XSK_UNREACHABLE);
    else if (!send_copy(xsk, socket, frame)) count(xsk, XSK_TX_FULL);
    else count(xsk, socket == xsk ? XSK_SENT : XSK_FORWARDED);
  }
  release(xsk, load<u32>(frame, FRAME_HARD_START) - umem);
}

function send_copy(xsk: usize, socket: usize, frame: usize): bool {
  const umem = load<u32>(xsk, XSK_UMEM);
  const chunk = xsk_take_spare(xsk);
  if (chunk == u32.MAX_VALUE) return false;
  const data = load<u32>(frame, FRAME_DATA);
  const length = load<u32>(frame, FRAME_DATA_END) - data;
  const copy = umem + chunk + (data - load<u32>(frame, FRAME_HARD_START));
  memory.copy(copy, data, length);
  const options = load<u32>(xsk, XSK_TX_METADATA) == 0 ? 0 : request_checksum(xsk, copy, copy + length);
  if (transmit(socket, copy - umem, length, options)) return true;
  release(xsk, chunk);
  return false;
}
