/** What this kernel's io_uring offers, as plain data. Found by asking: IORING_REGISTER_QUERY (6.18), or a ring for each flag; the opcodes by IORING_REGISTER_PROBE. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type OpcodeName, opcodes } from '../abi/io-uring/opcodes.ts';
import {
  enterFlags,
  flagNames,
  type RegisterOpcode,
  type RingFeature,
  registerOpcodes,
  ringFeatures,
  ringLimits,
  type SetupFlag,
  setupFlags,
} from '../abi/io-uring/ring-flags.ts';
import { UnsupportedError } from '../errors.ts';
import { Runtime } from '../runtime/runtime.ts';
import { addressOf, close, pageSize, syscall } from './ffi.ts';
import { LinuxRing } from './io-uring.ts';
import { PARAMS_SIZE, sysctl } from './io-uring-setup.ts';

export interface KernelRingFeatures {
  readonly release: string;
  /** kernel.io_uring_disabled: 0 allowed, 1 for a group alone, 2 for nobody; undefined before Linux 6.6. */
  readonly disabled: number | undefined;
  /** What a ring of Sluice uses here: setup flags in force and `registered-ring`. */
  readonly inForce: readonly string[];
  /** Where its rings are: in pages of the linear memory, mapped over them, or elsewhere and copied. */
  readonly memory: 'NO_MMAP' | 'mapping' | 'copying';
  readonly setupFlags: readonly SetupFlag[];
  /** Of io_uring_enter; undefined where the kernel does not say (before 6.18). */
  readonly enterFlags: readonly (keyof typeof enterFlags)[] | undefined;
  readonly features: readonly RingFeature[];
  readonly opcodes: readonly OpcodeName[];
  /** undefined where the kernel does not say. */
  readonly registerOpcodes: readonly RegisterOpcode[] | undefined;
  readonly limits: typeof ringLimits & {
    /** RLIMIT_MEMLOCK in bytes, which rings count against without CAP_IPC_LOCK; undefined: unlimited. */
    readonly lockedMemory: number | undefined;
    /** RLIMIT_NOFILE, which also bounds registered files. */
    readonly openFiles: number | undefined;
    /** Threads of the kernel for requests that block, bounded (files) and unbounded; 0: unknown, before 5.15. */
    readonly workers: readonly [bounded: number, unbounded: number];
  };
}

/** Why io_uring cannot be used here, for messages and skipped tests; undefined where it can. Asks by setting a ring up. */
export function ringRefusal(): string | undefined {
  try {
    void new LinuxRing(probeMemory(), { entries: 1 }).close();
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

function probeMemory(): Runtime {
  return new Runtime();
}

/** Throws UnsupportedError where io_uring is missing or forbidden. */
export function kernelRingFeatures(): KernelRingFeatures {
  const runtime = probeMemory();
  const ring = new LinuxRing(runtime);
  try {
    const { features } = ring;
    const query = queryKernel();
    const disabled = sysctl('io_uring_disabled');
    return {
      release: release(),
      disabled: disabled === undefined ? undefined : Number(disabled),
      inForce: [...features].filter((name) => name in setupFlags || name === 'registered-ring'),
      memory: features.has('NO_MMAP') ? 'NO_MMAP' : features.has('mapping') ? 'mapping' : 'copying',
      setupFlags: query === undefined ? probeSetupFlags() : flagNames(setupFlags, query.setupFlags),
      enterFlags: query === undefined ? undefined : flagNames(enterFlags, query.enterFlags),
      features: (Object.keys(ringFeatures) as RingFeature[]).filter((name) => features.has(name)),
      opcodes: (Object.keys(opcodes) as OpcodeName[]).filter((name) => ring.supports(opcodes[name].number)),
      registerOpcodes:
        query === undefined
          ? undefined
          : (Object.keys(registerOpcodes) as RegisterOpcode[]).filter(
              (name) => registerOpcodes[name] < query.registerOpcodes,
            ),
      limits: {
        ...ringLimits,
        lockedMemory: softLimit('Max locked memory'),
        openFiles: softLimit('Max open files'),
        workers: workersOf(ring, runtime),
      },
    };
  } finally {
    void ring.close();
  }
}

interface Query {
  readonly registerOpcodes: number;
  readonly setupFlags: number;
  readonly enterFlags: number;
}

const QUERY_HEADER = 40;
const QUERY_DATA = 48;

/** struct io_uring_query_hdr and struct io_uring_query_opcode (include/uapi/linux/io_uring/query.h); no ring is needed. */
function queryKernel(): Query | undefined {
  const bytes = new DataView(new ArrayBuffer(QUERY_HEADER + QUERY_DATA));
  const address = addressOf(bytes);
  bytes.setBigUint64(8, BigInt(address + QUERY_HEADER), true);
  bytes.setUint32(20, QUERY_DATA, true);
  if (syscall('io_uring_register', -1, registerOpcodes.QUERY, address, 0) < 0 || bytes.getInt32(24, true) < 0)
    return undefined;
  const word = (at: number) => bytes.getUint32(QUERY_HEADER + at, true);
  return { registerOpcodes: word(4), setupFlags: word(16), enterFlags: word(24) };
}

/** What a flag cannot be without. */
const needs: Readonly<Partial<Record<SetupFlag, readonly SetupFlag[]>>> = {
  DEFER_TASKRUN: ['SINGLE_ISSUER'],
  TASKRUN_FLAG: ['COOP_TASKRUN'],
  HYBRID_IOPOLL: ['IOPOLL'],
  SQ_AFF: ['SQPOLL'],
};

/** By rings of one entry. Flags that would leave something behind, or need another ring, are not asked for. */
export function probeSetupFlags(): SetupFlag[] {
  const { ATTACH_WQ, REGISTERED_FD_ONLY, ...asked } = setupFlags;
  return (Object.keys(asked) as SetupFlag[]).filter((flag) => {
    const page = pageSize();
    const memory = new Uint8Array(3 * page);
    const params = new DataView(new ArrayBuffer(PARAMS_SIZE));
    let bits = setupFlags[flag];
    for (const other of needs[flag] ?? []) bits |= setupFlags[other];
    params.setUint32(8, bits, true);
    if (flag === 'CQSIZE') params.setUint32(4, 1, true);
    if (flag === 'NO_MMAP') {
      const first = Math.ceil(addressOf(memory) / page) * page;
      params.setBigUint64(72, BigInt(first), true);
      params.setBigUint64(112, BigInt(first + page), true);
    }
    const fd = syscall('io_uring_setup', 1, addressOf(params));
    if (fd < 0) return false;
    close(fd);
    // The kernel may hold the pages for a while after that: they must not become another object's.
    if (flag === 'NO_MMAP') probed.push(memory);
    return true;
  });
}

/** Memory of rings that were probed. */
const probed: Uint8Array[] = [];

/** IORING_REGISTER_IOWQ_MAX_WORKERS with zeros asks. */
function workersOf(ring: LinuxRing, runtime: Runtime): [number, number] {
  const at = runtime.allocatePages(8);
  ring.register(registerOpcodes.IOWQ_MAX_WORKERS, at, 2);
  const view = runtime.view();
  const workers: [number, number] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
  runtime.freePages(at, 8);
  return workers;
}

/** Soft limit from /proc/self/limits; undefined: unlimited. */
function softLimit(name: string): number | undefined {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(name));
  const value = line?.slice(name.length).trim().split(/\s+/)[0];
  return value === undefined || value === 'unlimited' ? undefined : Number(value);
}
