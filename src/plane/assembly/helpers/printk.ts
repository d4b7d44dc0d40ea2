// bpf_trace_printk and bpf_trace_vprintk: text into the trace ring of this CPU (layout/printk.ts).
import {
  PRINTK_CONSUMED, PRINTK_DATA, PRINTK_DATA_SIZE, PRINTK_DROPPED, PRINTK_MAX_TEXT, PRINTK_PRODUCED,
} from '../../layout/printk';
import { WORKER_PRINTK, WORKER_SCRATCH } from '../../layout/worker';
import { EINVAL } from '../errno';
import { format, Sink, SINK_SIZE } from '../text/format';
import { WORKER } from '../worker';

/** MAX_BPRINTF_VARARGS, in bytes. */
const MAX_ARGUMENTS: u32 = 96;

function print(fmt: usize, size: u32, args: usize, count: u32): i64 {
  const ring = <usize>load<u32>(WORKER, WORKER_PRINTK);
  const sink = changetype<Sink>(WORKER + WORKER_SCRATCH);
  sink.to = 0;
  sink.length = 0;
  sink.size = PRINTK_MAX_TEXT;
  let produced: u32 = 0;
  if (ring != 0) {
    produced = load<u32>(ring, PRINTK_PRODUCED);
    // Room for the longest record, so that a record is written whole or not at all.
    if (PRINTK_DATA_SIZE - (produced - atomic.load<u32>(ring + PRINTK_CONSUMED)) >= PRINTK_MAX_TEXT + 8) {
      sink.to = ring + PRINTK_DATA;
      sink.start = produced + 4;
      sink.mask = PRINTK_DATA_SIZE - 1;
    } else {
      store<u32>(ring, load<u32>(ring, PRINTK_DROPPED) + 1, PRINTK_DROPPED);
    }
  }
  const written = format(sink, fmt, size, args, count);
  if (written >= 0 && sink.to != 0) {
    const kept = min<u32>(sink.length, PRINTK_MAX_TEXT - 1);
    store<u32>(ring + PRINTK_DATA + (produced & (PRINTK_DATA_SIZE - 1)), kept);
    atomic.store<u32>(ring + PRINTK_PRODUCED, produced + 4 + ((kept + 3) & ~3));
  }
  return written;
}

export function bpf_trace_printk(fmt: u64, size: u64, a: u64, b: u64, c: u64): i64 {
  const args = WORKER + WORKER_SCRATCH + SINK_SIZE;
  store<u64>(args, a);
  store<u64>(args, b, 8);
  store<u64>(args, c, 16);
  return print(<usize>fmt, <u32>size, args, 3);
}

export function bpf_trace_vprintk(fmt: u64, size: u64, args: u64, length: u64): i64 {
  const bytes = <u32>length;
  if ((bytes & 7) != 0 || bytes > MAX_ARGUMENTS || (bytes != 0 && args == 0)) return EINVAL;
  return print(<usize>fmt, <u32>size, <usize>args, bytes >> 3);
}
