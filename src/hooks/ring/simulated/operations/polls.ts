/** poll, and changes of polls that run. */
import { pollEvents } from '../../../../abi/io-uring/call-flags.ts';
import { opcodes } from '../../../../abi/io-uring/opcodes.ts';
import { pollFlags } from '../../../../abi/io-uring/request-flags.ts';
import { EINVAL, ENOENT } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Operation } from '../operation.ts';
import { PARKED, type Request, type Waitable } from '../request.ts';
import type { OpenFile } from '../world/open-file.ts';
import { OP_POLL_ADD } from './numbers.ts';

/** Bits of poll(2) that hold now. */
export function readiness(file: OpenFile): number {
  const { is } = file;
  if (is.kind === 'pipe') {
    const { pipe } = is;
    if (file.writable) return (pipe.room > 0 ? pollEvents.OUT : 0) | (pipe.readers === 0 ? pollEvents.ERR : 0);
    return (pipe.bytes.length > 0 ? pollEvents.IN : 0) | (pipe.writers === 0 ? pollEvents.HUP : 0);
  }
  if (is.kind !== 'socket') return pollEvents.IN | pollEvents.OUT;
  const { socket } = is;
  if (socket.state === 'listening') return socket.backlog.length > 0 ? pollEvents.IN : 0;
  let events = 0;
  const ended = socket.ended || socket.readShut;
  if (socket.bytes.length > 0 || ended || socket.error !== 0) events |= pollEvents.IN;
  if (ended) events |= pollEvents.RDHUP;
  if (socket.error !== 0) events |= pollEvents.ERR;
  if (socket.state === 'connected') {
    if (socket.room > 0 || socket.writeShut || socket.peer === undefined) events |= pollEvents.OUT;
    if (ended && socket.writeShut) events |= pollEvents.HUP;
  } else if (socket.state !== 'connecting') events |= pollEvents.OUT | pollEvents.HUP;
  return events;
}

function waitable(file: OpenFile): Waitable | undefined {
  const { is } = file;
  return is.kind === 'pipe' ? is.pipe : is.kind === 'socket' ? is.socket : undefined;
}

function preparePoll(_kernel: Kernel, request: Request): number {
  if (request.bufIndex !== 0 || request.off !== 0 || request.addrLow !== 0 || request.addrHigh !== 0) return -EINVAL;
  if ((request.len & ~(pollFlags.ADD_MULTI | pollFlags.ADD_LEVEL)) !== 0) return -EINVAL;
  request.multishot = (request.len & pollFlags.ADD_MULTI) !== 0;
  return 0;
}

function executePoll(kernel: Kernel, request: Request): number {
  const file = request.file!;
  const events = readiness(file) & (request.opFlags | pollEvents.ERR | pollEvents.HUP);
  if (events !== 0 && (!request.multishot || !kernel.postMore(request, events, 0))) return events;
  const waits = waitable(file);
  // Files are always ready; a multishot poll of one would report it once.
  return waits === undefined ? events : kernel.park(request, waits);
}

function executeRemove(kernel: Kernel, request: Request): number {
  const flags = request.len;
  if ((flags & ~(pollFlags.UPDATE_EVENTS | pollFlags.UPDATE_USER_DATA | pollFlags.ADD_MULTI)) !== 0) return -EINVAL;
  let target = kernel.oldest;
  for (; target !== undefined; target = target.younger) {
    const { opcode, state, userLow, userHigh } = target;
    if (opcode === OP_POLL_ADD && state === PARKED && userLow === request.addrLow && userHigh === request.addrHigh)
      break;
  }
  if (target === undefined) return -ENOENT;
  if ((flags & (pollFlags.UPDATE_EVENTS | pollFlags.UPDATE_USER_DATA)) === 0) return kernel.cancel(target);
  if ((flags & pollFlags.UPDATE_USER_DATA) !== 0) {
    target.userLow = request.offLow;
    target.userHigh = request.offHigh;
  }
  if ((flags & pollFlags.UPDATE_EVENTS) !== 0) {
    target.opFlags = request.opFlags;
    target.multishot = (flags & pollFlags.ADD_MULTI) !== 0;
  }
  const woken = target;
  const waits = woken.waits;
  if (waits !== undefined) {
    waits.waiting.splice(waits.waiting.indexOf(woken), 1);
    woken.waits = undefined;
    kernel.clock.soon(() => kernel.retry(woken));
  }
  return 0;
}

export const pollOperations: Readonly<Record<number, Operation>> = {
  [opcodes.poll_add.number]: { file: true, prepare: preparePoll, execute: executePoll },
  [opcodes.poll_remove.number]: { execute: executeRemove },
};
