/**
 * linux/vhost-user/: the back end's side of vhost-user (QEMU's docs/interop/vhost-user.rst): a device in this process whose driver is in a guest of another.
 *
 * This file: messages as bytes. Little-endian; a header of 12 bytes (u32 request, u32 flags, u32 size) and a payload.
 */
import { InputError } from '../../errors.ts';

/** Those that what is offered asks for; others (logging for migration, RARP, MTU, configuration space) belong to protocol features that are not, and are refused. */
export const request = {
  getFeatures: 1,
  setFeatures: 2,
  setOwner: 3,
  resetOwner: 4,
  setMemTable: 5,
  setVringNum: 8,
  setVringAddr: 9,
  setVringBase: 10,
  getVringBase: 11,
  setVringKick: 12,
  setVringCall: 13,
  setVringErr: 14,
  getProtocolFeatures: 15,
  setProtocolFeatures: 16,
  getQueueNum: 17,
  setVringEnable: 18,
  resetDevice: 34,
  getMaxMemSlots: 36,
  addMemReg: 37,
  remMemReg: 38,
  setStatus: 39,
  getStatus: 40,
} as const;

export const protocolFeature = {
  mq: 1n << 0n,
  replyAck: 1n << 3n,
  resetDevice: 1n << 13n,
  configureMemSlots: 1n << 15n,
  status: 1n << 16n,
} as const;

export const HEADER_SIZE = 12;
/** No message that a network device is sent is longer. */
export const MAX_PAYLOAD = 4096;
const VERSION = 1;
const VERSION_MASK = 3;
const REPLY = 4;
const NEED_REPLY = 8;
/** In the payload of kick, call and err: no descriptor comes with it. */
const NO_FD = 0x100n;

export interface MessageHeader {
  readonly request: number;
  readonly needsReply: boolean;
  /** Of the payload, bytes. */
  readonly size: number;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Throws InputError `SLUICE_VHOST_MESSAGE` for what is not a header of a request. */
export function parseHeader(bytes: Uint8Array): MessageHeader {
  const view = viewOf(bytes);
  const flags = view.getUint32(4, true);
  const size = view.getUint32(8, true);
  if ((flags & VERSION_MASK) !== VERSION) throw bad(`version ${flags & VERSION_MASK}, not 1`);
  if ((flags & REPLY) !== 0) throw bad('a reply, and nothing was asked');
  if (size > MAX_PAYLOAD) throw bad(`a payload of ${size} bytes`);
  return { request: view.getUint32(0, true), needsReply: (flags & NEED_REPLY) !== 0, size };
}

export function bad(what: string): InputError {
  return new InputError('SLUICE_VHOST_MESSAGE', `vhost-user message: ${what}`);
}

export function message(code: number, payload: Uint8Array, flags = VERSION): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, code, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, payload.length, true);
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}

export const reply = (code: number, payload: Uint8Array) => message(code, payload, VERSION | REPLY);

export function u64(value: bigint | number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function sized(payload: Uint8Array, size: number): DataView {
  if (payload.length < size) throw bad(`a payload of ${payload.length} bytes where ${size} are needed`);
  return viewOf(payload);
}

export const parseU64 = (payload: Uint8Array) => sized(payload, 8).getBigUint64(0, true);

/** struct vhost_vring_state. */
export function parseVringState(payload: Uint8Array): { readonly index: number; readonly value: number } {
  const view = sized(payload, 8);
  return { index: view.getUint32(0, true), value: view.getUint32(4, true) };
}

export function vringState(index: number, value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(index, value).buffer);
}

export interface VringAddresses {
  readonly index: number;
  readonly descriptors: bigint;
  readonly used: bigint;
  readonly available: bigint;
}

/** struct vhost_vring_addr: addresses in the front end's process. Logging is not offered, and its address not looked at. */
export function parseVringAddresses(payload: Uint8Array): VringAddresses {
  const view = sized(payload, 40);
  const at = (offset: number) => view.getBigUint64(offset, true);
  return { index: view.getUint32(0, true), descriptors: at(8), used: at(16), available: at(24) };
}

/** Payload of kick, call and err: which queue, and whether a descriptor comes with the message. */
export function parseVringFd(payload: Uint8Array): { readonly index: number; readonly withFd: boolean } {
  const value = parseU64(payload);
  return { index: Number(value & 0xffn), withFd: (value & NO_FD) === 0n };
}

export interface MemoryRegion {
  readonly physical: bigint;
  readonly size: bigint;
  readonly user: bigint;
  /** Where in the descriptor's file it begins. */
  readonly offset: bigint;
}

function regionAt(view: DataView, at: number): MemoryRegion {
  const field = (index: number) => view.getBigUint64(at + index * 8, true);
  return { physical: field(0), size: field(1), user: field(2), offset: field(3) };
}
const REGION_SIZE = 32;

export function parseMemoryTable(payload: Uint8Array): MemoryRegion[] {
  const count = sized(payload, 8).getUint32(0, true);
  const view = sized(payload, 8 + count * REGION_SIZE);
  return Array.from({ length: count }, (_, i) => regionAt(view, 8 + i * REGION_SIZE));
}

/** Of ADD_MEM_REG and REM_MEM_REG. */
export function parseSingleRegion(payload: Uint8Array): MemoryRegion {
  return regionAt(sized(payload, 8 + REGION_SIZE), 8);
}
