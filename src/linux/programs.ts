/** Programs of the kernel: descriptors with what can be done to them. How a ProgramSpec becomes one is in program-load.ts. */
import type { LinuxProgramTypeName, ProgramTypeName } from '../abi/program-types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { encodeInsns } from '../isa/encode.ts';
import type { Insn } from '../isa/insn.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { ProgramHandle, RunInput, RunResult } from '../runtime/handles.ts';
import { loadProgram, type ProgramLoad, type TestRunResult, testRun } from './bpf.ts';
import { close } from './ffi.ts';
import { type ProgramInfo, programInfoOf } from './info.ts';
import { SyscallError } from './syscall-error.ts';

/** How far a program can make its packet grow: adjust_head and adjust_tail within a frame; skb helpers up to 64 KiB. */
const GROWTH = 1 << 16;

/** A context comes back whole, also where the caller gave only its beginning; struct __sk_buff has 192 bytes. */
const LARGEST_CONTEXT = 256;

/** A program in the kernel. Owns its descriptor. */
export class KernelProgram implements ProgramHandle {
  readonly target = 'linux';
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly fd: number;
  /** Log of a load that asked for one. */
  readonly log: string;
  readonly #spec: ProgramSpec | undefined;
  #output = new Uint8Array(0);
  #open = true;

  constructor(fd: number, name: string, type: ProgramTypeName, log = '', spec?: ProgramSpec) {
    this.fd = fd;
    this.name = name;
    this.type = type;
    this.log = log;
    this.#spec = spec;
  }

  get spec(): ProgramSpec {
    if (this.#spec === undefined)
      throw new InputError(
        'SLUICE_LINUX_NO_SPEC',
        `program ${this.name} was loaded from instructions, not from an object`,
      );
    return this.#spec;
  }

  run(input: RunInput): RunResult {
    if (input.traits !== undefined)
      throw new UnsupportedError(
        'traits of a test run',
        'the kernel keeps no traits: run it in the user-space target, or give them as metadata (bpf/include/sluice/trait.h)',
      );
    if (input.hints !== undefined)
      throw new UnsupportedError(
        'hints of a test run',
        'a test run of the kernel has no driver that knows of the packet',
      );
    if (input.steering !== undefined)
      throw new UnsupportedError('steering of a test run', 'the kernel has no kfuncs that ask a steering device');
    const { data } = input;
    // A copy: a syscall program's context is written in place, where others have an output buffer.
    const context = input.context?.slice();
    const output = data === undefined ? undefined : this.#outputFor(data.length);
    const contextOut =
      context === undefined || !contextComesBack(this.type)
        ? undefined
        : new Uint8Array(Math.max(context.length, LARGEST_CONTEXT));
    const result = this.testRun({
      ...(data === undefined ? undefined : { data }),
      ...(output === undefined ? undefined : { dataOut: output }),
      ...(context === undefined ? undefined : { context }),
      ...(contextOut === undefined ? undefined : { contextOut }),
      // Types that are run once by nature refuse even a 1.
      ...(input.repeat === undefined || input.repeat === 1 ? undefined : { repeat: input.repeat }),
    });
    return {
      returnValue: result.returnValue,
      r0: undefined,
      data: output?.slice(0, result.dataSize),
      context: contextOut?.slice(0, result.contextSize) ?? context,
      durationNs: result.durationNs,
    };
  }

  /** BPF_PROG_TEST_RUN with all that it takes. UnsupportedError for types that it does not run, InputError for input that it refuses. */
  testRun(input: Parameters<typeof testRun>[1]): TestRunResult {
    if (!this.#open) throw new InputError('SLUICE_LINUX_EBADF', `program ${this.name} is closed`);
    try {
      return testRun(this.fd, input, `program ${this.name} of type ${this.type}`);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.errno === 'ENOTSUPP' || error.errno === 'EOPNOTSUPP')
        throw new UnsupportedError(
          `test run of ${this.type}`,
          `this kernel cannot test-run programs of type ${this.type} (${error.errno})`,
          undefined,
          { cause: error },
        );
      throw new InputError(`SLUICE_LINUX_${error.errno}`, error.message, {}, { cause: error });
    }
  }

  /** What the kernel says of the program; instructions as it rewrote and as it compiled them on request. */
  info(want: { readonly xlated?: boolean; readonly jited?: boolean } = {}): ProgramInfo {
    return programInfoOf(this.fd, want);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }

  #outputFor(length: number): Uint8Array {
    if (this.#output.length < length + GROWTH) this.#output = new Uint8Array(length + GROWTH);
    return this.#output;
  }
}

/** Types whose test run refuses an output buffer for the context (kernel/trace/bpf_trace.c, net/bpf/test_run.c, kernel/bpf/syscall.c). */
function contextComesBack(type: ProgramTypeName): boolean {
  return !['raw_tracepoint', 'raw_tracepoint_writable', 'tracing', 'syscall', 'flow_dissector'].includes(type);
}

export interface RawProgramOptions extends Omit<ProgramLoad, 'type' | 'insns' | 'license'> {}

/**
 * Loads instructions as they are: maps stand in them as descriptors (LDDW source 1 and 2), which must stay open until this returns. For
 * conformance, benchmarks, probes and tests.
 */
export function loadRaw(
  insns: readonly Insn[] | Uint8Array,
  type: LinuxProgramTypeName,
  license = 'GPL',
  options: RawProgramOptions = {},
): KernelProgram {
  const name = options.name ?? 'raw';
  const bytes = insns instanceof Uint8Array ? insns : encodeInsns(insns);
  const { fd, log } = loadProgram({ ...options, name, type, license, insns: bytes });
  return new KernelProgram(fd, name, type, log);
}
