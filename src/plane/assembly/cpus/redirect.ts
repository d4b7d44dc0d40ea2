// Where XDP_REDIRECT leads a frame of a lot: to another CPU, out by an interface, to a socket. Facts: xdp_do_redirect (net/core/filter.c), kernel/bpf/devmap.c.
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_EGRESS_IFINDEX, FRAME_INGRESS_IFINDEX, FRAME_REDIRECT_FLAGS, FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP, FRAME_RX_QUEUE_INDEX,
} from '../../layout/frame';
import {
  FRAME_ENDED_LOST, FRAME_ENDED_QUEUE_FULL, FRAME_ENDED_SENT, FRAME_ENDED_SOCKET, FRAME_ENDED_VERDICT, FRAMES_FUEL, LOT_ATTACHMENT, RECORD_END, RECORD_FRAME,
  RECORD_HOPS, RECORD_LOT, RECORD_PLACE,
} from '../../layout/frames';
import { MAP_TYPE } from '../../layout/map';
import { BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS } from '../../layout/map-target';
import { HOPS_MAX, LOST_HOPS, LOST_NO_COPY, LOST_NO_TARGET, LOST_QUEUE } from '../../layout/path';
import { programOf, targetOf } from '../maps/redirect-map';
import { CPUMAP, XSKMAP } from '../maps/types';
import { nextDevice, refusalOf } from '../path/interfaces';
import { copyOf } from './copies';
import { runRecord } from './frames';
import { enqueue, queueOf } from './map-queue';

const XDP_PASS: u32 = 2;

@inline function end(record: usize, how: u32, place: u32): bool {
  store<u32>(record, place, RECORD_PLACE);
  store<u32>(record, how, RECORD_END);
  return true;
}

function toInterface(record: usize, frame: usize, ifindex: u32): bool {
  const refused = refusalOf(ifindex, load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA));
  return refused != 0 ? end(record, FRAME_ENDED_LOST, refused) : end(record, FRAME_ENDED_SENT, ifindex);
}

function toDevice(record: usize, frame: usize, ifindex: u32, entry: u32): bool {
  if (entry != 0) {
    const fuel = load<u32>(<usize>load<u32>(<usize>load<u32>(record, RECORD_LOT), LOT_ATTACHMENT), FRAMES_FUEL);
    store<u32>(frame, ifindex, FRAME_EGRESS_IFINDEX);
    store<u32>(frame, 0, FRAME_RX_QUEUE_INDEX);
    const verdict = runRecord(record, entry, fuel == 0 ? 0xffff_ffff : fuel);
    store<u32>(frame, 0, FRAME_EGRESS_IFINDEX);
    if (verdict != XDP_PASS) return end(record, FRAME_ENDED_VERDICT, 0);
  }
  return toInterface(record, frame, ifindex);
}

function toCpu(record: usize, map: usize, key: u32): bool {
  const hops = load<u32>(record, RECORD_HOPS) + 1;
  if (hops > <u32>HOPS_MAX) return end(record, FRAME_ENDED_LOST, LOST_HOPS);
  store<u32>(record, hops, RECORD_HOPS);
  const queue = queueOf(map, key);
  if (queue == 0) return end(record, FRAME_ENDED_LOST, LOST_NO_TARGET);
  return enqueue(queue, record) ? false : end(record, FRAME_ENDED_QUEUE_FULL, key);
}

/** To every device but the one that is excluded: copies for all before the last, which gets the frame itself (dev_map_enqueue_multi). */
function broadcast(record: usize, frame: usize, map: usize, excluded: u32): bool {
  const length = load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA);
  let before: u64 = 0;
  for (let key = nextDevice(map, -1, excluded, length); key >= 0; key = nextDevice(map, key, excluded, length)) {
    const target = targetOf(map, <u32>key);
    // It has gone since.
    if (target == 0) continue;
    if (before != 0) {
      const copy = copyOf(record);
      if (copy == 0) return end(record, FRAME_ENDED_LOST, LOST_NO_COPY);
      toDevice(copy, <usize>load<u32>(copy, RECORD_FRAME), <u32>before, programOf(map, before));
    }
    before = target;
  }
  return before == 0 ? end(record, FRAME_ENDED_LOST, LOST_NO_TARGET) : toDevice(record, frame, <u32>before, programOf(map, before));
}

/** Carries out what the descriptor of the record's frame says. True: the frame has ended; false: it is another CPU's, and nothing of it may be touched. */
export function followRedirect(record: usize): bool {
  const frame = <usize>load<u32>(record, RECORD_FRAME);
  const map = <usize>load<u32>(frame, FRAME_REDIRECT_MAP);
  const key = load<u32>(frame, FRAME_REDIRECT_INDEX);
  if (map == 0) return key == 0 ? end(record, FRAME_ENDED_LOST, LOST_NO_TARGET) : toInterface(record, frame, key);
  const flags = load<u32>(frame, FRAME_REDIRECT_FLAGS);
  if ((flags & BPF_F_BROADCAST) != 0)
    return broadcast(record, frame, map, (flags & BPF_F_EXCLUDE_INGRESS) != 0 ? load<u32>(frame, FRAME_INGRESS_IFINDEX) : 0);
  const type = load<u32>(map, MAP_TYPE);
  if (type == CPUMAP) return toCpu(record, map, key);
  const target = targetOf(map, key);
  if (target == 0) return end(record, FRAME_ENDED_LOST, LOST_NO_TARGET);
  if (type == XSKMAP) {
    const queue = <u32>target;
    return queue == load<u32>(frame, FRAME_RX_QUEUE_INDEX) ? end(record, FRAME_ENDED_SOCKET, queue) : end(record, FRAME_ENDED_LOST, LOST_QUEUE);
  }
  return toDevice(record, frame, <u32>target, programOf(map, target));
}
