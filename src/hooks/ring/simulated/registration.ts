/** io_uring_register(2) of the simulated ring. */
import { cancelFlags } from '../../../abi/io-uring/request-flags.ts';
import {
  bufferRingFlags,
  OP_SUPPORTED,
  RSRC_REGISTER_SPARSE,
  registerOpcodes,
  ringLimits,
} from '../../../abi/io-uring/ring-flags.ts';
import { EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EMFILE, ENOENT, ENXIO, EOVERFLOW } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { cancelMatching } from './operations/cancellation.ts';
import { operations } from './operations/index.ts';
import { updateFiles } from './operations/ring-requests.ts';

const IOVEC_SIZE = 16;
const PROBE_HEADER = 16;
const PROBE_OP = 8;

/** Result or negated errno; -EINVAL for what the simulation does not know, as for what the kernel does not. */
export function register(kernel: Kernel, opcode: number, argument: number, count: number): number {
  switch (opcode) {
    case registerOpcodes.BUFFERS:
      return registerBuffers(kernel, argument, count);
    case registerOpcodes.BUFFERS2:
      return fromResource(kernel, argument, count, registerBuffers);
    case registerOpcodes.BUFFERS_UPDATE:
      return fromUpdate(kernel, argument, updateBuffers);
    case registerOpcodes.UNBUFFERS:
      if (kernel.resources.buffers === undefined) return -ENXIO;
      kernel.resources.buffers = undefined;
      return 0;
    case registerOpcodes.FILES:
      return registerFiles(kernel, argument, count);
    case registerOpcodes.FILES2:
      return fromResource(kernel, argument, count, registerFiles);
    case registerOpcodes.FILES_UPDATE:
      return fromUpdate(kernel, argument, updateFiles, count);
    case registerOpcodes.FILES_UPDATE2:
      return fromUpdate(kernel, argument, updateFiles);
    case registerOpcodes.UNFILES:
      return unregisterFiles(kernel);
    case registerOpcodes.FILE_ALLOC_RANGE:
      return setRange(kernel, argument);
    case registerOpcodes.PBUF_RING:
      return registerBufferRing(kernel, argument);
    case registerOpcodes.UNPBUF_RING:
      return unregisterBufferRing(kernel, argument);
    case registerOpcodes.PBUF_STATUS:
      return bufferRingStatus(kernel, argument);
    case registerOpcodes.PROBE:
      return probe(kernel, argument, count);
    case registerOpcodes.SYNC_CANCEL:
      return cancel(kernel, argument);
    default:
      return -EINVAL;
  }
}

type Registration = (kernel: Kernel, address: number, count: number) => number;
type Update = (kernel: Kernel, start: number, address: number, count: number) => number;

/** struct io_uring_rsrc_register {u32 nr, flags; u64 resv2, data, tags}. */
function fromResource(kernel: Kernel, argument: number, size: number, then: Registration): number {
  const { memory } = kernel;
  if (size !== 32) return -EINVAL;
  if (!memory.has(0, argument, 32)) return -EFAULT;
  const count = memory.view.getUint32(argument, true);
  const sparse = (memory.view.getUint32(argument + 4, true) & RSRC_REGISTER_SPARSE) !== 0;
  if (sparse) return then(kernel, 0, count);
  if (memory.view.getUint32(argument + 20, true) !== 0) return -EFAULT;
  return then(kernel, memory.view.getUint32(argument + 16, true), count);
}

/** struct io_uring_rsrc_update {u32 offset, resv; u64 data}, with u64 tags and u32 nr in the second version. */
function fromUpdate(kernel: Kernel, argument: number, then: Update, count?: number): number {
  const { memory } = kernel;
  if (!memory.has(0, argument, count === undefined ? 32 : 16)) return -EFAULT;
  const { view } = memory;
  const number = count ?? view.getUint32(argument + 24, true);
  const start = view.getUint32(argument, true);
  const address = view.getUint32(argument + 8, true);
  if (!memory.has(view.getUint32(argument + 12, true), address, number * 4)) return -EFAULT;
  return then(kernel, start, address, number);
}

/** `address` 0: empty slots. */
function registerFiles(kernel: Kernel, address: number, count: number): number {
  const { resources, memory } = kernel;
  if (resources.files !== undefined) return -EBUSY;
  if (count === 0) return -EINVAL;
  if (count > ringLimits.files) return -EMFILE;
  if (address !== 0 && !memory.has(0, address, count * 4)) return -EFAULT;
  resources.files = new Array(count).fill(undefined);
  resources.range = { start: 0, end: count };
  for (let slot = 0; address !== 0 && slot < count; slot++) {
    const fd = memory.view.getInt32(address + slot * 4, true);
    if (fd === -1) continue;
    const file = kernel.world.descriptor(fd);
    if (file === undefined || file.is.kind === 'ring') {
      unregisterFiles(kernel);
      return -EBADF;
    }
    resources.setFile(slot, file);
  }
  return 0;
}

function unregisterFiles(kernel: Kernel): number {
  const { resources } = kernel;
  if (resources.files === undefined) return -ENXIO;
  for (const slot of resources.files.keys()) resources.setFile(slot, undefined);
  resources.files = undefined;
  return 0;
}

function setRange(kernel: Kernel, argument: number): number {
  const { memory, resources } = kernel;
  if (!memory.has(0, argument, 16)) return -EFAULT;
  const start = memory.view.getUint32(argument, true);
  const length = memory.view.getUint32(argument + 4, true);
  if (start + length > 0xffff_ffff) return -EOVERFLOW;
  if (resources.files === undefined) return -ENXIO;
  if (start + length > resources.files.length) return -EINVAL;
  resources.range = { start, end: start + length };
  return 0;
}

function registerBuffers(kernel: Kernel, address: number, count: number): number {
  const { resources } = kernel;
  if (resources.buffers !== undefined) return -EBUSY;
  if (count === 0 || count > ringLimits.buffers) return -EINVAL;
  const buffers: (readonly [number, number])[] = [];
  for (let index = 0; index < count; index++) {
    const buffer = address === 0 ? ([0, 0] as const) : readBuffer(kernel, address + index * IOVEC_SIZE);
    if (typeof buffer === 'number') return buffer;
    buffers.push(buffer);
  }
  resources.buffers = buffers;
  return 0;
}

function readBuffer(kernel: Kernel, at: number): readonly [number, number] | number {
  const { memory } = kernel;
  if (!memory.has(0, at, IOVEC_SIZE)) return -EFAULT;
  const [low, high] = [memory.view.getUint32(at, true), memory.view.getUint32(at + 4, true)];
  const length = memory.view.getUint32(at + 8, true);
  if (low === 0 && high === 0) return length === 0 ? [0, 0] : -EFAULT;
  if (length === 0 || length > ringLimits.bufferBytes || !memory.has(high, low, length)) return -EFAULT;
  return [low, length];
}

function updateBuffers(kernel: Kernel, start: number, address: number, count: number): number {
  const { buffers } = kernel.resources;
  if (buffers === undefined) return -ENXIO;
  if (start + count > buffers.length) return -EINVAL;
  for (let index = 0; index < count; index++) {
    const buffer = readBuffer(kernel, address + index * IOVEC_SIZE);
    if (typeof buffer === 'number') return index > 0 ? index : buffer;
    buffers[start + index] = buffer;
  }
  return count;
}

/** struct io_uring_buf_reg {u64 ring_addr; u32 ring_entries; u16 bgid, flags; u64 resv[3]}. */
function registerBufferRing(kernel: Kernel, argument: number): number {
  const { memory, resources } = kernel;
  if (!memory.has(0, argument, 40)) return -EFAULT;
  const { view } = memory;
  const address = view.getUint32(argument, true);
  const entries = view.getUint32(argument + 8, true);
  const group = view.getUint16(argument + 12, true);
  const flags = view.getUint16(argument + 14, true);
  // The ring's memory is always the program's here.
  if ((flags & ~bufferRingFlags.INC) !== 0) return -EINVAL;
  if (entries === 0 || (entries & (entries - 1)) !== 0 || entries > ringLimits.bufferRingEntries) return -EINVAL;
  if (address % 4096 !== 0) return -EINVAL;
  if (!memory.has(view.getUint32(argument + 4, true), address, entries * 16)) return -EFAULT;
  const there = resources.groups.get(group);
  if (there !== undefined && (there.kind === 'ring' || there.buffers.length > 0)) return -EEXIST;
  const incremental = (flags & bufferRingFlags.INC) !== 0;
  resources.groups.set(group, { kind: 'ring', address, mask: entries - 1, incremental, head: 0 });
  return 0;
}

function unregisterBufferRing(kernel: Kernel, argument: number): number {
  const { memory, resources } = kernel;
  if (!memory.has(0, argument, 40)) return -EFAULT;
  const group = memory.view.getUint16(argument + 12, true);
  const there = resources.groups.get(group);
  if (there === undefined) return -ENOENT;
  if (there.kind !== 'ring') return -EINVAL;
  resources.groups.delete(group);
  return 0;
}

/** struct io_uring_buf_status {u32 buf_group, head; u32 resv[8]}. */
function bufferRingStatus(kernel: Kernel, argument: number): number {
  const { memory, resources } = kernel;
  if (!memory.has(0, argument, 40)) return -EFAULT;
  const there = resources.groups.get(memory.view.getUint32(argument, true));
  if (there === undefined) return -ENOENT;
  if (there.kind !== 'ring') return -EINVAL;
  memory.view.setUint32(argument + 4, there.head, true);
  return 0;
}

function probe(kernel: Kernel, argument: number, count: number): number {
  const { memory } = kernel;
  const known = Math.min(count, operations.length);
  if (!memory.has(0, argument, PROBE_HEADER + count * PROBE_OP)) return -EFAULT;
  memory.bytes.fill(0, argument, argument + PROBE_HEADER + count * PROBE_OP);
  memory.view.setUint8(argument, operations.length - 1);
  memory.view.setUint8(argument + 1, known);
  for (let opcode = 0; opcode < known; opcode++) {
    const at = argument + PROBE_HEADER + opcode * PROBE_OP;
    memory.view.setUint8(at, opcode);
    if (operations[opcode] !== undefined) memory.view.setUint16(at + 2, OP_SUPPORTED, true);
  }
  return 0;
}

/** struct io_uring_sync_cancel_reg {u64 addr; s32 fd; u32 flags; timespec; u8 opcode}. What cannot be cancelled is not waited for. */
function cancel(kernel: Kernel, argument: number): number {
  const { memory } = kernel;
  if (!memory.has(0, argument, 64)) return -EFAULT;
  const { view } = memory;
  const flags = view.getUint32(argument + 12, true);
  if (
    (flags &
      ~(
        cancelFlags.ALL |
        cancelFlags.FD |
        cancelFlags.ANY |
        cancelFlags.FD_FIXED |
        cancelFlags.USERDATA |
        cancelFlags.OP
      )) !==
    0
  )
    return -EINVAL;
  return cancelMatching(kernel, {
    flags,
    userLow: view.getUint32(argument, true),
    userHigh: view.getUint32(argument + 4, true),
    fd: view.getInt32(argument + 8, true),
    opcode: view.getUint8(argument + 32),
    except: undefined,
  });
}
