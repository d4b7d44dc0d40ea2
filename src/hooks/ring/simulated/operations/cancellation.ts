/** ASYNC_CANCEL: by user_data, file, opcode, or whatever there is. */
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { cancelFlags, sqeFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EBADF, EINVAL, ENOENT } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Operation } from '../operation.ts';
import type { Request } from '../request.ts';
import type { OpenFile } from '../world/open-file.ts';

const OP_FUTEX_WAIT = opcodes.futex_wait.number;

/** What to cancel. */
export interface CancelKey {
  readonly flags: number;
  readonly userLow: number;
  readonly userHigh: number;
  readonly fd: number;
  readonly opcode: number;
  /** The request that cancels is no target. */
  readonly except: Request | undefined;
}

/** 0 or the number of those cancelled (with ALL or ANY), or a negated errno. */
export function cancelMatching(kernel: Kernel, key: CancelKey): number {
  const { flags } = key;
  const any = (flags & cancelFlags.ANY) !== 0;
  const all = any || (flags & cancelFlags.ALL) !== 0;
  let file: OpenFile | undefined;
  if ((flags & cancelFlags.FD) !== 0) {
    file = (flags & cancelFlags.FD_FIXED) !== 0 ? kernel.resources.file(key.fd) : kernel.world.descriptor(key.fd);
    if (file === undefined) return -EBADF;
  }
  const byUser =
    (flags & cancelFlags.USERDATA) !== 0 || (flags & (cancelFlags.FD | cancelFlags.OP | cancelFlags.ANY)) === 0;
  let cancelled = 0;
  let first = -ENOENT;
  for (let each = kernel.oldest; each !== undefined; each = each.younger) {
    if (each === key.except) continue;
    if (!any) {
      if (file !== undefined && each.file !== file) continue;
      if ((flags & cancelFlags.OP) !== 0 && each.opcode !== key.opcode) continue;
      if (byUser && (each.userLow !== key.userLow || each.userHigh !== key.userHigh)) continue;
    }
    const result = kernel.cancel(each);
    if (result === -ENOENT) continue;
    // The kernel counts futexes, whatever it was asked.
    if (!all && result === 0) return each.opcode === OP_FUTEX_WAIT ? 1 : 0;
    if (result === 0) cancelled++;
    else if (first === -ENOENT) first = result;
  }
  return all ? cancelled : first;
}

function prepareCancel(_kernel: Kernel, request: Request): number {
  if ((request.flags & sqeFlags.BUFFER_SELECT) !== 0 || request.off !== 0 || request.fileIndex !== 0) return -EINVAL;
  const { opFlags } = request;
  if ((opFlags & ~0x3f) !== 0) return -EINVAL;
  if ((opFlags & cancelFlags.ANY) !== 0 && (opFlags & (cancelFlags.FD | cancelFlags.OP)) !== 0) return -EINVAL;
  return 0;
}

function executeCancel(kernel: Kernel, request: Request): number {
  const fixed = (request.flags & sqeFlags.FIXED_FILE) !== 0 ? cancelFlags.FD_FIXED : 0;
  return cancelMatching(kernel, {
    flags: request.opFlags | fixed,
    userLow: request.addrLow,
    userHigh: request.addrHigh,
    fd: request.fd,
    opcode: request.len,
    except: request,
  });
}

export const cancelOperations: Readonly<Record<number, Operation>> = {
  [opcodes.async_cancel.number]: { prepare: prepareCancel, execute: executeCancel },
};
