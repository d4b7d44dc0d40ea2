/**
 * hooks/steering: a device with several queues whose steering is programmable, and whose hash is reported: three ways to one result.
 *
 * (1) The device's own computation, receive-side scaling as virtio has it. (2) A socket filter, as TUNSETSTEERINGEBPF takes it, whose return value is the queue; it may ask
 * the device for its computation, and report a hash, by kfuncs. (3) A program of type vnet_hash, whose context has hash, report and queue.
 */
import { InputError } from '../../errors.ts';
import type { CapturedPacket } from '../../net/captured-packet.ts';
import type { HashConfiguration, RssConfiguration, RssLimits } from '../../net/rss/configuration.ts';
import { automaticConfiguration, type ControlResult, RssControl } from '../../net/rss/control.ts';
import type { FlowRule } from '../../net/rss/flow-rules.ts';
import type { UserProgram } from '../../runtime/program.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { type SteeringCounters, SteeringDevice } from '../../runtime/steering/device.ts';
import { SteeringFrames } from '../../runtime/steering/frames.ts';

export interface SteeringOptions {
  /** Queues of the device, 1 to 1024; STEERING commands and programs may name others, which are taken modulo their number. */
  readonly queues: number;
  /** Memory that the device lives in; with a program, its runtime. Default: one of its own. */
  readonly runtime?: Runtime;
  /** Default: all hash types off, reports NONE, all packets to the first queue, until `configure` or `command`. */
  readonly configuration?: RssConfiguration;
  readonly program?: UserProgram;
  /** A program's return value of -1 asks for the device's own computation (default false: it is queue 65535 modulo the queues, as in Linux). */
  readonly fallback?: boolean;
  /** What the device says that it can do (default: everything). */
  readonly limits?: RssLimits;
  /** RSS contexts by their number, 1 to 31, and rules that choose them (`parseFlowRule`), the first that fits. */
  readonly contexts?: ReadonlyMap<number, RssConfiguration>;
  readonly rules?: readonly FlowRule[];
  /** Interface that programs see (default 0). */
  readonly ifindex?: number;
}

/** Which of the three ways steers. */
export type SteeringWay = 'rss' | 'socket_filter' | 'vnet_hash';

export interface SteeredPacket {
  readonly index: number;
  readonly packet: CapturedPacket;
  readonly queue: number;
  /** Unsigned; 0 may be a hash: the report says so. */
  readonly hash: number;
  /** `hash_report` (net/rss/hash-types.ts has names); 0: no hash. */
  readonly report: number;
  /** Return value of the program, unsigned; undefined without one. */
  readonly returned: number | undefined;
  /** struct virtio_net_hdr_v1_hash, 20 bytes. */
  readonly header: Uint8Array;
}

const BATCH = 64;

export class Steering {
  readonly runtime: Runtime;
  /** For what feeds frames from elsewhere than captures: `device.steer` over records in the memory. */
  readonly device: SteeringDevice;
  readonly #control: RssControl;

  /** Throws InputError for options that cannot be, and for programs of other types. */
  constructor(options: SteeringOptions) {
    this.runtime = options.runtime ?? options.program?.runtime ?? new Runtime();
    this.device = new SteeringDevice(this.runtime, options);
    this.#control = new RssControl({
      maxPairs: options.queues,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    try {
      if (options.configuration !== undefined) this.configure(options.configuration);
      for (const [context, configuration] of options.contexts ?? []) this.configure(configuration, context);
      if (options.rules !== undefined) this.rules = options.rules;
      if (options.program !== undefined)
        this.attach(options.program, options.fallback === undefined ? {} : { fallback: options.fallback });
    } catch (error) {
      this.device.close();
      throw error;
    }
  }

  get queues(): number {
    return this.device.queues;
  }

  set queues(count: number) {
    this.device.queues = count;
  }

  get rules(): readonly FlowRule[] {
    return this.device.rules;
  }

  /** Rules that choose RSS contexts, the first that fits; what fits none has the default configuration. Throws InputError `SLUICE_STEER_RULE`. */
  set rules(rules: readonly FlowRule[]) {
    this.device.rules = rules;
  }

  get way(): SteeringWay {
    const { program } = this.device;
    if (program === undefined) return 'rss';
    return program.queueFrom === 'context' ? 'vnet_hash' : 'socket_filter';
  }

  /** Steers and reports by the configuration from the next packet on. `context`: an RSS context from 1 to 31 in place of the default one. */
  configure(configuration: RssConfiguration, context = 0): void {
    this.device.configure(configuration, context);
  }

  /** Reports hashes and steers automatically, by flow: `RssConfiguration.automatic`. */
  configureHash(configuration: HashConfiguration): void {
    this.device.configure(automaticConfiguration(this.queues, configuration));
  }

  /**
   * A command of the control virtqueue, as a driver sends it: class 4 (queue pairs, RSS, hash), 7 (tunnel types), 9 (RSS contexts). What was set by `configure` is
   * forgotten with the first one. Never throws for what a driver may send: `ack` is 1, and `reason` says why.
   */
  command(commandClass: number, command: number, data: Uint8Array): ControlResult {
    const before = new Set(this.#control.contexts.keys());
    const result = this.#control.command(commandClass, command, data);
    if (result.ack !== 0) return result;
    this.device.configure(this.#control.effective());
    for (const [id, configuration] of this.#control.contexts) {
      before.delete(id);
      this.device.configure({ ...configuration, tunnelTypes: this.#control.tunnelTypes }, id);
    }
    for (const id of before) this.device.removeContext(id);
    return result;
  }

  /** As a reset of the device: initial configuration, no contexts. Program and counters stay. */
  reset(): void {
    this.#control.reset();
    this.device.reset();
  }

  /**
   * Steers by a program from the next packet on; undefined: by the device's own computation. A socket filter's return value is the queue: 16 bits of it, modulo the queues.
   * Throws InputError `SLUICE_STEER_PROGRAM` for other types, and for a program of another runtime.
   */
  attach(program: UserProgram | undefined, options: { readonly fallback?: boolean } = {}): void {
    if (program === undefined) {
      this.device.program = undefined;
      return;
    }
    if (program.runtime !== this.runtime)
      throw new InputError(
        'SLUICE_STEER_PROGRAM',
        `${program.name} lives in another runtime: load it with the device's`,
      );
    const type: string = program.type;
    if (type !== 'socket_filter' && type !== 'vnet_hash')
      throw new InputError(
        'SLUICE_STEER_PROGRAM',
        `${program.name} is of type ${type}: steering takes socket_filter (SEC("socket")) and vnet_hash`,
      );
    this.device.program = {
      executable: program.executable,
      queueFrom: type === 'vnet_hash' ? 'context' : 'return',
      fallback: options.fallback ?? false,
    };
  }

  /** Lazily steers packets in batches. Each gives its queue, hash and report, in order; frames are given back when the iteration ends. */
  *run(packets: Iterable<CapturedPacket>): Generator<SteeredPacket, void, undefined> {
    const frames = new SteeringFrames(this.runtime, BATCH);
    try {
      let waiting: CapturedPacket[] = [];
      let index = 0;
      const flush = function* (this: Steering) {
        this.device.steer(frames.address, waiting.length);
        const programmed = this.device.program !== undefined;
        for (const [frame, packet] of waiting.entries()) {
          const { returned, ...result } = frames.result(frame);
          const header = frames.header(frame);
          yield { index: index++, packet, ...result, returned: programmed ? returned : undefined, header };
        }
        waiting = [];
      }.bind(this);
      for (const packet of packets) {
        frames.fill(waiting.length, packet.data);
        waiting.push(packet);
        if (waiting.length === BATCH) yield* flush();
      }
      yield* flush();
    } finally {
      frames.free();
    }
  }

  /** For automatic steering: these packets were sent on the queue. `device.learn` takes frame records. */
  learn(packets: Iterable<Uint8Array>, queue: number): void {
    const frames = new SteeringFrames(this.runtime, 1);
    for (const packet of packets) {
      frames.fill(0, packet);
      this.device.learn(frames.address, 1, queue);
    }
    frames.free();
  }

  counters(): SteeringCounters {
    return this.device.counters();
  }

  /** Frees the device; programs are their objects'. */
  close(): void {
    this.device.close();
  }
}
