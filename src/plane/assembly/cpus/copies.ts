// Copies of frames of lots, for the targets of a broadcast. Each has a record, which hangs on that of the frame (RECORD_COPIES), and ends on the CPU that made it; with the frame it
// comes back to the source, which frees it.
import {
  CHUNK_COPIES, CHUNK_COUNT, COPY_BUFFER, COPY_DESCRIPTOR, COPY_SIDE, COPY_SIZE, FRAME_ENDED_FAULT, LOT_SOURCE, RECORD_COPIES, RECORD_CPU, RECORD_END, RECORD_ENTRY, RECORD_FRAME, RECORD_HOPS, RECORD_LOT,
  RECORD_PLACE, SOURCE_CHUNKS, SOURCE_COPIES,
} from '../../layout/frames';
import { FRAME_SIZE_TOTAL, FRAME_TRAITS_SIDE, XDP_FRAME_SIZE } from '../../layout/frame';
import { pages_alloc, pages_free } from '../pages';
import { copyFrame } from '../path/copies';

/** Puts copies that hang together, from `first` to `last`, among those that are free. */
function put(source: usize, first: usize, last: usize): void {
  while (true) {
    const top = atomic.load<u64>(source + SOURCE_COPIES);
    store<u32>(last, <u32>top, RECORD_COPIES);
    if (atomic.cmpxchg<u64>(source + SOURCE_COPIES, top, (((top >> 32) + 1) << 32) | <u64>first) == top) return;
  }
}

/** A page of copies: one for the caller, the others are free. 0: no memory. */
function more(source: usize): usize {
  const chunk = pages_alloc(1);
  if (chunk == 0) return 0;
  const first = chunk + CHUNK_COPIES;
  const last = first + COPY_SIZE * (CHUNK_COUNT - 1);
  for (let copy = first + COPY_SIZE; copy < last; copy += COPY_SIZE) store<u32>(copy, <u32>copy + COPY_SIZE, RECORD_COPIES);
  put(source, first + COPY_SIZE, last);
  while (true) {
    const before = atomic.load<u32>(source + SOURCE_CHUNKS);
    store<u32>(chunk, before);
    if (atomic.cmpxchg<u32>(source + SOURCE_CHUNKS, before, <u32>chunk) == before) return first;
  }
}

/** A copy of the record's frame as it is; its record, or 0: no memory. */
export function copyOf(record: usize): usize {
  const lot = load<u32>(record, RECORD_LOT);
  const source = <usize>load<u32>(lot, LOT_SOURCE);
  let copy: usize = 0;
  while (true) {
    const top = atomic.load<u64>(source + SOURCE_COPIES);
    copy = <usize><u32>top;
    if (copy == 0) {
      copy = more(source);
      if (copy == 0) return 0;
      break;
    }
    // What another CPU has taken meanwhile says anything here; then the number has changed.
    if (atomic.cmpxchg<u64>(source + SOURCE_COPIES, top, (((top >> 32) + 1) << 32) | <u64>load<u32>(copy, RECORD_COPIES)) == top) break;
  }
  const from = <usize>load<u32>(record, RECORD_FRAME);
  const frame = copy + COPY_DESCRIPTOR;
  copyFrame(from, frame, <u32>copy + COPY_BUFFER, load<u32>(from, FRAME_TRAITS_SIDE) == 0 ? 0 : <u32>copy + COPY_SIDE);
  store<u32>(frame, XDP_FRAME_SIZE, FRAME_SIZE_TOTAL);
  store<u32>(copy, <u32>frame, RECORD_FRAME);
  store<u32>(copy, lot, RECORD_LOT);
  store<u32>(copy, load<u32>(record, RECORD_CPU), RECORD_CPU);
  store<u32>(copy, 0, RECORD_ENTRY);
  // Unless it comes to another end.
  store<u32>(copy, FRAME_ENDED_FAULT, RECORD_END);
  store<u32>(copy, 0, RECORD_PLACE);
  store<u32>(copy, load<u32>(record, RECORD_HOPS), RECORD_HOPS);
  store<u32>(copy, load<u32>(record, RECORD_COPIES), RECORD_COPIES);
  store<u32>(record, <u32>copy, RECORD_COPIES);
  return copy;
}

/** The source is done with the copies of a frame, from the one that its record says. */
export function copies_free(source: usize, first: usize): void {
  if (first == 0) return;
  let last = first;
  for (let next = <usize>load<u32>(last, RECORD_COPIES); next != 0; next = <usize>load<u32>(last, RECORD_COPIES)) last = next;
  put(source, first, last);
}

/** No frame of the source is under way any more. */
export function copies_close(source: usize): void {
  let chunk = <usize>load<u32>(source, SOURCE_CHUNKS);
  store<u32>(source, 0, SOURCE_CHUNKS);
  store<u64>(source, 0, SOURCE_COPIES);
  while (chunk != 0) {
    const next = <usize>load<u32>(chunk);
    pages_free(chunk, 1);
    chunk = next;
  }
}
