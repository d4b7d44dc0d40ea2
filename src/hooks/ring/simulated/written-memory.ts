/** Where the kernel writes for a request: what a recording keeps, and a replay puts back. */
import { opcodeDeclaration, opcodes } from '../../../abi/io-uring/opcodes.ts';
import { FILE_INDEX_ALLOC } from '../../../abi/io-uring/request-flags.ts';
import type { LinearMemory } from './memory.ts';
import type { Request } from './request.ts';

const STATX_SIZE = 256;
const PIPE_SIZE = 8;
const IOVEC_SIZE = 16;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;

const one: ReadonlySet<number> = new Set([
  opcodes.read.number,
  opcodes.read_fixed.number,
  opcodes.recv.number,
  opcodes.read_multishot.number,
]);
const vectors: ReadonlySet<number> = new Set([opcodes.readv.number, opcodes.readv_fixed.number]);
const attributes: ReadonlySet<number> = new Set([opcodes.getxattr.number, opcodes.fgetxattr.number]);

/** Address and length of each part that a completion with this result has written to, in linear memory; nothing where that is not known. */
export function writtenParts(memory: LinearMemory, base: bigint, request: Request, result: number): number[] {
  const linear = (high: number, low: number): number => {
    const address = Number((BigInt(high) << 32n) + BigInt(low) - base);
    return address > 0 && address < memory.bytes.length ? address : 0;
  };
  const cut = (parts: readonly (readonly [number, number])[], length: number): number[] => {
    const cuts: number[] = [];
    let left = length;
    for (const [address, size] of parts) {
      const part = Math.min(size, left);
      if (part > 0 && memory.has(0, address, part)) cuts.push(address, part);
      left -= part;
    }
    return cuts;
  };
  const iovecs = (at: number, count: number): (readonly [number, number])[] => {
    const { view } = memory;
    if (at === 0 || !memory.has(0, at, count * IOVEC_SIZE)) return [];
    return Array.from({ length: count }, (_, index) => {
      const place = at + index * IOVEC_SIZE;
      return [linear(view.getUint32(place + 4, true), view.getUint32(place, true)), view.getUint32(place + 8, true)];
    });
  };
  const { opcode } = request;
  if (result < 0) return [];
  const addr = linear(request.addrHigh, request.addrLow);
  const off = linear(request.offHigh, request.offLow);
  if (one.has(opcode)) return cut([[addr, request.len]], result);
  if (vectors.has(opcode)) return cut(iovecs(addr, request.len), result);
  if (opcode === opcodes.recvmsg.number && addr !== 0 && memory.has(0, addr, 56)) {
    const { view } = memory;
    const at = linear(view.getUint32(addr + MSG_IOV + 4, true), view.getUint32(addr + MSG_IOV, true));
    return cut(iovecs(at, view.getUint32(addr + MSG_IOVLEN, true)), result);
  }
  if (opcode === opcodes.statx.number) return cut([[off, STATX_SIZE]], STATX_SIZE);
  if (opcode === opcodes.pipe.number) return cut([[addr, PIPE_SIZE]], PIPE_SIZE);
  if (attributes.has(opcode)) return cut([[off, request.len]], result);
  if (opcode === opcodes.files_update.number && request.offLow === FILE_INDEX_ALLOC)
    return cut([[addr, request.len * 4]], request.len * 4);
  return [];
}

/** `off` as a value; 0 where the opcode has an address there. */
export function valueOffset(request: Request): number {
  return opcodeDeclaration(request.opcode)?.addresses.includes('off') === true ? 0 : request.off;
}
