// A TAP's packets through an XDP program on many CPUs, between steering and consumers: each queue is one CPU's (layout/steering-tap.ts, WORK_*). Packets come back by lots, in
// whatever order CPUs are done; those of a queue go on in the order in which they were read. All of the thread that has the TAP.
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_DESCRIPTOR_SIZE, FRAME_EGRESS_IFINDEX, FRAME_HARD_START, FRAME_HINT_HASH, FRAME_HINT_HASH_TYPE, FRAME_HINTS,
  FRAME_INGRESS_IFINDEX, FRAME_PACKET_ID, FRAME_RX_QUEUE_INDEX, FRAME_SIZE_TOTAL, FRAME_TIMESTAMP, FRAME_TRAITS, FRAME_TRAITS_EPOCH, FRAME_TRAITS_SIDE, FRAME_VERDICT,
  FRAME_WIRE_LENGTH, HINT_HASH, HINTS_DRIVER,
} from '../../layout/frame';
import {
  FRAME_ENDED_FAULT, FRAME_ENDED_PASSED, FRAME_ENDED_VERDICT, LOT_COUNT, LOT_RECORDS, RECORD_COPIES, RECORD_END, RECORD_FRAME, RECORD_SIZE, SOURCE_QUEUES,
} from '../../layout/frames';
import { TRAIT_TABLE } from '../../layout/memory';
import {
  STEER_FRAME_DATA, STEER_FRAME_HASH, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_REPORT, STEER_FRAME_SIZE, VNET_HASH_HEADER_SIZE,
} from '../../layout/steering';
import {
  TAP_BUFFER_COUNT, TAP_BUFFER_SIZE, TAP_BUFFERS, TAP_FRAMES, TAP_QUEUE_COUNT, TAP_QUEUE_DROPPED, TAP_WORK, WORK_ABORTED, WORK_CELLS, WORK_CPUS, WORK_DROPPED, WORK_ENDS,
  WORK_FRAMES, WORK_GIVEN, WORK_HEAD, WORK_IFINDEX, WORK_KEPT, WORK_KEPT_HASH, WORK_KEPT_REPORT, WORK_LIMIT, WORK_LOST, WORK_PASSED, WORK_QUEUE_SIZE, WORK_QUEUES,
  WORK_REFUSED, WORK_RETURNED, WORK_SIDES, WORK_SOURCE, WORK_TAIL, WORK_UNDER_WAY,
} from '../../layout/steering-tap';
import { TRAIT_TABLE_EPOCH, TRAITS_SIDE_SIZE } from '../../layout/trait';
import { copies_free } from '../cpus/copies';
import { spread_flush, spread_free, spread_take, spreadFrame } from '../cpus/spread';
import { append, bufferAt, count, countSteered, give, publish, queueOf } from './tap';

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;
const REPORT_UDP6_EX: u32 = 9;

/** enum xdp_rss_hash_type of a report, as drivers/net/virtio_net.c has it (virtnet_xdp_rx_hash). */
function hashType(report: u32): u32 {
  switch (report) {
    case 1:
      return 0x01;
    case 2:
      return 0x19;
    case 3:
      return 0x29;
    case 4:
      return 0x02;
    case 5:
      return 0x1a;
    case 6:
      return 0x2a;
    case 7:
      return 0x06;
    case 8:
      return 0x1e;
    default:
      return 0x2e;
  }
}

@inline function workQueueOf(work: usize, queue: u32): usize {
  return <usize>load<u32>(work, WORK_QUEUES) + <usize>queue * WORK_QUEUE_SIZE;
}

@inline function cellOf(tap: usize, queue: usize, position: u32): usize {
  return <usize>load<u32>(queue, WORK_CELLS) + (<usize>(position & (load<u32>(tap, TAP_BUFFER_COUNT) - 1)) << 2);
}

@inline function frameOf(work: usize, buffer: u32): usize {
  return <usize>load<u32>(work, WORK_FRAMES) + <usize>buffer * FRAME_DESCRIPTOR_SIZE;
}

@inline function endOf(work: usize, buffer: u32): usize {
  return <usize>load<u32>(work, WORK_ENDS) + (<usize>buffer << 2);
}

/** How many packets the CPU of a queue has. */
@inline function underWay(work: usize, queue: u32): usize {
  return <usize>load<u32>(work, WORK_UNDER_WAY) + (<usize>(queue % load<u32>(work, WORK_CPUS)) << 2);
}

/** Makes the frame of a buffer whose packet has been steered; header and hash are kept where no program comes. */
function fill(tap: usize, work: usize, buffer: u32, record: usize, queue: u32): void {
  const frame = frameOf(work, buffer);
  const at = bufferAt(tap, buffer);
  const header = <usize>load<u32>(record, STEER_FRAME_HEADER);
  store<u64>(at, load<u64>(header));
  store<u64>(at, load<u64>(header, 8), 8);
  store<u32>(at, load<u32>(header, 16), 16);
  const hash = load<u32>(record, STEER_FRAME_HASH);
  const report = <u32>load<u16>(record, STEER_FRAME_REPORT);
  store<u32>(at, hash, WORK_KEPT_HASH);
  store<u32>(at, report, WORK_KEPT_REPORT);
  const data = load<u32>(record, STEER_FRAME_DATA);
  const length = load<u32>(record, STEER_FRAME_LENGTH);
  store<u32>(frame, data, FRAME_DATA);
  store<u32>(frame, data + length, FRAME_DATA_END);
  store<u32>(frame, data, FRAME_DATA_META);
  store<u32>(frame, load<u32>(work, WORK_IFINDEX), FRAME_INGRESS_IFINDEX);
  store<u32>(frame, queue, FRAME_RX_QUEUE_INDEX);
  store<u32>(frame, 0, FRAME_EGRESS_IFINDEX);
  store<u32>(frame, <u32>at + WORK_KEPT, FRAME_HARD_START);
  store<u32>(frame, load<u32>(tap, TAP_BUFFER_SIZE) - WORK_KEPT, FRAME_SIZE_TOTAL);
  store<u32>(frame, 0, FRAME_VERDICT);
  store<u64>(frame, 0, FRAME_TIMESTAMP);
  store<u32>(frame, length, FRAME_WIRE_LENGTH);
  store<u32>(frame, report == 0 || report > REPORT_UDP6_EX ? <u32>HINTS_DRIVER : HINTS_DRIVER | HINT_HASH, FRAME_HINTS);
  store<u32>(frame, hash, FRAME_HINT_HASH);
  store<u32>(frame, hashType(report), FRAME_HINT_HASH_TYPE);
  store<u32>(frame, 0, FRAME_TRAITS);
  const sides = load<u32>(work, WORK_SIDES);
  store<u32>(frame, sides == 0 ? 0 : sides + buffer * TRAITS_SIDE_SIZE, FRAME_TRAITS_SIDE);
  store<u32>(frame, load<u32>(TRAIT_TABLE + TRAIT_TABLE_EPOCH), FRAME_TRAITS_EPOCH);
  store<u64>(frame, 0, FRAME_PACKET_ID);
  // The headroom has nothing of packets before.
  memory.fill(at + WORK_KEPT, 0, <usize>data - at - WORK_KEPT);
}

/** Takes the batch's packets, steered, for the CPUs of their queues. One for which there is no room goes back to the kernel's buffers, and counts. */
export function tap_work(tap: usize, packets: u32): void {
  const work = <usize>load<u32>(tap, TAP_WORK);
  const queues = load<u32>(tap, TAP_QUEUE_COUNT);
  const buffers = load<u32>(tap, TAP_BUFFERS);
  const size = load<u32>(tap, TAP_BUFFER_SIZE);
  const limit = load<u32>(work, WORK_LIMIT);
  let record: usize = load<u32>(tap, TAP_FRAMES);
  for (; packets != 0; packets--, record += STEER_FRAME_SIZE) {
    let index = <u32>load<u16>(record, STEER_FRAME_QUEUE);
    if (index >= queues) index %= queues;
    const buffer = (load<u32>(record, STEER_FRAME_HEADER) - buffers) / size;
    const queue = workQueueOf(work, index);
    countSteered(queueOf(tap, index), load<u32>(record, STEER_FRAME_LENGTH), <u32>load<u16>(record, STEER_FRAME_REPORT));
    const has = underWay(work, index);
    if (limit != 0 && load<u32>(has) >= limit) {
      count(queue + WORK_REFUSED, 1);
      count(queueOf(tap, index) + TAP_QUEUE_DROPPED, 1);
      give(tap, buffer);
      continue;
    }
    store<u32>(has, load<u32>(has) + 1);
    fill(tap, work, buffer, record, index);
    store<u32>(endOf(work, buffer), 0);
    const tail = load<u32>(queue, WORK_TAIL);
    store<u32>(cellOf(tap, queue, tail), buffer);
    store<u32>(queue, tail + 1, WORK_TAIL);
  }
  publish(tap);
}

/** Gives CPUs what they have room for. */
export function tap_hand(tap: usize): void {
  const work = <usize>load<u32>(tap, TAP_WORK);
  const source = <usize>load<u32>(work, WORK_SOURCE);
  const queues = load<u32>(tap, TAP_QUEUE_COUNT);
  const cpus = load<u32>(source, SOURCE_QUEUES);
  for (let index: u32 = 0; index < queues; index++) {
    const queue = workQueueOf(work, index);
    const tail = load<u32>(queue, WORK_TAIL);
    let given = load<u32>(queue, WORK_GIVEN);
    for (; given != tail; given++) if (!spreadFrame(source, frameOf(work, load<u32>(cellOf(tap, queue, given))), index % cpus)) break;
    store<u32>(queue, given, WORK_GIVEN);
  }
  spread_flush(source);
}

/** What the program let through goes to the queue's consumer, what it sends back to the device's own list; buffers of the rest go back to the kernel. */
function finish(tap: usize, work: usize, index: u32, buffer: u32, how: u32): void {
  const frame = frameOf(work, buffer);
  const queue = workQueueOf(work, index);
  const verdict = load<u32>(frame, FRAME_VERDICT);
  const ended = how == FRAME_ENDED_VERDICT;
  if (how == FRAME_ENDED_PASSED || (ended && (verdict == XDP_PASS || verdict == XDP_TX))) {
    const at = bufferAt(tap, buffer);
    const start = load<u32>(frame, FRAME_DATA) - VNET_HASH_HEADER_SIZE;
    const length = load<u32>(frame, FRAME_DATA_END) - start;
    const returns = ended && verdict == XDP_TX;
    const first = returns ? 0 : load<u64>(at);
    const second = returns ? 0 : load<u64>(at, 8);
    const third = returns ? 0 : load<u32>(at, 16);
    const hash = load<u32>(at, WORK_KEPT_HASH);
    const report = load<u32>(at, WORK_KEPT_REPORT);
    store<u64>(start, first);
    store<u64>(start, second, 8);
    store<u32>(start, third, 16);
    count(queue + (returns ? WORK_RETURNED : WORK_PASSED), 1);
    append(tap, queueOf(tap, returns ? load<u32>(tap, TAP_QUEUE_COUNT) : index), buffer, start - <u32>at, length, hash, report);
    return;
  }
  if (ended && verdict == XDP_DROP) count(queue + WORK_DROPPED, 1);
  else if (how == FRAME_ENDED_FAULT || (ended && verdict != XDP_REDIRECT)) count(queue + WORK_ABORTED, 1);
  else count(queue + WORK_LOST, 1);
  give(tap, buffer);
}

/** Takes the lots that have come back; returns how many packets have ended, those behind others of their queue that are under way not counted. */
export function tap_collect(tap: usize): u32 {
  const work = <usize>load<u32>(tap, TAP_WORK);
  const source = <usize>load<u32>(work, WORK_SOURCE);
  const frames = load<u32>(work, WORK_FRAMES);
  let came = false;
  for (let lot = spread_take(source); lot != 0; lot = spread_take(source)) {
    const end = lot + LOT_RECORDS + <usize>load<u32>(lot, LOT_COUNT) * RECORD_SIZE;
    for (let record = lot + LOT_RECORDS; record < end; record += RECORD_SIZE) {
      store<u32>(endOf(work, (load<u32>(record, RECORD_FRAME) - frames) / FRAME_DESCRIPTOR_SIZE), load<u32>(record, RECORD_END));
      // There is no way out for them.
      copies_free(source, <usize>load<u32>(record, RECORD_COPIES));
    }
    spread_free(source, lot);
    came = true;
  }
  if (!came) return 0;
  const queues = load<u32>(tap, TAP_QUEUE_COUNT);
  let ended: u32 = 0;
  for (let index: u32 = 0; index < queues; index++) {
    const queue = workQueueOf(work, index);
    const given = load<u32>(queue, WORK_GIVEN);
    const first = load<u32>(queue, WORK_HEAD);
    let head = first;
    for (; head != given; head++) {
      const buffer = load<u32>(cellOf(tap, queue, head));
      const how = load<u32>(endOf(work, buffer));
      if (how == 0) break;
      finish(tap, work, index, buffer, how);
    }
    if (head == first) continue;
    store<u32>(queue, head, WORK_HEAD);
    const has = underWay(work, index);
    store<u32>(has, load<u32>(has) - (head - first));
    ended += head - first;
  }
  publish(tap);
  return ended;
}
