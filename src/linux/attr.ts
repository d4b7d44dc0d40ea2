/**
 * `union bpf_attr` and the info structures of bpf(2) by byte offset (include/uapi/linux/bpf.h, Linux 6.18). Each offset of
 * bpf(2) in Sluice stands here and nowhere else. Sizes are those of the part that is filled in: the kernel takes a
 * short attr as zero-extended, and an older kernel takes a longer one if what it does not know is zero.
 */
import { addressOf } from './ffi.ts';

/** `enum bpf_cmd`. */
export const commands = {
  BPF_MAP_CREATE: 0,
  BPF_MAP_LOOKUP_ELEM: 1,
  BPF_MAP_UPDATE_ELEM: 2,
  BPF_MAP_DELETE_ELEM: 3,
  BPF_MAP_GET_NEXT_KEY: 4,
  BPF_PROG_LOAD: 5,
  BPF_OBJ_PIN: 6,
  BPF_OBJ_GET: 7,
  BPF_PROG_ATTACH: 8,
  BPF_PROG_DETACH: 9,
  BPF_PROG_TEST_RUN: 10,
  BPF_PROG_GET_NEXT_ID: 11,
  BPF_MAP_GET_NEXT_ID: 12,
  BPF_PROG_GET_FD_BY_ID: 13,
  BPF_MAP_GET_FD_BY_ID: 14,
  BPF_OBJ_GET_INFO_BY_FD: 15,
  BPF_PROG_QUERY: 16,
  BPF_RAW_TRACEPOINT_OPEN: 17,
  BPF_BTF_LOAD: 18,
  BPF_BTF_GET_FD_BY_ID: 19,
  BPF_MAP_LOOKUP_AND_DELETE_ELEM: 21,
  BPF_MAP_FREEZE: 22,
  BPF_BTF_GET_NEXT_ID: 23,
  BPF_MAP_LOOKUP_BATCH: 24,
  BPF_MAP_LOOKUP_AND_DELETE_BATCH: 25,
  BPF_MAP_UPDATE_BATCH: 26,
  BPF_MAP_DELETE_BATCH: 27,
  BPF_LINK_CREATE: 28,
  BPF_LINK_UPDATE: 29,
  BPF_LINK_GET_FD_BY_ID: 30,
  BPF_LINK_GET_NEXT_ID: 31,
  BPF_ENABLE_STATS: 32,
  BPF_LINK_DETACH: 34,
  BPF_PROG_BIND_MAP: 35,
} as const;
export type BpfCommand = keyof typeof commands;

export const mapCreateAttr = {
  size: 80,
  mapType: 0,
  keySize: 4,
  valueSize: 8,
  maxEntries: 12,
  mapFlags: 16,
  innerMapFd: 20,
  numaNode: 24,
  mapName: 28,
  mapIfindex: 44,
  btfFd: 48,
  btfKeyTypeId: 52,
  btfValueTypeId: 56,
  btfVmlinuxValueTypeId: 60,
  mapExtra: 64,
  valueTypeBtfFd: 72,
} as const;

export const mapElementAttr = { size: 32, mapFd: 0, key: 8, value: 16, flags: 24 } as const;

export const mapBatchAttr = {
  size: 56,
  inBatch: 0,
  outBatch: 8,
  keys: 16,
  values: 24,
  count: 32,
  mapFd: 36,
  elementFlags: 40,
  flags: 48,
} as const;

export const programLoadAttr = {
  size: 152,
  type: 0,
  insnCount: 4,
  insns: 8,
  license: 16,
  logLevel: 24,
  logSize: 28,
  logBuffer: 32,
  kernelVersion: 40,
  flags: 44,
  name: 48,
  ifindex: 64,
  expectedAttachType: 68,
  btfFd: 72,
  funcInfoRecordSize: 76,
  funcInfo: 80,
  funcInfoCount: 88,
  lineInfoRecordSize: 92,
  lineInfo: 96,
  lineInfoCount: 104,
  attachBtfId: 108,
  /** Union of attach_prog_fd and attach_btf_obj_fd. */
  attachFd: 112,
  fdArray: 120,
  logTrueSize: 140,
  fdArrayCount: 148,
} as const;

export const objectAttr = { size: 20, pathname: 0, fd: 8, fileFlags: 12, pathFd: 16 } as const;

export const programAttachAttr = {
  size: 32,
  target: 0,
  attachFd: 4,
  attachType: 8,
  attachFlags: 12,
  replaceFd: 16,
} as const;

export const testRunAttr = {
  size: 80,
  programFd: 0,
  returnValue: 4,
  dataSizeIn: 8,
  dataSizeOut: 12,
  dataIn: 16,
  dataOut: 24,
  repeat: 32,
  duration: 36,
  contextSizeIn: 40,
  contextSizeOut: 44,
  contextIn: 48,
  contextOut: 56,
  flags: 64,
  cpu: 68,
  batchSize: 72,
} as const;

export const idAttr = { size: 16, id: 0, nextId: 4, openFlags: 8 } as const;

export const infoAttr = { size: 16, fd: 0, length: 4, info: 8 } as const;

export const queryAttr = {
  size: 64,
  target: 0,
  attachType: 4,
  queryFlags: 8,
  attachFlags: 12,
  programIds: 16,
  count: 24,
} as const;

export const rawTracepointAttr = { size: 24, name: 0, programFd: 8, cookie: 16 } as const;

export const btfLoadAttr = {
  size: 32,
  btf: 0,
  logBuffer: 8,
  btfSize: 16,
  logSize: 20,
  logLevel: 24,
  logTrueSize: 28,
} as const;

export const linkCreateAttr = {
  size: 48,
  programFd: 0,
  /** Union of target_fd and target_ifindex. */
  target: 4,
  attachType: 8,
  flags: 12,
  targetBtfId: 16,
  cookie: 16,
  netfilter: { family: 16, hook: 20, priority: 24, flags: 28 },
  /** tcx, netkit, cgroup: union of relative_fd and relative_id. */
  relative: 16,
  expectedRevision: 24,
} as const;

export const linkUpdateAttr = { size: 16, linkFd: 0, newProgramFd: 4, flags: 8, oldProgramFd: 12 } as const;
export const linkDetachAttr = { size: 4, linkFd: 0 } as const;
export const enableStatsAttr = { size: 4, type: 0 } as const;
export const bindMapAttr = { size: 12, programFd: 0, mapFd: 4, flags: 8 } as const;

/** `struct bpf_prog_info`. */
export const programInfo = {
  size: 232,
  type: 0,
  id: 4,
  tag: 8,
  jitedLength: 16,
  xlatedLength: 20,
  jitedInsns: 24,
  xlatedInsns: 32,
  loadTime: 40,
  createdByUid: 48,
  mapIdCount: 52,
  mapIds: 56,
  name: 64,
  ifindex: 80,
  gplCompatible: 84,
  netnsDev: 88,
  netnsIno: 96,
  jitedSymbolCount: 104,
  jitedFunctionLengthCount: 108,
  jitedSymbols: 112,
  jitedFunctionLengths: 120,
  btfId: 128,
  funcInfoRecordSize: 132,
  funcInfo: 136,
  funcInfoCount: 144,
  lineInfoCount: 148,
  lineInfo: 152,
  jitedLineInfo: 160,
  jitedLineInfoCount: 168,
  lineInfoRecordSize: 172,
  jitedLineInfoRecordSize: 176,
  programTagCount: 180,
  programTags: 184,
  runTimeNs: 192,
  runCount: 200,
  recursionMisses: 208,
  verifiedInsns: 216,
  attachBtfObjectId: 220,
  attachBtfId: 224,
} as const;

/** `struct bpf_map_info`. */
export const mapInfo = {
  size: 88,
  type: 0,
  id: 4,
  keySize: 8,
  valueSize: 12,
  maxEntries: 16,
  mapFlags: 20,
  name: 24,
  ifindex: 40,
  btfVmlinuxValueTypeId: 44,
  netnsDev: 48,
  netnsIno: 56,
  btfId: 64,
  btfKeyTypeId: 68,
  btfValueTypeId: 72,
  mapExtra: 80,
} as const;

/** `struct bpf_btf_info`. */
export const btfInfo = { size: 32, btf: 0, btfSize: 8, id: 12, name: 16, nameLength: 24, kernelBtf: 28 } as const;

/** `struct bpf_link_info`, the part common to all links. */
export const linkInfo = { size: 64, type: 0, id: 4, programId: 8, union: 16 } as const;

/** `struct bpf_func_info` and `struct bpf_line_info`: sizes of the records that BPF_PROG_LOAD takes. */
export const funcInfoRecord = { size: 8, insnOffset: 0, typeId: 4 } as const;
export const lineInfoRecord = { size: 16, insnOffset: 0, fileNameOffset: 4, lineOffset: 8, lineColumn: 12 } as const;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** A block of fields by offset, in the machine's order (little-endian on both supported architectures). Unset bytes are zero. */
export class Attr {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: number;
  // Buffers whose addresses were written: they must live as long as this.
  readonly #kept: ArrayBufferView[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.address = addressOf(this.bytes);
  }

  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.view.setBigUint64(offset, value, true);
    return this;
  }

  /** Address of the view's bytes; null pointer for undefined. The attr keeps the view alive. */
  pointer(offset: number, view: ArrayBufferView | undefined): this {
    if (view === undefined || view.byteLength === 0) return this;
    this.#kept.push(view);
    this.address64(offset, addressOf(view));
    return this;
  }

  address64(offset: number, address: number): this {
    this.view.setUint32(offset, address >>> 0, true);
    this.view.setUint32(offset + 4, Math.floor(address / 2 ** 32), true);
    return this;
  }

  /** Pointer to a NUL-terminated copy of the text. */
  string(offset: number, value: string): this {
    return this.pointer(offset, utf8.encode(`${value}\0`));
  }

  /** Text inside the attr, cut to `length - 1` bytes. */
  text(offset: number, value: string, length: number): this {
    utf8.encodeInto(value, this.bytes.subarray(offset, offset + length - 1));
    return this;
  }

  readU32(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  readU64(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  readText(offset: number, length: number): string {
    const bytes = this.bytes.subarray(offset, offset + length);
    const end = bytes.indexOf(0);
    return text.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
}

/** Text up to the first NUL. */
export function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return text.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Names of maps and programs: at most 15 of letters, digits, `_` and `.`; anything else becomes `_`. */
export function objectName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, 15);
}
