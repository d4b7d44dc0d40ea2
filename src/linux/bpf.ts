/**
 * bpf(2), one typed function a command. Each throws `UnsupportedError` (feature `bpf(2)`) where the kernel says EPERM or ENOSYS, and
 * `SyscallError` for any other refusal. Descriptors belong to the caller.
 */
import { type AttachTypeName, attachTypes, type LinuxProgramTypeName, programTypes } from '../abi/program-types.ts';
import {
  Attr,
  type BpfCommand,
  bindMapAttr,
  btfLoadAttr,
  commands,
  cString,
  enableStatsAttr,
  funcInfoRecord,
  idAttr,
  lineInfoRecord,
  linkCreateAttr,
  linkDetachAttr,
  linkUpdateAttr,
  objectAttr,
  objectName,
  programAttachAttr,
  programLoadAttr,
  queryAttr,
  rawTracepointAttr,
  testRunAttr,
} from './attr.ts';
import { syscall } from './ffi.ts';
import { bpfError, errnoName, ProgramRefusedError, SyscallError } from './syscall-error.ts';

/** Result, or negative errno. */
export function bpfResult(command: BpfCommand, attr: Attr): number {
  return syscall('bpf', commands[command], attr.address, attr.bytes.length);
}

/** Result; throws as the file's head says. `detail` goes into the message. */
export function bpf(command: BpfCommand, attr: Attr, detail = ''): number {
  const result = bpfResult(command, attr);
  if (result < 0) throw bpfError(`bpf(${command})`, -result, detail);
  return result;
}

// ---- programs

export interface ProgramLoad {
  readonly type: LinuxProgramTypeName;
  /** Encoded instructions, 8 bytes a slot. */
  readonly insns: Uint8Array;
  readonly license: string;
  readonly name?: string;
  /** BPF_F_* flags of BPF_PROG_LOAD. */
  readonly flags?: number;
  readonly expectedAttachType?: AttachTypeName;
  readonly kernelVersion?: number;
  readonly ifindex?: number;
  readonly btfFd?: number;
  /** Records of 8 bytes (`funcInfoRecord`) and 16 bytes (`lineInfoRecord`). */
  readonly funcInfo?: Uint8Array;
  readonly lineInfo?: Uint8Array;
  readonly attachBtfId?: number;
  /** Of struct_ops, in place of an attach type: which member of the struct attachBtfId the program is. */
  readonly structMember?: number;
  /** Descriptor of the program or BTF that attachBtfId belongs to; 0 means vmlinux. */
  readonly attachFd?: number;
  /** Descriptors (maps, module BTFs) that instructions refer to by index. */
  readonly fdArray?: Int32Array;
  /** 0 (default): a log is fetched only after a refusal. 1, 2, 4 as the kernel's BPF_LOG_*. */
  readonly logLevel?: number;
  /** Bytes of log to make room for at first (default 256 KiB); it grows as the kernel asks. */
  readonly logSize?: number;
}

export interface LoadedFd {
  readonly fd: number;
  /** '' at log level 0. */
  readonly log: string;
}

const firstLogSize = 1 << 18;
const lastLogSize = 1 << 28;

/**
 * BPF_PROG_LOAD. A refusal with a verifier log is a `ProgramRefusedError`; EPERM without one is `UnsupportedError`. Asks a second time at level 1
 * for the log of a refused program, with as much room as the kernel says it needs.
 */
export function loadProgram(load: ProgramLoad): LoadedFd {
  let level = load.logLevel ?? 0;
  let size = level > 0 ? (load.logSize ?? firstLogSize) : 0;
  let refusal = 0;
  for (;;) {
    const log = size > 0 ? new Uint8Array(size) : undefined;
    const attr = programLoad(load, level, log);
    let result = bpfResult('BPF_PROG_LOAD', attr);
    for (let again = 0; result === -EAGAIN && again < 5; again++) result = bpfResult('BPF_PROG_LOAD', attr);
    const text = log === undefined ? '' : cString(log);
    if (result >= 0) return { fd: result, log: text };
    if (-result === ENOSPC && level > 0 && size < lastLogSize) {
      size = Math.min(lastLogSize, Math.max(attr.readU32(programLoadAttr.logTrueSize) + 1, size * 8));
      continue;
    }
    if (refusal === 0) refusal = -result;
    if (level > 0) {
      const errno = load.logLevel === undefined || -result !== ENOSPC ? refusal : -result;
      if (text !== '') throw new ProgramRefusedError(load.name ?? '(unnamed)', errno, text);
      const what = `program ${load.name ?? '(unnamed)'} of type ${load.type}`;
      const name = errnoName(errno);
      if (name === 'EPERM' || name === 'ENOSYS') throw bpfError('bpf(BPF_PROG_LOAD)', errno, what);
      throw new ProgramRefusedError(load.name ?? '(unnamed)', errno, '');
    }
    level = 1;
    size = load.logSize ?? firstLogSize;
  }
}
const EAGAIN = 11;
const ENOSPC = 28;

function expectedAttachType({ structMember, expectedAttachType: type }: ProgramLoad): number {
  return structMember ?? (type === undefined ? 0 : attachTypes[type]);
}

function programLoad(load: ProgramLoad, level: number, log: Uint8Array | undefined): Attr {
  const at = programLoadAttr;
  const attr = new Attr(at.size)
    .u32(at.type, programTypes[load.type])
    .u32(at.insnCount, load.insns.length / 8)
    .pointer(at.insns, load.insns)
    .string(at.license, load.license)
    .u32(at.logLevel, level)
    .u32(at.logSize, log?.length ?? 0)
    .pointer(at.logBuffer, log)
    .u32(at.kernelVersion, load.kernelVersion ?? 0)
    .u32(at.flags, load.flags ?? 0)
    .text(at.name, objectName(load.name ?? ''), 16)
    .u32(at.ifindex, load.ifindex ?? 0)
    .u32(at.expectedAttachType, expectedAttachType(load))
    .u32(at.attachBtfId, load.attachBtfId ?? 0)
    .u32(at.attachFd, load.attachFd ?? 0)
    .pointer(at.fdArray, load.fdArray);
  if (load.btfFd !== undefined) {
    attr.u32(at.btfFd, load.btfFd);
    if (load.funcInfo !== undefined && load.funcInfo.length > 0)
      attr
        .u32(at.funcInfoRecordSize, funcInfoRecord.size)
        .pointer(at.funcInfo, load.funcInfo)
        .u32(at.funcInfoCount, load.funcInfo.length / funcInfoRecord.size);
    if (load.lineInfo !== undefined && load.lineInfo.length > 0)
      attr
        .u32(at.lineInfoRecordSize, lineInfoRecord.size)
        .pointer(at.lineInfo, load.lineInfo)
        .u32(at.lineInfoCount, load.lineInfo.length / lineInfoRecord.size);
  }
  return attr;
}

export interface TestRun {
  readonly data?: Uint8Array;
  readonly context?: Uint8Array;
  /** Receive what comes out; too small is ENOSPC after the run has happened. */
  readonly dataOut?: Uint8Array;
  readonly contextOut?: Uint8Array;
  readonly repeat?: number;
  /** BPF_F_TEST_*. */
  readonly flags?: number;
  readonly cpu?: number;
  readonly batchSize?: number;
}

export interface TestRunResult {
  /** u32. */
  readonly returnValue: number;
  /** Mean of one run in ns, as the kernel measures it; 0 for types that it does not time. */
  readonly durationNs: number;
  /** Bytes that are valid in dataOut and contextOut. */
  readonly dataSize: number;
  readonly contextSize: number;
}

/** BPF_PROG_TEST_RUN (net/bpf/test_run.c). */
export function testRun(fd: number, run: TestRun, detail = ''): TestRunResult {
  const at = testRunAttr;
  const attr = new Attr(at.size)
    .u32(at.programFd, fd)
    .u32(at.dataSizeIn, run.data?.length ?? 0)
    .pointer(at.dataIn, run.data)
    .u32(at.dataSizeOut, run.dataOut?.length ?? 0)
    .pointer(at.dataOut, run.dataOut)
    .u32(at.contextSizeIn, run.context?.length ?? 0)
    .pointer(at.contextIn, run.context)
    .u32(at.contextSizeOut, run.contextOut?.length ?? 0)
    .pointer(at.contextOut, run.contextOut)
    .u32(at.repeat, run.repeat ?? 0)
    .u32(at.flags, run.flags ?? 0)
    .u32(at.cpu, run.cpu ?? 0)
    .u32(at.batchSize, run.batchSize ?? 0);
  bpf('BPF_PROG_TEST_RUN', attr, detail);
  return {
    returnValue: attr.readU32(at.returnValue),
    durationNs: attr.readU32(at.duration),
    dataSize: attr.readU32(at.dataSizeOut),
    contextSize: attr.readU32(at.contextSizeOut),
  };
}

/** BPF_PROG_BIND_MAP: the map lives as long as the program, as if an instruction referred to it. */
export function bindMap(programFd: number, mapFd: number): void {
  const at = bindMapAttr;
  bpf('BPF_PROG_BIND_MAP', new Attr(at.size).u32(at.programFd, programFd).u32(at.mapFd, mapFd));
}

/** BPF_ENABLE_STATS: run time statistics of all programs are kept while the returned descriptor is open. */
export function enableRunTimeStats(): number {
  return bpf('BPF_ENABLE_STATS', new Attr(enableStatsAttr.size));
}

// ---- BTF

/** BPF_BTF_LOAD. A refusal carries the kernel's log in its message. */
export function loadBtf(bytes: Uint8Array): number {
  const at = btfLoadAttr;
  const attr = new Attr(at.size).pointer(at.btf, bytes).u32(at.btfSize, bytes.length);
  const result = bpfResult('BPF_BTF_LOAD', attr);
  if (result >= 0) return result;
  const log = new Uint8Array(1 << 20);
  attr.pointer(at.logBuffer, log).u32(at.logSize, log.length).u32(at.logLevel, 1);
  const second = bpfResult('BPF_BTF_LOAD', attr);
  if (second >= 0) return second;
  throw bpfError('bpf(BPF_BTF_LOAD)', -result, cString(log).trimEnd().split('\n').slice(-3).join(' | '));
}

// ---- links and attachment

export interface LinkCreate {
  /** Of struct_ops: the map's. */
  readonly programFd: number;
  /** Interface index or descriptor (cgroup, BTF, …), as the attach type asks. */
  readonly target: number;
  readonly attachType: AttachTypeName;
  readonly flags?: number;
  readonly cookie?: bigint;
}

export function createLink(link: LinkCreate): number {
  const at = linkCreateAttr;
  const attr = new Attr(at.size)
    .u32(at.programFd, link.programFd)
    .u32(at.target, link.target)
    .u32(at.attachType, attachTypes[link.attachType])
    .u32(at.flags, link.flags ?? 0);
  if (link.cookie !== undefined) attr.u64(at.cookie, link.cookie);
  return bpf('BPF_LINK_CREATE', attr, `attach type ${link.attachType}, target ${link.target}`);
}

/** BPF_LINK_UPDATE: puts another program into the link, atomically; only if `oldProgramFd` is there, when given. */
export function updateLink(linkFd: number, newProgramFd: number, oldProgramFd?: number): void {
  const at = linkUpdateAttr;
  const attr = new Attr(at.size).u32(at.linkFd, linkFd).u32(at.newProgramFd, newProgramFd);
  if (oldProgramFd !== undefined) attr.u32(at.flags, BPF_F_REPLACE).u32(at.oldProgramFd, oldProgramFd);
  bpf('BPF_LINK_UPDATE', attr);
}
const BPF_F_REPLACE = 4;

/** BPF_LINK_DETACH: the link stays open and does nothing any more. EOPNOTSUPP for links that cannot. */
export function detachLink(linkFd: number): void {
  bpf('BPF_LINK_DETACH', new Attr(linkDetachAttr.size).u32(linkDetachAttr.linkFd, linkFd));
}

/** BPF_PROG_ATTACH: the older way, without a link: stays attached until BPF_PROG_DETACH. */
export function attachProgram(target: number, programFd: number, type: AttachTypeName, flags = 0, replaceFd = 0): void {
  const at = programAttachAttr;
  const attr = new Attr(at.size)
    .u32(at.target, target)
    .u32(at.attachFd, programFd)
    .u32(at.attachType, attachTypes[type])
    .u32(at.attachFlags, flags)
    .u32(at.replaceFd, replaceFd);
  bpf('BPF_PROG_ATTACH', attr, `attach type ${type}`);
}

export function detachProgram(target: number, programFd: number, type: AttachTypeName): void {
  const at = programAttachAttr;
  const attr = new Attr(at.size)
    .u32(at.target, target)
    .u32(at.attachFd, programFd)
    .u32(at.attachType, attachTypes[type]);
  bpf('BPF_PROG_DETACH', attr, `attach type ${type}`);
}

/** BPF_PROG_QUERY: ids of the programs attached to a target, at most 64. */
export function attachedPrograms(target: number, type: AttachTypeName): number[] {
  const at = queryAttr;
  const ids = new Uint32Array(64);
  const attr = new Attr(at.size)
    .u32(at.target, target)
    .u32(at.attachType, attachTypes[type])
    .pointer(at.programIds, ids)
    .u32(at.count, ids.length);
  bpf('BPF_PROG_QUERY', attr, `attach type ${type}`);
  return [...ids.subarray(0, attr.readU32(at.count))];
}

export function openRawTracepoint(name: string, programFd: number): number {
  const at = rawTracepointAttr;
  return bpf('BPF_RAW_TRACEPOINT_OPEN', new Attr(at.size).string(at.name, name).u32(at.programFd, programFd), name);
}

// ---- names and ids

/** BPF_OBJ_PIN: needs a mounted bpf file system. */
export function pinObject(path: string, fd: number): void {
  bpf('BPF_OBJ_PIN', new Attr(objectAttr.size).string(objectAttr.pathname, path).u32(objectAttr.fd, fd), path);
}

export function openPinned(path: string): number {
  return bpf('BPF_OBJ_GET', new Attr(objectAttr.size).string(objectAttr.pathname, path), path);
}

export type ObjectKind = 'program' | 'map' | 'btf' | 'link';
const nextIdCommands = {
  program: 'BPF_PROG_GET_NEXT_ID',
  map: 'BPF_MAP_GET_NEXT_ID',
  btf: 'BPF_BTF_GET_NEXT_ID',
  link: 'BPF_LINK_GET_NEXT_ID',
} as const;
const byIdCommands = {
  program: 'BPF_PROG_GET_FD_BY_ID',
  map: 'BPF_MAP_GET_FD_BY_ID',
  btf: 'BPF_BTF_GET_FD_BY_ID',
  link: 'BPF_LINK_GET_FD_BY_ID',
} as const;

/** Ids of everything of that kind in the kernel, in order. What is made meanwhile may be missing. */
export function* objectIds(kind: ObjectKind): Generator<number> {
  const attr = new Attr(idAttr.size);
  for (;;) {
    const result = bpfResult(nextIdCommands[kind], attr);
    if (result === -ENOENT) return;
    if (result < 0) throw bpfError(`bpf(${nextIdCommands[kind]})`, -result);
    const id = attr.readU32(idAttr.nextId);
    yield id;
    attr.u32(idAttr.id, id);
  }
}
const ENOENT = 2;

/** A descriptor by id; undefined if it is gone. */
export function openById(kind: ObjectKind, id: number): number | undefined {
  try {
    return bpf(byIdCommands[kind], new Attr(idAttr.size).u32(idAttr.id, id));
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
}
