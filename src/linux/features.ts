/** What this machine's kernel offers, as plain data. Found by asking: a program or map of each kind is made and dropped. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { helperName } from '../abi/helpers/index.ts';
import { type MapTypeName, mapTypes } from '../abi/map-types.ts';
import {
  type AttachTypeName,
  isLinuxProgramType,
  type LinuxProgramTypeName,
  type ProgramTypeName,
  programTypes,
} from '../abi/program-types.ts';
import { SluiceError, UnsupportedError } from '../errors.ts';
import { encodeInsns } from '../isa/encode.ts';
import { loadBtf, loadProgram, type ProgramLoad } from './bpf.ts';
import { createMap, type MapCreate } from './bpf-maps.ts';
import { findKernelType, moduleNames } from './btf-vmlinux.ts';
import { onlineCpus } from './cpus.ts';
import { close } from './ffi.ts';
import { ProgramRefusedError, SyscallError } from './syscall-error.ts';

/**
 * Why bpf(2) cannot be used here, for messages and skipped tests: `bpf(2) refused: EPERM`, `needs Linux`; undefined where it can. Asks by
 * creating an array map.
 */
export function bpfRefusal(): string | undefined {
  try {
    close(createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, name: 'sluice_probe' }));
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

export interface KernelFeatures {
  readonly release: string;
  /** Online. */
  readonly cpus: number;
  /** net.core.bpf_jit_enable in words. */
  readonly jit: 'on' | 'off' | 'debug' | 'unknown';
  /** net.core.bpf_jit_harden: 0 off, 1 for the unprivileged, 2 for all; undefined where it cannot be read. */
  readonly jitHarden: number | undefined;
  /** kernel.unprivileged_bpf_disabled: 0 allowed, 1 and 2 not. */
  readonly unprivilegedBpfDisabled: number | undefined;
  readonly btf: boolean;
  /** Modules with BTF. */
  readonly btfModules: readonly string[];
  readonly programTypes: readonly LinuxProgramTypeName[];
  /** Types that the kernel knows and does not load here, with its errno: a hardened kernel refuses tracing with EPERM. */
  readonly refusedProgramTypes: Readonly<Partial<Record<LinuxProgramTypeName, string>>>;
  readonly mapTypes: readonly MapTypeName[];
}

/** Throws UnsupportedError where bpf(2) is refused. */
export function kernelFeatures(): KernelFeatures {
  const refusal = bpfRefusal();
  if (refusal !== undefined) throw new UnsupportedError('bpf(2)', refusal);
  const loaded: LinuxProgramTypeName[] = [];
  const refused: Partial<Record<LinuxProgramTypeName, string>> = {};
  for (const type of Object.keys(programTypes) as LinuxProgramTypeName[]) {
    const errno = probeProgramType(type);
    if (errno === undefined) loaded.push(type);
    else if (errno !== 'EINVAL') refused[type] = errno;
  }
  const jit = sysctl('net/core/bpf_jit_enable');
  return {
    release: release(),
    cpus: onlineCpus(),
    jit: (['off', 'on', 'debug'] as const)[jit ?? 3] ?? 'unknown',
    jitHarden: sysctl('net/core/bpf_jit_harden'),
    unprivilegedBpfDisabled: sysctl('kernel/unprivileged_bpf_disabled'),
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    btfModules: moduleNames(),
    programTypes: loaded,
    refusedProgramTypes: refused,
    mapTypes: (Object.keys(mapTypes) as MapTypeName[]).filter(probeMapType),
  };
}

function sysctl(path: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${path}`, 'utf8'));
  } catch {
    return undefined; // not there, or not for us
  }
}

// r0 = 0; exit
const nothing = encodeInsns([
  { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 0 },
  { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 },
]);

const BPF_F_SLEEPABLE = 1 << 4;

/** Types that are not loaded without saying where they will be attached. */
const probeAttachTypes: Readonly<Partial<Record<LinuxProgramTypeName, AttachTypeName>>> = {
  cgroup_sock_addr: 'cgroup_inet4_connect',
  cgroup_sockopt: 'cgroup_getsockopt',
  sk_lookup: 'sk_lookup',
  tracing: 'trace_fentry',
  lsm: 'lsm_mac',
  netfilter: 'netfilter',
};
/** What tracing and LSM programs are verified against: functions that exist for such tests, or in every kernel. */
const probeTargets: Readonly<Partial<Record<LinuxProgramTypeName, readonly string[]>>> = {
  tracing: ['bpf_fentry_test1', 'vfs_read'],
  lsm: ['bpf_lsm_file_open'],
};

function probeLoad(type: LinuxProgramTypeName, insns: Uint8Array): ProgramLoad {
  const attach = probeAttachTypes[type];
  const targets = probeTargets[type] ?? [];
  const target = existsSync('/sys/kernel/btf/vmlinux')
    ? targets.map((name) => findKernelType(name, 'func')?.id).find((id) => id !== undefined)
    : undefined;
  return {
    type,
    insns,
    license: 'GPL',
    name: 'sluice_probe',
    ...(attach === undefined ? undefined : { expectedAttachType: attach }),
    ...(target === undefined ? undefined : { attachBtfId: target }),
    ...(type === 'syscall' ? { flags: BPF_F_SLEEPABLE } : undefined),
  };
}

/** Undefined: loads. Otherwise the errno; EINVAL is what the kernel says to a type that it does not know. */
function probeProgramType(type: LinuxProgramTypeName): string | undefined {
  try {
    // Both need another program or type to work on: how the kernel refuses void (BTF id 1) shows whether it knows them.
    const load = probeLoad(type, nothing);
    close(loadProgram(type === 'ext' || type === 'struct_ops' ? { ...load, attachBtfId: 1 } : load).fd);
    return undefined;
  } catch (error) {
    if (error instanceof ProgramRefusedError && type === 'ext' && error.log.includes('Cannot replace kernel'))
      return undefined;
    const cause = error instanceof UnsupportedError ? error.cause : error;
    if (!(cause instanceof SyscallError)) throw error;
    if (type === 'struct_ops' && cause.errno === 'ENOTSUPP') return undefined;
    return cause.errno;
  }
}

/** BTF with one type, id 1: a signed int of 4 bytes. */
function intBtf(): Uint8Array {
  const words = [0x0001eb9f, 24, 0, 16, 16, 5, 1, 1 << 24, 4, (1 << 24) | 32];
  return new Uint8Array([...new Uint8Array(new Uint32Array(words).buffer), 0, ...new TextEncoder().encode('int\0')]);
}

const BPF_F_NO_PREALLOC = 1;
const BPF_F_MMAPABLE = 1 << 10;
const localStorage = { keySize: 4, valueSize: 4, maxEntries: 0, flags: BPF_F_NO_PREALLOC } as const;
const probeMaps: Readonly<Partial<Record<MapTypeName, Partial<MapCreate>>>> = {
  stack_trace: { valueSize: 8 },
  lpm_trie: { keySize: 8, flags: BPF_F_NO_PREALLOC },
  cgroup_storage: { keySize: 16, maxEntries: 0 },
  percpu_cgroup_storage: { keySize: 16, maxEntries: 0 },
  queue: { keySize: 0 },
  stack: { keySize: 0 },
  bloom_filter: { keySize: 0 },
  ringbuf: { keySize: 0, valueSize: 0, maxEntries: 1 << 16 },
  user_ringbuf: { keySize: 0, valueSize: 0, maxEntries: 1 << 16 },
  arena: { keySize: 0, valueSize: 0, flags: BPF_F_MMAPABLE },
  insn_array: { valueSize: 16 },
  struct_ops: { btfVmlinuxValueTypeId: 1 },
  sk_storage: localStorage,
  inode_storage: localStorage,
  task_storage: localStorage,
  cgrp_storage: localStorage,
};

function probeMapType(type: MapTypeName): boolean {
  const open: number[] = [];
  try {
    const map: MapCreate = { type, keySize: 4, valueSize: 4, maxEntries: 1, name: 'sluice_probe', ...probeMaps[type] };
    const inner = type === 'array_of_maps' || type === 'hash_of_maps';
    if (inner) open.push(createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 }));
    const btf = probeMaps[type] === localStorage ? loadBtf(intBtf()) : undefined;
    if (btf !== undefined) open.push(btf);
    open.push(
      createMap({
        ...map,
        ...(inner ? { innerMapFd: open[0]! } : undefined),
        ...(btf === undefined ? undefined : { btf: { fd: btf, keyTypeId: 1, valueTypeId: 1 } }),
      }),
    );
    return true;
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    // Its value would have to be a type of the kernel's.
    return type === 'struct_ops' && error instanceof SyscallError && error.errno === 'ENOTSUPP';
  } finally {
    for (const fd of open) close(fd);
  }
}

/**
 * Names of the helpers that programs of a type may call, as the verifier answers to a call with no arguments set: it names a helper that it does
 * not know or allow before it looks at arguments. Empty for types that cannot be loaded
 * here, or not by themselves (struct_ops, ext).
 */
export function kernelHelpers(type: LinuxProgramTypeName): string[] {
  const allowed: string[] = [];
  if (type === 'struct_ops' || type === 'ext' || probeProgramType(type) !== undefined) return allowed;
  for (let id = 1; ; id++) {
    const name = helperName(id);
    if (name === undefined) return allowed;
    if (answersHelper(type, id)) allowed.push(name);
  }
}

function answersHelper(type: LinuxProgramTypeName, id: number): boolean {
  const call = { opcode: 0x85, dst: 0, src: 0, off: 0, imm: id };
  const insns = encodeInsns([call, { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 }]);
  try {
    close(loadProgram({ ...probeLoad(type, insns), logLevel: 1, logSize: 4096 }).fd);
    return true;
  } catch (error) {
    if (!(error instanceof ProgramRefusedError)) return false;
    return error.log !== '' && !/(invalid|unknown) func |cannot use helper|is not allowed/.test(error.log);
  }
}

/** Programs of the type may call it. False for types that cannot be loaded here, or not by themselves. */
export function hasHelper(type: LinuxProgramTypeName, id: number): boolean {
  if (type === 'struct_ops' || type === 'ext') return false;
  return probeProgramType(type) === undefined && answersHelper(type, id);
}

/** The kernel makes maps of the type. */
export function hasMapType(type: MapTypeName): boolean {
  return probeMapType(type);
}

/** This kernel was built without the type. */
export function lacksProgramType(type: LinuxProgramTypeName): boolean {
  return probeProgramType(type) === 'EINVAL';
}

/** Helpers that a kernel may be built without (CONFIG_BPF_KPROBE_OVERRIDE), or locked down against. */
const optionalHelpers = new Map([
  ['probe_write_user', 36],
  ['override_return', 58],
]);
const lacking = new Map<string, boolean>();

/** This kernel does not give programs of the type a helper that others do. @param name without `bpf_`. */
export function lacksHelper(type: ProgramTypeName, name: string): boolean {
  const id = optionalHelpers.get(name);
  if (id === undefined || !isLinuxProgramType(type) || bpfRefusal() !== undefined) return false;
  const key = `${type} ${name}`;
  const known = lacking.get(key) ?? (probeProgramType(type) === undefined && !answersHelper(type, id));
  lacking.set(key, known);
  return known;
}
