// A network device's queues: frames with their headers into receive queues, and out of transmit queues (virtio 1.3, 5.1.6).
import {
  STEER_FRAME_DATA, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_SIZE, VNET_HASH_HEADER_SIZE, VNET_NUM_BUFFERS,
} from '../../layout/steering';
import {
  VNET_NO_QUEUE, VNET_QUEUE, VNET_QUEUES, VQ_BYTES, VQ_DROPPED, VQ_ENTRIES, VQ_ERROR, VQ_ERROR_HEADER, VQ_FLAGS, VQ_HEADER, VQ_MERGEABLE, VQ_PACKETS,
  VQ_SEGMENTS,
} from '../../layout/virtio';
import { capacity, chainCount, complete, fail, publish, segmentsEnd, take, takeNothing } from './ring';

@inline function count(queue: usize, field: usize, by: u64): void {
  store<u64>(queue + field, load<u64>(queue + field) + by);
}

/** One frame into a receive queue; its header has 20 bytes in front of what the driver gets. False: dropped, and counted. */
function deliver(queue: usize, frame: usize): bool {
  const header = <usize>load<u32>(frame, STEER_FRAME_HEADER);
  const headerBytes = load<u32>(queue, VQ_HEADER);
  const data = <usize>load<u32>(frame, STEER_FRAME_DATA);
  const length = load<u32>(frame, STEER_FRAME_LENGTH);
  const total = headerBytes + length;
  const mergeable = (load<u32>(queue, VQ_FLAGS) & VQ_MERGEABLE) != 0;
  takeNothing(queue);
  let room: u64 = 0;
  do {
    if (!take(queue, true)) break;
    room = capacity(queue, 0);
  } while (room < total && mergeable);
  if (room < total) {
    // What was taken stays available: nothing of it was written.
    takeNothing(queue);
    count(queue, VQ_DROPPED, 1);
    return false;
  }
  const chains = chainCount(queue);
  store<u16>(header, <u16>chains, VNET_NUM_BUFFERS);
  let done: u32 = 0;
  for (let chain: u32 = 0, at: u32 = 0; chain < chains; chain++) {
    const begin = done;
    for (const end = segmentsEnd(queue, chain); at < end; at++) {
      const segment = queue + VQ_SEGMENTS + (<usize>at << 3);
      let to = <usize>load<u32>(segment);
      let space = load<u32>(segment, 4);
      if (done < headerBytes) {
        const part = min(space, headerBytes - done);
        memory.copy(to, header + done, part);
        done += part;
        to += part;
        space -= part;
      }
      const part = min(space, total - done);
      if (part != 0 && done >= headerBytes) {
        memory.copy(to, data + (done - headerBytes), part);
        done += part;
      }
    }
    complete(queue, chain, done - begin);
  }
  publish(queue);
  count(queue, VQ_PACKETS, 1);
  count(queue, VQ_BYTES, length);
  return true;
}

/** Frames that were steered, each to the receive queue of its number. Returns how many were delivered. */
export function vnet_deliver(device: usize, frames: usize, number: u32): u32 {
  const queues = load<u32>(device, VNET_QUEUES);
  let delivered: u32 = 0;
  for (let frame = frames; number > 0; number--, frame += STEER_FRAME_SIZE) {
    const index = <u32>load<u16>(frame, STEER_FRAME_QUEUE);
    const queue = index < queues ? <usize>load<u32>(device + (<usize>index << 2), VNET_QUEUE) : 0;
    if (queue == 0 || load<u32>(queue, VQ_ENTRIES) == 0) count(device, VNET_NO_QUEUE, 1);
    else if (deliver(queue, frame)) delivered++;
  }
  return delivered;
}

/**
 * Frames out of a transmit queue, as many as are there and at most `number`, into records whose buffers have `room` bytes behind a header of 20; longer ones are dropped and
 * counted. The buffers are the driver's again when this returns. Returns how many there are.
 */
export function vnet_collect(queue: usize, frames: usize, number: u32, room: u32): u32 {
  const headerBytes = load<u32>(queue, VQ_HEADER);
  let collected: u32 = 0;
  while (collected < number) {
    takeNothing(queue);
    if (!take(queue, false)) break;
    const total = capacity(queue, 0);
    if (total < headerBytes) {
      takeNothing(queue);
      fail(queue, VQ_ERROR_HEADER);
      break;
    }
    if (total - headerBytes > room) count(queue, VQ_DROPPED, 1);
    else {
      const frame = frames + <usize>collected * STEER_FRAME_SIZE;
      gather(queue, frame, headerBytes, <u32>(total - headerBytes));
      collected++;
    }
    complete(queue, 0, 0);
    publish(queue);
  }
  takeNothing(queue);
  return collected;
}

function gather(queue: usize, frame: usize, headerBytes: u32, length: u32): void {
  const header = <usize>load<u32>(frame, STEER_FRAME_HEADER);
  const data = <usize>load<u32>(frame, STEER_FRAME_DATA);
  memory.fill(header, 0, VNET_HASH_HEADER_SIZE);
  let done: u32 = 0;
  for (let at: u32 = 0, end = segmentsEnd(queue, 0); at < end; at++) {
    const segment = queue + VQ_SEGMENTS + (<usize>at << 3);
    let from = <usize>load<u32>(segment);
    let left = load<u32>(segment, 4);
    if (done < headerBytes) {
      const part = min(left, headerBytes - done);
      memory.copy(header + done, from, part);
      done += part;
      from += part;
      left -= part;
    }
    if (left != 0) {
      memory.copy(data + (done - headerBytes), from, left);
      done += left;
    }
  }
  store<u32>(frame, length, STEER_FRAME_LENGTH);
  count(queue, VQ_PACKETS, 1);
  count(queue, VQ_BYTES, length);
}
