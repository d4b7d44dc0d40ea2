/** XDP here: packets come through AF_XDP sockets into the program memory. */
import { Cpus, load, Runtime, XdpAttachment } from '../index.ts';
import { AfXdpAttachment, type AfXdpAttachOptions } from '../linux/af-xdp-attachment.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { EngineName } from '../runtime/engine.ts';
import type { UserObject } from '../runtime/load.ts';
import type { UserProgram } from '../runtime/program.ts';
import type { TraitFormat } from '../runtime/traits.ts';
import { fillMaps } from './map-input.ts';
import { withTailCallTargets } from './subjects.ts';
import type { LiveSession, SessionOptions } from './xdp-session.ts';

export interface AfXdpSessionOptions extends SessionOptions {
  readonly engine: EngineName;
  readonly unverified: boolean;
  readonly attach: AfXdpAttachOptions;
  /** Threads that the queues are given to in turn; undefined: this one takes them all. */
  readonly cpus?: number;
  /** How packets keep their traits. */
  readonly metadata?: Partial<TraitFormat>;
}

export class AfXdpSession implements LiveSession {
  readonly how: string;
  readonly objects: UserObject[];
  readonly #options: AfXdpSessionOptions;
  readonly #attachment: AfXdpAttachment;
  #faulted = false;
  #program: UserProgram;
  /** While CPUs serve. */
  #frames: XdpAttachment | undefined;
  #last:
    | {
        readonly verdicts: readonly number[];
        readonly bytes: number;
        readonly details: Readonly<Record<string, number>>;
      }
    | undefined;

  static async start(object: ObjectSpec, program: ProgramSpec, options: AfXdpSessionOptions): Promise<AfXdpSession> {
    const loaded = await loadFilled(
      new Runtime({
        cpus: 1 + (options.cpus ?? 0),
        metadata: { ...options.metadata, ...(options.registry === undefined ? {} : { registry: options.registry }) },
      }),
      object,
      program,
      options,
    );
    try {
      return new AfXdpSession(loaded, program, options);
    } catch (error) {
      loaded.close();
      throw error;
    }
  }

  private constructor(loaded: UserObject, program: ProgramSpec, options: AfXdpSessionOptions) {
    this.objects = [loaded];
    this.#options = options;
    this.#program = loaded.programs[program.name]!;
    const { executable } = this.#program;
    this.#attachment = new AfXdpAttachment(loaded.runtime, options.interfaceName, executable, {
      ...options.attach,
      hints: options.hints,
    });
    const { sockets } = this.#attachment;
    const copy = sockets.every(({ zeroCopy }) => zeroCopy) ? 'zero-copy' : 'copy mode';
    this.how = `here (${options.engine}) through AF_XDP, ${copy}, ${sockets.length} queue${sockets.length === 1 ? '' : 's'}${options.cpus === undefined ? '' : ` on ${options.cpus} CPUs`}`;
  }

  verdicts(): readonly number[] {
    return this.#last?.verdicts ?? this.#attachment.counters().verdicts;
  }

  bytes(): number {
    return this.#last?.bytes ?? this.#attachment.counters().bytes;
  }

  details(): Readonly<Record<string, number>> {
    if (this.#last !== undefined) return this.#last.details;
    const { packets: _packets, bytes: _bytes, verdicts: _verdicts, ...counters } = this.#attachment.counters();
    return { ...counters, ...this.#attachment.statistics() };
  }

  async serve(signal: AbortSignal): Promise<void> {
    const { count, each, cpus: threads } = this.#options;
    try {
      if (threads !== undefined) await this.#serveOnCpus(signal, count);
      else await this.#attachment.serve({ signal, count, ...(each === undefined ? {} : { each }) });
    } catch (error) {
      this.#faulted = true;
      throw error;
    }
  }

  async #serveOnCpus(signal: AbortSignal, count: number): Promise<void> {
    const { runtime } = this.objects[0]!;
    const cpus = await Cpus.start(runtime);
    const frames = new XdpAttachment(runtime, this.#program);
    this.#frames = frames;
    try {
      await this.#attachment.serveOn(cpus, frames, { signal, count });
    } finally {
      this.#frames = undefined;
      await frames.close();
      await cpus.close();
    }
  }

  async replace(object: ObjectSpec, program: ProgramSpec): Promise<void> {
    const loaded = await loadFilled(this.objects[0]!.runtime, object, program, this.#options);
    this.objects.push(loaded);
    this.#program = loaded.programs[program.name]!;
    await this.#frames?.replace(this.#program);
    this.#attachment.replace(loaded.programs[program.name]!.executable);
  }

  async detach(): Promise<void> {
    const { each } = this.#options;
    this.#attachment.detach();
    // What came between the last batch and the detaching is run as well.
    if (!this.#faulted) while (this.#attachment.run(undefined, each) > 0);
    this.#last = { verdicts: this.verdicts(), bytes: this.bytes(), details: this.details() };
    await this.#attachment.close();
  }

  close(): void {
    for (const object of this.objects) object.close();
  }
}

async function loadFilled(
  runtime: Runtime,
  object: ObjectSpec,
  program: ProgramSpec,
  options: AfXdpSessionOptions,
): Promise<UserObject> {
  const programs = withTailCallTargets(object, program);
  const loaded = await load(object, {
    runtime,
    engine: options.engine,
    programs,
    unverified: options.unverified,
    ...options.pins,
  });
  try {
    fillMaps(loaded, options.maps);
  } catch (error) {
    loaded.close();
    throw error;
  }
  return loaded;
}
