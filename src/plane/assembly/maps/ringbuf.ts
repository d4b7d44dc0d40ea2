// Ring buffer: many producers, one consumer. Layout and its difference from Linux: layout/map-ringbuf.ts. Facts: kernel/bpf/ringbuf.c.
import { copy_bytes, header_allocate } from './header';
import { holder, word_lock, word_unlock } from '../locks/word';
import { bit_lock, bit_unlock } from '../locks/bit';
import { E2BIG, EAGAIN, EINVAL, ENOMEM } from '../errno';
import { isTooLarge, ringbufDynptr, setNull } from '../kfuncs/dynptr';
import { DYNPTR_DATA } from '../../layout/dynptr';
import { BPF_F_NUMA_NODE, MAP_HEADER_SIZE, MAP_VALUES } from '../../layout/map';
import {
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  RINGBUF_CONSUMER,
  RINGBUF_CONSUMER_AT,
  RINGBUF_DATA,
  RINGBUF_LENGTH_MASK,
  RINGBUF_LOCKED,
  RINGBUF_MASK,
  RINGBUF_OWNER_MASK,
  RINGBUF_PRODUCER,
  RINGBUF_PRODUCER_AT,
  RINGBUF_PRODUCER_LOCK,
  RINGBUF_RECORD_HEADER,
  RINGBUF_SHARED,
  RINGBUF_WAITERS,
  RINGBUF_WAKES,
} from '../../layout/map-ringbuf';

const BUSY: u32 = 0x8000_0000;
const DISCARD: u32 = 0x4000_0000;
const PAGE: u32 = 4096;
// RINGBUF_MAX_RECORD_SZ
const LONGEST: u64 = 0x3fff_ffff;

export function ringbuf_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if ((flags & ~BPF_F_NUMA_NODE) != 0 || key_size != 0 || value_size != 0) return <usize>EINVAL;
  if (max_entries == 0 || popcnt<u32>(max_entries) != 1 || (max_entries & (PAGE - 1)) != 0) return <usize>EINVAL;
  const body = <u64>max_entries * 2 + (RINGBUF_DATA - MAP_HEADER_SIZE);
  const map = header_allocate(type, key_size, value_size, max_entries, flags, body);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, <u32>map + RINGBUF_DATA, MAP_VALUES);
  store<u32>(map, max_entries - 1, RINGBUF_MASK);
  store<u32>(map, <u32>map + RINGBUF_CONSUMER, RINGBUF_CONSUMER_AT);
  store<u32>(map, <u32>map + RINGBUF_PRODUCER, RINGBUF_PRODUCER_AT);
  return map;
}

// @ts-ignore: decorator
@inline
function record_size(length: u32): u32 {
  return ((length & RINGBUF_LENGTH_MASK) + RINGBUF_RECORD_HEADER + 7) & ~7;
}

/** Address of `size` bytes to fill and submit or discard, 0 if the ring has no room or flags are given. */
export function bpf_ringbuf_reserve(map: u64, size: u64, flags: u64): u64 {
  return flags == 0 ? ringbuf_reserve(<usize>map, size) : 0;
}

function ringbuf_reserve(map: usize, size: u64): usize {
  if (size > LONGEST) return 0;
  const mask = <u64>load<u32>(map, RINGBUF_MASK);
  const length = (size + RINGBUF_RECORD_HEADER + 7) & ~7;
  if (length > mask + 1) return 0;
  if (load<u32>(map, RINGBUF_SHARED) != 0) return reserve_shared(map, <u32>size, length, mask);
  const consumed = atomic.load<u64>(map, RINGBUF_CONSUMER);
  // A full ring is told without the lock: producers that ask again and again would keep its line from the consumer.
  if ((atomic.load<u64>(map, RINGBUF_PRODUCER) & ~(<u64>RINGBUF_LOCKED)) + length - consumed > mask) return 0;
  // The lock is a bit of the producer position, so that storing the new position also lets it go.
  const produced = bit_lock(map + RINGBUF_PRODUCER);
  const data = <usize>load<u32>(map, MAP_VALUES);
  const next = produced + length;
  // Linux also bounds the span from the oldest uncommitted record, for consumers that write their position as they like. The one
  // here never passes an uncommitted record.
  if (next - consumed > mask) {
    bit_unlock(map + RINGBUF_PRODUCER, produced);
    return 0;
  }
  const record = data + <usize>(produced & mask);
  store<u32>(record, <u32>size | BUSY);
  store<u32>(record, <u32>map | holder(), 4);
  bit_unlock(map + RINGBUF_PRODUCER, next);
  return record + RINGBUF_RECORD_HEADER;
}

/** In a user ring buffer of the kernel, which drains it: nobody else may see a locked position. */
function reserve_shared(map: usize, size: u32, length: u64, mask: u64): usize {
  const consumed = atomic.load<u64>(load<u32>(map, RINGBUF_CONSUMER_AT));
  const position = <usize>load<u32>(map, RINGBUF_PRODUCER_AT);
  word_lock(map + RINGBUF_PRODUCER_LOCK);
  const produced = atomic.load<u64>(position);
  const record = <usize>load<u32>(map, MAP_VALUES) + <usize>(produced & mask);
  const fits = produced + length - consumed <= mask;
  if (fits) {
    store<u32>(record, size | BUSY);
    store<u32>(record, <u32>map | holder(), 4);
    atomic.store<u64>(position, produced + length);
  }
  word_unlock(map + RINGBUF_PRODUCER_LOCK);
  return fits ? record + RINGBUF_RECORD_HEADER : 0;
}

function commit(sample: usize, flags: u64, discard: u32): void {
  const record = sample - RINGBUF_RECORD_HEADER;
  const map = <usize>(load<u32>(record, 4) & ~RINGBUF_OWNER_MASK);
  atomic.store<u32>(record, (load<u32>(record) ^ BUSY) | discard);
  // Only a consumer that has read everything before this record can be waiting for it.
  const place = <u32>(record - load<u32>(map, MAP_VALUES));
  const caught_up = (<u32>atomic.load<u64>(map, RINGBUF_CONSUMER) & load<u32>(map, RINGBUF_MASK)) == place;
  if ((flags & BPF_RB_FORCE_WAKEUP) != 0 || (caught_up && !(flags & BPF_RB_NO_WAKEUP))) ringbuf_wake(map);
}

/** Wakes whoever waits for the ring. */
export function ringbuf_wake(map: usize): void {
  atomic.add<u32>(map, 1, RINGBUF_WAKES);
  if (atomic.load<u32>(map, RINGBUF_WAITERS) != 0) atomic.notify(map + RINGBUF_WAKES, -1);
}

export function bpf_ringbuf_submit(sample: u64, flags: u64): u64 {
  commit(<usize>sample, flags, 0);
  return 0;
}

export function bpf_ringbuf_discard(sample: u64, flags: u64): u64 {
  commit(<usize>sample, flags, DISCARD);
  return 0;
}

/** As bpf_ringbuf_reserve, into a dynptr; where it fails the dynptr is null, and submitting or discarding that does nothing. */
export function bpf_ringbuf_reserve_dynptr(map: u64, size: u64, flags: u64, dynptr: u64): i64 {
  setNull(<usize>dynptr);
  if (flags != 0) return EINVAL;
  if (isTooLarge(size)) return E2BIG;
  const sample = ringbuf_reserve(<usize>map, <u64><u32>size);
  if (sample == 0) return EINVAL;
  ringbufDynptr(<usize>dynptr, sample, <u32>size);
  return 0;
}

export function bpf_ringbuf_submit_dynptr(dynptr: u64, flags: u64): u64 {
  const sample = load<u64>(<usize>dynptr, DYNPTR_DATA);
  if (sample != 0) commit(<usize>sample, flags, 0);
  setNull(<usize>dynptr);
  return 0;
}

export function bpf_ringbuf_discard_dynptr(dynptr: u64, flags: u64): u64 {
  const sample = load<u64>(<usize>dynptr, DYNPTR_DATA);
  if (sample != 0) commit(<usize>sample, flags, DISCARD);
  setNull(<usize>dynptr);
  return 0;
}

/** Copies `size` bytes into a record of their own: 0, -EINVAL for unknown flags, -EAGAIN if the ring has no room. */
export function bpf_ringbuf_output(map: u64, data: u64, size: u64, flags: u64): i64 {
  if (flags & ~(<u64>(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))) return EINVAL;
  const sample = ringbuf_reserve(<usize>map, size);
  if (sample == 0) return EAGAIN;
  copy_bytes(sample, <usize>data, <u32>size);
  commit(sample, flags, 0);
  return 0;
}

// @ts-ignore: decorator
@inline
function producer_of(map: usize): u64 {
  return atomic.load<u64>(load<u32>(map, RINGBUF_PRODUCER_AT)) & ~(<u64>RINGBUF_LOCKED);
}

/** What BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RB_CONS_POS or BPF_RB_PROD_POS asks for; 0 for anything else. */
export function bpf_ringbuf_query(map: u64, flags: u64): u64 {
  const ring = <usize>map;
  if (flags == BPF_RB_AVAIL_DATA) {
    const consumed = atomic.load<u64>(load<u32>(ring, RINGBUF_CONSUMER_AT));
    return producer_of(ring) - consumed;
  }
  if (flags == BPF_RB_RING_SIZE) return <u64>load<u32>(ring, RINGBUF_MASK) + 1;
  if (flags == BPF_RB_CONS_POS) return atomic.load<u64>(load<u32>(ring, RINGBUF_CONSUMER_AT));
  if (flags == BPF_RB_PROD_POS) return producer_of(ring);
  return 0;
}

/** Consumer: address of the next record that is ready (its length word first), 0 if there is none. Discarded ones are passed over. */
export function ringbuf_next(map: usize): usize {
  const mask = <u64>load<u32>(map, RINGBUF_MASK);
  const data = <usize>load<u32>(map, MAP_VALUES);
  let consumed = load<u64>(map, RINGBUF_CONSUMER);
  // The producers' position is read after the consumer's was moved: who commits a record in between either sees that the consumer waits for it, or is seen here.
  while (consumed < producer_of(map)) {
    const record = data + <usize>(consumed & mask);
    const word = atomic.load<u32>(record);
    if (word & BUSY) return 0;
    if (!(word & DISCARD)) return record;
    consumed += record_size(word);
    atomic.store<u64>(map, consumed, RINGBUF_CONSUMER);
  }
  return 0;
}

/** Consumer: gives the space of the record that ringbuf_next returned back to the producers. */
export function ringbuf_release(map: usize, record: usize): void {
  atomic.store<u64>(map, load<u64>(map, RINGBUF_CONSUMER) + record_size(load<u32>(record)), RINGBUF_CONSUMER);
}

/**
 * Consumer: bytes of records in a row that are ready, discarded ones among them, from its position to the end of the ring at most; 0: none. About a quarter of the
 * ring is told at once: they stay until ringbuf_consume, and producers go on meanwhile.
 */
export function ringbuf_ready(map: usize): u32 {
  const mask = <u64>load<u32>(map, RINGBUF_MASK);
  const data = <usize>load<u32>(map, MAP_VALUES);
  const consumed = load<u64>(map, RINGBUF_CONSUMER);
  const produced = producer_of(map);
  const end = min<u64>(min<u64>(produced, (consumed | mask) + 1), consumed + (mask >> 2) + 1);
  let at = consumed;
  while (at < end) {
    const word = atomic.load<u32>(data + <usize>(at & mask));
    if (word & BUSY) break;
    at += record_size(word);
  }
  return <u32>(at - consumed);
}

/** Consumer: gives the space of so many bytes of records back to the producers. */
export function ringbuf_consume(map: usize, bytes: u32): void {
  atomic.store<u64>(map, load<u64>(map, RINGBUF_CONSUMER) + bytes, RINGBUF_CONSUMER);
}
