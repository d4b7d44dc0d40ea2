// Automatic receive steering: flows that were sent, by queue, as the specification asks of a device without a table to steer by (virtio 1.3, 5.1.6.5.6), and as Linux's tun
// does it. A flow is known by its hash over all types under a key of the table's own, whatever the driver has reported: by the hash of what it would receive, which for
// what is sent has source and destination exchanged.
import {
  FLOW_KEY, FLOW_QUEUE, FLOW_SIZE, FLOW_TIME, FLOWS_AGE_NS, FLOWS_BUCKETS, FLOWS_DISPLACED, FLOWS_ENTRIES, FLOWS_FOUND, FLOWS_HASH, FLOWS_HASH_SENT4, FLOWS_HASH_SENT6,
  FLOWS_LEARNED, FLOWS_NOW, FLOWS_QUEUES, FLOWS_WAYS, STEER_FRAME_DATA, STEER_FRAME_LENGTH, STEER_FRAME_SIZE,
} from '../../layout/steering';
import { bpf_ktime_get_ns } from '../helpers/clock';
import { rssQueue, rssResult } from './rss';

/** What a flow of TCP and one of UDP between the same addresses and ports differ by. */
const TRANSPORTS: u32 = 0x9e37_79b9;

@inline function reportOf(result: u64): u32 {
  return <u32>(result >> 32) & 0xffff;
}

/** The hash, and whether it is of TCP, UDP or addresses alone; types with extension headers count as those without. */
@inline function keyOf(result: u64): u32 {
  return <u32>result ^ (((reportOf(result) - 1) % 3) * TRANSPORTS);
}

@inline function bucketOf(flows: usize, key: u32): usize {
  return flows + FLOWS_ENTRIES + <usize>(key & (FLOWS_BUCKETS - 1)) * (FLOWS_WAYS * FLOW_SIZE);
}

/** The time from which flows age, once a batch. */
export function flowsNow(flows: usize): void {
  store<u64>(flows, bpf_ktime_get_ns(), FLOWS_NOW);
}

/** Of a packet whose hash and report are `hash`: the queue that its flow was last sent on, else by its hash, or by that of its flow where none is reported. */
export function automaticQueue(configuration: usize, flows: usize, hash: u64, at: usize, end: usize): u32 {
  const own = rssResult(<usize>load<u32>(flows, FLOWS_HASH), at, end);
  if (reportOf(own) == 0) return rssQueue(configuration, hash);
  const key = keyOf(own);
  const now = load<u64>(flows, FLOWS_NOW);
  let entry = bucketOf(flows, key);
  for (const behind = entry + FLOWS_WAYS * FLOW_SIZE; entry < behind; entry += FLOW_SIZE) {
    const time = load<u64>(entry, FLOW_TIME);
    if (load<u32>(entry, FLOW_KEY) != key || time == 0 || now - time > FLOWS_AGE_NS) continue;
    store<u64>(flows, load<u64>(flows, FLOWS_FOUND) + 1, FLOWS_FOUND);
    return load<u32>(entry, FLOW_QUEUE);
  }
  return rssQueue(configuration, hash != 0 ? hash : own);
}

/** Keeps the flows of `count` frames, whose records lie in a row, as sent on `queue`. In a full bucket the one that was sent longest ago gives way. */
export function flows_learn(flows: usize, frames: usize, count: u32, queue: u32): void {
  if (queue >= load<u32>(flows, FLOWS_QUEUES)) return;
  flowsNow(flows);
  const now = load<u64>(flows, FLOWS_NOW);
  const four = <usize>load<u32>(flows, FLOWS_HASH_SENT4);
  const six = <usize>load<u32>(flows, FLOWS_HASH_SENT6);
  for (; count > 0; count--, frames += STEER_FRAME_SIZE) {
    const at = <usize>load<u32>(frames, STEER_FRAME_DATA);
    const end = at + load<u32>(frames, STEER_FRAME_LENGTH);
    let result = rssResult(four, at, end);
    if (reportOf(result) == 0) result = rssResult(six, at, end);
    if (reportOf(result) != 0) keep(flows, keyOf(result), queue, now);
  }
}

function keep(flows: usize, key: u32, queue: u32, now: u64): void {
  let entry = bucketOf(flows, key);
  let oldest = entry;
  for (const behind = entry + FLOWS_WAYS * FLOW_SIZE; entry < behind; entry += FLOW_SIZE) {
    if (load<u32>(entry, FLOW_KEY) == key && load<u64>(entry, FLOW_TIME) != 0) {
      store<u32>(entry, queue, FLOW_QUEUE);
      store<u64>(entry, now, FLOW_TIME);
      return;
    }
    if (load<u64>(entry, FLOW_TIME) < load<u64>(oldest, FLOW_TIME)) oldest = entry;
  }
  const time = load<u64>(oldest, FLOW_TIME);
  if (time != 0 && now - time <= FLOWS_AGE_NS) store<u64>(flows, load<u64>(flows, FLOWS_DISPLACED) + 1, FLOWS_DISPLACED);
  store<u64>(flows, load<u64>(flows, FLOWS_LEARNED) + 1, FLOWS_LEARNED);
  store<u32>(oldest, key, FLOW_KEY);
  store<u32>(oldest, queue, FLOW_QUEUE);
  store<u64>(oldest, now, FLOW_TIME);
}
