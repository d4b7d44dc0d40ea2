// A device's packets: each gets hash, report and queue, by the device's own computation or by its program, as drivers/net/tun.c does it (tun_ebpf_select_queue).
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import { skb_begin, skb_finish } from '../hooks/skb';
import {
  SKB_CB, SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_END, SKB_HASH_VALID, SKB_HEAD, SKB_IFINDEX, SKB_LEN, SKB_MAC_HEADER,
  SKB_NETWORK_HEADER, SKB_PACKET_ID, SKB_PROTOCOL, SKB_STEER_CONFIGURATION, SKB_TRAITS_STATE, SKB_TRANSPORT_HEADER, SKB_VNET_HASH, SKB_VNET_QUEUE,
  SKB_VNET_REPORT, SKB_WIRE_LEN,
} from '../../layout/skb';
import {
  RSS_FLOWS, STEER_CONFIGURATIONS, STEER_CONTEXTS, STEER_CONTEXT_QUEUE, STEER_COUNTERS, STEER_FALLBACK, STEER_FALLBACKS, STEER_FLAGS, STEER_FRAME_CONTEXT,
  STEER_FRAME_DATA, STEER_FRAME_HASH, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_REPORT,
  STEER_FRAME_RETURN, STEER_FRAME_SIZE, STEER_IFINDEX, STEER_PROGRAM, STEER_QUEUES, STEER_RULE_COUNT, STEER_SKB, STEER_UNHASHED,
} from '../../layout/steering';
import { flowContext } from './flow-rules';
import { flowsNow } from './flows';
import { packetHash, rssQueue, rssResult } from './rss';
import { vnetHeader } from './vnet-header';

const ETH_HLEN: u32 = 14;
/** TUN_STEERINGEBPF_FALLBACK. */
const FALLBACK: u32 = 0xffff_ffff;

/** The configuration that a frame asks for, or a rule chooses; the default one where there is none of that number. */
@inline function configurationOf(device: usize, frame: usize): usize {
  let context = load<u32>(frame, STEER_FRAME_CONTEXT);
  if (context == 0) {
    if (load<u32>(device, STEER_RULE_COUNT) != 0) {
      const data = <usize>load<u32>(frame, STEER_FRAME_DATA);
      context = flowContext(device, data, data + load<u32>(frame, STEER_FRAME_LENGTH));
    }
  }
  if (context != 0) {
    const configuration = context < <u32>STEER_CONTEXTS ? <usize>load<u32>(device + (<usize>context << 2), STEER_CONFIGURATIONS) : 0;
    if (configuration != 0) return configuration;
  }
  return <usize>load<u32>(device, STEER_CONFIGURATIONS);
}

// The device's sk_buff becomes that of the frame.
@inline function begin(device: usize, frame: usize): usize {
  const skb = device + STEER_SKB;
  const data = load<u32>(frame, STEER_FRAME_DATA);
  const length = load<u32>(frame, STEER_FRAME_LENGTH);
  const whole = length >= ETH_HLEN;
  store<u32>(skb, length, SKB_LEN);
  store<u32>(skb, whole ? <u32>load<u16>(data, 12) : 0, SKB_PROTOCOL);
  store<u32>(skb, load<u32>(device, STEER_IFINDEX), SKB_IFINDEX);
  // 20 bytes of control block, and the hash behind them.
  store<u64>(skb, 0, SKB_CB);
  store<u64>(skb, 0, SKB_CB + 8);
  store<u64>(skb, 0, SKB_CB + 16);
  store<u32>(skb, 0, SKB_HASH_VALID);
  store<u32>(skb, data, SKB_DATA);
  store<u32>(skb, data + length, SKB_DATA_END);
  store<u32>(skb, data, SKB_DATA_META);
  store<u32>(skb, length, SKB_WIRE_LEN);
  store<u32>(skb, data, SKB_HEAD);
  store<u32>(skb, data + length, SKB_END);
  store<u32>(skb, data, SKB_MAC_HEADER);
  store<u32>(skb, data + (whole ? ETH_HLEN : length), SKB_NETWORK_HEADER);
  store<u32>(skb, 0, SKB_TRANSPORT_HEADER);
  store<u32>(skb, 0, SKB_TRAITS_STATE);
  store<u64>(skb, 0, SKB_PACKET_ID);
  // Hash, report and queue.
  store<u64>(skb, 0, SKB_VNET_HASH);
  store<u32>(skb, <u32>configurationOf(device, frame), SKB_STEER_CONFIGURATION);
  skb_begin(skb);
  return skb;
}

// Takes what the program left.
@inline function end(device: usize, frame: usize, r0: u32): void {
  const skb = device + STEER_SKB;
  skb_finish(skb, r0);
  const flags = load<u32>(device, STEER_FLAGS);
  store<u32>(frame, r0, STEER_FRAME_RETURN);
  if ((flags & STEER_FALLBACK) != 0 && r0 == FALLBACK) {
    store<u64>(device, load<u64>(device, STEER_FALLBACKS) + 1, STEER_FALLBACKS);
    const data = <usize>load<u32>(frame, STEER_FRAME_DATA);
    const outcome = rssResult(<usize>load<u32>(skb, SKB_STEER_CONFIGURATION), data, data + load<u32>(frame, STEER_FRAME_LENGTH));
    finish(device, frame, outcome & 0xffff_ffff_ffff, <u32>(outcome >> 48));
    return;
  }
  const queue = (flags & STEER_CONTEXT_QUEUE) != 0 ? <u32>load<u16>(skb, SKB_VNET_QUEUE) : r0 & 0xffff;
  finish(device, frame, (<u64>load<u16>(skb, SKB_VNET_REPORT) << 32) | <u64>load<u32>(skb, SKB_VNET_HASH), queue);
}

// `hash` with its report in bits 32 to 47. The queue is taken modulo the device's.
@inline function finish(device: usize, frame: usize, hash: u64, queue: u32): void {
  const report = <u32>(hash >> 32);
  const queues = load<u32>(device, STEER_QUEUES);
  if (queue >= queues) queue %= queues;
  store<u64>(frame, hash | (<u64>queue << 48), STEER_FRAME_HASH);
  if (report == 0) store<u64>(device, load<u64>(device, STEER_UNHASHED) + 1, STEER_UNHASHED);
  const counter = device + (<usize>queue << 4);
  store<u64>(counter, load<u64>(counter, STEER_COUNTERS) + 1, STEER_COUNTERS);
  store<u64>(counter, load<u64>(counter, STEER_COUNTERS + 8) + <u64>load<u32>(frame, STEER_FRAME_LENGTH), STEER_COUNTERS + 8);
  const header = <usize>load<u32>(frame, STEER_FRAME_HEADER);
  if (header != 0) vnetHeader(header, <u32>hash, report);
}

/** Flows of the device's default configuration, which are as old as they are from here on; 0: it steers by its table alone. */
@inline function flowsOf(device: usize): usize {
  const flows = <usize>load<u32>(<usize>load<u32>(device, STEER_CONFIGURATIONS), RSS_FLOWS);
  if (flows != 0) flowsNow(flows);
  return flows;
}

/** Makes the device's sk_buff that of the frame, as the transmit path of Linux shows it: data at the link header, control block cleared. Returns it. */
export function steer_begin(device: usize, frame: usize): usize {
  flowsOf(device);
  return begin(device, frame);
}

/** Takes what the program left. `r0` its return value. */
export function steer_end(device: usize, frame: usize, r0: u32): void {
  end(device, frame, r0);
}

/** Steers `count` frames, whose records lie in a row. */
export function steer_batch(device: usize, frames: usize, count: u32): void {
  const program = load<u32>(device, STEER_PROGRAM);
  const behind = frames + <usize>count * STEER_FRAME_SIZE;
  const flows = flowsOf(device);
  if (program == 0) {
    if (flows != 0) {
      for (; frames < behind; frames += STEER_FRAME_SIZE) {
        const data = <usize>load<u32>(frames, STEER_FRAME_DATA);
        const outcome = rssResult(configurationOf(device, frames), data, data + load<u32>(frames, STEER_FRAME_LENGTH));
        finish(device, frames, outcome & 0xffff_ffff_ffff, <u32>(outcome >> 48));
      }
      return;
    }
    for (; frames < behind; frames += STEER_FRAME_SIZE) {
      const configuration = configurationOf(device, frames);
      const data = <usize>load<u32>(frames, STEER_FRAME_DATA);
      const hash = packetHash(configuration, data, data + load<u32>(frames, STEER_FRAME_LENGTH));
      finish(device, frames, hash, rssQueue(configuration, hash));
    }
    return;
  }
  for (; frames < behind; frames += STEER_FRAME_SIZE) {
    const skb = begin(device, frames);
    end(device, frames, <u32>call_indirect<u64>(program, <u64>skb));
    if (epoch_is_urgent()) epoch_pass();
  }
}

/** After a fault of the program. */
export function steer_abort(device: usize): void {
  skb_finish(device + STEER_SKB, 0);
}
