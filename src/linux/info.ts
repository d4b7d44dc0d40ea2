/** BPF_OBJ_GET_INFO_BY_FD: what the kernel says of programs, maps, BTF and links. */
import { Attr, btfInfo, cString, infoAttr, linkInfo, mapInfo, programInfo } from './attr.ts';
import { bpf } from './bpf.ts';
import { SyscallError } from './syscall-error.ts';

function fill(fd: number, info: Attr): void {
  const at = infoAttr;
  const attr = new Attr(at.size).u32(at.fd, fd).u32(at.length, info.bytes.length).address64(at.info, info.address);
  bpf('BPF_OBJ_GET_INFO_BY_FD', attr);
}

export interface ProgramInfo {
  /** Number in `enum bpf_prog_type`. */
  readonly type: number;
  readonly id: number;
  readonly name: string;
  /** SHA digest of the instructions, 8 bytes as hexadecimal. */
  readonly tag: string;
  /** Bytes of machine code (0: not compiled, or not shown) and of rewritten BPF instructions. */
  readonly jitedSize: number;
  readonly xlatedSize: number;
  readonly jited: Uint8Array | undefined;
  readonly xlated: Uint8Array | undefined;
  /** Instructions that the verifier walked. */
  readonly verifiedInsns: number;
  /** Filled while run time statistics are on. */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  readonly mapIds: readonly number[];
  readonly btfId: number;
  readonly gplCompatible: boolean;
}

export function programInfoOf(
  fd: number,
  want: { readonly xlated?: boolean; readonly jited?: boolean } = {},
): ProgramInfo {
  const at = programInfo;
  const sizes = new Attr(at.size);
  fill(fd, sizes);
  const mapIds = new Uint32Array(sizes.readU32(at.mapIdCount));
  const jited = want.jited === true ? new Uint8Array(sizes.readU32(at.jitedLength)) : undefined;
  const xlated = want.xlated === true ? new Uint8Array(sizes.readU32(at.xlatedLength)) : undefined;
  const info = new Attr(at.size)
    .u32(at.mapIdCount, mapIds.length)
    .pointer(at.mapIds, mapIds)
    .u32(at.jitedLength, jited?.length ?? 0)
    .pointer(at.jitedInsns, jited)
    .u32(at.xlatedLength, xlated?.length ?? 0)
    .pointer(at.xlatedInsns, xlated);
  fill(fd, info);
  // The kernel clears the pointer of what it will not show (kernel.kptr_restrict, bpf_dump_raw_ok).
  const shown = (pointer: number) => info.readU64(pointer) !== 0n;
  return {
    type: info.readU32(at.type),
    id: info.readU32(at.id),
    name: info.readText(at.name, 16),
    tag: Buffer.from(info.bytes.subarray(at.tag, at.tag + 8)).toString('hex'),
    jitedSize: info.readU32(at.jitedLength),
    xlatedSize: info.readU32(at.xlatedLength),
    jited: jited !== undefined && shown(at.jitedInsns) ? jited : undefined,
    xlated: xlated !== undefined && shown(at.xlatedInsns) ? xlated : undefined,
    verifiedInsns: info.readU32(at.verifiedInsns),
    runTimeNs: info.readU64(at.runTimeNs),
    runCount: info.readU64(at.runCount),
    mapIds: [...mapIds],
    btfId: info.readU32(at.btfId),
    gplCompatible: (info.readU32(at.gplCompatible) & 1) === 1,
  };
}

export interface MapInfo {
  /** Number in `enum bpf_map_type`. */
  readonly type: number;
  readonly id: number;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly btfId: number;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
}

export function mapInfoOf(fd: number): MapInfo {
  const at = mapInfo;
  const info = new Attr(at.size);
  fill(fd, info);
  return {
    type: info.readU32(at.type),
    id: info.readU32(at.id),
    name: info.readText(at.name, 16),
    keySize: info.readU32(at.keySize),
    valueSize: info.readU32(at.valueSize),
    maxEntries: info.readU32(at.maxEntries),
    flags: info.readU32(at.mapFlags),
    btfId: info.readU32(at.btfId),
    btfKeyTypeId: info.readU32(at.btfKeyTypeId),
    btfValueTypeId: info.readU32(at.btfValueTypeId),
  };
}

export interface BtfInfo {
  readonly id: number;
  /** `vmlinux`, a module's name, or '' for a program's. */
  readonly name: string;
  readonly kernel: boolean;
  readonly size: number;
}

export function btfInfoOf(fd: number): BtfInfo {
  const at = btfInfo;
  const name = new Uint8Array(64);
  const info = new Attr(at.size).pointer(at.name, name).u32(at.nameLength, name.length);
  try {
    fill(fd, info);
  } catch (error) {
    // Longer names are cut and reported so; a module's name has at most 55 characters.
    if (!(error instanceof SyscallError && error.errno === 'ENOSPC')) throw error;
  }
  return {
    id: info.readU32(at.id),
    name: cString(name),
    kernel: info.readU32(at.kernelBtf) === 1,
    size: info.readU32(at.btfSize),
  };
}

export interface LinkInfo {
  /** Number in `enum bpf_link_type`. */
  readonly type: number;
  readonly id: number;
  readonly programId: number;
}

export function linkInfoOf(fd: number): LinkInfo {
  const at = linkInfo;
  const info = new Attr(at.size);
  fill(fd, info);
  return { type: info.readU32(at.type), id: info.readU32(at.id), programId: info.readU32(at.programId) };
}
