/** Lines of what is read: how many there are, and where each ends. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, type Job } from './job.ts';
import {
  SCAN_COUNT,
  SCAN_ENDS,
  SCAN_LAST_END,
  SCAN_LINES,
  SCAN_NEXT_END,
  SCAN_OPEN_LINE,
  SCAN_SEPARATOR,
  type ScanOptions,
  scan,
} from './scan.ts';

export interface LinesOptions extends ScanOptions {
  /** The byte between lines: default 10. */
  readonly separator?: number;
  /** Where each line ends, too. */
  readonly ends?: boolean;
  /** Line ends that are kept before JavaScript takes them: default 65536, at least 4096. */
  readonly room?: number;
}

export interface LinesResult {
  /** The last line counts even if nothing ends it. */
  readonly lines: number;
  readonly bytes: number;
  /** With `ends`: position of the separator behind each line, or of the end, from the first byte that was read. */
  readonly ends: Float64Array | undefined;
}

/**
 * Counts the lines that descriptor `fd` gives until its end, and with `ends` splits it: line i is what lies between ends[i - 1] + 1 and ends[i]. JavaScript is
 * woken once, with `ends` once for each `room` of them.
 */
export async function lines(ring: RingBase, fd: number, options: LinesOptions = {}): Promise<LinesResult> {
  const room = checkedNumber('room', options.room ?? 65536, 4096, 2 ** 27) * 8;
  const separator = checkedNumber('separator', options.separator ?? 10, 0, 255);
  const split = options.ends === true;
  const parts: Float64Array[] = [];
  let ends = 0;
  const take = (job: Job) => {
    const until = job.getU64(SCAN_NEXT_END);
    const view = ring.runtime.view();
    parts.push(
      Float64Array.from({ length: (until - ends) / 8 }, (_, i) => Number(view.getBigUint64(ends + i * 8, true))),
    );
    job.u64(job.address, ends, SCAN_NEXT_END);
  };
  const prepare = (job: Job) => {
    job.u32(job.address, separator, SCAN_SEPARATOR);
    if (!split) return;
    ends = job.take(room);
    job.u64(job.address, ends, SCAN_NEXT_END);
    job.u64(job.address, ends + room, SCAN_LAST_END);
  };
  const result = (job: Job, bytes: number): LinesResult => {
    const open = job.getU32(SCAN_OPEN_LINE);
    if (split) take(job);
    if (split && open === 1) parts.push(Float64Array.of(bytes));
    return { lines: job.getU64(SCAN_COUNT) + open, bytes, ends: split ? joined(parts) : undefined };
  };
  return scan(ring, 'lines', fd, SCAN_LINES | (split ? SCAN_ENDS : 0), options, prepare, result, take);
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
