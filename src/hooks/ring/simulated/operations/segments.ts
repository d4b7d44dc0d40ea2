/** The memory that a request reads from or writes to, as pairs of address and length. */
import { EFAULT, EINVAL, EOVERFLOW } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Request } from '../request.ts';

const IOVEC_SIZE = 16;
const MAX_IOVECS = 1024;
/** Most bytes that one call moves (MAX_RW_COUNT). */
export const MAX_TRANSFER = 0x7fff_f000;

/** Iovecs at an address, checked; or a negated errno. */
export function readIovecs(kernel: Kernel, high: number, low: number, count: number): number[] | number {
  if (count > MAX_IOVECS) return -EINVAL;
  const { memory } = kernel;
  if (count > 0 && !memory.has(high, low, count * IOVEC_SIZE)) return -EFAULT;
  const segments: number[] = [];
  for (let index = 0; index < count; index++) {
    const at = low + index * IOVEC_SIZE;
    const address = memory.view.getUint32(at, true);
    const length = memory.view.getUint32(at + 8, true);
    if (memory.view.getUint32(at + 12, true) !== 0) return -EINVAL;
    if (length > 0 && !memory.has(memory.view.getUint32(at + 4, true), address, length)) return -EFAULT;
    segments.push(address, length);
  }
  return segments;
}

export function totalLength(segments: readonly number[]): number {
  let total = 0;
  for (let index = 1; index < segments.length; index += 2) total += segments[index]!;
  return total;
}

/** The segments of a request: its iovecs, or the one buffer that it names. */
export function segmentsOf(kernel: Kernel, request: Request): number[] | number {
  if (request.segments !== undefined) return request.segments;
  const length = Math.min(request.len, MAX_TRANSFER);
  if (length > 0 && !kernel.memory.has(request.addrHigh, request.addrLow, length)) return -EFAULT;
  return [request.addrLow, length];
}

/** What is left behind the first `done` bytes. */
export function after(segments: readonly number[], done: number): number[] {
  const rest: number[] = [];
  let skip = done;
  for (let index = 0; index < segments.length; index += 2) {
    const length = segments[index + 1]!;
    if (skip >= length) skip -= length;
    else {
      rest.push(segments[index]! + skip, length - skip);
      skip = 0;
    }
  }
  return rest;
}

/** Calls `each` with the parts that hold the first `length` bytes; it gives how many it took. The sum. */
export function eachPart(
  segments: readonly number[],
  length: number,
  each: (at: number, part: number) => number,
): number {
  let done = 0;
  for (let index = 0; index < segments.length && done < length; index += 2) {
    const part = Math.min(segments[index + 1]!, length - done);
    const moved = each(segments[index]!, part);
    done += moved;
    if (moved < part) break;
  }
  return done;
}

/** A copy of the first `length` bytes. */
export function gather(kernel: Kernel, segments: readonly number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  eachPart(segments, length, (at, part) => {
    bytes.set(kernel.memory.bytes.subarray(at, at + part), done);
    done += part;
    return part;
  });
  return bytes;
}

/** The fixed buffer that a request names holds all of its memory. */
export function checkFixed(kernel: Kernel, request: Request, segments: readonly number[]): number {
  const buffer = kernel.resources.buffers?.[request.bufIndex];
  if (buffer === undefined || buffer[1] === 0) return -EFAULT;
  for (let index = 0; index < segments.length; index += 2) {
    const start = segments[index]!;
    const end = start + segments[index + 1]!;
    if (end > 0xffff_ffff) return -EOVERFLOW;
    if (start < buffer[0] || end > buffer[0] + buffer[1]) return -EFAULT;
  }
  return 0;
}
