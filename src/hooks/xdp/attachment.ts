/** What CPUs run over frames that are sent to them: a program in a block of shared memory, which each CPU reads once for every lot (plane/layout/frames.ts). */
import { InputError, UnsupportedError } from '../../errors.ts';
import * as layout from '../../plane/layout/frames.ts';
import type { ProgramHandle } from '../../runtime/handles.ts';
import { UserProgram } from '../../runtime/program.ts';
import type { Runtime } from '../../runtime/runtime.ts';

/** What one CPU did with frames. */
export interface FrameCounters {
  readonly cpu: number;
  readonly lots: bigint;
  /** Frames that a program was run over, or none was attached for. */
  readonly frames: bigint;
  /** By enum xdp_action; the sixth are values that are none. */
  readonly verdicts: readonly bigint[];
  /** Frames whose program was stopped. */
  readonly stopped: bigint;
  /** Frames that a cpumap sent to another CPU. */
  readonly moved: bigint;
}

export interface XdpAttachmentOptions {
  /**
   * XDP_REDIRECT is carried out: into cpumaps (the element's program runs on its CPU), devmaps and by interface; default false: it stays a verdict, as in a test run.
   */
  readonly follow?: boolean;
}

export class XdpAttachment {
  readonly runtime: Runtime;
  /** Of the block. */
  readonly address: number;
  #program: UserProgram | undefined;
  /** By function-table index: what results name. */
  readonly #names = new Map<number, string>();

  /**
   * Owned by whoever made it until `close`. Throws InputError `SLUICE_XDP_PROGRAM` for a program that is not of type xdp or of another runtime, UnsupportedError for one of the
   * interpreter, which is on JavaScript's thread.
   */
  constructor(runtime: Runtime, program?: ProgramHandle, options: XdpAttachmentOptions = {}) {
    this.runtime = runtime;
    const checked = program === undefined ? undefined : this.#own(program);
    this.address = runtime.allocatePages(layout.FRAMES_ATTACHMENT_SIZE);
    runtime
      .view()
      .setUint32(this.address + layout.FRAMES_FLAGS, options.follow === true ? layout.FRAMES_FOLLOW : 0, true);
    this.#attach(checked);
  }

  get program(): ProgramHandle | undefined {
    return this.#program;
  }

  /**
   * From the next lot of each CPU on frames go through this program; undefined: through none, and pass. No frame is lost, and each goes through one of the two. When the
   * promise resolves, none is in the one before. Throws as the constructor does, at once.
   */
  replace(program: ProgramHandle | undefined): Promise<void> {
    this.#attach(program === undefined ? undefined : this.#own(program));
    return this.runtime.synchronize();
  }

  /** Of each CPU of the runtime. Those of a CPU that is at work are as of a moment ago. */
  counters(): FrameCounters[] {
    const view = this.runtime.view();
    return Array.from({ length: this.runtime.cpus }, (_, cpu) => {
      const at = this.address + layout.FRAMES_COUNTERS + cpu * layout.FRAMES_COUNTER_SIZE;
      const u64 = (offset: number) => view.getBigUint64(at + offset, true);
      const verdicts = Array.from({ length: layout.COUNT_VERDICT_KINDS }, (_, i) => u64(layout.COUNT_VERDICTS + i * 8));
      const stopped = u64(layout.COUNT_STOPPED);
      return {
        cpu,
        lots: u64(layout.COUNT_LOTS),
        frames: verdicts.reduce((sum, each) => sum + each, stopped),
        verdicts,
        stopped,
        moved: u64(layout.COUNT_MOVED),
      };
    });
  }

  /** Name of a program that was attached, by what results say of it; undefined for 0. */
  nameOf(entry: number): string | undefined {
    return this.#names.get(entry);
  }

  /** Takes the program away, waits until none runs it, and frees the block: nothing may send frames by it any more. */
  async close(): Promise<void> {
    await this.replace(undefined);
    this.runtime.freePages(this.address, layout.FRAMES_ATTACHMENT_SIZE);
  }

  /** Holds the program as long as frames go through it: closing its object does not take it away. */
  #attach(program: UserProgram | undefined): void {
    const { lives } = this.runtime;
    const before = this.#program;
    this.#program = program;
    const entry = program?.executable.entry ?? 0;
    if (entry !== 0) lives.hold(entry);
    if (program !== undefined) this.#names.set(entry, program.name);
    const words = new BigUint64Array(this.runtime.plane.memory.buffer, this.address + layout.FRAMES_ENTRY, 1);
    Atomics.store(words, 0, BigInt(entry) | (BigInt(program?.executable.fuel ?? 0) << 32n));
    // What is under way ends in it: it goes after a grace period.
    if (before !== undefined) lives.release(before.executable.entry);
  }

  #own(program: ProgramHandle): UserProgram {
    const wrong = (text: string) => new InputError('SLUICE_XDP_PROGRAM', `program ${program.name} ${text}`);
    if (program.type !== 'xdp') throw wrong(`is of type ${program.type}: frames take programs of type xdp`);
    if (!(program instanceof UserProgram))
      throw new UnsupportedError('frames of programs in the kernel', `program ${program.name} is loaded in the kernel`);
    if (program.runtime !== this.runtime) throw wrong('is of another runtime: load it into the one of the CPUs');
    if (program.executable.entry === 0)
      throw new UnsupportedError(
        'interpreted programs on other CPUs',
        `program ${program.name} runs in the interpreter, which is on JavaScript's thread: load it with the engine jit`,
      );
    return program;
  }
}
