// Copies of packets under way: for the targets of a broadcast, and of bpf_clone_redirect. Each has bytes and traits of its own: what is done to one, the others do not see.
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_DESCRIPTOR_SIZE, FRAME_HARD_START, FRAME_TRAITS_SIDE,
} from '../../layout/frame';
import {
  ITEM_COPY_OF, ITEM_CPU, ITEM_END, ITEM_FRAME, ITEM_FRAME_BUFFER, ITEM_HOPS, ITEM_INTERFACE, ITEM_IS_SKB, ITEM_MERGED_INTO, ITEM_PROGRAM, ITEM_QUEUE, ITEM_READY_NEXT,
  ITEM_REASON, ITEM_SEGMENTS, ITEM_SIDE, ITEM_SKB, ITEM_SKB_BUFFER, ITEM_STEP_COUNT, PATH_COUNTER, PATH_ITEM_MAX, STEP_COPY,
} from '../../layout/path';
import {
  SKB_BUFFER_SIZE, SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_DESCRIPTOR_SIZE, SKB_END, SKB_FLOW_KEYS, SKB_HEAD, SKB_KEYS, SKB_MAC_HEADER,
  SKB_NETWORK_HEADER, SKB_TRANSPORT_HEADER,
} from '../../layout/skb';
import { TRAITS_SIDE_SIZE } from '../../layout/trait';
import { indexOf, itemAt, step } from './items';

@inline function slide(at: usize, field: usize, distance: u32): void {
  const value = load<u32>(at + field);
  if (value != 0) store<u32>(at + field, value + distance);
}

/** A frame like `source` in another buffer of at least as many bytes, with traits of its own in `side`, which is 0 where they lie elsewhere. */
export function copyFrame(source: usize, frame: usize, buffer: u32, side: u32): void {
  const first = load<u32>(source, FRAME_HARD_START);
  memory.copy(frame, source, FRAME_DESCRIPTOR_SIZE);
  memory.copy(<usize>buffer, <usize>first, <usize>(load<u32>(source, FRAME_DATA_END) - first));
  store<u32>(frame, buffer, FRAME_HARD_START);
  slide(frame, FRAME_DATA, buffer - first);
  slide(frame, FRAME_DATA_META, buffer - first);
  slide(frame, FRAME_DATA_END, buffer - first);
  store<u32>(frame, side, FRAME_TRAITS_SIDE);
  if (side != 0) memory.copy(<usize>side, <usize>load<u32>(source, FRAME_TRAITS_SIDE), TRAITS_SIDE_SIZE);
}

function copySkb(from: usize, to: usize): void {
  const source = <usize>load<u32>(from, ITEM_SKB);
  const skb = <usize>load<u32>(to, ITEM_SKB);
  const buffer = load<u32>(to, ITEM_SKB_BUFFER);
  const head = load<u32>(source, SKB_HEAD);
  const distance = buffer - head;
  memory.copy(skb, source, SKB_DESCRIPTOR_SIZE);
  const first = min<u32>(load<u32>(source, SKB_DATA_META), min<u32>(load<u32>(source, SKB_DATA), load<u32>(source, SKB_MAC_HEADER)));
  memory.copy(<usize>(first + distance), <usize>first, <usize>(load<u32>(source, SKB_DATA_END) - first));
  store<u32>(skb, buffer, SKB_HEAD);
  store<u32>(skb, buffer + SKB_BUFFER_SIZE, SKB_END);
  slide(skb, SKB_DATA, distance);
  slide(skb, SKB_DATA_END, distance);
  slide(skb, SKB_DATA_META, distance);
  slide(skb, SKB_MAC_HEADER, distance);
  slide(skb, SKB_NETWORK_HEADER, distance);
  slide(skb, SKB_TRANSPORT_HEADER, distance);
  store<u64>(skb, <u64>(skb + SKB_KEYS), SKB_FLOW_KEYS);
}

/** A copy of the packet as it is now, without steps of its own; 0: there is no room for one. */
export function copyItem(path: usize, item: usize): usize {
  // Lanes of other CPUs make copies as well.
  const counter = <usize>load<u32>(path, PATH_COUNTER);
  let index = atomic.load<u32>(counter);
  while (true) {
    if (index == load<u32>(path, PATH_ITEM_MAX)) return 0;
    const found = atomic.cmpxchg<u32>(counter, index, index + 1);
    if (found == index) break;
    index = found;
  }
  const copy = itemAt(path, index);
  const isSkb = load<u32>(item, ITEM_IS_SKB);
  if (isSkb != 0) copySkb(item, copy);
  else copyFrame(<usize>load<u32>(item, ITEM_FRAME), <usize>load<u32>(copy, ITEM_FRAME), load<u32>(copy, ITEM_FRAME_BUFFER), load<u32>(copy, ITEM_SIDE));
  store<u32>(copy, isSkb, ITEM_IS_SKB);
  store<u32>(copy, indexOf(path, item) + 1, ITEM_COPY_OF);
  store<u32>(copy, load<u32>(item, ITEM_HOPS), ITEM_HOPS);
  store<u32>(copy, load<u32>(item, ITEM_INTERFACE), ITEM_INTERFACE);
  store<u32>(copy, load<u32>(item, ITEM_QUEUE), ITEM_QUEUE);
  store<u32>(copy, load<u32>(item, ITEM_CPU), ITEM_CPU);
  store<u32>(copy, 0, ITEM_PROGRAM);
  store<u32>(copy, 0, ITEM_END);
  store<u32>(copy, 0, ITEM_REASON);
  store<u32>(copy, 0, ITEM_MERGED_INTO);
  store<u32>(copy, 0, ITEM_READY_NEXT);
  store<u32>(copy, 0, ITEM_STEP_COUNT);
  store<u32>(copy, load<u32>(item, ITEM_SEGMENTS), ITEM_SEGMENTS);
  step(item, STEP_COPY, index, 0, 0);
  return copy;
}
