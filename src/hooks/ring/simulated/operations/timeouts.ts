/** TIMEOUT, LINK_TIMEOUT, TIMEOUT_REMOVE. */
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { timeoutFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EALREADY, ECANCELED, EFAULT, EINVAL, ENOENT } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { type Operation, PENDING } from '../operation.ts';
import { deadline, type Request, TIMING } from '../request.ts';
import { OP_LINK_TIMEOUT, OP_TIMEOUT } from './numbers.ts';

const TIMESPEC_SIZE = 16;

/** ns of the struct __kernel_timespec at an address, or undefined with why not. */
function readTime(kernel: Kernel, high: number, low: number): number {
  const { memory } = kernel;
  if (!memory.has(high, low, TIMESPEC_SIZE)) return -EFAULT;
  const { view } = memory;
  const seconds = view.getInt32(low + 4, true) * 0x1_0000_0000 + view.getUint32(low, true);
  const nanoseconds = view.getInt32(low + 12, true) * 0x1_0000_0000 + view.getUint32(low + 8, true);
  return seconds < 0 || nanoseconds < 0 ? -EINVAL : seconds * 1e9 + nanoseconds;
}

function prepareTimeout(kernel: Kernel, request: Request): number {
  const { opFlags } = request;
  const isLink = request.opcode === OP_LINK_TIMEOUT;
  if (request.bufIndex !== 0 || request.len !== 1 || request.fileIndex !== 0) return -EINVAL;
  if (isLink && request.off !== 0) return -EINVAL;
  const known =
    timeoutFlags.ABS |
    timeoutFlags.BOOTTIME |
    timeoutFlags.REALTIME |
    timeoutFlags.ETIME_SUCCESS |
    timeoutFlags.MULTISHOT;
  if ((opFlags & ~known) !== 0) return -EINVAL;
  const multishot = (opFlags & timeoutFlags.MULTISHOT) !== 0;
  if (multishot && ((opFlags & timeoutFlags.ABS) !== 0 || isLink)) return -EINVAL;
  if ((opFlags & timeoutFlags.BOOTTIME) !== 0 && (opFlags & timeoutFlags.REALTIME) !== 0) return -EINVAL;
  const time = readTime(kernel, request.addrHigh, request.addrLow);
  if (time < 0) return time;
  request.interval = time;
  request.multishot = multishot;
  if (!isLink) {
    request.remaining = request.offLow;
    return 0;
  }
  const before = kernel.submission.last;
  return before === undefined || before.opcode === OP_LINK_TIMEOUT ? -EINVAL : 0;
}

function executeTimeout(kernel: Kernel, request: Request): number {
  if (!request.multishot && request.remaining > 0) {
    request.remaining += kernel.queue.posted;
    kernel.counting.push(request);
  }
  kernel.arm(request, deadline(request, kernel.clock.now));
  return PENDING;
}

function find(kernel: Kernel, opcode: number, userLow: number, userHigh: number): Request | undefined {
  for (let each = kernel.oldest; each !== undefined; each = each.younger)
    if (each.opcode === opcode && each.state === TIMING && each.userLow === userLow && each.userHigh === userHigh)
      return each;
  return undefined;
}

function prepareRemove(kernel: Kernel, request: Request): number {
  if (request.bufIndex !== 0 || request.len !== 0 || request.fileIndex !== 0) return -EINVAL;
  const { opFlags } = request;
  if ((opFlags & (timeoutFlags.UPDATE | timeoutFlags.LINK_UPDATE)) === 0) return opFlags === 0 ? 0 : -EINVAL;
  const time = readTime(kernel, request.offHigh, request.offLow);
  if (time < 0) return time;
  request.interval = time;
  return 0;
}

function executeRemove(kernel: Kernel, request: Request): number {
  const { opFlags } = request;
  const isLink = (opFlags & timeoutFlags.LINK_UPDATE) !== 0;
  const target = find(kernel, isLink ? OP_LINK_TIMEOUT : OP_TIMEOUT, request.addrLow, request.addrHigh);
  if (target === undefined) return -ENOENT;
  if (isLink || (opFlags & timeoutFlags.UPDATE) !== 0) {
    target.interval = request.interval;
    kernel.arm(target, (opFlags & timeoutFlags.ABS) !== 0 ? request.interval : kernel.clock.now + request.interval);
    return 0;
  }
  if (kernel.happens(kernel.faults.lateCancel)) {
    // It has just run out.
    kernel.arm(target, kernel.clock.now);
    return -EALREADY;
  }
  kernel.endTimeout(target, -ECANCELED);
  return 0;
}

export const timeoutOperations: Readonly<Record<number, Operation>> = {
  [opcodes.timeout.number]: { prepare: prepareTimeout, execute: executeTimeout },
  // Never issued by itself: it begins with the request before it.
  [opcodes.link_timeout.number]: { prepare: prepareTimeout, execute: () => -ECANCELED },
  [opcodes.timeout_remove.number]: { prepare: prepareRemove, execute: executeRemove },
};
