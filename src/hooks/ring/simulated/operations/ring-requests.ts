/** Requests on the ring itself, and on memory: nop, messages, direct descriptors, provided buffers, futexes. */
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { FILE_INDEX_ALLOC, msgRingCommands, msgRingFlags, nopFlags } from '../../../../abi/io-uring/request-flags.ts';
import { REGISTER_FILES_SKIP } from '../../../../abi/io-uring/ring-flags.ts';
import { E2BIG, EAGAIN, EBADF, EBADFD, EFAULT, EINVAL, ENOENT, ENXIO, EOVERFLOW } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { type Operation, PENDING } from '../operation.ts';
import { type Request, RUNNING } from '../request.ts';
import type { MessageTarget } from '../world/open-file.ts';

const NOP_FLAGS = nopFlags.INJECT_RESULT | nopFlags.FILE | nopFlags.FIXED_FILE | nopFlags.TW;

function prepareNop(_kernel: Kernel, request: Request): number {
  return (request.opFlags & ~NOP_FLAGS) !== 0 ? -EINVAL : 0;
}

function executeNop(kernel: Kernel, request: Request): number {
  const { opFlags } = request;
  let result = (opFlags & nopFlags.INJECT_RESULT) !== 0 ? request.len | 0 : 0;
  if ((opFlags & nopFlags.FILE) !== 0) {
    const fixed = (opFlags & nopFlags.FIXED_FILE) !== 0;
    const file = fixed ? kernel.resources.file(request.fd) : kernel.world.descriptor(request.fd);
    if (file === undefined) result = -EBADF;
  }
  if ((opFlags & nopFlags.TW) === 0) return result;
  kernel.clock.soon(() => kernel.complete(request, result));
  return PENDING;
}

function prepareMessage(_kernel: Kernel, request: Request): number {
  return (request.opFlags & ~(msgRingFlags.CQE_SKIP | msgRingFlags.FLAGS_PASS)) !== 0 ? -EINVAL : 0;
}

function executeMessage(kernel: Kernel, request: Request): number {
  const { is } = request.file!;
  if (is.kind !== 'ring') return -EBADFD;
  if (request.addrHigh !== 0) return -EINVAL;
  if (request.addrLow === msgRingCommands.SEND_FD) return sendFile(kernel, request, is.ring);
  if (request.addrLow !== msgRingCommands.DATA) return -EINVAL;
  const passes = (request.opFlags & msgRingFlags.FLAGS_PASS) !== 0;
  if ((request.opFlags & msgRingFlags.CQE_SKIP) !== 0 || request.addr3Low !== 0) return -EINVAL;
  if (!passes && request.fileIndex !== 0) return -EINVAL;
  const sent = is.ring.message(request.offLow, request.offHigh, request.len | 0, passes ? request.fileIndex : 0);
  return sent ? 0 : -EOVERFLOW;
}

/** A direct descriptor of this ring becomes one of the other, too: by its task, and with a completion there. */
function sendFile(kernel: Kernel, request: Request, to: MessageTarget): number {
  if (request.len !== 0 || to === kernel) return -EINVAL;
  const file = kernel.resources.file(request.addr3Low);
  if (file === undefined) return -EBADF;
  const { fileIndex, offLow, offHigh, opFlags } = request;
  // Until it has arrived it is the request's.
  file.users++;
  kernel.clock.soon(() => {
    const result = to.receive(file, fileIndex);
    kernel.world.release(file);
    const silent = result < 0 || (opFlags & msgRingFlags.CQE_SKIP) !== 0;
    const told = silent || to.message(offLow, offHigh, result, 0);
    kernel.complete(request, told ? result : -EOVERFLOW);
  });
  return PENDING;
}

/** Writes descriptors into slots, or lets the ring pick slots and writes their numbers back. */
function executeFilesUpdate(kernel: Kernel, request: Request): number {
  if (request.len === 0) return -EINVAL;
  if (!kernel.memory.has(request.addrHigh, request.addrLow, request.len * 4)) return -EFAULT;
  return request.offLow === FILE_INDEX_ALLOC
    ? allocateFiles(kernel, request.addrLow, request.len)
    : updateFiles(kernel, request.offLow, request.addrLow, request.len);
}

/** Slots that were changed, or a negated errno where none was. */
export function updateFiles(kernel: Kernel, start: number, address: number, count: number): number {
  const { resources, world, memory } = kernel;
  if (resources.files === undefined) return -ENXIO;
  if (start + count > resources.files.length) return -EINVAL;
  for (let index = 0; index < count; index++) {
    const fd = memory.view.getInt32(address + index * 4, true);
    if (fd === REGISTER_FILES_SKIP) continue;
    const file = fd === -1 ? undefined : world.descriptor(fd);
    if (fd !== -1 && (file === undefined || file.is.kind === 'ring')) return index > 0 ? index : -EBADF;
    resources.setFile(start + index, file);
  }
  return count;
}

function allocateFiles(kernel: Kernel, address: number, count: number): number {
  const { resources, world, memory } = kernel;
  if (resources.files === undefined) return -ENXIO;
  for (let index = 0; index < count; index++) {
    const at = address + index * 4;
    const file = world.descriptor(memory.view.getInt32(at, true));
    const slot = file === undefined ? -EBADF : resources.installDirect(file, FILE_INDEX_ALLOC);
    if (slot < 0) return index > 0 ? index : slot;
    memory.view.setInt32(at, slot, true);
  }
  return count;
}

function executeInstall(kernel: Kernel, request: Request): number {
  return kernel.world.install(request.file!);
}

function executeProvide(kernel: Kernel, request: Request): number {
  const { fd: count, len: length, off: firstId, bufIndex } = request;
  if (count <= 0 || count > 0xffff) return -E2BIG;
  if (length === 0 || firstId + count > 0x1_0000) return -EINVAL;
  if (!kernel.memory.has(request.addrHigh, request.addrLow, count * length)) return -EFAULT;
  const { groups } = kernel.resources;
  let group = groups.get(bufIndex);
  if (group === undefined) {
    group = { kind: 'list', buffers: [] };
    groups.set(bufIndex, group);
  }
  if (group.kind === 'ring') return -EINVAL;
  for (let index = 0; index < count; index++)
    group.buffers.push({ address: request.addrLow + index * length, length, id: firstId + index });
  return 0;
}

function executeRemove(kernel: Kernel, request: Request): number {
  if (request.fd <= 0 || request.fd > 0xffff) return -EINVAL;
  const group = kernel.resources.groups.get(request.bufIndex);
  if (group === undefined) return -ENOENT;
  if (group.kind === 'ring') return -EINVAL;
  return group.buffers.splice(0, request.fd).length;
}

/** Only wakes by requests count: nobody else runs in this world. */
function executeFutexWait(kernel: Kernel, request: Request): number {
  if (!kernel.memory.has(request.addrHigh, request.addrLow, 4)) return -EFAULT;
  if (request.addrLow % 4 !== 0 || (request.fd & 3) !== 2) return -EINVAL;
  if (kernel.memory.view.getUint32(request.addrLow, true) !== request.offLow) return -EAGAIN;
  return kernel.park(request, kernel.world.futex(request.addrLow));
}

function executeFutexWake(kernel: Kernel, request: Request): number {
  if (!kernel.memory.has(request.addrHigh, request.addrLow, 4)) return -EFAULT;
  if (request.addrLow % 4 !== 0 || (request.fd & 3) !== 2) return -EINVAL;
  const { waiting } = kernel.world.futex(request.addrLow);
  let woken = 0;
  for (let index = 0; index < waiting.length && woken < request.off; ) {
    const each = waiting[index]!;
    if ((each.addr3Low & request.addr3Low) === 0) {
      index++;
      continue;
    }
    waiting.splice(index, 1);
    each.waits = undefined;
    each.state = RUNNING;
    kernel.clock.soon(() => kernel.complete(each, 0));
    woken++;
  }
  return woken;
}

function prepareFutex(_kernel: Kernel, request: Request): number {
  return request.len !== 0 || request.opFlags !== 0 || request.bufIndex !== 0 || request.addr3Low === 0 ? -EINVAL : 0;
}

export const ringOperations: Readonly<Record<number, Operation>> = {
  [opcodes.nop.number]: { prepare: prepareNop, execute: executeNop },
  [opcodes.msg_ring.number]: { file: true, inline: true, prepare: prepareMessage, execute: executeMessage },
  [opcodes.files_update.number]: { execute: executeFilesUpdate },
  [opcodes.fixed_fd_install.number]: { file: true, execute: executeInstall },
  [opcodes.provide_buffers.number]: { execute: executeProvide },
  [opcodes.remove_buffers.number]: { execute: executeRemove },
  [opcodes.futex_wait.number]: { prepare: prepareFutex, execute: executeFutexWait },
  [opcodes.futex_wake.number]: { prepare: prepareFutex, execute: executeFutexWake },
};
