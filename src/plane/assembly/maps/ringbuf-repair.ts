// Records of ring buffers that a CPU reserved and neither submitted nor discarded before it ended: consumers would wait for them for ever. They are discarded.
import { recovered } from '../cpus/report';
import { holder } from '../locks/word';
import { ringbuf_wake } from './ringbuf';
import { MAP_VALUES } from '../../layout/map';
import {
  RINGBUF_BUSY, RINGBUF_CONSUMER_AT, RINGBUF_DISCARD, RINGBUF_LENGTH_MASK, RINGBUF_LOCKED, RINGBUF_MASK, RINGBUF_OWNER_MASK, RINGBUF_PRODUCER_AT,
  RINGBUF_RECORD_HEADER, RINGBUF_WAITERS,
} from '../../layout/map-ringbuf';
import { RECOVERED_RECORDS } from '../../layout/recovery';

export function ringbuf_recover(map: usize, report: usize): void {
  const mask = <u64>load<u32>(map, RINGBUF_MASK);
  const produced = atomic.load<u64>(load<u32>(map, RINGBUF_PRODUCER_AT)) & ~(<u64>RINGBUF_LOCKED);
  let found = false;
  for (let at = atomic.load<u64>(load<u32>(map, RINGBUF_CONSUMER_AT)); at < produced; ) {
    const record = <usize>load<u32>(map, MAP_VALUES) + <usize>(at & mask);
    const word = atomic.load<u32>(record);
    if ((word & RINGBUF_BUSY) != 0 && (load<u32>(record, 4) & RINGBUF_OWNER_MASK) == holder()) {
      atomic.store<u32>(record, (word & ~RINGBUF_BUSY) | RINGBUF_DISCARD);
      recovered(report, RECOVERED_RECORDS);
      found = true;
    }
    at += ((word & RINGBUF_LENGTH_MASK) + RINGBUF_RECORD_HEADER + 7) & ~7;
  }
  // It may have submitted one and not said so.
  if (found || atomic.load<u32>(map, RINGBUF_WAITERS) != 0) ringbuf_wake(map);
}
