// bpf_check_mtu against the modelled network; without one, against loopback as Linux sets it up.
import { FRAME_DATA, FRAME_DATA_END } from '../../layout/frame';
import { INTERFACE_MTU } from '../../layout/network';
import { SKB_GSO_SIZE, SKB_LEN, SKB_TRANSPORT_HEADER } from '../../layout/skb';
import { HOOK_SKB, WORKER_HOOK } from '../../layout/worker';
import { EINVAL, ENODEV } from '../errno';
import { findInterface } from '../net/network';
import { WORKER } from '../worker';

const LOOPBACK: u32 = 1;
const LOOPBACK_MTU: i32 = 65536;
const HARD_HEADER: i32 = 14;
const CHECK_SEGMENTS: u64 = 1;
const SUCCESS: i64 = 0;
const FRAGMENTATION_NEEDED: i64 = 1;

export function bpf_check_mtu(ctx: u64, ifindex: u64, length: u64, difference: u64, flags: u64): i64 {
  const skb = load<u32>(WORKER, WORKER_HOOK) == HOOK_SKB;
  if ((flags & ~(skb ? CHECK_SEGMENTS : 0)) != 0) return EINVAL;
  const given = load<u32>(<usize>length);
  if (flags != 0 && (<i32>difference != 0 || given != 0)) return EINVAL;
  const device = findInterface(<u32>ifindex);
  if (device == 0 && <u32>ifindex > LOOPBACK) return ENODEV;
  const mtu = device == 0 ? LOOPBACK_MTU : <i32>load<u32>(device, INTERFACE_MTU);
  const frame = <usize>ctx;
  let size = <i32>(skb ? load<u32>(frame, SKB_LEN) : load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA));
  if (given != 0) size = <i32>given + HARD_HEADER;
  size += <i32>difference;
  let result = size <= mtu + HARD_HEADER ? SUCCESS : FRAGMENTATION_NEEDED;
  if (result != SUCCESS && skb && load<u32>(frame, SKB_GSO_SIZE) != 0) {
    if (flags != 0 && load<u32>(frame, SKB_TRANSPORT_HEADER) == 0) return EINVAL;
    // No packet here is as long as the MTU, so that all its segments fit.
    result = SUCCESS;
  }
  store<u32>(<usize>length, <u32>mtu);
  return result;
}
